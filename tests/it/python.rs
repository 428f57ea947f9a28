//! Tests against other people's software in Python.

use std::path::Path;
use std::process::Command;

use crate::requirements::skip;

/// Runs a script of `tests/it/python` with arguments, and returns what it prints. Skips (`None`) if
/// a Python package that it imports is not installed. `EVENKEEL_PYTHON` names the interpreter.
///
/// # Panics
/// If the script fails.
pub(crate) fn run_python(script: &str, packages: &[&str], args: &[&Path]) -> Option<String> {
    let interpreter = std::env::var_os("EVENKEEL_PYTHON").unwrap_or_else(|| "python3".into());
    for package in packages {
        let imported = Command::new(&interpreter)
            .args(["-c", &format!("import {package}")])
            .output();
        if !imported.is_ok_and(|output| output.status.success()) {
            skip(package, &format!("Python package {package}"));
            return None;
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/python")
        .join(script);
    let output = Command::new(&interpreter).arg(path).args(args).output();
    let output = output.expect("Python is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{script}: {}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Some(text(&output.stdout))
}
