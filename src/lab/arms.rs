//! Arms: named settings laid over a scenario's own. The built-in ones are written like those of a
//! user's file, and read like them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::scenario::{Diagnostic, Document, TRAINING_SECTIONS};

/// An arm of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// Its settings: a layer between the scenario's own and `--set`.
    pub layer: Document,
}

/// Why there is no such arm.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// The file says something that cannot be.
    #[error(transparent)]
    Invalid(#[from] Diagnostic),
    /// Nothing of that name.
    #[error("no arm '{name}'; there is: {known} (others come from a file: --arm-file)")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
}

/// The built-in arms.
pub const BUILT_IN: &str = include_str!("arms.toml");

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmFile {
    arm: Vec<ArmEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmEntry {
    name: String,
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    set: toml::Table,
}

/// The arms of these names, in this order. Those of `file` come before built-in ones of the same
/// name.
pub fn arms(names: &[String], file: Option<&Path>) -> Result<Vec<Arm>, ArmError> {
    let mut known = file.map_or(Ok(Vec::new()), arms_in)?;
    known.extend(read(&Document::parse("built-in arms", BUILT_IN)?)?);
    let find = |name: &String| {
        known
            .iter()
            .find(|arm| arm.name == *name)
            .cloned()
            .ok_or_else(|| ArmError::Unknown {
                name: name.clone(),
                known: known
                    .iter()
                    .map(|arm| arm.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    };
    names.iter().map(find).collect()
}

/// The arm of this name.
pub fn arm(name: &str, file: Option<&Path>) -> Result<Arm, ArmError> {
    let mut found = arms(&[name.to_owned()], file)?;
    Ok(found.remove(0))
}

/// The arms that a file defines.
///
/// # Errors
/// If the file says something that cannot be.
pub fn arms_in(file: &Path) -> Result<Vec<Arm>, Diagnostic> {
    read(&Document::load(file)?)
}

/// Writes arms as a file that reads back as the same.
///
/// # Errors
/// If a setting cannot be written as TOML.
pub fn arms_toml(arms: &[Arm]) -> Result<String, Diagnostic> {
    let entry = |arm: &Arm| {
        let (name, set) = (arm.name.clone(), arm.settings()?);
        Ok(ArmEntry { name, set })
    };
    let arm = arms.iter().map(entry).collect::<Result<_, Diagnostic>>()?;
    toml::to_string(&ArmFile { arm })
        .map_err(|error| Diagnostic::without_position("arms", error.to_string(), None))
}

impl Arm {
    /// What it sets.
    ///
    /// # Errors
    /// Never for an arm that was read from a file.
    pub fn settings(&self) -> Result<toml::Table, Diagnostic> {
        self.layer.read()
    }
}

fn read(document: &Document) -> Result<Vec<Arm>, Diagnostic> {
    let file: ArmFile = document.read()?;
    let mut arms: Vec<Arm> = Vec::new();
    for (index, entry) in file.arm.into_iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if entry.name.is_empty() || !entry.name.chars().all(plain) {
            let message = format!("'{}' is no arm name", entry.name);
            let help = "use letters, digits, '-', '_' and '.'".to_owned();
            return Err(document.complaint(&format!("arm.{index}.name"), &message, Some(help)));
        }
        if arms.iter().any(|arm| arm.name == entry.name) {
            let message = format!("arm '{}' is there twice", entry.name);
            return Err(document.complaint(&format!("arm.{index}.name"), &message, None));
        }
        if let Some(key) = entry
            .set
            .keys()
            .find(|key| !TRAINING_SECTIONS.contains(&key.as_str()))
        {
            let message = format!("an arm cannot set '{key}'");
            let help = format!(
                "arms share one world and differ in: {}",
                TRAINING_SECTIONS.join(", ")
            );
            return Err(document.complaint(
                &format!("arm.{index}.set.{key}"),
                &message,
                Some(help),
            ));
        }
        let layer = match document.part(&format!("arm.{index}.set")) {
            Some(layer) => layer,
            None => Document::parse(&entry.name, "")?,
        };
        arms.push(Arm {
            name: entry.name,
            layer,
        });
    }
    Ok(arms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arms.toml");
        std::fs::write(&path, text).unwrap();
        let error = arms(&["mine".into()], Some(&path)).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn the_built_in_arms_say_what_they_should() {
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
    fn arms_are_read_as_they_were_written() {
        let names = ["clipped", "raw", "unnormalised"].map(str::to_owned);
        let before = arms(&names, None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("arms.toml");
        std::fs::write(&path, arms_toml(&before).unwrap()).unwrap();
        let after = arms_in(&path).unwrap();
        let told = |arms: &[Arm]| -> Vec<(String, toml::Table)> {
            arms.iter()
                .map(|arm| (arm.name.clone(), arm.settings().unwrap()))
                .collect()
        };
        assert_eq!(told(&before), told(&after));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            "[[arm]]\nname = 'a b'\n",
            "[[arm]]\nname = 'x'\n[[arm]]\nname = 'x'\n",
            "[[arm]]\nname = 'x'\nset = { arena = { size_m = [1, 1] } }\n",
            "[[arm]]\nname = 'x'\nsett = {}\n",
            "[[arm]]\nname = 'x'\n",
        ];
        insta::assert_snapshot!(cases.map(refused).join("\n---\n"));
    }
}
