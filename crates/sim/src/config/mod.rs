//! Settings files: TOML documents whose values remember their position, layers, `--set` overrides,
//! error messages, and reference pages generated from types. This module must not know any setting.

mod count;
mod document;
mod invalid_setting;
mod reference;

pub use count::parse_count;
pub use document::{Diagnostic, Document, Override, merge_layers, read_bytes, read_text, suggest};
pub use invalid_setting::InvalidSetting;
pub use reference::{schema_of, type_markdown};
