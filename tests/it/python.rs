//! Tests against other people's software in Python.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::requirements::skip;

/// Runs a script of `tests/it/python` with arguments; see [`run_python`].
pub(crate) fn run_script(script: &str, packages: &[&str], args: &[&Path]) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/python");
    let path = folder.join(script);
    let args: Vec<&OsStr> = args.iter().map(|arg| arg.as_os_str()).collect();
    run_python(packages, &[&[path.as_os_str()], &args[..]].concat())
}

/// Runs Python with arguments, and returns what it prints. Skips (`None`) if one of `packages` is not
/// installed. `EVENKEEL_PYTHON` names the interpreter.
///
/// # Panics
/// If Python fails.
pub(crate) fn run_python(packages: &[&str], args: &[&OsStr]) -> Option<String> {
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
    let output = Command::new(&interpreter).args(args).output();
    let output = output.expect("Python is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    Some(printed)
}
