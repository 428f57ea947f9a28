//! Sweeps: outcomes of runs that differ in a clip threshold or the learning rate. The swept setting
//! is found from the configurations of the runs, however they were started.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::RunRecord;
use super::scorecard::Proportion;
use super::setting_labels::labels;
use evenkeel_runs::stats::{Average, Bootstrap};

/// Path of the learning rate in a configuration.
const LEARNING_RATE: &str = "train.learning_rate";
/// Path of the list of clip stages.
const CLIP: &str = "stability.clip";

/// Outcomes against one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// The setting's path, as `--set` writes it.
    pub path: String,
    /// Its values, ascending. An absent last value stands for runs without a clip.
    pub values: Vec<Option<f64>>,
    /// One for each combination of all other settings.
    pub series: Vec<SweepSeries>,
}

/// Runs that differ only in the swept setting and in their seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepSeries {
    /// The settings in which it differs from other series. Empty for a single series.
    pub label: String,
    /// One for each value of the sweep. Absent without runs.
    pub points: Vec<Option<SweepPoint>>,
}

/// Runs that differ only in their seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepPoint {
    /// Success over held-out episodes of each run that was evaluated or diverged; 0 for diverged
    /// runs.
    pub runs: Vec<f64>,
    /// Interquartile mean of success over seeds.
    pub success: Option<Average>,
    /// Runs that diverged.
    pub diverged: Proportion,
}

/// Finds the sweeps in runs of one scenario: the learning rate and clip thresholds that take at
/// least two values in runs with otherwise equal settings.
pub fn sweeps(runs: &[&RunRecord]) -> Vec<Sweep> {
    let runs = distinct(runs);
    let settings: Vec<BTreeMap<String, f64>> = runs
        .iter()
        .map(|run| numeric_settings(&run.config))
        .collect();
    let can_be_swept =
        |path: &String| path == LEARNING_RATE || path.starts_with(&format!("{CLIP}."));
    let paths: BTreeSet<&String> = settings
        .iter()
        .flat_map(BTreeMap::keys)
        .filter(|path| can_be_swept(path))
        .collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let values = settings.iter().map(|settings| settings.get(path).copied());
            let values: Vec<Option<f64>> = values.collect();
            sweep_over(path, &runs, &values)
        })
        .collect()
}

/// Keeps one run for each seed and configuration: a second one is not additional evidence. Prefers
/// finished runs, then the most recently started.
fn distinct<'a>(runs: &[&'a RunRecord]) -> Vec<&'a RunRecord> {
    let mut kept: BTreeMap<(u64, String), &RunRecord> = BTreeMap::new();
    for run in runs {
        let started = &run.info.started;
        let settings = without(&run.config, &["arm", "seed"]).to_string();
        let slot = kept.entry((run.info.seed, settings)).or_insert(run);
        if (run.info.status.is_over(), started) > (slot.info.status.is_over(), &slot.info.started) {
            *slot = run;
        }
    }
    kept.into_values().collect()
}

/// The sweep over the setting at `path`; `values` are its values in the runs.
fn sweep_over(path: &str, runs: &[&RunRecord], values: &[Option<f64>]) -> Option<Sweep> {
    // Runs without clip stages have no threshold, but belong to the sweep: they are the limit of an
    // ever larger threshold.
    let is_clip = path != LEARNING_RATE;
    let unclipped = |run: &RunRecord| is_clip && clips(&run.config).is_none_or(Vec::is_empty);
    let mut groups: BTreeMap<String, (toml::Table, Vec<usize>)> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        if values[index].is_some() {
            let rest = without(&run.config, &["arm", "seed", path]);
            let group = groups.entry(rest.to_string()).or_insert((rest, Vec::new()));
            group.1.push(index);
        }
    }
    groups.retain(|_, (_, members)| {
        let distinct: BTreeSet<u64> = members
            .iter()
            .filter_map(|&run| Some(values[run]?.to_bits()))
            .collect();
        distinct.len() > 1
    });
    for (rest, members) in groups.values_mut() {
        let rest = without(rest, &[CLIP]);
        members.extend((0..runs.len()).filter(|&index| {
            let config = &runs[index].config;
            unclipped(runs[index]) && without(config, &["arm", "seed", CLIP]) == rest
        }));
    }
    let all = || groups.values().flat_map(|(_, members)| members);
    let mut axis: Vec<Option<f64>> = all().map(|&run| values[run]).collect();
    axis.sort_by(|a, b| {
        let [a, b] = [a, b].map(|value| value.unwrap_or(f64::INFINITY));
        a.total_cmp(&b)
    });
    axis.dedup();
    let rests: Vec<&toml::Table> = groups.values().map(|(rest, _)| rest).collect();
    let labels = labels(&rests);
    let series: Vec<SweepSeries> = groups
        .values()
        .zip(labels)
        .map(|((_, members), label)| SweepSeries {
            label,
            points: axis
                .iter()
                .map(|value| {
                    let at = members.iter().filter(|&&run| values[run] == *value);
                    SweepPoint::new(&at.map(|&run| runs[run]).collect::<Vec<_>>())
                })
                .collect(),
        })
        .collect();
    (!series.is_empty()).then(|| Sweep {
        path: path.into(),
        values: axis,
        series,
    })
}

impl SweepPoint {
    fn new(runs: &[&RunRecord]) -> Option<Self> {
        let success: Vec<f64> = runs.iter().filter_map(|run| run.final_success()).collect();
        let middle = Bootstrap::default().interquartile_mean(&[&success]);
        let diverged = runs.iter().filter(|run| run.diverged.is_some()).count();
        (!runs.is_empty()).then(|| Self {
            success: middle.map(|middle| Average::of(middle, success.len())),
            runs: success,
            diverged: Proportion::new(diverged, runs.len()),
        })
    }
}

/// All numbers of a configuration by dotted path. Entries of lists are counted from 0.
fn numeric_settings(config: &toml::Table) -> BTreeMap<String, f64> {
    fn visit(path: String, value: &toml::Value, found: &mut BTreeMap<String, f64>) {
        let below = |key: &str| {
            let dot = if path.is_empty() { "" } else { "." };
            format!("{path}{dot}{key}")
        };
        match value {
            toml::Value::Table(table) => {
                for (key, value) in table {
                    visit(below(key), value, found);
                }
            }
            toml::Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    visit(below(&index.to_string()), value, found);
                }
            }
            toml::Value::Integer(number) => {
                found.insert(path, *number as f64);
            }
            toml::Value::Float(number) => {
                found.insert(path, *number);
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    visit(
        String::new(),
        &toml::Value::Table(config.clone()),
        &mut found,
    );
    found
}

/// The clip stages of a configuration.
fn clips(config: &toml::Table) -> Option<&Vec<toml::Value>> {
    config.get("stability")?.get("clip")?.as_array()
}

/// A configuration without the values at some paths.
fn without(config: &toml::Table, paths: &[&str]) -> toml::Table {
    fn remove(value: &mut toml::Value, path: &str) {
        let (key, below) = path.split_once('.').unwrap_or((path, ""));
        match value {
            toml::Value::Table(table) if below.is_empty() => {
                table.remove(key);
            }
            toml::Value::Table(table) => {
                if let Some(inner) = table.get_mut(key) {
                    remove(inner, below);
                }
            }
            toml::Value::Array(list) => {
                let index = key.parse().ok();
                if let Some(inner) = index.and_then(|index: usize| list.get_mut(index)) {
                    remove(inner, below);
                }
            }
            _ => {}
        }
    }
    let mut rest = toml::Value::Table(config.clone());
    for path in paths {
        remove(&mut rest, path);
    }
    match rest {
        toml::Value::Table(table) => table,
        _ => unreachable!("a table stays a table"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> toml::Table {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_in_lists_have_paths() {
        let config = config("a = 1\n[stability]\nclip = [{ value = { max = 2.0 } }, { agc = {} }]");
        let found = numeric_settings(&config);
        assert_eq!(found.get("stability.clip.0.value.max"), Some(&2.0));
        assert_eq!(found.len(), 2);
        let rest = without(&config, &["stability.clip.0.value.max", "a"]);
        assert!(numeric_settings(&rest).is_empty() && clips(&rest).unwrap().len() == 2);
    }
}
