//! Suites: several scenarios with frozen held-out layouts, so that results of different policies,
//! builds and machines are comparable. A suite file contains a hash of the layouts of each
//! scenario. A build that samples other layouts reports an error before the evaluation starts.

mod fingerprint;
mod run;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::EvalError;
use crate::telemetry::format::shell_path;
use evenkeel_sim::config::{Diagnostic, Document, Override, suggest};
use evenkeel_sim::scenario::{Scenario, ScenarioError, resolve};
use evenkeel_sim::seed::RootSeed;

pub use fingerprint::fingerprint;
pub(super) use run::parallel_map;
pub use run::{DifficultyResult, SuiteCell, SuiteReport, SuiteScenario, evaluate_suite};

/// Format version of suite files in this build.
const VERSION: u32 = 1;

/// Name and text of the shipped suites.
const SHIPPED: [(&str, &str); 1] = [("gallery", include_str!("../../../../suites/gallery.toml"))];

/// A suite with valid scenarios.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The shipped name, or the file's stem.
    pub name: String,
    /// Display name.
    pub title: String,
    /// Root seed of the held-out episodes.
    pub seed: RootSeed,
    /// The scenarios in the order of the file.
    pub entries: Vec<SuiteEntry>,
    document: Document,
}

/// One scenario of a suite.
#[derive(Clone, Debug)]
pub struct SuiteEntry {
    /// Display name, unique in the suite.
    pub name: String,
    /// Name of the difficulty, as defined by the suite.
    pub difficulty: String,
    /// The scenario, with the suite's overrides.
    pub scenario: Arc<Scenario>,
    /// Number of held-out episodes, starting with the first.
    pub episodes: u64,
    /// Frozen hash of the layouts; `None` if they are not frozen.
    pub layout_hash: Option<String>,
}

/// Error of loading or checking a suite.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The file cannot be read, is invalid, or was frozen with other layouts.
    #[error("{0}")]
    Invalid(Box<Diagnostic>),
    /// Neither a shipped name nor a file.
    #[error("no suite '{name}'; {help}")]
    Unknown {
        /// The argument as given.
        name: String,
        /// Suggestion of a shipped suite.
        help: String,
    },
    /// A scenario is invalid.
    #[error("suite '{suite}': {source}")]
    Scenario {
        /// Name of the suite.
        suite: String,
        /// The scenario's error.
        source: Box<ScenarioError>,
    },
    /// A layout cannot be placed.
    #[error("suite '{suite}': {source}")]
    Layout {
        /// Name of the suite.
        suite: String,
        /// The episode and the reason.
        source: Box<EvalError>,
    },
}

impl From<Diagnostic> for SuiteError {
    fn from(invalid: Diagnostic) -> Self {
        Self::Invalid(Box::new(invalid))
    }
}

/// The content of a suite file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFile {
    version: u32,
    title: String,
    #[serde(default)]
    seed: RootSeed,
    episodes: u64,
    scenario: Vec<SuiteFileEntry>,
}

/// One scenario in a suite file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFileEntry {
    /// A shipped name, or a path relative to the suite's folder.
    scenario: String,
    name: Option<String>,
    difficulty: String,
    #[serde(default)]
    set: Vec<String>,
    episodes: Option<u64>,
    layout_hash: Option<String>,
}

impl Suite {
    /// Loads a suite by its shipped name or by the path of its file. Does not check the layouts;
    /// see [`Self::check`].
    ///
    /// # Errors
    /// If there is no such suite, or it is invalid.
    pub fn load(name_or_path: &str) -> Result<Self, SuiteError> {
        let path = Path::new(name_or_path);
        if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
            let document = Document::parse(&format!("suites/{name}.toml"), text)?;
            return Self::read(name, Path::new(""), document);
        }
        if !path.exists() && path.extension().is_none() {
            let names: Vec<_> = SHIPPED.iter().map(|(name, _)| *name).collect();
            return Err(SuiteError::Unknown {
                name: name_or_path.to_owned(),
                help: suggest(name_or_path, &names).unwrap_or_default(),
            });
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read(&name, folder, Document::load(path)?)
    }

    fn read(name: &str, folder: &Path, document: Document) -> Result<Self, SuiteError> {
        let file: SuiteFile = document.read()?;
        let invalid = |path: &str, message: &str, help: &str| {
            SuiteError::from(document.diagnostic(path, message, Some(help.to_owned())))
        };
        if file.version != VERSION {
            let message = format!("unknown suite version {}", file.version);
            return Err(invalid(
                "version",
                &message,
                &format!("write version = {VERSION}"),
            ));
        }
        let mut entries: Vec<SuiteEntry> = Vec::new();
        for (index, entry) in file.scenario.into_iter().enumerate() {
            let path_of = |key: &str| format!("scenario.{index}.{key}");
            let episodes = entry.episodes.unwrap_or(file.episodes);
            if episodes == 0 {
                return Err(invalid(
                    &path_of("episodes"),
                    "no episodes",
                    "write at least 1",
                ));
            }
            let mut set = Vec::new();
            for (number, flag) in entry.set.iter().enumerate() {
                let path = format!("scenario.{index}.set.{number}");
                let setting = Override::parse(flag)
                    .map_err(|error| invalid(&path, &error.to_string(), "write PATH=VALUE"))?;
                set.push(setting);
            }
            let relative = folder.join(&entry.scenario);
            let name_or_path = match relative.to_str() {
                Some(path) if relative.is_file() => path,
                _ => &entry.scenario,
            };
            let scenario = resolve(name_or_path, &set).map_err(|source| SuiteError::Scenario {
                suite: name.to_owned(),
                source: Box::new(source),
            })?;
            let label = entry.name.unwrap_or_else(|| scenario.name.clone());
            if entries.iter().any(|other| other.name == label) {
                let message = format!("a second scenario named '{label}'");
                return Err(invalid(
                    &path_of("scenario"),
                    &message,
                    "give one of the two a unique `name`",
                ));
            }
            entries.push(SuiteEntry {
                name: label,
                difficulty: entry.difficulty,
                scenario: Arc::new(scenario),
                episodes,
                layout_hash: entry.layout_hash,
            });
        }
        if entries.is_empty() {
            return Err(invalid("scenario", "no scenarios", "write [[scenario]]"));
        }
        Ok(Self {
            name: name.to_owned(),
            title: file.title,
            seed: file.seed,
            entries,
            document,
        })
    }

    /// Computes the layout hash of each scenario in this build.
    ///
    /// # Errors
    /// If a layout cannot be placed.
    pub fn fingerprints(&self) -> Result<Vec<String>, SuiteError> {
        let hash = |entry: &SuiteEntry| fingerprint(&entry.scenario, self.seed, entry.episodes);
        let hashes: Result<_, _> = self.entries.iter().map(hash).collect();
        hashes.map_err(|source| SuiteError::Layout {
            suite: self.name.clone(),
            source: Box::new(source),
        })
    }

    /// Checks that this build samples the layouts that the suite was frozen with.
    ///
    /// # Errors
    /// If the layouts of a scenario have changed or were never frozen, or one cannot be placed.
    pub fn check(&self) -> Result<(), SuiteError> {
        for (index, (entry, current)) in self.entries.iter().zip(self.fingerprints()?).enumerate() {
            let name = &entry.name;
            let Some(frozen) = &entry.layout_hash else {
                let message = format!("the layouts of '{name}' are not frozen");
                let help = Some(self.freeze_help());
                let path = format!("scenario.{index}.scenario");
                return Err(self.document.diagnostic(&path, &message, help).into());
            };
            if *frozen != current {
                let message = format!(
                    "the layouts of '{name}' changed: their hash in this build is {current}"
                );
                let help = format!(
                    "results are not comparable with older ones; if the change is intended, {}",
                    self.freeze_help()
                );
                let path = format!("scenario.{index}.layout_hash");
                return Err(self.document.diagnostic(&path, &message, Some(help)).into());
            }
        }
        Ok(())
    }

    fn freeze_help(&self) -> String {
        format!(
            "freeze them with `evenkeel suite freeze {}`",
            shell_path(Path::new(self.document.file()))
        )
    }

    /// Returns the text of the suite's file with the layout hashes of this build, and the number of
    /// changed hashes. The rest of the text stays the same.
    ///
    /// # Errors
    /// If a layout cannot be placed.
    pub fn freeze(&self) -> Result<(String, usize), SuiteError> {
        let hashes = self.fingerprints()?;
        let text = self.document.text().unwrap_or_default();
        let frozen = self.entries.iter().map(|entry| entry.layout_hash.as_ref());
        let changed = frozen
            .zip(&hashes)
            .filter(|(old, new)| *old != Some(*new))
            .count();
        Ok((with_layout_hashes(text, &hashes), changed))
    }
}

/// Sets `layout_hash` in each `[[scenario]]` of a suite's text. Keeps all other lines.
fn with_layout_hashes(text: &str, hashes: &[String]) -> String {
    let is_key = |line: &str, key: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut parts = text.split("[[scenario]]");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for (part, hash) in parts.zip(hashes) {
        let line = format!("layout_hash = \"{hash}\"");
        let mut lines: Vec<&str> = part.split('\n').collect();
        if let Some(old) = lines.iter_mut().find(|line| is_key(line, "layout_hash")) {
            *old = &line;
        } else {
            // After the last line with a key.
            let last_key = lines.iter().rposition(|line| line.contains('='));
            lines.insert(last_key.map_or(1, |last| last + 1), &line);
        }
        result += "[[scenario]]";
        result += &lines.join("\n");
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freezing_changes_only_the_hashes() {
        let text = "# On top\nversion = 1\n\n[[scenario]]\nscenario = \"a\" # first\nlayout_hash = \
                    \"old\"\n\n[[scenario]]\nscenario = \"b\"\n# said of b\n\n# below\n";
        let frozen = with_layout_hashes(text, &["one".into(), "two".into()]);
        let expected = "# On top\nversion = 1\n\n[[scenario]]\nscenario = \"a\" # first\nlayout_hash = \
                      \"one\"\n\n[[scenario]]\nscenario = \"b\"\nlayout_hash = \"two\"\n# said of \
                      b\n\n# below\n";
        assert_eq!(frozen, expected);
    }

    #[test]
    fn shipped_suites_are_frozen_with_the_layouts_of_this_build() {
        for (name, _) in SHIPPED {
            Suite::load(name).unwrap().check().unwrap();
        }
    }
}
