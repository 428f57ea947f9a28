//! Settings files: TOML documents whose values keep their place in the file, layers, `--set` overrides,
//! error messages, and reference pages generated from types. This module knows no setting.

mod bad_setting;
mod document;
mod reference;

pub use bad_setting::BadSetting;
pub use document::{Diagnostic, Document, Override, did_you_mean, layered, read_bytes, read_text};
pub use reference::{markdown_of, schema_of};
