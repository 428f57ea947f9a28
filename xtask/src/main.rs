//! The project's own errands: `cargo xtask setup`, `demo` and `test`.

fn main() {}
