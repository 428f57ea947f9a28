//! Tests that need a program or a driver which not every machine has.

/// Says that a test is skipped for want of something; fails instead where `EVENKEEL_REQUIRE`, a list
/// of package names, asks for it.
pub(crate) fn skip(package: &str, missing: &str) {
    let wanted = std::env::var("EVENKEEL_REQUIRE").unwrap_or_default();
    assert!(
        !wanted.split(',').any(|name| name == package),
        "EVENKEEL_REQUIRE asks for {package}, and there is no {missing}"
    );
    eprintln!("skipped: there is no {missing}; `{package}` would bring it");
}

/// Whether a program is on the PATH; without it a test is to be skipped.
#[cfg(feature = "view")]
pub(crate) fn has(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        skip(package, &format!("{program} on the PATH"));
    }
    found
}
