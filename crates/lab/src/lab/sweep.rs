//! Sweeps: what comes of runs that differ in a clip's threshold or in the learning rate. Which
//! setting is varied is read from the runs' own configurations, whatever started them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::RunRecord;
use super::scorecard::Proportion;
use evenkeel_runs::stats::{Average, Bootstrap};

/// The learning rate's path in a configuration.
const LEARNING_RATE: &str = "train.learning_rate";
/// The list of clip stages.
const CLIP: &str = "stability.clip";

/// Outcomes against one setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sweep {
    /// The setting's path, as `--set` writes it.
    pub path: String,
    /// Its values, ascending; the last is absent where some runs have no clip at all.
    pub values: Vec<Option<f64>>,
    /// One for each way in which everything else is set.
    pub series: Vec<SweepSeries>,
}

/// Runs that are set alike in everything but the setting that is varied, and their seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepSeries {
    /// In what they differ from other series; empty where there is one.
    pub label: String,
    /// One for each value of the sweep; absent where there is no run.
    pub points: Vec<Option<SweepPoint>>,
}

/// Runs that are set alike in everything but their seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepPoint {
    /// Success over held-out episodes of each run that was evaluated or diverged, 0 of those.
    pub runs: Vec<f64>,
    /// Its interquartile mean over seeds.
    pub success: Option<Average>,
    /// Runs that diverged.
    pub diverged: Proportion,
}

/// Every setting among learning rate and clip thresholds that runs of one scenario are swept over:
/// with at least two values between runs that are otherwise set alike.
pub fn sweeps(runs: &[&RunRecord]) -> Vec<Sweep> {
    let runs = distinct(runs);
    let flat: Vec<BTreeMap<String, f64>> = runs
        .iter()
        .map(|run| numeric_settings(&run.config))
        .collect();
    let swept = |path: &String| path == LEARNING_RATE || path.starts_with(&format!("{CLIP}."));
    let paths: BTreeSet<&String> = flat
        .iter()
        .flat_map(BTreeMap::keys)
        .filter(|p| swept(p))
        .collect();
    paths
        .into_iter()
        .filter_map(|path| {
            let values: Vec<Option<f64>> = flat.iter().map(|of| of.get(path).copied()).collect();
            sweep_over(path, &runs, &values)
        })
        .collect()
}

/// Each configuration once, the run begun last: a run trained again is no further evidence.
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

/// The sweep over a path; `values` are the runs' own.
fn sweep_over(path: &str, runs: &[&RunRecord], values: &[Option<f64>]) -> Option<Sweep> {
    // Where the whole list of clips is empty, there is no threshold to put on the axis, and yet
    // these runs belong to it: they are what the loosest clip tends to.
    let is_clip = path != LEARNING_RATE;
    let unclipped = |run: &RunRecord| is_clip && clips(&run.config).is_none_or(Vec::is_empty);
    let mut groups: BTreeMap<String, (toml::Table, Vec<usize>)> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        if values[index].is_some() {
            let rest = rest(&run.config, path);
            let group = groups.entry(rest.to_string()).or_insert((rest, Vec::new()));
            group.1.push(index);
        }
    }
    groups.retain(|_, (_, members)| {
        let own: BTreeSet<u64> = members
            .iter()
            .filter_map(|&run| Some(values[run]?.to_bits()))
            .collect();
        own.len() > 1
    });
    for (rest, members) in groups.values_mut() {
        let elsewhere = without(rest, &[CLIP]);
        members.extend((0..runs.len()).filter(|&index| {
            let config = &runs[index].config;
            unclipped(runs[index]) && without(config, &["arm", "seed", CLIP]) == elsewhere
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

/// Every number of a configuration by its dotted path, places in lists counted from 0.
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
                for (place, value) in list.iter().enumerate() {
                    visit(below(&place.to_string()), value, found);
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

fn clips(config: &toml::Table) -> Option<&Vec<toml::Value>> {
    config.get("stability")?.get("clip")?.as_array()
}

/// A configuration without the setting at a path, nor what names the run.
fn rest(config: &toml::Table, path: &str) -> toml::Table {
    without(config, &["arm", "seed", path])
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
                let place = key.parse().ok();
                if let Some(inner) = place.and_then(|place: usize| list.get_mut(place)) {
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
        _ => unreachable!("removing from a table leaves a table"),
    }
}

/// In what each configuration differs from the others, in a few words.
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

/// Visits the topmost places at which values differ: a variant with its settings is one value.
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

/// A setting in a few words: `learning rate 0.1`, `sgd`, `no memory`, `clip global_norm 0.5`.
fn describe_setting(path: &str, value: Option<&toml::Value>) -> String {
    let name = path.rsplit('.').next().unwrap_or(path).replace('_', " ");
    match value {
        None => format!("no {name}"),
        Some(toml::Value::String(text)) if text == "off" => format!("no {name}"),
        Some(toml::Value::Array(list)) if list.is_empty() => format!("no {name}"),
        Some(toml::Value::Array(list)) => {
            let stages: Vec<String> = list.iter().map(variant).collect();
            format!("{name} {}", stages.join(" + "))
        }
        Some(table @ toml::Value::Table(_)) => variant(table),
        Some(toml::Value::String(text)) => format!("{name} {text}"),
        Some(other) => format!("{name} {other}"),
    }
}

/// `{ global_norm = { max = 0.5 } }` as `global_norm 0.5`.
fn variant(value: &toml::Value) -> String {
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
    fn numbers_in_lists_have_paths_too() {
        let config = config("a = 1\n[stability]\nclip = [{ value = { max = 2.0 } }, { agc = {} }]");
        let found = numeric_settings(&config);
        assert_eq!(found.get("stability.clip.0.value.max"), Some(&2.0));
        assert_eq!(found.len(), 2);
        let rest = without(&config, &["stability.clip.0.value.max", "a"]);
        assert!(numeric_settings(&rest).is_empty() && clips(&rest).unwrap().len() == 2);
    }

    #[test]
    fn a_variant_is_told_by_its_name_and_what_is_missing_by_none() {
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
