//! Settings in words: the paths at which configurations differ, and short names of their values.

use std::collections::BTreeSet;

use evenkeel_runs::telemetry::format::{counted, steps};

/// Path of the number of environment steps of a run.
const TOTAL_STEPS: &str = "train.total_steps";
/// Path of the number of environments.
const NUM_ENVS: &str = "train.num_envs";

/// Short descriptions of the settings in which the configurations differ, one for each.
pub(super) fn labels(configs: &[&toml::Table]) -> Vec<String> {
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
pub(super) fn visit_differences(
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
        return visit_lists(path, values, visit);
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

/// Visits the differences in the entries of lists of tables, such as movers. Other lists, and those
/// of stages that training goes through in order, are one value.
fn visit_lists(
    path: &str,
    values: &[Option<toml::Value>],
    visit: &mut impl FnMut(&str, &[Option<toml::Value>]),
) {
    let lists: Option<Vec<&Vec<toml::Value>>> = values
        .iter()
        .map(|value| value.as_ref()?.as_array())
        .collect();
    let same_length = |lists: &Vec<&Vec<toml::Value>>| {
        let tables = lists
            .iter()
            .all(|list| list.iter().all(toml::Value::is_table));
        tables && lists.windows(2).all(|pair| pair[0].len() == pair[1].len())
    };
    let Some(lists) = lists
        .filter(same_length)
        .filter(|_| !path.starts_with("stability."))
    else {
        return visit(path, values);
    };
    for index in 0..lists[0].len() {
        let entries: Vec<_> = lists.iter().map(|list| Some(list[index].clone())).collect();
        visit_differences(&format!("{path}.{index}"), &entries, visit);
    }
}

/// A short description of a setting: `learning rate 3e-3`, `hidden 256×256`, `sgd`, `no memory`,
/// `clip global_norm 0.5`, `1.00 M steps`.
pub(super) fn describe_setting(path: &str, value: Option<&toml::Value>) -> String {
    let name = path.rsplit('.').next().unwrap_or(path).replace('_', " ");
    match value {
        Some(toml::Value::Integer(count)) if path == TOTAL_STEPS => {
            format!("{} steps", steps(*count as f64))
        }
        Some(toml::Value::Integer(count)) if path == NUM_ENVS => {
            counted(*count as u64, "environment")
        }
        Some(toml::Value::Array(list)) if is_widths(list) => {
            let widths: Vec<String> = list.iter().map(ToString::to_string).collect();
            format!("{name} {}", widths.join("×"))
        }
        None | Some(toml::Value::Boolean(false)) => format!("no {name}"),
        Some(toml::Value::String(text)) if text == "off" => format!("no {name}"),
        Some(toml::Value::Array(list)) if list.is_empty() => format!("no {name}"),
        Some(toml::Value::Array(list)) => {
            let stages: Vec<String> = list.iter().map(describe_variant).collect();
            format!("{name} {}", stages.join(" + "))
        }
        Some(table @ toml::Value::Table(_)) => describe_variant(table),
        Some(toml::Value::String(text)) => format!("{name} {text}"),
        Some(toml::Value::Boolean(true)) => name,
        Some(other) => format!("{name} {}", describe_number(other)),
    }
}

/// Whether a list holds the widths of layers, or other whole numbers.
fn is_widths(list: &[toml::Value]) -> bool {
    !list.is_empty() && list.iter().all(toml::Value::is_integer)
}

/// A number as people write it: `3e-3` for a small one.
fn describe_number(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(number) if *number != 0.0 && number.abs() < 0.01 => {
            format!("{number:e}")
        }
        other => other.to_string(),
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
            format!("{name} {}", describe_number(settings[0]))
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

    #[test]
    fn numbers_are_written_as_people_do() {
        let one = config(
            "[train]\nlearning_rate = 0.003\nnum_envs = 128\ntotal_steps = 1000000\n\
             [policy.actor]\nhidden = [256, 256]\nresidual = true\n[[movers]]\nspeed_mps = 1.2",
        );
        let other = config(
            "[train]\nlearning_rate = 0.02\nnum_envs = 1\ntotal_steps = 500\n\
             [policy.actor]\nhidden = [64]\nresidual = false\n[[movers]]\nspeed_mps = 1.0",
        );
        assert_eq!(
            labels(&[&one, &other]),
            [
                "speed mps 1.2, hidden 256×256, residual, learning rate 3e-3, 128 environments, \
                 1.00 M steps",
                "speed mps 1.0, hidden 64, no residual, learning rate 0.02, 1 environment, 500 steps",
            ]
        );
    }
}
