//! This crate is empty. It exists for the list of dependencies in its `Cargo.toml`.
