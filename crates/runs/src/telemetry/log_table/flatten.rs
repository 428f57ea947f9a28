//! A report as a flat list of names and values.

use serde::Serialize;
use serde_json::Value;

use evenkeel_sim::env::Outcome;

/// Names and values of one row. Lists and objects are flattened.
pub(in super::super) type FlatRow = Vec<(String, Value)>;

/// The distances of proxemics, in their order.
const PROXEMICS: [&str; 3] = ["within_0.45_m", "within_1.2_m", "within_3.6_m"];

/// Names the values of reports by their paths.
#[derive(Default)]
pub(in super::super) struct Flattener {
    /// Names of the parameters.
    layers: Vec<String>,
}

impl Flattener {
    pub(super) fn new(layers: Vec<String>) -> Self {
        Self { layers }
    }

    /// The values of a report. `prefix` is the first part of all names, unless it is empty.
    pub(in super::super) fn row<T: Serialize>(&self, prefix: &str, report: &T) -> FlatRow {
        let value = serde_json::to_value(report).expect("a report is plain data");
        let mut row = FlatRow::new();
        self.append(prefix, "", value, &mut row);
        row
    }

    /// Appends a value at `path`, whose last part is `key`.
    fn append(&self, path: &str, key: &str, value: Value, row: &mut FlatRow) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    self.append(&join(path, &key), &key, value, row);
                }
            }
            Value::Array(elements) if key == "symptoms" => {
                let names = elements.iter().filter_map(Value::as_str);
                let names = names.collect::<Vec<_>>().join("; ");
                row.push((path.to_owned(), names.into()));
            }
            Value::Array(elements) => {
                let mut names: Vec<String> = Vec::new();
                for (index, element) in elements.into_iter().enumerate() {
                    let (name, element) = self.name(key, index, element);
                    let same = names.iter().filter(|other| **other == name).count();
                    names.push(name.clone());
                    let name = match same {
                        0 => name,
                        same => format!("{name}_{}", same + 1),
                    };
                    self.append(&join(path, &name), "", element, row);
                }
            }
            plain => row.push((path.to_owned(), plain)),
        }
    }

    /// The name of an element of the list `key`, and what remains of it without the name.
    fn name(&self, key: &str, index: usize, mut element: Value) -> (String, Value) {
        let known = match key {
            "outcomes" | "outcome_rates" => Outcome::ALL.get(index).map(|outcome| outcome.name()),
            "layer_norms" | "layer_update_ratios" => self.layers.get(index).map(String::as_str),
            "proxemics" => PROXEMICS.get(index).copied(),
            _ => None,
        };
        if let Some(name) = known {
            return (name.to_owned(), element);
        }
        let own_name = match (key, &mut element) {
            ("layers", Value::Object(layer)) => layer.shift_remove("name"),
            ("clip", Value::Object(stage)) => stage.shift_remove("stage"),
            ("reward_terms", Value::Array(pair)) if pair.len() == 2 => {
                let (value, name) = (pair.pop(), pair.pop());
                element = value.unwrap_or_default();
                name
            }
            _ => None,
        };
        match own_name {
            Some(Value::String(name)) => (name, element),
            _ => (index.to_string(), element),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
