//! The columns of a comparison. The runs of a scenario whose settings are the same in all that can
//! change a result, whatever their seeds, are one column. A column is named after the arm or the
//! run's own name, and after the settings in which it differs from other columns of that name.

use std::collections::{BTreeMap, BTreeSet};

use super::RunRecord;
use super::setting_labels::{describe_setting, visit_differences};

/// Settings that cannot change what is trained, apart from the last bits of numbers: how fast a run
/// trains, how often it is evaluated, saved and recorded, and what is detected and kept.
const NEUTRAL_SETTINGS: [&str; 13] = [
    "arm",
    "seed",
    "title",
    "description",
    "train.threads",
    "train.torch_threads",
    "train.device",
    "train.eval_every",
    "train.eval_episodes",
    "train.checkpoint_every",
    "train.record_every",
    "stability.health",
    "stability.recorder",
];

/// Number of settings in a column's name. The others are counted.
const MAX_NAMED: usize = 3;

/// Whether a setting, by its dotted path, can change a result.
pub(super) fn matters(path: &str) -> bool {
    !NEUTRAL_SETTINGS.iter().any(|neutral| {
        path.strip_prefix(neutral)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The settings that can change a result.
pub(super) fn significant_settings(config: &toml::Table) -> toml::Table {
    fn keep(prefix: &str, table: &toml::Table) -> toml::Table {
        let mut kept = toml::Table::new();
        for (key, value) in table {
            let path = match prefix {
                "" => key.clone(),
                prefix => format!("{prefix}.{key}"),
            };
            if !matters(&path) {
                continue;
            }
            let value = match value {
                toml::Value::Table(inner) => toml::Value::Table(keep(&path, inner)),
                value => value.clone(),
            };
            kept.insert(key.clone(), value);
        }
        kept
    }
    keep("", config)
}

/// A run's own name, or that of its arm.
fn base_name(run: &RunRecord) -> &str {
    run.info.name.as_deref().unwrap_or(&run.info.arm)
}

/// The runs of one column.
struct Column {
    settings: toml::Table,
    /// Indices of the runs.
    runs: Vec<usize>,
    /// Paths that the user set on the command line of one of the runs.
    set: BTreeSet<String>,
}

/// Sets [`RunRecord::column`] of each run. Where all runs of a scenario with the same arm, or with
/// the same name, have the same settings, it is that name. Otherwise the settings in which they
/// differ are named: those that differ from most columns, or that were set on the command line.
pub fn name_columns(runs: &mut [RunRecord]) {
    // From (scenario, name) to its columns, by settings.
    let mut columns: BTreeMap<(String, String), BTreeMap<String, Column>> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        let mut settings = significant_settings(&run.config);
        if let Some(origin) = &run.info.from {
            settings.insert("from".to_owned(), origin.to_string().into());
        }
        let key = (run.info.scenario.clone(), base_name(run).to_owned());
        let column = columns
            .entry(key)
            .or_default()
            .entry(settings.to_string())
            .or_insert_with(|| Column {
                settings,
                runs: Vec::new(),
                set: BTreeSet::new(),
            });
        column.runs.push(index);
        column.set.extend(run.info.set.iter().cloned());
    }
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (scenario, name) in columns.keys() {
        names.entry(scenario).or_default().insert(name);
    }
    for ((scenario, name), columns) in &columns {
        let mut columns: Vec<&Column> = columns.values().collect();
        columns.sort_by_key(|column| column.runs[0]);
        // The name of the only arm says nothing.
        let prefix = (names[scenario.as_str()].len() > 1
            || runs[columns[0].runs[0]].info.name.is_some())
        .then_some(name.as_str());
        for (column, label) in columns.iter().zip(column_labels(&columns, name, prefix)) {
            for &run in &column.runs {
                runs[run].column.clone_from(&label);
            }
        }
    }
}

/// Names of the columns of one arm. `name` is that of the arm, for a column without a difference;
/// `prefix` comes before the differences.
fn column_labels(columns: &[&Column], name: &str, prefix: Option<&str>) -> Vec<String> {
    let values: Vec<Option<toml::Value>> = columns
        .iter()
        .map(|column| Some(toml::Value::Table(column.settings.clone())))
        .collect();
    let mut parts: Vec<Vec<String>> = vec![Vec::new(); columns.len()];
    visit_differences("", &values, &mut |path, values| {
        let usual = usual_value(path, values, columns);
        for (parts, value) in parts.iter_mut().zip(values) {
            if usual != Some(value) {
                add_part(parts, path, describe_setting(path, value.as_ref()));
            }
        }
    });
    let mut labels: Vec<String> = Vec::new();
    for mut parts in parts {
        if parts.len() > MAX_NAMED + 1 {
            let more = parts.len() - MAX_NAMED;
            parts.truncate(MAX_NAMED);
            parts.push(format!("{more} more settings"));
        }
        let label = match (prefix, parts.is_empty()) {
            (_, true) => name.to_owned(),
            (Some(prefix), false) => format!("{prefix}, {}", parts.join(", ")),
            (None, false) => parts.join(", "),
        };
        let same = labels.iter().filter(|other| is_copy(other, &label)).count();
        labels.push(match same {
            0 => label,
            same => format!("{label} ({})", same + 1),
        });
    }
    labels
}

/// Adds a description, once where actor and critic have the same one.
fn add_part(parts: &mut Vec<String>, path: &str, description: String) {
    if !path.starts_with("policy.critic.") {
        parts.push(description);
    } else if !parts.contains(&description) {
        parts.push(format!("critic {description}"));
    }
}

/// Whether a label is `label`, or it with a number.
fn is_copy(other: &str, label: &str) -> bool {
    other
        .strip_prefix(label)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
}

/// The value that is not named: that of more than half of the columns; without one, the value of
/// columns where it was not set on the command line, if it was set in all others.
fn usual_value<'a>(
    path: &str,
    values: &'a [Option<toml::Value>],
    columns: &[&Column],
) -> Option<&'a Option<toml::Value>> {
    let most = values
        .iter()
        .max_by_key(|value| values.iter().filter(|other| other == value).count())?;
    if 2 * values.iter().filter(|value| *value == most).count() > values.len() {
        return Some(most);
    }
    let was_set = |column: &Column| {
        column
            .set
            .iter()
            .any(|set| is_path_of(set, path) || is_path_of(path, set))
    };
    let mut unset = values
        .iter()
        .zip(columns)
        .filter(|(_, column)| !was_set(column))
        .map(|(value, _)| value);
    let usual = unset.next()?;
    unset.all(|value| value == usual).then_some(usual)
}

/// Whether `path` is `parent` or below it.
fn is_path_of(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::test_runs::run;
    use evenkeel_runs::runs::PolicyOrigin;

    const DEFAULTS: &str = "[train]\nlearning_rate = 0.001\nthreads = 1\n\
                            [policy.actor]\nhidden = [64, 64]\n[policy.critic]\nhidden = [64, 64]";

    #[test]
    fn runs_from_different_policies_are_different_columns() {
        let origin = |run: &str, weights: &str| PolicyOrigin {
            run: Some(run.to_owned()),
            checkpoint: String::new(),
            global_step: 5000,
            weights: weights.to_owned(),
        };
        let mut runs = [1, 1, 2].map(|seed| trained(seed, "clipped", &[]));
        runs[0].info.from = Some(origin("good", "0a"));
        runs[1].info.from = Some(origin("bad", "0b"));
        runs[2].info.from = Some(origin("good", "0a"));
        name_columns(&mut runs);
        assert_eq!(runs[0].column, runs[2].column);
        assert_ne!(runs[0].column, runs[1].column);
        assert!(
            runs[1].column.contains("bad at step 5000"),
            "{}",
            runs[1].column
        );
    }

    fn trained(seed: u64, arm: &str, set: &[(&str, &str)]) -> RunRecord {
        let mut run = run("reference", arm, seed);
        run.config = DEFAULTS.parse().unwrap();
        for (path, value) in set {
            run.info.set.push((*path).to_owned());
            let value: toml::Table = format!("x = {value}").parse().unwrap();
            let keys: Vec<&str> = path.split('.').collect();
            let (last, tables) = keys.split_last().unwrap();
            let table = tables.iter().fold(&mut run.config, |table, key| {
                table[*key].as_table_mut().unwrap()
            });
            table.insert((*last).to_owned(), value["x"].clone());
        }
        run
    }

    fn columns(mut runs: Vec<RunRecord>) -> Vec<String> {
        name_columns(&mut runs);
        runs.into_iter().map(|run| run.column).collect()
    }

    const RATE: (&str, &str) = ("train.learning_rate", "0.003");
    const WIDE: [(&str, &str); 2] = [
        ("policy.actor.hidden", "[256, 256]"),
        ("policy.critic.hidden", "[256, 256]"),
    ];

    #[test]
    fn runs_with_other_settings_are_other_columns_named_by_what_was_set() {
        let pair = columns(vec![
            trained(1, "clipped", &[RATE]),
            trained(1, "clipped", &WIDE),
        ]);
        assert_eq!(pair, ["learning rate 3e-3", "hidden 256×256"]);
        let with_default = columns(vec![
            trained(1, "clipped", &[]),
            trained(1, "clipped", &[RATE]),
        ]);
        assert_eq!(with_default, ["clipped", "learning rate 3e-3"]);
        let both_set = [("train.learning_rate", "0.002")];
        let both = columns(vec![
            trained(1, "clipped", &[RATE]),
            trained(1, "clipped", &both_set),
        ]);
        assert_eq!(both, ["learning rate 3e-3", "learning rate 2e-3"]);
    }

    #[test]
    fn seeds_and_neutral_settings_make_no_columns() {
        let threads = [("train.threads", "2")];
        let runs = vec![
            trained(1, "clipped", &[]),
            trained(2, "clipped", &threads),
            trained(1, "raw", &[]),
            trained(1, "raw", &[RATE]),
        ];
        let expect = ["clipped", "clipped", "raw", "raw, learning rate 3e-3"];
        assert_eq!(columns(runs), expect);
    }

    #[test]
    fn a_run_may_have_a_name() {
        let mut named = trained(1, "clipped", &[RATE]);
        named.info.name = Some("fast".into());
        let mut same_name = trained(1, "clipped", &WIDE);
        same_name.info.name = Some("fast".into());
        let runs = vec![named, trained(1, "clipped", &[])];
        assert_eq!(columns(runs.clone()), ["fast", "clipped"]);
        let runs = vec![runs[0].clone(), same_name];
        assert_eq!(
            columns(runs),
            ["fast, learning rate 3e-3", "fast, hidden 256×256"]
        );
    }
}
