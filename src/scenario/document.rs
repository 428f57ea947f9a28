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
pub(crate) use diagnostic::did_you_mean;
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
struct Origin {
    source: Arc<Source>,
    span: Range<usize>,
}

/// Origins say where, not what: trees are equal when their values are.
impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    origin: Origin,
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
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    key: String,
    key_origin: Origin,
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
                &Origin {
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
            origin: Origin { source, span },
        };
        Ok(Self { root, layers: 0 })
    }

    /// Reads and parses a TOML file.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            Diagnostic::without_position(&file, format!("cannot be read: {error}"), None)
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Diagnostic::without_position(&file, format!("is not UTF-8 text (byte {at})"), None)
        })?;
        Self::parse(&file, &text)
    }

    /// A document made of values that no file holds; `label` is what messages call them.
    pub fn of_values<T: Serialize>(label: &str, values: &T) -> Result<Self, Diagnostic> {
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
    pub fn part(&self, path: &str) -> Option<Self> {
        let mut node = &self.root;
        for segment in path.split('.') {
            node = node.child(segment)?.1;
        }
        Some(Self {
            root: node.clone(),
            layers: self.layers,
        })
    }

    /// Only the named keys of the topmost table.
    #[must_use]
    pub fn only(&self, keys: &[&str]) -> Self {
        let mut kept = self.clone();
        if let Value::Table(entries) = &mut kept.root.value {
            entries.retain(|entry| keys.contains(&entry.key.as_str()));
        }
        kept
    }

    /// A complaint about the value at a path such as `robot.0.lidar.beams`. Where the path was
    /// never written (a default), it points at the innermost table that was.
    pub fn complaint(&self, path: &str, message: &str, help: Option<String>) -> Diagnostic {
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

/// Reads a `T` from defaults with layers over them, the last layer topmost. A mistake is reported
/// where the layer that made it was written.
pub fn layered<T: Serialize + DeserializeOwned>(
    defaults: &T,
    layers: &[Document],
    overrides: &[Override],
) -> Result<T, Diagnostic> {
    let mut document = Document::of_values("defaults", defaults)?;
    for layer in layers {
        document.overlay(layer);
    }
    document.apply(overrides)?;
    document.read()
}

impl Node {
    /// The entry or element that one segment of a path names. A name looks through an array of
    /// one element, as `[robot.lidar]` does in TOML.
    fn child(&self, segment: &str) -> Option<(&Origin, &Node)> {
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

/// Lays `top` over `base`; the layers of `top` come to lie `lift` higher.
fn merge(base: &mut Node, mut top: Node, lift: u32) {
    let (Value::Table(below), Value::Table(above)) = (&mut base.value, &mut top.value) else {
        raise(&mut top, lift);
        *base = top;
        return;
    };
    base.origin = top.origin;
    for mut entry in above.drain(..) {
        if let Some(old) = below.iter_mut().find(|old| old.key == entry.key) {
            old.key_origin = entry.key_origin;
            old.layer = entry.layer + lift;
            merge(&mut old.node, entry.node, lift);
        } else {
            raise(&mut entry.node, lift);
            entry.layer += lift;
            below.push(entry);
        }
    }
}

/// Moves a whole tree to higher layers.
fn raise(node: &mut Node, lift: u32) {
    match &mut node.value {
        Value::Array(nodes) => nodes.iter_mut().for_each(|node| raise(node, lift)),
        Value::Table(entries) => {
            for entry in entries {
                entry.layer += lift;
                raise(&mut entry.node, lift);
            }
        }
        _ => {}
    }
}

fn relabel(node: &mut Node, source: &Arc<Source>) {
    let origin = || Origin {
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
) -> Result<Vec<Entry>, Diagnostic> {
    table
        .into_iter()
        .map(|(key, value)| {
            let key_origin = Origin {
                source: source.clone(),
                span: key.span(),
            };
            let node = node(value, source, depth + 1)?;
            Ok(Entry {
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
    let origin = Origin {
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
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        train: Train,
        clip: Vec<Clip>,
        optimizer: Clip,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Train {
        steps: u64,
        rate: f64,
        name: String,
    }

    impl Default for Train {
        fn default() -> Self {
            Self {
                steps: 10,
                rate: 0.5,
                name: "plain".into(),
            }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    enum Clip {
        None,
        Norm(Bound),
        Value(Bound),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bound {
        max: f64,
        #[serde(default)]
        floor: f64,
    }

    fn defaults() -> Config {
        Config {
            train: Train::default(),
            clip: vec![Clip::Norm(Bound {
                max: 0.5,
                floor: 0.1,
            })],
            optimizer: Clip::Norm(Bound {
                max: 2.0,
                floor: 0.2,
            }),
        }
    }

    fn resolve(layers: &[&str], flags: &[&str]) -> Result<Config, String> {
        let layers: Vec<_> = layers
            .iter()
            .enumerate()
            .map(|(index, text)| Document::parse(&format!("{index}.toml"), text).unwrap())
            .collect();
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        layered(&defaults(), &layers, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_merge_and_arrays_replace() {
        let config = resolve(&["train.steps = 20", "train.rate = 1\nclip = []"], &[]).unwrap();
        assert_eq!(
            config.train,
            Train {
                steps: 20,
                rate: 1.0,
                name: "plain".into()
            }
        );
        assert_eq!(config.clip, []);
    }

    #[test]
    fn the_topmost_layer_chooses_the_variant() {
        let same = resolve(&["optimizer.norm.max = 9.0"], &[]).unwrap();
        assert_eq!(
            same.optimizer,
            Clip::Norm(Bound {
                max: 9.0,
                floor: 0.2
            })
        );
        let other = resolve(&["optimizer.value.max = 9.0"], &[]).unwrap();
        assert_eq!(
            other.optimizer,
            Clip::Value(Bound {
                max: 9.0,
                floor: 0.0
            })
        );
        let bare = resolve(&["optimizer = 'none'"], &[]).unwrap();
        assert_eq!(bare.optimizer, Clip::None);
        let flags = ["optimizer.value.max=3", "optimizer.value.floor=1"];
        let flagged = resolve(&["optimizer = 'none'"], &flags).unwrap();
        assert_eq!(
            flagged.optimizer,
            Clip::Value(Bound {
                max: 3.0,
                floor: 1.0
            })
        );
    }

    #[test]
    fn layers_of_layers_keep_their_order() {
        let mut inner = Document::parse("a.toml", "optimizer.norm.max = 1").unwrap();
        inner.overlay(&Document::parse("b.toml", "optimizer.value.max = 2").unwrap());
        let mut outer = Document::of_values("defaults", &defaults()).unwrap();
        outer.overlay(&inner);
        let config: Config = outer.read().unwrap();
        assert_eq!(
            config.optimizer,
            Clip::Value(Bound {
                max: 2.0,
                floor: 0.0
            })
        );
        outer.overlay(&Document::parse("c.toml", "optimizer.norm.floor = 3").unwrap());
        let config: Config = outer.read().unwrap();
        assert_eq!(
            config.optimizer,
            Clip::Norm(Bound {
                max: 1.0,
                floor: 3.0
            })
        );
    }

    #[test]
    fn flags_reach_into_arrays_and_take_bare_words() {
        let config = resolve(
            &[],
            &["clip.0.norm.max=1.5", "train.name=tanh", "train.steps=1e6"],
        );
        let config = config.unwrap();
        assert_eq!(
            config.clip,
            [Clip::Norm(Bound {
                max: 1.5,
                floor: 0.1
            })]
        );
        assert_eq!(
            (config.train.name.as_str(), config.train.steps),
            ("tanh", 1_000_000)
        );
        let appended = resolve(&[], &["clip.1.value.max=.5"]).unwrap();
        assert_eq!(
            appended.clip[1],
            Clip::Value(Bound {
                max: 0.5,
                floor: 0.0
            })
        );
    }

    #[test]
    fn each_layer_answers_for_its_own_mistakes() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["[train]\nsteps = 1", "[train]\nstesp = 1"], &[]),
            (&["\ntrain = { steps = 'many' }"], &["train.rate=1"]),
            (&["train.steps = -1"], &[]),
            (&["optimizer = { value = { max = 1 }, norm = {} }"], &[]),
            (&["optimizer = 3"], &[]),
            (&["optimizer = 'norm'"], &[]),
            (&["optimizer.none.max = 3"], &[]),
            (&[], &["clip.0.nrom.max=1.0"]),
            (&[], &["clip.0.norm.maxx=1.0"]),
            (&[], &["train.rate=fast"]),
            (&[], &["clip.4.norm.max=1.0"]),
        ];
        let mut messages: Vec<_> = cases
            .iter()
            .map(|(layers, flags)| resolve(layers, flags).unwrap_err())
            .collect();
        for flag in ["train.rate", "=3", "a..b=1"] {
            messages.push(Override::parse(flag).unwrap_err().to_string());
        }
        insta::assert_snapshot!(messages.join("\n\n"));
    }

    #[test]
    fn paths_lead_to_lines() {
        let document = Document::parse("x.toml", "a = 1\n[[b]]\nc = { d = [1, 2] }\n").unwrap();
        let at = |path| document.complaint(path, "wrong", None).position;
        assert_eq!(at("a"), Some((1, 5)));
        assert_eq!(at("b.0.c.d.1"), Some((3, 15)));
        assert_eq!(at("b.0.c.missing"), Some((3, 5)));
        assert_eq!(
            document
                .part("b.0.c")
                .unwrap()
                .complaint("d.0", "", None)
                .position,
            Some((3, 12))
        );
    }
}
