//! Suites: several scenarios with the held-out layouts of each frozen, so that figures of
//! different policies, builds and machines are over the same rooms. A suite's file holds a hash
//! of the layouts; whoever draws others is told so before anything is driven.

mod fingerprint;
mod run;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::EvalError;
use evenkeel_sim::config::{Diagnostic, Document, Override, suggest};
use evenkeel_sim::scenario::{Scenario, ScenarioError, resolve};
use evenkeel_sim::seed::RootSeed;

pub use fingerprint::fingerprint;
pub(super) use run::parallel_map;
pub use run::{DifficultyResult, SuiteCell, SuiteReport, SuiteScenario, evaluate_suite};

/// The format version that this build reads.
const VERSION: u32 = 1;

/// Suites that come with the program: name and text.
const SHIPPED: [(&str, &str); 1] = [("gallery", include_str!("../../../../suites/gallery.toml"))];

/// A suite whose scenarios are sound.
#[derive(Clone, Debug)]
pub struct Suite {
    /// The shipped name, or the file's stem.
    pub name: String,
    /// A name for people.
    pub title: String,
    /// Root seed of the held-out episodes.
    pub seed: RootSeed,
    /// The scenarios, in the order of the file.
    pub entries: Vec<SuiteEntry>,
    document: Document,
}

/// One scenario of a suite.
#[derive(Clone, Debug)]
pub struct SuiteEntry {
    /// What tables call it; unlike all others of the suite.
    pub name: String,
    /// How hard it is, in a word of the suite's.
    pub difficulty: String,
    /// The scenario, changes included.
    pub scenario: Arc<Scenario>,
    /// Held-out episodes that are driven, from the first.
    pub episodes: u64,
    /// The hash of their layouts, where the file has one.
    pub layout_hash: Option<String>,
}

/// Why there is no suite, or nothing to say about it.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The file cannot be read, says something that cannot be, or was frozen with other layouts.
    #[error("{0}")]
    Invalid(Box<Diagnostic>),
    /// Neither a shipped name nor a file.
    #[error("no suite '{name}'; {help}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        help: String,
    },
    /// One of its scenarios is not sound.
    #[error("suite '{suite}': {source}")]
    Scenario {
        /// The suite.
        suite: String,
        /// What is wrong.
        source: Box<ScenarioError>,
    },
    /// One of its layouts cannot be placed.
    #[error("suite '{suite}': {source}")]
    Layout {
        /// The suite.
        suite: String,
        /// Which, and why.
        source: Box<EvalError>,
    },
}

impl From<Diagnostic> for SuiteError {
    fn from(invalid: Diagnostic) -> Self {
        Self::Invalid(Box::new(invalid))
    }
}

/// A suite as it is written.
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

/// One scenario as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SuiteFileEntry {
    /// A shipped name, or a path from the suite's folder.
    scenario: String,
    name: Option<String>,
    difficulty: String,
    #[serde(default)]
    set: Vec<String>,
    episodes: Option<u64>,
    layout_hash: Option<String>,
}

impl Suite {
    /// The suite that a command line means: a shipped name, or the path of a file.
    ///
    /// # Errors
    /// If there is none, or it is not sound. Whether its layouts are still those that it was
    /// frozen with is asked by [`Self::check`].
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
        let complain = |path: &str, message: &str, help: &str| {
            SuiteError::from(document.diagnostic(path, message, Some(help.to_owned())))
        };
        if file.version != VERSION {
            let message = format!("version {} of suites is not known", file.version);
            return Err(complain(
                "version",
                &message,
                &format!("write version = {VERSION}"),
            ));
        }
        let mut entries: Vec<SuiteEntry> = Vec::new();
        for (index, entry) in file.scenario.into_iter().enumerate() {
            let at = |key: &str| format!("scenario.{index}.{key}");
            let episodes = entry.episodes.unwrap_or(file.episodes);
            if episodes == 0 {
                return Err(complain(
                    &at("episodes"),
                    "no episodes",
                    "drive at least one",
                ));
            }
            let mut set = Vec::new();
            for (number, flag) in entry.set.iter().enumerate() {
                let path = format!("scenario.{index}.set.{number}");
                let change = Override::parse(flag)
                    .map_err(|bad| complain(&path, &bad.to_string(), "write PATH=VALUE"))?;
                set.push(change);
            }
            let beside = folder.join(&entry.scenario);
            let found = match beside.to_str() {
                Some(path) if beside.is_file() => path,
                _ => &entry.scenario,
            };
            let scenario = resolve(found, &set).map_err(|source| SuiteError::Scenario {
                suite: name.to_owned(),
                source: Box::new(source),
            })?;
            let label = entry.name.unwrap_or_else(|| scenario.name.clone());
            if entries.iter().any(|other| other.name == label) {
                let message = format!("a second scenario called '{label}'");
                return Err(complain(
                    &at("scenario"),
                    &message,
                    "give one of them a `name`",
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
            return Err(complain("scenario", "no scenarios", "write [[scenario]]"));
        }
        Ok(Self {
            name: name.to_owned(),
            title: file.title,
            seed: file.seed,
            entries,
            document,
        })
    }

    /// The hash of each scenario's layouts, as this build draws them.
    ///
    /// # Errors
    /// If a layout cannot be placed.
    pub fn fingerprints(&self) -> Result<Vec<String>, SuiteError> {
        let of = |entry: &SuiteEntry| fingerprint(&entry.scenario, self.seed, entry.episodes);
        let all: Result<_, _> = self.entries.iter().map(of).collect();
        all.map_err(|source| SuiteError::Layout {
            suite: self.name.clone(),
            source: Box::new(source),
        })
    }

    /// Makes sure that the layouts are those that the suite was frozen with.
    ///
    /// # Errors
    /// If a scenario's are others, or were never frozen.
    pub fn check(&self) -> Result<(), SuiteError> {
        for (index, (entry, found)) in self.entries.iter().zip(self.fingerprints()?).enumerate() {
            let name = &entry.name;
            let Some(frozen) = &entry.layout_hash else {
                let message = format!("the layouts of '{name}' are not frozen");
                let help = Some(self.freeze_help());
                let at = format!("scenario.{index}.scenario");
                return Err(self.document.diagnostic(&at, &message, help).into());
            };
            if *frozen != found {
                let message = format!(
                    "the layouts of '{name}' changed: this build draws {found}, and the suite was \
                     frozen with others"
                );
                let help = format!(
                    "figures over them do not compare with older ones; if that is meant, {}",
                    self.freeze_help()
                );
                let at = format!("scenario.{index}.layout_hash");
                return Err(self.document.diagnostic(&at, &message, Some(help)).into());
            }
        }
        Ok(())
    }

    fn freeze_help(&self) -> String {
        format!(
            "freeze them with `evenkeel suite freeze {}`",
            self.document.file()
        )
    }

    /// The suite's file with the hashes of the layouts that this build draws, all else as it is
    /// written, and how many of them changed.
    ///
    /// # Errors
    /// If a layout cannot be placed.
    pub fn freeze(&self) -> Result<(String, usize), SuiteError> {
        let found = self.fingerprints()?;
        let text = self.document.text().unwrap_or_default();
        let frozen = self.entries.iter().map(|entry| entry.layout_hash.as_ref());
        let changed = frozen
            .zip(&found)
            .filter(|(old, new)| *old != Some(*new))
            .count();
        Ok((write_layouts(text, &found), changed))
    }
}

/// Sets `layout_hash` in each `[[scenario]]` of a suite's text, leaving every other line alone.
fn write_layouts(text: &str, layout_hash: &[String]) -> String {
    let is_key = |line: &str, key: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut parts = text.split("[[scenario]]");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for (part, hash) in parts.zip(layout_hash) {
        let line = format!("layouts = \"{hash}\"");
        let mut lines: Vec<&str> = part.split('\n').collect();
        if let Some(old) = lines.iter_mut().find(|line| is_key(line, "layout_hash")) {
            *old = &line;
        } else {
            // After the last line that says anything.
            let keys = lines.iter().rposition(|line| line.contains('='));
            lines.insert(keys.map_or(1, |last| last + 1), &line);
        }
        written += "[[scenario]]";
        written += &lines.join("\n");
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_written_and_nothing_else_is() {
        let text = "# On top\nversion = 1\n\n[[scenario]]\nscenario = \"a\" # first\nlayouts = \
                    \"old\"\n\n[[scenario]]\nscenario = \"b\"\n# said of b\n\n# below\n";
        let found = write_layouts(text, &["one".into(), "two".into()]);
        let expect = "# On top\nversion = 1\n\n[[scenario]]\nscenario = \"a\" # first\nlayouts = \
                      \"one\"\n\n[[scenario]]\nscenario = \"b\"\nlayouts = \"two\"\n# said of \
                      b\n\n# below\n";
        assert_eq!(found, expect);
    }

    #[test]
    fn shipped_suites_are_frozen_with_what_this_build_draws() {
        for (name, _) in SHIPPED {
            Suite::load(name).unwrap().check().unwrap();
        }
    }
}
