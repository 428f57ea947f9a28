//! `cargo xtask demo` and `cargo xtask test`: runs of cargo in the right order.

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

/// Checks all that continuous integration checks, or, given arguments, runs `cargo test` with
/// them.
pub(crate) fn test(libtorch: Libtorch, args: &[String]) -> Result {
    const TESTS: &str = "test --release --workspace";
    if !args.is_empty() {
        return cargo(libtorch, TESTS, args);
    }
    let clippy = |scope: &str| {
        let line = format!("clippy --release --all-targets {scope} -- --deny warnings");
        cargo(libtorch, &line, &[])
    };
    cargo(libtorch, "fmt --all --check", &[])?;
    clippy("--workspace")?;
    clippy("--package evenkeel --no-default-features")?;
    let manifest = fs::read_to_string(checkout().join("Cargo.toml")).context("no Cargo.toml")?;
    for feature in features(&manifest) {
        clippy(&format!(
            "--package evenkeel --no-default-features --features {feature}"
        ))?;
    }
    let doc = "rustdoc --release --package evenkeel --lib --features view -- --deny warnings \
               --allow rustdoc::private_intra_doc_links";
    cargo(libtorch, doc, &[])?;
    // The tests of the window and of Parquet with all others, so that everything is built once.
    cargo(libtorch, &format!("{TESTS} --features view,parquet"), &[])
}

/// Features that build only where a system's headers are installed.
const NEED_HEADERS: [&str; 2] = ["gamepad", "wayland"];

/// The features that a manifest declares, the default and those that not everyone can build set
/// aside.
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
