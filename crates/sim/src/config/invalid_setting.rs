//! A setting that the types allow and that cannot work, whatever it is a setting of.

use std::borrow::Cow;
use std::fmt::Display;

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {value}; it must be {expected}")]
pub struct InvalidSetting {
    /// The setting, as `--set` names it, from the root of what was checked.
    pub path: String,
    /// What it is.
    pub value: String,
    /// What would be right.
    pub expected: Cow<'static, str>,
}

impl InvalidSetting {
    /// Refuses a setting unless the condition holds.
    pub fn ensure(
        holds: bool,
        path: impl Into<String>,
        value: impl Display,
        expected: impl Into<Cow<'static, str>>,
    ) -> Result<(), Self> {
        if holds {
            return Ok(());
        }
        Err(Self {
            path: path.into(),
            value: value.to_string(),
            expected: expected.into(),
        })
    }

    /// The same, seen from further up: `max` below `clip.0` is `clip.0.max`.
    #[must_use]
    pub fn under_path(self, place: &str) -> Self {
        Self {
            path: format!("{place}.{}", self.path),
            ..self
        }
    }
}
