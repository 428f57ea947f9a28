//! A mistake in a map file.

use std::ops::Range;
use std::path::Path;

use crate::config::Diagnostic;

/// A mistake in a map file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MapError {
    /// The bytes where the mistake is.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

impl MapError {
    pub(super) fn new(
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            span,
            message: message.into(),
            help: help.into(),
        }
    }

    /// A diagnostic for a text file: the position is a line and a column.
    pub(super) fn into_diagnostic(self, path: &Path, text: &str) -> Diagnostic {
        let file = path.display().to_string();
        Diagnostic::at_span(&file, text, self.span, &self.message, Some(self.help))
    }

    /// A diagnostic for a binary file: the position is a byte.
    pub(super) fn into_byte_diagnostic(self, path: &Path) -> Diagnostic {
        let file = path.display().to_string();
        let message = format!("byte {}: {}", self.span.start, self.message);
        Diagnostic::without_position(&file, message, Some(self.help))
    }
}
