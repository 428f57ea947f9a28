//! Arms: named settings that override those of a scenario. The built-in arms are a file in the same
//! format as a user's.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use evenkeel_sim::config::{Diagnostic, Document, suggest};
use evenkeel_sim::scenario::ARM_SECTIONS;

/// An arm of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Description in one sentence, or empty.
    pub description: String,
    /// Its settings: a layer over the scenario and under `--set`.
    pub layer: Document,
}

/// Why an arm could not be found.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// The file is invalid.
    #[error(transparent)]
    Invalid(#[from] Diagnostic),
    /// No arm has this name.
    #[error(
        "no arm '{name}'; {hint} (`evenkeel arms` describes each; --arm-file adds arms from a file)"
    )]
    Unknown {
        /// The unknown name.
        name: String,
        /// The closest known name, or all known names.
        hint: String,
    },
}

/// The file of the built-in arms.
pub const BUILT_IN_ARMS: &str = include_str!("../../../../assets/arms.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmFile {
    arm: Vec<ArmEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArmEntry {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    set: toml::Table,
}

/// Separates the names of combined arms.
pub(super) const ARM_SEPARATOR: char = '+';

/// The arms with these names, in this order. An arm in `file` takes precedence over a built-in one
/// of the same name.
///
/// # Errors
/// If the file is invalid or a name is unknown.
pub fn arms(names: &[String], file: Option<&Path>) -> Result<Vec<Arm>, ArmError> {
    resolve_arms(names, &known_arms(file)?)
}

/// The arms with these names among `known`. A name such as `raw+agc` combines arms: settings of a
/// later arm override those of an earlier one.
///
/// # Errors
/// If a name is unknown.
pub fn resolve_arms(names: &[String], known: &[Arm]) -> Result<Vec<Arm>, ArmError> {
    let combine = |name: &String| {
        let (first, rest) = name.split_once(ARM_SEPARATOR).unwrap_or((name, ""));
        let mut arm = find(first, known)?.clone();
        for part in rest
            .split(ARM_SEPARATOR)
            .filter(|_| first.len() < name.len())
        {
            let part = find(part, known)?;
            arm.name = format!("{}{ARM_SEPARATOR}{}", arm.name, part.name);
            arm.description = format!("{}; {}", arm.description, part.description);
            arm.layer.overlay(&part.layer);
        }
        Ok(arm)
    };
    names.iter().map(combine).collect()
}

/// The arms that occur in these names, alone or combined, each once.
///
/// # Errors
/// If a name is unknown.
pub fn component_arms(names: &[String], known: &[Arm]) -> Result<Vec<Arm>, ArmError> {
    let mut parts: Vec<Arm> = Vec::new();
    for name in names.iter().flat_map(|name| name.split(ARM_SEPARATOR)) {
        if parts.iter().all(|arm| arm.name != name) {
            parts.push(find(name, known)?.clone());
        }
    }
    Ok(parts)
}

fn find<'a>(name: &str, known: &'a [Arm]) -> Result<&'a Arm, ArmError> {
    let found = known.iter().find(|arm| arm.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|arm| arm.name.as_str()).collect();
        ArmError::Unknown {
            name: name.to_owned(),
            hint: suggest(name, &names).unwrap_or_default(),
        }
    })
}

/// All arms: those of `file`, then the built-in ones whose names it does not use.
///
/// # Errors
/// If the file is invalid.
pub fn known_arms(file: Option<&Path>) -> Result<Vec<Arm>, Diagnostic> {
    with_built_in_arms(file.map_or(Ok(Vec::new()), load_arms)?)
}

/// All arms: `known`, then the built-in ones whose names it does not use.
///
/// # Errors
/// If the file of the built-in arms is invalid.
pub fn with_built_in_arms(mut known: Vec<Arm>) -> Result<Vec<Arm>, Diagnostic> {
    for arm in read(&Document::parse("built-in arms", BUILT_IN_ARMS)?)? {
        if known.iter().all(|other| other.name != arm.name) {
            known.push(arm);
        }
    }
    Ok(known)
}

/// The arm with this name; see [`arms`].
pub fn arm(name: &str, file: Option<&Path>) -> Result<Arm, ArmError> {
    let mut found = arms(&[name.to_owned()], file)?;
    Ok(found.remove(0))
}

/// The arms that a file defines.
///
/// # Errors
/// If the file cannot be read or is invalid.
pub fn load_arms(file: &Path) -> Result<Vec<Arm>, Diagnostic> {
    read(&Document::load(file)?)
}

/// Writes arms as TOML that [`load_arms`] reads.
///
/// # Errors
/// If an arm's settings are not a table; never for arms read from a file.
pub fn arms_toml(arms: &[Arm]) -> Result<String, Diagnostic> {
    let entry = |arm: &Arm| {
        let name = toml::Value::from(arm.name.as_str());
        let mut entry = format!("[[arm]]\nname = {name}\n");
        if !arm.description.is_empty() {
            let description = toml::Value::from(arm.description.as_str());
            writeln!(entry, "description = {description}").ok();
        }
        let set = arm.settings()?;
        if !set.is_empty() {
            writeln!(entry, "set = {}", toml::Value::Table(set)).ok();
        }
        Ok(entry)
    };
    let entries: Vec<String> = arms.iter().map(entry).collect::<Result<_, Diagnostic>>()?;
    Ok(entries.join("\n"))
}

impl Arm {
    /// Its settings as a table.
    ///
    /// # Errors
    /// If they are not a table; never for an arm read from a file.
    pub fn settings(&self) -> Result<toml::Table, Diagnostic> {
        self.layer.read()
    }
}

fn read(document: &Document) -> Result<Vec<Arm>, Diagnostic> {
    parse_arms(document, document.read::<ArmFile>()?.arm)
}

/// The arms that a document defines by its `[[arm]]` entries.
pub(super) fn parse_arms(
    document: &Document,
    entries: Vec<ArmEntry>,
) -> Result<Vec<Arm>, Diagnostic> {
    let mut arms: Vec<Arm> = Vec::new();
    for (index, entry) in entries.into_iter().enumerate() {
        if !is_valid_arm_name(&entry.name) {
            let message = format!("'{}' is not a valid arm name", entry.name);
            let help = "use letters, digits, '-', '_' and '.'".to_owned();
            return Err(document.diagnostic(&format!("arm.{index}.name"), &message, Some(help)));
        }
        if arms.iter().any(|arm| arm.name == entry.name) {
            let message = format!("arm '{}' is defined twice", entry.name);
            return Err(document.diagnostic(&format!("arm.{index}.name"), &message, None));
        }
        if let Some(key) = entry
            .set
            .keys()
            .find(|key| !ARM_SECTIONS.contains(&key.as_str()))
        {
            let message = format!("an arm cannot set '{key}'");
            let help = format!(
                "all arms share one world; an arm can set: {}",
                ARM_SECTIONS.join(", ")
            );
            return Err(document.diagnostic(
                &format!("arm.{index}.set.{key}"),
                &message,
                Some(help),
            ));
        }
        let layer = match document.subdocument(&format!("arm.{index}.set")) {
            Some(layer) => layer,
            None => Document::parse(&entry.name, "")?,
        };
        arms.push(Arm {
            name: entry.name,
            description: entry.description,
            layer,
        });
    }
    Ok(arms)
}

/// Whether a name is valid for an arm. It becomes part of a folder name.
pub(super) fn is_valid_arm_name(name: &str) -> bool {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.chars().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arms.toml");
        std::fs::write(&path, text).unwrap();
        let error = arms(&["mine".into()], Some(&path)).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn built_in_arms_set_clip_and_normalisation() {
        let names = ["clipped", "unclipped", "unnormalised", "raw"].map(str::to_owned);
        let layers: Vec<toml::Table> = arms(&names, None)
            .unwrap()
            .iter()
            .map(|arm| arm.layer.read().unwrap())
            .collect();
        assert!(layers[0].is_empty());
        let stability = |layer: usize| layers[layer]["stability"].as_table().unwrap();
        assert_eq!(stability(1)["clip"].as_array().unwrap().len(), 0);
        assert!(!stability(1).contains_key("normalise"));
        assert!(!stability(2).contains_key("clip"));
        assert_eq!(stability(3)["clip"], stability(1)["clip"]);
        assert_eq!(stability(3)["normalise"], stability(2)["normalise"]);
    }

    #[test]
    fn every_built_in_arm_has_a_description() {
        for arm in known_arms(None).unwrap() {
            assert!(!arm.description.is_empty(), "{}", arm.name);
        }
    }

    #[test]
    fn a_misspelled_name_gets_a_suggestion() {
        let error = arm("autoclp", None).unwrap_err().to_string();
        assert!(error.contains("did you mean 'autoclip'?"), "{error}");
    }

    #[test]
    fn a_file_adds_arms_and_takes_precedence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arms.toml");
        let text = "[[arm]]\nname = 'raw'\nset = { train.gamma = 0.9 }\n[[arm]]\nname = 'plain'\n";
        std::fs::write(&path, text).unwrap();
        let found = arms(
            &["raw".into(), "plain".into(), "clipped".into()],
            Some(&path),
        )
        .unwrap();
        let raw: toml::Table = found[0].layer.read().unwrap();
        assert_eq!(raw["train"]["gamma"].as_float(), Some(0.9));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn the_last_of_combined_arms_takes_precedence() {
        let known = known_arms(None).unwrap();
        let name = "raw+agc+sgd+adamw".to_owned();
        let arm = resolve_arms(std::slice::from_ref(&name), &known)
            .unwrap()
            .remove(0);
        assert_eq!(arm.name, name);
        let mut expected = arms(&["raw".into(), "agc".into()], None).unwrap();
        let [raw, agc] = [0, 1].map(|at| expected[at].settings().unwrap()["stability"].clone());
        let settings = arm.layer.subdocument("stability").unwrap();
        let stability: toml::Table = settings.read().unwrap();
        assert_eq!(stability["clip"], agc["clip"]);
        assert_eq!(stability["normalise"], raw["normalise"]);
        // The later of two optimisers replaces the earlier one.
        #[cfg(feature = "learn")]
        {
            let optimiser = arm.layer.subdocument("train.optimiser").unwrap();
            let optimiser: evenkeel_learn::optim::Optimiser = optimiser.read().unwrap();
            assert_eq!(optimiser.name(), "adam");
        }
        let parts = component_arms(&[name, "raw".into()], &known).unwrap();
        expected.extend(arms(&["sgd".into(), "adamw".into()], None).unwrap());
        assert_eq!(parts, expected);
        let missing = resolve_arms(&["raw+agg".into()], &known).unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("no arm 'agg'; did you mean 'agc'?")
        );
    }

    #[test]
    fn written_arms_are_read_back() {
        let names = ["clipped", "raw", "unnormalised", "agc"].map(str::to_owned);
        let before = arms(&names, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arms.toml");
        std::fs::write(&path, arms_toml(&before).unwrap()).unwrap();
        let after = load_arms(&path).unwrap();
        let content = |arms: &[Arm]| -> Vec<(String, toml::Table)> {
            let content = arms.iter().map(|arm| {
                let name = format!("{}: {}", arm.name, arm.description);
                (name, arm.settings().unwrap())
            });
            content.collect()
        };
        assert_eq!(content(&before), content(&after));
    }

    #[test]
    fn errors_point_into_the_file() {
        let cases = [
            "[[arm]]\nname = 'a b'\n",
            "[[arm]]\nname = 'x'\n[[arm]]\nname = 'x'\n",
            "[[arm]]\nname = 'x'\nset = { arena = { size_m = [1, 1] } }\n",
            "[[arm]]\nname = 'x'\nsett = {}\n",
            "[[arm]]\nname = 'x'\n",
        ];
        insta::assert_snapshot!(cases.map(error_of).join("\n---\n"), @r"
        arms.toml:2:8: 'a b' is not a valid arm name; use letters, digits, '-', '_' and '.'
          |
        2 | name = 'a b'
          |        ^^^^^
        ---
        arms.toml:4:8: arm 'x' is defined twice
          |
        4 | name = 'x'
          |        ^^^
        ---
        arms.toml:3:17: an arm cannot set 'arena'; all arms share one world; an arm can set: train, policy, stability, reward
          |
        3 | set = { arena = { size_m = [1, 1] } }
          |                 ^^^^^^^^^^^^^^^^^^^
        ---
        arms.toml:3:1: unknown key 'sett' in arm; did you mean 'set'?
          |
        3 | sett = {}
          | ^^^^
        ---
        no arm 'mine'; expected one of 'x', 'clipped', 'unclipped', 'unnormalised', 'raw', 'per_layer', 'actor_critic', 'clip_value', 'agc', 'autoclip', 'zclip', 'adagc', 'normalised', 'smooth', 'centralised', 'l1', 'l2', 'adamw', 'towards_initial', 'weight_clip', 'project', 'parseval', 'sgd', 'rmsprop', 'adam_equal_betas', 'adam_rel', 'muon', 'spam', 'stable_spam', 'cosine', 'warmup', 'adaptive_kl', 'shrink_perturb', 'dormant_units', 'last_layers', 'a2c', 'reinforce', 'spo', 'kl_penalty', 'minibatch_advantages', 'percentile_returns', 'symlog_returns', 'layer_norm', 'rms_norm', 'batch_norm', 'spectral_norm', 'residual', 'shared_trunk', 'lidar_conv', 'rnn', 'gru', 'lstm', 'crelu', 'simba', 'hyperspherical', 'hl_gauss', 'bounded_std', 'state_std', 'beta', 'by_difficulty' or 'learnability' (`evenkeel arms` describes each; --arm-file adds arms from a file)
        ");
    }
}
