//! Where a value comes from: a range of bytes in a file, or a flag.

use std::ops::Range;
use std::sync::Arc;

/// The text that a value comes from.
#[derive(Debug, PartialEq)]
pub(super) enum Source {
    /// A file's name and text.
    File { file: String, text: String },
    /// A source without a file: a flag, a built-in arm, the defaults. Messages use this name.
    Label(String),
}

/// A range of bytes in a source.
#[derive(Clone, Debug)]
pub(super) struct SourceSpan {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
}

impl SourceSpan {
    /// The text of a value that `--set` wrote.
    pub(super) fn override_text(&self) -> Option<&str> {
        let Source::Label(label) = self.source.as_ref() else {
            return None;
        };
        let (_, value) = label.strip_prefix("--set ")?.split_once('=')?;
        value.trim().get(self.span.clone())
    }
}

/// Positions do not count: two trees are equal if their values are.
impl PartialEq for SourceSpan {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
