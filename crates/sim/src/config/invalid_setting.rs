//! The error for a setting whose type is right and whose value cannot work.

use std::borrow::Cow;
use std::fmt::Display;

/// A setting with a value that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {value}; it must be {expected}")]
pub struct InvalidSetting {
    /// The setting's path, as `--set` writes it, from the root of the checked value.
    pub path: String,
    /// The setting's value.
    pub value: String,
    /// The values that are allowed.
    pub expected: Cow<'static, str>,
}

impl InvalidSetting {
    /// Checks a condition on a setting.
    ///
    /// # Errors
    /// If the condition does not hold.
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

    /// The same error with a longer path: `max` under `clip.0` is `clip.0.max`.
    #[must_use]
    pub fn under_path(self, parent: &str) -> Self {
        Self {
            path: format!("{parent}.{}", self.path),
            ..self
        }
    }
}
