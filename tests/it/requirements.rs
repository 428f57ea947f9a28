//! Skips tests that need a program or driver that is not installed.

/// Prints that a test is skipped. Fails instead if `EVENKEEL_REQUIRE`, a comma-separated list of
/// package names, contains the package.
pub(crate) fn skip(package: &str, missing: &str) {
    let required = std::env::var("EVENKEEL_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|name| name == package),
        "EVENKEEL_REQUIRE lists {package}, but there is no {missing}"
    );
    eprintln!("skipped: there is no {missing}; install `{package}`");
}

/// Whether a program is on the PATH. If not, calls [`skip`].
#[cfg(feature = "view")]
pub(crate) fn has(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        skip(package, &format!("{program} on the PATH"));
    }
    found
}
