//! `--set path=value`: one change to a document from the command line.

use std::sync::Arc;

use toml::de::DeValue;

use super::diagnostic::Diagnostic;
use super::source::{Source, SourceSpan};
use super::tree::{Node, TableEntry, Value, merge, node};

/// One `--set path=value`. The path is a list of keys and array indices, separated by dots. The
/// value is TOML, or a word without quotes (`--set policy.activation=tanh`).
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    path: Vec<String>,
    value: Node,
}

impl Override {
    /// Parses the text after `--set`.
    ///
    /// # Errors
    /// If there is no `=`, or the path is empty or too long.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let label = format!("--set {text}");
        let error = |message: &str| {
            let help = "write path=value, for example train.seed=7".to_owned();
            Diagnostic::without_position(&label, message.to_owned(), Some(help))
        };
        let (path, value) = text
            .split_once('=')
            .ok_or_else(|| error("there is no '='"))?;
        let path: Vec<String> = path.split('.').map(|key| key.trim().to_owned()).collect();
        if path.iter().any(String::is_empty) {
            return Err(error("the path has an empty part"));
        }
        if path.len() > 32 {
            return Err(error("the path has more than 32 parts"));
        }
        let source = Arc::new(Source::Label(label.clone()));
        let value = value.trim();
        let value = match DeValue::parse(value) {
            Ok(parsed) => node(parsed, &source, 0)?,
            Err(_) => Node {
                origin: SourceSpan {
                    source,
                    span: 0..value.len(),
                },
                value: bare_value(value),
            },
        };
        Ok(Self { path, value })
    }

    /// The first part of the path: the section of the file that changes.
    pub fn section(&self) -> &str {
        &self.path[0]
    }

    /// The path of the value, with dots between its parts.
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    /// Whether both change the same value.
    pub fn has_path_of(&self, other: &Self) -> bool {
        self.path == other.path
    }

    /// Sets the value in a tree, as part of a layer.
    pub(super) fn set_in(&self, root: &mut Node, layer: u32) -> Result<(), Diagnostic> {
        let mut target = root;
        for (depth, segment) in self.path.iter().enumerate() {
            target = self.step(target, segment, depth, layer)?;
        }
        merge(target, self.value.clone(), layer);
        Ok(())
    }

    /// Returns the child that one part of the path names. Creates it if it does not exist.
    fn step<'n>(
        &self,
        node: &'n mut Node,
        segment: &str,
        depth: usize,
        layer: u32,
    ) -> Result<&'n mut Node, Diagnostic> {
        let origin = &self.value.origin;
        let table = || Node {
            origin: origin.clone(),
            value: Value::Table(Vec::new()),
        };
        // A part of the path that is a number belongs to a list.
        let next = self.path.get(depth + 1);
        let list_follows = next.is_some_and(|part| part.parse::<usize>().is_ok());
        let empty = || Node {
            origin: origin.clone(),
            value: if list_follows {
                Value::Array(Vec::new())
            } else {
                Value::Table(Vec::new())
            },
        };
        if !matches!(node.value, Value::Table(_) | Value::Array(_)) {
            *node = table();
        }
        // A number names an element of a list, also of one that is not there yet.
        let is_empty = matches!(&node.value, Value::Table(entries) if entries.is_empty());
        if is_empty && segment.parse::<usize>().is_ok() {
            node.value = Value::Array(Vec::new());
        }
        match &mut node.value {
            Value::Table(entries) => {
                let index = entries.iter().position(|entry| entry.key == segment);
                let index = index.unwrap_or_else(|| {
                    let (key, key_origin) = (segment.to_owned(), origin.clone());
                    entries.push(TableEntry {
                        key,
                        key_origin,
                        layer,
                        node: empty(),
                    });
                    entries.len() - 1
                });
                entries[index].layer = layer;
                Ok(&mut entries[index].node)
            }
            Value::Array(nodes) => {
                let count = nodes.len();
                let path = self.path[..depth].join(".");
                let Ok(index) = segment.parse::<usize>() else {
                    // As in TOML, a name selects a key of the only element.
                    if let [only] = nodes.as_mut_slice() {
                        return self.step(only, segment, depth, layer);
                    }
                    let message = format!("{path} has {count} elements; which one is meant?");
                    return Err(Diagnostic::new(
                        origin,
                        &message,
                        Some(format!("write {path}.N")),
                    ));
                };
                if index > count {
                    let message =
                        format!("{path}.{index} does not exist; {path} has length {count}");
                    return Err(Diagnostic::new(
                        origin,
                        &message,
                        Some("count from 0".into()),
                    ));
                }
                if index == count {
                    nodes.push(empty());
                }
                Ok(&mut nodes[index])
            }
            _ => unreachable!("a scalar was made a table above"),
        }
    }
}

/// Reads a value that is not TOML: `.5` and `1.` are numbers, everything else is text.
fn bare_value(value: &str) -> Value {
    match value.parse::<f64>() {
        Ok(number) if value.contains(|c: char| c.is_ascii_digit()) => Value::Float(number),
        _ => Value::String(value.to_owned()),
    }
}
