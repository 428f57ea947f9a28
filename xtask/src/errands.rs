//! `cargo xtask demo`, `test` and `ci`: runs of cargo in the right order.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::setup::Libtorch;
use crate::{Context, Result, checkout, say};

/// What the demo trains: enough seeds for a comparison, and steps for the clipped arm to learn,
/// within a few minutes on two cores.
const DEMO: &str = "compare reference --arms clipped,raw --seeds 5 --steps 2M --out demo";

/// Trains a clipped and a raw policy on the same seeds and reports how they differ.
pub(crate) fn demo(libtorch: Libtorch) -> Result {
    let begun = Instant::now();
    say("building evenkeel (some minutes the first time)");
    cargo(libtorch, "build --release --bin evenkeel", &[])?;
    say("comparing a clipped policy with a raw one on the same seeds");
    cargo(
        libtorch,
        &format!("run --quiet --release --bin evenkeel -- {DEMO}"),
        &[],
    )?;
    let report = checkout().join("demo/report.html");
    say(format!(
        "done in {} s; open {} in a browser",
        begun.elapsed().as_secs(),
        report.display()
    ));
    Ok(())
}

/// Runs all tests, those of the window and of Parquet included, or, given arguments, `cargo test`
/// with them.
pub(crate) fn test(libtorch: Libtorch, args: &[String]) -> Result {
    const TESTS: &str = "test --release --workspace";
    if args.is_empty() {
        cargo(libtorch, &format!("{TESTS} --features view,parquet"), &[])
    } else {
        cargo(libtorch, TESTS, args)
    }
}

/// Runs the checks of continuous integration that are not tests: format, lints, each feature alone,
/// documentation, and that no feature rebuilds the dependencies of the others.
pub(crate) fn ci(libtorch: Libtorch) -> Result {
    let clippy = |scope: &str| {
        let line = format!("clippy --release --all-targets {scope} -- --deny warnings");
        cargo(libtorch, &line, &[])
    };
    cargo(libtorch, "fmt --all --check", &[])?;
    unified_features()?;
    clippy("--workspace --features view,parquet")?;
    clippy("--package evenkeel --no-default-features")?;
    let manifest = fs::read_to_string(checkout().join("Cargo.toml")).context("no Cargo.toml")?;
    for feature in features(&manifest) {
        clippy(&format!(
            "--package evenkeel --no-default-features --features {feature}"
        ))?;
    }
    for package in packages()? {
        let scope = match package.as_str() {
            "evenkeel" => "--lib --features view,parquet",
            "evenkeel-lab" => "--features learn",
            "evenkeel-runs" => "--features parquet",
            "evenkeel-view" => "--features window",
            "xtask" => continue,
            _ => "",
        };
        let line = format!(
            "rustdoc --release --package {package} {scope} -- --deny warnings \
             --allow rustdoc::private_intra_doc_links"
        );
        cargo(libtorch, &line, &[])?;
    }
    Ok(())
}

/// The packages of the workspace.
fn packages() -> Result<Vec<String>> {
    let listed = tree("--workspace --depth 0 --prefix none --format {p}")?;
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    Ok(names)
}

/// Fails if a dependency is built with one set of features for the program and with another for the
/// tests or for a build with fewer features: Cargo would build it twice.
fn unified_features() -> Result {
    const LISTED: &str = "--prefix none --format {p}\t{f}";
    let builds = [
        "--no-default-features --edges normal,build",
        "--edges normal,build",
        "--features view --edges normal,build",
        "--workspace --features view,parquet --edges normal,build,dev",
    ];
    let listed = builds
        .iter()
        .map(|build| tree(&format!("{build} {LISTED}")))
        .collect::<Result<Vec<_>>>()?;
    // A package may be built twice in one build: for the target, and for build scripts.
    let sets: Vec<BTreeMap<&str, BTreeSet<&str>>> = listed
        .iter()
        .map(|listed| {
            let mut sets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for line in listed.lines().filter(|line| !line.contains("evenkeel")) {
                let line = line.trim_end_matches(" (*)");
                if let Some((package, set)) = line.split_once('\t') {
                    sets.entry(package).or_default().insert(set);
                }
            }
            sets
        })
        .collect();
    let mut differing = Vec::new();
    for (one, build) in sets.iter().zip(builds) {
        for (other, other_build) in sets.iter().zip(builds) {
            for (package, here) in one {
                let there = other
                    .get(package)
                    .filter(|there| !here.is_subset(there) && !there.is_subset(here));
                if let Some(there) = there {
                    differing.push(format!(
                        "{package}\n  {here:?} with {build}\n  {there:?} with {other_build}"
                    ));
                }
            }
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "these dependencies are built with different features; name the features in \
         crates/workspace-hack/Cargo.toml\n{}",
        differing.join("\n")
    ))
}

/// What `cargo tree` prints.
fn tree(line: &str) -> Result<String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("tree").arg("--quiet").current_dir(checkout());
    // The format is one argument, whatever is in it.
    let (words, format) = line.split_once(" --format ").unwrap_or((line, "{p}"));
    command
        .args(words.split_whitespace())
        .args(["--format", format]);
    let output = command.output().context("cannot start cargo")?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Features that build only where a system's headers are installed.
const NEED_HEADERS: [&str; 2] = ["gamepad", "wayland"];

/// The features that a manifest declares, except the default and those that need headers.
fn features(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| *name != "default" && !name.starts_with('#'))
        .filter(|name| !NEED_HEADERS.contains(name))
        .collect()
}

/// Runs cargo in the checkout with the words of `line` and `more` arguments, and shows the command
/// as it could be typed.
fn cargo(libtorch: Libtorch, line: &str, more: &[String]) -> Result {
    let typed = format!("cargo {line} {}", more.join(" "));
    let typed = typed.trim_end();
    say(typed);
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(line.split_whitespace()).args(more);
    command.current_dir(checkout());
    if libtorch == Libtorch::Ours {
        // The configuration that set-up has just written is to hold, as it does for a plain
        // `cargo build`; the environment, which cargo filled from the one before, would win.
        command.env_remove("LIBTORCH");
    }
    let status = command.status().context("cannot start cargo")?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{typed}` failed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_found() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\ndefault = [\"a\"]\n## Why = this.\n\
                        a = []\nb-c = [\"a\"]\n\n[dependencies]\nd = \"1\"\n";
        assert_eq!(features(manifest), ["a", "b-c"]);
    }

    #[test]
    fn the_real_manifest_has_features() {
        let manifest = fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
        assert!(features(&manifest).contains(&"learn"));
    }
}
