//! Settings that differ between arms.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::RunRecord;
use super::columns::matters;

/// A setting that differs between arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingDifference {
    /// Its path, as `--set` writes it.
    pub path: String,
    /// Its value in each arm, as TOML, in the order of the arms. Absent if it is not set.
    pub values: Vec<Option<String>>,
}

/// All settings that differ between arms and can change a result.
pub(super) fn setting_differences(arms: &[(&str, Vec<&RunRecord>)]) -> Vec<SettingDifference> {
    // From path to, for each arm, the values in its runs.
    let mut values: BTreeMap<String, Vec<BTreeSet<String>>> = BTreeMap::new();
    for (index, (_, runs)) in arms.iter().enumerate() {
        for run in runs {
            visit_leaves("", &run.config, &mut |path, value| {
                let by_arm = values
                    .entry(path)
                    .or_insert_with(|| vec![BTreeSet::new(); arms.len()]);
                by_arm[index].insert(value);
            });
        }
    }
    values
        .into_iter()
        .filter(|(path, by_arm)| matters(path) && by_arm.windows(2).any(|pair| pair[0] != pair[1]))
        .map(|(path, by_arm)| SettingDifference {
            path,
            values: by_arm
                .into_iter()
                .map(|set| {
                    let joined = set.into_iter().collect::<Vec<_>>().join(" / ");
                    (!joined.is_empty()).then_some(joined)
                })
                .collect(),
        })
        .collect()
}

/// Visits each value that is not a table, with its dotted path. An array is one value, since an arm
/// replaces it as a whole.
fn visit_leaves(prefix: &str, table: &toml::Table, visit: &mut impl FnMut(String, String)) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            toml::Value::Table(inner) => visit_leaves(&path, inner, visit),
            value => visit(path, value.to_string()),
        }
    }
}
