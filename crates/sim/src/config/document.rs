//! TOML files and the layers over them, read into types with errors that name their position.
//!
//! A [`Document`] is a tree of values. Each value remembers the file and the bytes, or the `--set`
//! flag, that it came from. Scenarios, arm files and run configurations are read through it, so
//! that an error in any of them is one [`Diagnostic`] with line and column. A document does not
//! know what its keys mean: the types that it is read into define that.
//!
//! # Layers
//!
//! [`Document::overlay`] puts one document over another, and [`Document::apply`] puts `--set`
//! flags over both. Tables merge key by key; every other value (number, string, array) is
//! replaced. If the type to be read is an enum (`clip = { global_norm = … }`), the topmost layer
//! that names a variant selects it. Keys of the same variant in lower layers stay below it; the
//! other variants are dropped.

mod de;
mod diagnostic;
mod overrides;
mod source;
mod tree;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::de::DeTable;

use source::{Source, SourceSpan};
use tree::{Node, TableEntry, Value, entries, merge, relabel};

pub use diagnostic::Diagnostic;
pub use diagnostic::suggest;
pub use overrides::Override;

/// A tree of values that remember their position; see the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    root: Node,
    layers: u32,
}

impl Document {
    /// Parses TOML. `file` is the name that messages use.
    ///
    /// # Errors
    /// If the text is not TOML, or is nested too deeply.
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
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML.
    pub fn load(path: &Path) -> Result<Self, Diagnostic> {
        Self::parse(&path.display().to_string(), &read_text(path)?)
    }

    /// Makes a document of values that are in no file. `label` is the name that messages use.
    ///
    /// # Errors
    /// If the values cannot be written as TOML.
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

    /// The name of the file, or the label of a document without a file.
    pub fn file(&self) -> &str {
        match self.root.origin.source.as_ref() {
            Source::File { file, .. } => file,
            Source::Label(label) => label,
        }
    }

    /// The file's text, if the document is one unchanged file.
    pub fn text(&self) -> Option<&str> {
        match self.root.origin.source.as_ref() {
            Source::File { text, .. } if self.layers == 0 => Some(text),
            _ => None,
        }
    }

    /// Reads the whole tree as a `T`.
    ///
    /// # Errors
    /// The first value that does not fit the type, with its position.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        T::deserialize(&self.root).map_err(de::Error::into_diagnostic)
    }

    /// Puts another document over this one, as the module's documentation describes.
    pub fn overlay(&mut self, top: &Self) {
        self.layers += 1;
        merge(&mut self.root, top.root.clone(), self.layers);
        self.layers += top.layers;
    }

    /// Puts `--set` flags over this document, in their order.
    ///
    /// # Errors
    /// If the path of a flag leads to an array element that does not exist.
    pub fn apply(&mut self, overrides: &[Override]) -> Result<(), Diagnostic> {
        for change in overrides {
            self.layers += 1;
            change.set_in(&mut self.root, self.layers)?;
        }
        Ok(())
    }

    /// Returns the value at a path such as `arm.0.set` as a document.
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

    /// Returns a new document with this one as the value at a path such as `train.gamma`. The
    /// position of the path's keys is that of `origin`.
    #[must_use]
    pub fn nested_at(self, path: &str, origin: &Self) -> Self {
        let key_origin = &origin.root.origin;
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

    /// Returns a copy with only these keys of the root table.
    #[must_use]
    pub fn with_keys(&self, keys: &[&str]) -> Self {
        let mut document = self.clone();
        if let Value::Table(entries) = &mut document.root.value {
            entries.retain(|entry| keys.contains(&entry.key.as_str()));
        }
        document
    }

    /// Makes an error about the value at a path such as `robot.0.lidar.beams`. If the value is not
    /// written in the document (a default), the error points at the innermost table that is.
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

/// The most that is read of a file, bytes. The largest image of a map is shorter; a device may have no
/// end.
const MAX_FILE_BYTES: u64 = 1 << 29;

/// Reads a file.
///
/// # Errors
/// If the file cannot be read, or is longer than 512 MiB.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    read_at_most(path, MAX_FILE_BYTES)
}

/// Reads a file of at most `limit` bytes.
fn read_at_most(path: &Path, limit: u64) -> Result<Vec<u8>, Diagnostic> {
    let fault =
        |message: String| Diagnostic::without_position(&path.display().to_string(), message, None);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| fault(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > limit {
        let message = format!("is longer than {limit} bytes, the most that is read of a file");
        return Err(fault(message));
    }
    Ok(bytes)
}

/// Reads a text file. A byte-order mark at its start is left out.
///
/// # Errors
/// If the file cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Diagnostic> {
    let mut text = String::from_utf8(read_bytes(path)?).map_err(|error| {
        let (file, at) = (path.display().to_string(), error.utf8_error().valid_up_to());
        Diagnostic::without_position(&file, format!("is not UTF-8 text (byte {at})"), None)
    })?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Ok(text)
}

/// Reads a `T` from defaults with layers over them. The last layer is topmost, and overrides are
/// over all layers.
///
/// # Errors
/// The first value that does not fit, with its position in the layer that wrote it.
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

#[cfg(test)]
mod tests;
