//! The commands `cargo xtask demo`, `test` and `ci`, which run cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use crate::setup::LibtorchSource;
use crate::{Context, Result, checkout, say};

/// Arguments of the demo's `evenkeel` command: enough seeds for a comparison and enough steps for the
/// clipped arm to learn, within a few minutes on two cores.
const DEMO_ARGS: &str = "compare --grid grids/demo.toml --out demo";

/// Trains a clipped and a raw policy on the same seeds and writes a report that compares them.
pub(crate) fn demo(libtorch: LibtorchSource) -> Result {
    let started = Instant::now();
    say("building evenkeel (takes a few minutes the first time)");
    cargo(libtorch, "build --release --bin evenkeel", &[])?;
    say("comparing a clipped policy with a raw one on the same seeds");
    cargo(
        libtorch,
        &format!("run --quiet --release --bin evenkeel -- {DEMO_ARGS}"),
        &[],
    )?;
    let report = checkout().join("demo/report.html");
    say(format!(
        "finished in {} s; open {} in a browser",
        started.elapsed().as_secs(),
        report.display()
    ));
    Ok(())
}

/// Runs all tests, including those of the features `view` and `parquet`. If `args` is not empty, runs
/// `cargo test --release --workspace` with `args` instead.
pub(crate) fn test(libtorch: LibtorchSource, args: &[String]) -> Result {
    const TEST_ALL: &str = "test --release --workspace";
    if args.is_empty() {
        cargo(
            libtorch,
            &format!("{TEST_ALL} --features view,parquet"),
            &[],
        )
    } else {
        cargo(libtorch, TEST_ALL, args)
    }
}

/// Runs the continuous-integration checks other than tests: formatting, unified dependency features,
/// lints (also with each feature alone) and documentation.
pub(crate) fn ci(libtorch: LibtorchSource) -> Result {
    let clippy = |scope: &str| {
        let arguments = format!("clippy --release --all-targets {scope} -- --deny warnings");
        cargo(libtorch, &arguments, &[])
    };
    cargo(libtorch, "fmt --all --check", &[])?;
    check_unified_features()?;
    clippy("--workspace --features view,parquet")?;
    clippy("--package evenkeel --no-default-features")?;
    let manifest =
        fs::read_to_string(checkout().join("Cargo.toml")).context("cannot read Cargo.toml")?;
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
        let arguments = format!(
            "rustdoc --release --package {package} {scope} -- --deny warnings \
             --allow rustdoc::private_intra_doc_links"
        );
        cargo(libtorch, &arguments, &[])?;
    }
    Ok(())
}

/// Returns the sorted names of the workspace's packages.
fn packages() -> Result<Vec<String>> {
    let output = cargo_tree("--workspace --depth 0 --prefix none --format {p}")?;
    let names = output.lines().filter_map(|line| line.split(' ').next());
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    Ok(names)
}

/// Fails if a dependency has different feature sets in different builds (the program, the tests, and
/// builds with fewer features of evenkeel), because Cargo would then compile it more than once.
fn check_unified_features() -> Result {
    const FORMAT: &str = "--prefix none --format {p}\t{f}";
    let builds = [
        "--no-default-features --edges normal,build",
        "--edges normal,build",
        "--features view --edges normal,build",
        "--workspace --features view,parquet --edges normal,build,dev",
    ];
    let outputs = builds
        .iter()
        .map(|build| cargo_tree(&format!("{build} {FORMAT}")))
        .collect::<Result<Vec<_>>>()?;
    // One build may compile a package twice, for the target and for build scripts, so that each
    // package maps to one or more feature sets.
    let sets: Vec<BTreeMap<&str, BTreeSet<&str>>> = outputs
        .iter()
        .map(|output| {
            let mut sets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for line in output.lines().filter(|line| !line.contains("evenkeel")) {
                let line = line.trim_end_matches(" (*)");
                if let Some((package, set)) = line.split_once('\t') {
                    sets.entry(package).or_default().insert(set);
                }
            }
            sets
        })
        .collect();
    let mut differing = Vec::new();
    for (sets_a, build_a) in sets.iter().zip(builds) {
        for (sets_b, build_b) in sets.iter().zip(builds) {
            for (package, a) in sets_a {
                let b = sets_b
                    .get(package)
                    .filter(|b| !a.is_subset(b) && !b.is_subset(a));
                if let Some(b) = b {
                    differing.push(format!(
                        "{package}\n  {a:?} with {build_a}\n  {b:?} with {build_b}"
                    ));
                }
            }
        }
    }
    if differing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "these dependencies are built with different features; add the missing features to \
         crates/workspace-hack/Cargo.toml\n{}",
        differing.join("\n")
    ))
}

/// Returns the output of `cargo tree` with `arguments`, which are separated by spaces. The value of
/// `--format` comes last and may contain spaces.
fn cargo_tree(arguments: &str) -> Result<String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("tree").arg("--quiet").current_dir(checkout());
    let (options, format) = arguments
        .split_once(" --format ")
        .unwrap_or((arguments, "{p}"));
    command
        .args(options.split_whitespace())
        .args(["--format", format]);
    let output = command.output().context("cannot run cargo")?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Features that need system headers to build.
const FEATURES_WITH_HEADERS: [&str; 2] = ["gamepad", "wayland"];

/// Returns the features declared in the text of a `Cargo.toml`, except `default` and those in
/// [`FEATURES_WITH_HEADERS`].
fn features(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .skip_while(|line| line.trim() != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
        .filter(|name| *name != "default" && !name.starts_with('#'))
        .filter(|name| !FEATURES_WITH_HEADERS.contains(name))
        .collect()
}

/// Prints a cargo command and runs it in the checkout. The arguments are those of `arguments`, which are
/// separated by spaces, followed by `extra`.
pub(crate) fn cargo(libtorch: LibtorchSource, arguments: &str, extra: &[String]) -> Result {
    let shown = format!("cargo {arguments} {}", extra.join(" "));
    let shown = shown.trim_end();
    say(shown);
    let mut command = cargo_command(libtorch);
    command.args(arguments.split_whitespace()).args(extra);
    let status = command.status().context("cannot run cargo")?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{shown}` failed"))
    }
}

/// Cargo, in the checkout.
pub(crate) fn cargo_command(libtorch: LibtorchSource) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout());
    if libtorch == LibtorchSource::Cache {
        // The outer cargo set LIBTORCH from the configuration as it was before set-up. The variable
        // would override the configuration that set-up has just written.
        command.env_remove("LIBTORCH");
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_lists_all_but_the_default() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\ndefault = [\"a\"]\n## One = two.\n\
                        a = []\nb-c = [\"a\"]\n\n[dependencies]\nd = \"1\"\n";
        assert_eq!(features(manifest), ["a", "b-c"]);
    }

    #[test]
    fn features_reads_the_manifest_of_evenkeel() {
        let manifest = fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
        assert!(features(&manifest).contains(&"learn"));
    }
}
