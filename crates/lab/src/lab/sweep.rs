//! Sweeps: outcomes of runs that differ in a clip threshold or the learning rate. The swept setting
//! is found from the configurations of the runs, however they were started.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::RunRecord;
use super::scorecard::Proportion;
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

/// Short descriptions of the settings in which the configurations differ, one for each.
fn labels(configs: &[&toml::Table]) -> Vec<String> {
    let mut parts: Vec<Vec<String>> = vec![Vec::new(); configs.len()];
    let values: Vec<Option<toml::Value>> = configs
        .iter()
        .map(|config| Some(toml::Value::Table((*config).clone())))
        .collect();
    visit_differences("", &values, &mut |path, values| {
        for (parts, value) in parts.iter_mut().zip(values) {
            parts.push(describe_setting(path, value.as_ref()));
        }
    });
    parts.into_iter().map(|parts| parts.join(", ")).collect()
}

/// Visits the topmost paths at which values differ. An enum variant with its settings is one value.
fn visit_differences(
    path: &str,
    values: &[Option<toml::Value>],
    visit: &mut impl FnMut(&str, &[Option<toml::Value>]),
) {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let tables: Option<Vec<&toml::Table>> = values
        .iter()
        .map(|value| value.as_ref()?.as_table())
        .collect();
    let Some(tables) = tables else {
        return visit(path, values);
    };
    let keys: BTreeSet<&String> = tables.iter().flat_map(|table| table.keys()).collect();
    if keys.len() > 1 && tables.iter().all(|table| table.len() == 1) {
        return visit(path, values);
    }
    for key in keys {
        let inner: Vec<Option<toml::Value>> =
            tables.iter().map(|table| table.get(key).cloned()).collect();
        let dot = if path.is_empty() { "" } else { "." };
        visit_differences(&format!("{path}{dot}{key}"), &inner, visit);
    }
}

/// A short description of a setting: `learning rate 0.1`, `sgd`, `no memory`, `clip global_norm
/// 0.5`.
fn describe_setting(path: &str, value: Option<&toml::Value>) -> String {
    let name = path.rsplit('.').next().unwrap_or(path).replace('_', " ");
    match value {
        None => format!("no {name}"),
        Some(toml::Value::String(text)) if text == "off" => format!("no {name}"),
        Some(toml::Value::Array(list)) if list.is_empty() => format!("no {name}"),
        Some(toml::Value::Array(list)) => {
            let stages: Vec<String> = list.iter().map(describe_variant).collect();
            format!("{name} {}", stages.join(" + "))
        }
        Some(table @ toml::Value::Table(_)) => describe_variant(table),
        Some(toml::Value::String(text)) => format!("{name} {text}"),
        Some(other) => format!("{name} {other}"),
    }
}

/// A short description of an enum variant: `global_norm 0.5` for `{ global_norm = { max = 0.5 } }`.
fn describe_variant(value: &toml::Value) -> String {
    let Some((name, inner)) = value.as_table().and_then(|table| table.iter().next()) else {
        return value.to_string();
    };
    match inner
        .as_table()
        .map(|inner| inner.values().collect::<Vec<_>>())
    {
        Some(settings) if settings.len() == 1 && !settings[0].is_table() => {
            format!("{name} {}", settings[0])
        }
        _ => name.clone(),
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

    #[test]
    fn labels_name_variants_and_missing_settings() {
        let configs = [
            "[train.optimiser.sgd]\nmomentum = 0.0\n[policy]\ntrunk = 'apart'",
            "[train.optimiser.adam]\nbeta1 = 0.9\n[policy]\ntrunk = 'apart'\nmemory = { lstm = { size = 8, x = 1 } }",
        ]
        .map(config);
        let labels = labels(&[&configs[0], &configs[1]]);
        assert_eq!(labels, ["no memory, sgd 0.0", "lstm, adam 0.9"]);
        let clips = ["clip = []", "clip = [{ global_norm = { max = 0.5 } }]"].map(config);
        let labels = super::labels(&[&clips[0], &clips[1]]);
        assert_eq!(labels, ["no clip", "clip global_norm 0.5"]);
    }
}
