//! YAML values that keep their position, built from the events of `saphyr-parser`. Scalars stay
//! text: YAML 1.1 and 1.2 disagree on their types, and the reader of a key knows which type it
//! needs. This module knows no key.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::error::MapError;

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 64;

/// Files with more values are refused, so that aliases cannot fill the memory.
const MAX_NODES: usize = 1 << 20;

/// A value and the bytes that it was written at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YamlNode {
    pub(super) value: YamlValue,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum YamlValue {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, a number or a boolean, without quotes and escapes.
    Scalar(String),
    Sequence(Vec<YamlNode>),
    Mapping(Vec<YamlEntry>),
}

/// One key of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YamlEntry {
    pub(super) key: YamlNode,
    pub(super) node: YamlNode,
}

impl YamlNode {
    /// The text of a scalar.
    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.value {
            YamlValue::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a mapping; none for every other value.
    pub(super) fn entries(&self) -> &[YamlEntry] {
        match &self.value {
            YamlValue::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of a key in a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<&YamlEntry> {
        let mut entries = self.entries().iter();
        entries.find(|entry| entry.key.as_str() == Some(key))
    }

    /// The value on one line of a message, without control characters.
    pub(super) fn summary(&self) -> String {
        match &self.value {
            YamlValue::Null => "empty".into(),
            YamlValue::Scalar(text) => {
                let short = text.chars().take(60);
                let short = short.map(|c| if c.is_control() { '\u{fffd}' } else { c });
                format!("'{}'", short.collect::<String>())
            }
            YamlValue::Sequence(_) => "a list".into(),
            YamlValue::Mapping(_) => "a table".into(),
        }
    }

    /// Whether an alias may repeat the value: a scalar, or a list of scalars.
    fn is_flat(&self) -> bool {
        let is_scalar = |node: &Self| matches!(node.value, YamlValue::Null | YamlValue::Scalar(_));
        match &self.value {
            YamlValue::Sequence(nodes) => nodes.iter().all(is_scalar),
            _ => is_scalar(self),
        }
    }
}

/// Reads the first document of a text, which is what `map_server` reads. An empty text is null.
///
/// # Errors
/// If the text is not YAML, is nested too deeply, or gives a key twice in one mapping.
pub(super) fn parse(text: &str) -> Result<YamlNode, MapError> {
    let offsets = text.char_indices().map(|(byte, _)| byte);
    let mut builder = Builder {
        offsets: offsets.chain([text.len()]).collect(),
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| builder.syntax_error(&error))?;
        let span = builder.bytes(span);
        if let Some(root) = builder.add(event, span)? {
            return Ok(root);
        }
    }
    Ok(YamlNode {
        value: YamlValue::Null,
        span: text.len()..text.len(),
    })
}

/// Builds the tree from the parser's events.
struct Builder {
    /// The byte at which each character starts, and the end of the text. The parser counts
    /// characters.
    offsets: Vec<usize>,
    stack: Vec<OpenCollection>,
    /// The values that aliases may name.
    anchors: BTreeMap<usize, YamlNode>,
    nodes: usize,
}

/// A sequence or mapping whose end has not been read.
struct OpenCollection {
    value: YamlValue,
    /// The key of a mapping whose value comes next.
    key: Option<YamlNode>,
    anchor: usize,
    start: usize,
}

impl Builder {
    fn byte(&self, character: usize) -> usize {
        self.offsets[character.min(self.offsets.len() - 1)]
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }

    fn syntax_error(&self, error: &ScanError) -> MapError {
        let at = self.byte(error.marker().index());
        let message = format!("not valid YAML: {}", error.info());
        MapError::new(at..at, message, "write one 'key: value' per line")
    }

    /// Adds one event. Returns the root once it is complete.
    fn add(&mut self, event: Event<'_>, span: Range<usize>) -> Result<Option<YamlNode>, MapError> {
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = if is_null && style == ScalarStyle::Plain {
                    YamlValue::Null
                } else {
                    YamlValue::Scalar(text.into_owned())
                };
                (YamlNode { value, span }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    let message = "an alias of a nested value";
                    let help = "write the value in full here";
                    return Err(MapError::new(span, message, help));
                };
                (
                    YamlNode {
                        span,
                        ..node.clone()
                    },
                    0,
                )
            }
            Event::SequenceStart(anchor, _) => {
                self.open(YamlValue::Sequence(Vec::new()), anchor, span)?;
                return Ok(None);
            }
            Event::MappingStart(anchor, _) => {
                self.open(YamlValue::Mapping(Vec::new()), anchor, span)?;
                return Ok(None);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.stack.pop() else {
                    return Ok(None);
                };
                // The end of a block collection is where the next token starts.
                let end = last_end(&open.value).map_or(span.end, |last| {
                    if span.is_empty() { last } else { span.end }
                });
                let node = YamlNode {
                    value: open.value,
                    span: open.start..end.max(open.start),
                };
                (node, open.anchor)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => return Ok(None),
        };
        self.nodes += match &node.value {
            YamlValue::Sequence(nodes) => nodes.len() + 1,
            _ => 1,
        };
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values");
            return Err(MapError::new(
                node.span,
                message,
                "remove what is not about the map",
            ));
        }
        if anchor > 0 && node.is_flat() {
            self.anchors.insert(anchor, node.clone());
        }
        self.insert(node)
    }

    fn open(
        &mut self,
        value: YamlValue,
        anchor: usize,
        span: Range<usize>,
    ) -> Result<(), MapError> {
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} deep");
            return Err(MapError::new(
                span,
                message,
                "remove what is not about the map",
            ));
        }
        self.stack.push(OpenCollection {
            value,
            key: None,
            anchor,
            start: span.start,
        });
        Ok(())
    }

    /// Puts a complete value into the innermost open collection. Returns it if there is none.
    fn insert(&mut self, node: YamlNode) -> Result<Option<YamlNode>, MapError> {
        let Some(open) = self.stack.last_mut() else {
            return Ok(Some(node));
        };
        match &mut open.value {
            YamlValue::Mapping(entries) => {
                if let Some(key) = open.key.take() {
                    entries.push(YamlEntry { key, node });
                    return Ok(None);
                }
                let name = node.as_str();
                let is_same = |entry: &YamlEntry| entry.key.as_str() == name;
                if name.is_some() && entries.iter().any(is_same) {
                    let message = format!("the key {} is given twice", node.summary());
                    return Err(MapError::new(node.span, message, "remove one of them"));
                }
                open.key = Some(node);
            }
            YamlValue::Sequence(nodes) => nodes.push(node),
            YamlValue::Null | YamlValue::Scalar(_) => unreachable!("scalars are never open"),
        }
        Ok(None)
    }
}

/// Where the last value in a collection ends.
fn last_end(value: &YamlValue) -> Option<usize> {
    match value {
        YamlValue::Sequence(nodes) => nodes.last().map(|node| node.span.end),
        YamlValue::Mapping(entries) => entries.last().map(|entry| entry.node.span.end),
        YamlValue::Null | YamlValue::Scalar(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(node: &YamlNode) -> Vec<&str> {
        let YamlValue::Sequence(nodes) = &node.value else {
            return vec![node.as_str().unwrap_or("?")];
        };
        nodes
            .iter()
            .map(|node| node.as_str().unwrap_or("?"))
            .collect()
    }

    fn value<'a>(root: &'a YamlNode, key: &str) -> Vec<&'a str> {
        scalars(&root.entry(key).unwrap().node)
    }

    #[test]
    fn block_and_flow_style_mean_the_same() {
        let flow = parse("{a: 1, b: [x, 'y z'], \"c\": \"\\xE9\\n\"}").unwrap();
        let block = parse("# head\n---\na: 1 # one\nb:\n- x\n- y z\n'c': |\n  é\n...\n").unwrap();
        for root in [&flow, &block] {
            assert_eq!(value(root, "a"), ["1"]);
            assert_eq!(value(root, "b"), ["x", "y z"]);
            assert_eq!(value(root, "c"), ["é\n"]);
        }
        let lines = parse("b: [x,\n  y\n]\nc: 'it''s'\n").unwrap();
        assert_eq!(value(&lines, "b"), ["x", "y"]);
        assert_eq!(value(&lines, "c"), ["it's"]);
    }

    #[test]
    fn spans_are_bytes_of_the_text() {
        let text = "ü: ä\r\norigin: [1, 2]\nlist:\n  - a\n  - b\nlast: 1\n";
        let root = parse(text).unwrap();
        let written = |key: &str| &text[root.entry(key).unwrap().node.span.clone()];
        assert_eq!(written("ü"), "ä");
        assert_eq!(written("origin"), "[1, 2]");
        assert_eq!(written("list"), "- a\n  - b");
        assert_eq!(written("last"), "1");
        let marked = parse(&format!("\u{feff}{text}")).unwrap();
        assert_eq!(value(&marked, "last"), ["1"]);
    }

    #[test]
    fn null_is_no_text_unless_it_is_quoted() {
        let root = parse("a:\nb: ~\nc: null\nd: ''\ne: 'null'").unwrap();
        let is_null = |key: &str| root.entry(key).unwrap().node.value == YamlValue::Null;
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(is_null),
            [true, true, true, false, false]
        );
        assert_eq!(parse("").unwrap().value, YamlValue::Null);
        assert_eq!(parse("# nothing\n").unwrap().value, YamlValue::Null);
    }

    #[test]
    fn the_first_of_several_documents_is_read() {
        let root = parse("a: 1\n---\na: 2\n").unwrap();
        assert_eq!(value(&root, "a"), ["1"]);
    }

    #[test]
    fn aliases_repeat_flat_values_only() {
        let root = parse("a: &x 0.5\nb: *x\nc: &y [1, 2]\nd: *y\n").unwrap();
        assert_eq!(value(&root, "b"), ["0.5"]);
        assert_eq!(value(&root, "d"), ["1", "2"]);
        let error = parse("a: &x {b: 1}\nc: *x\n").unwrap_err();
        assert_eq!(
            (error.span, error.message.as_str()),
            (16..18, "an alias of a nested value")
        );
    }

    #[test]
    fn what_is_refused() {
        let message = |text: &str| parse(text).unwrap_err().message;
        let twice = parse("a: 1\nb: {c: 1, c: 2}").unwrap_err();
        assert_eq!(
            (twice.span, twice.message.as_str()),
            (15..16, "the key 'c' is given twice")
        );
        assert!(message("a: [1, 2").starts_with("not valid YAML: "));
        assert!(message("a: 1\nb\n").starts_with("not valid YAML: "));
        assert!(message("a: \"1").starts_with("not valid YAML: "));
        assert!(message("a: *gone").starts_with("not valid YAML: "));
        assert_eq!(message(&"[".repeat(100)), "nested more than 64 deep");
        let nested: String = (0..100).map(|depth| " ".repeat(depth) + "a:\n").collect();
        assert_eq!(message(&nested), "nested more than 64 deep");
        let list = vec!["1"; 2000].join(",");
        let aliases = format!("a: &x [{list}]\nb: [{}]", vec!["*x"; 2000].join(","));
        assert_eq!(message(&aliases), "more than 1048576 values");
    }
}
