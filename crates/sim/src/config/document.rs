//! TOML files, and everything that is laid over them, read into types with errors that say where.
//!
//! A [`Document`] is a tree of values, each of which remembers the file and the bytes, or the
//! `--set` flag, that it came from. Scenarios, arm files and run configurations are all read
//! through it, so a mistake in any of them is one [`Diagnostic`] with line and column. It knows
//! nothing of what the keys mean: the types that it is read into say that.
//!
//! # Layers
//!
//! [`Document::overlay`] lays one document over another, and [`Document::apply`] lays `--set`
//! flags over both. Tables merge key by key; everything else (numbers, strings, arrays) is
//! replaced. Where the type to be read turns out to be an enum (`clip = { global_norm = … }`),
//! the variant named by the topmost layer that names one is taken, with what lower layers say of
//! that same variant beneath it, and the other variants are dropped.

mod de;
mod diagnostic;
mod overrides;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use diagnostic::Diagnostic;
pub(crate) use diagnostic::list_choices;
pub use diagnostic::suggest;
pub use overrides::Override;

/// Tables nested deeper than this are refused: no type of ours is nearly as deep.
const MAX_DEPTH: usize = 64;

/// Where a value was written.
#[derive(Debug, PartialEq)]
enum Source {
    /// A file's name and text.
    File { file: String, text: String },
    /// What to call it in a message: a flag, a built-in arm, the defaults.
    Label(String),
}

/// The bytes of a source.
#[derive(Clone, Debug)]
struct SourceSpan {
    source: Arc<Source>,
    span: Range<usize>,
}

/// Origins say where, not what: trees are equal when their values are.
impl PartialEq for SourceSpan {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    origin: SourceSpan,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
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
struct TableEntry {
    key: String,
    key_origin: SourceSpan,
    /// The layer that last wrote here; it decides between the variants of an enum.
    layer: u32,
    node: Node,
}

/// A tree of values that remember where they were written; see the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    root: Node,
    layers: u32,
}

impl Document {
    /// Parses TOML. `file` is the name that messages use.
    pub fn parse(file: &str, text: &str) -> Result<Self, Diagnostic> {
        let source = Arc::new(Source::File {
            file: file.to_owned(),
            text: text.to_owned(),
        });
        let table = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            Diagnostic::new(
                &SourceSpan {
                    source: source.clone(),
                    span,
                },
                error.message(),
                None,
            )
        })?;
        let span = table.span();
        let root = Node {
            value: Value::Table(entries(table.into_inner(), &source, 0)?),
            origin: SourceSpan { source, span },
        };
        Ok(Self { root, layers: 0 })
    }

    /// Reads and parses a TOML file.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        Self::parse(&path.display().to_string(), &read_text(path)?)
    }

    /// A document made of values that no file holds; `label` is what messages call them.
    pub fn from_values<T: Serialize>(label: &str, values: &T) -> Result<Self, Diagnostic> {
        let text = toml::to_string(values).map_err(|error| {
            Diagnostic::without_position(label, format!("cannot be written as TOML: {error}"), None)
        })?;
        let mut document = Self::parse(label, &text)?;
        relabel(
            &mut document.root,
            &Arc::new(Source::Label(label.to_owned())),
        );
        Ok(document)
    }

    /// The name of the file, or what else messages call the document.
    pub fn file(&self) -> &str {
        match self.root.origin.source.as_ref() {
            Source::File { file, .. } => file,
            Source::Label(label) => label,
        }
    }

    /// The file's text, where the document is one file as it was written.
    pub fn text(&self) -> Option<&str> {
        match self.root.origin.source.as_ref() {
            Source::File { text, .. } if self.layers == 0 => Some(text),
            _ => None,
        }
    }

    /// Reads the whole tree as a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        T::deserialize(&self.root).map_err(de::Error::into_diagnostic)
    }

    /// Lays another document over this one; see the module's documentation for how.
    pub fn overlay(&mut self, top: &Self) {
        self.layers += 1;
        merge(&mut self.root, top.root.clone(), self.layers);
        self.layers += top.layers;
    }

    /// Lays `--set` flags over this document, in their order.
    pub fn apply(&mut self, overrides: &[Override]) -> Result<(), Diagnostic> {
        for change in overrides {
            self.layers += 1;
            change.set_in(&mut self.root, self.layers)?;
        }
        Ok(())
    }

    /// The part at a path such as `arm.0.set`, as a document of its own.
    pub fn subdocument(&self, path: &str) -> Option<Self> {
        let mut node = &self.root;
        for segment in path.split('.') {
            node = node.child(segment)?.1;
        }
        Some(Self {
            root: node.clone(),
            layers: self.layers,
        })
    }

    /// The document as the value at a path such as `train.gamma` of a new one, whose keys were
    /// written where `place` was.
    #[must_use]
    pub fn nested_at(self, path: &str, place: &Self) -> Self {
        let key_origin = &place.root.origin;
        let mut node = self.root;
        for key in path.rsplit('.') {
            let origin = node.origin.clone();
            let entry = TableEntry {
                key: key.to_owned(),
                key_origin: key_origin.clone(),
                layer: 0,
                node,
            };
            node = Node {
                origin,
                value: Value::Table(vec![entry]),
            };
        }
        Self {
            root: node,
            layers: self.layers,
        }
    }

    /// Only the named keys of the topmost table.
    #[must_use]
    pub fn with_keys(&self, keys: &[&str]) -> Self {
        let mut kept = self.clone();
        if let Value::Table(entries) = &mut kept.root.value {
            entries.retain(|entry| keys.contains(&entry.key.as_str()));
        }
        kept
    }

    /// A complaint about the value at a path such as `robot.0.lidar.beams`. Where the path was
    /// never written (a default), it points at the innermost table that was.
    pub fn diagnostic(&self, path: &str, message: &str, help: Option<String>) -> Diagnostic {
        let mut node = &self.root;
        for segment in path.split('.') {
            match node.child(segment) {
                Some((_, child)) => node = child,
                None => break,
            }
        }
        Diagnostic::new(&node.origin, message, help)
    }
}

/// A file's bytes.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    std::fs::read(path).map_err(|error| {
        let file = path.display().to_string();
        Diagnostic::without_position(&file, format!("cannot be read: {error}"), None)
    })
}

/// A file's text.
pub fn read_text(path: &Path) -> Result<String, Diagnostic> {
    String::from_utf8(read_bytes(path)?).map_err(|error| {
        let (file, at) = (path.display().to_string(), error.utf8_error().valid_up_to());
        Diagnostic::without_position(&file, format!("is not UTF-8 text (byte {at})"), None)
    })
}

/// Reads a `T` from defaults with layers over them, the last layer topmost. A mistake is reported
/// where the layer that made it was written.
pub fn merge_layers<T: Serialize + DeserializeOwned>(
    defaults: &T,
    layers: &[Document],
    overrides: &[Override],
) -> Result<T, Diagnostic> {
    let mut document = Document::from_values("defaults", defaults)?;
    for layer in layers {
        document.overlay(layer);
    }
    document.apply(overrides)?;
    document.read()
}

impl Node {
    /// The entry or element that one segment of a path names. A name looks through an array of
    /// one element, as `[robot.lidar]` does in TOML.
    fn child(&self, segment: &str) -> Option<(&SourceSpan, &Node)> {
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

/// Lays `top` over `base`; the layers of `top` come to lie `layer_offset` higher.
fn merge(base: &mut Node, mut top: Node, layer_offset: u32) {
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

/// Moves a whole tree to higher layers.
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

fn relabel(node: &mut Node, source: &Arc<Source>) {
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

fn entries(
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

fn node(
    value: Spanned<DeValue<'_>>,
    source: &Arc<Source>,
    depth: usize,
) -> Result<Node, Diagnostic> {
    let origin = SourceSpan {
        source: source.clone(),
        span: value.span(),
    };
    let refuse = |message: String| Diagnostic::new(&origin, &message, None);
    if depth > MAX_DEPTH {
        return Err(refuse(format!("nested more than {MAX_DEPTH} deep")));
    }
    let value = match value.into_inner() {
        DeValue::String(text) => Value::String(text.into_owned()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::Integer)
            .map_err(|_| refuse(format!("{integer} does not fit into 64 bits")))?,
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(number) if number.is_finite() || float.as_str().contains(['i', 'n']) => {
                Value::Float(number)
            }
            _ => return Err(refuse(format!("{float} is too large for a number"))),
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

#[cfg(test)]
mod tests;
