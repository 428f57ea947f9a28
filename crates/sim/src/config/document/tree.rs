//! The tree of values that a document is: parsing it from TOML, and merging two of them.

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use super::source::{Source, SourceSpan};

/// The deepest nesting that is read. No settings type is nearly as deep.
const MAX_DEPTH: usize = 64;

/// A value and its position.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) origin: SourceSpan,
    pub(super) value: Value,
}

/// A TOML value. Dates are kept as text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Date(String),
    Array(Vec<Node>),
    Table(Vec<TableEntry>),
}

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableEntry {
    pub(super) key: String,
    pub(super) key_origin: SourceSpan,
    /// The layer that last wrote this key. It selects the variant of an enum.
    pub(super) layer: u32,
    pub(super) node: Node,
}

impl Node {
    /// The entry or element that one segment of a path names. In an array of one element, a name
    /// selects a key of that element, as `[robot.lidar]` does in TOML.
    pub(super) fn child(&self, segment: &str) -> Option<(&SourceSpan, &Node)> {
        match &self.value {
            Value::Table(entries) => {
                let entry = entries.iter().find(|entry| entry.key == segment)?;
                Some((&entry.key_origin, &entry.node))
            }
            Value::Array(nodes) => match (segment.parse::<usize>(), nodes.as_slice()) {
                (Ok(index), _) => nodes.get(index).map(|node| (&node.origin, node)),
                (Err(_), [only]) => only.child(segment),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Puts `top` over `base` and adds `layer_offset` to the layers of `top`.
pub(super) fn merge(base: &mut Node, mut top: Node, layer_offset: u32) {
    let (Value::Table(below), Value::Table(above)) = (&mut base.value, &mut top.value) else {
        raise_layers(&mut top, layer_offset);
        *base = top;
        return;
    };
    base.origin = top.origin;
    for mut entry in above.drain(..) {
        if let Some(old) = below.iter_mut().find(|old| old.key == entry.key) {
            old.key_origin = entry.key_origin;
            old.layer = entry.layer + layer_offset;
            merge(&mut old.node, entry.node, layer_offset);
        } else {
            raise_layers(&mut entry.node, layer_offset);
            entry.layer += layer_offset;
            below.push(entry);
        }
    }
}

/// Adds `layer_offset` to all layers of a tree.
fn raise_layers(node: &mut Node, layer_offset: u32) {
    match &mut node.value {
        Value::Array(nodes) => nodes
            .iter_mut()
            .for_each(|node| raise_layers(node, layer_offset)),
        Value::Table(entries) => {
            for entry in entries {
                entry.layer += layer_offset;
                raise_layers(&mut entry.node, layer_offset);
            }
        }
        _ => {}
    }
}

/// Replaces the source of a tree and removes the positions.
pub(super) fn relabel(node: &mut Node, source: &Arc<Source>) {
    let origin = || SourceSpan {
        source: source.clone(),
        span: 0..0,
    };
    node.origin = origin();
    match &mut node.value {
        Value::Array(nodes) => nodes.iter_mut().for_each(|node| relabel(node, source)),
        Value::Table(entries) => {
            for entry in entries {
                entry.key_origin = origin();
                relabel(&mut entry.node, source);
            }
        }
        _ => {}
    }
}

/// Turns a parsed table into entries. `depth` is how deep the table is nested.
///
/// # Errors
/// If it is nested too deeply, or a number does not fit.
pub(super) fn entries(
    table: DeTable<'_>,
    source: &Arc<Source>,
    depth: usize,
) -> Result<Vec<TableEntry>, Diagnostic> {
    table
        .into_iter()
        .map(|(key, value)| {
            let key_origin = SourceSpan {
                source: source.clone(),
                span: key.span(),
            };
            let node = node(value, source, depth + 1)?;
            Ok(TableEntry {
                key: key.into_inner().into_owned(),
                key_origin,
                layer: 0,
                node,
            })
        })
        .collect()
}

/// Turns a parsed value into a node. `depth` is how deep the value is nested.
///
/// # Errors
/// As [`entries`].
pub(super) fn node(
    value: Spanned<DeValue<'_>>,
    source: &Arc<Source>,
    depth: usize,
) -> Result<Node, Diagnostic> {
    let origin = SourceSpan {
        source: source.clone(),
        span: value.span(),
    };
    let error = |message: String| Diagnostic::new(&origin, &message, None);
    if depth > MAX_DEPTH {
        return Err(error(format!("nested more than {MAX_DEPTH} deep")));
    }
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::Integer)
            .map_err(|_| {
                error(format!(
                    "{integer} is not in the range of whole numbers, {} to {}",
                    i64::MIN,
                    i64::MAX
                ))
            })?,
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() || float.as_str().contains(['i', 'n']) => {
                Value::Float(number)
            }
            _ => return Err(error(format!("{float} is too large for a number"))),
        },
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(values) => Value::Array(
            values
                .into_iter()
                .map(|value| node(value, source, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Value::Table(entries(table, source, depth)?),
    };
    Ok(Node { origin, value })
}
