//! The command `cargo xtask fuzz`: runs the targets of `fuzz/` under libFuzzer on the stable compiler.
//!
//! Only the workspace's crates are compiled with libFuzzer's counters: Cargo runs this program in place of
//! rustc for them (`RUSTC_WORKSPACE_WRAPPER`), and it adds the flags. Dependencies are those of the tests.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::setup::LibtorchSource;
use crate::{Context, Result, checkout, commands, say};

/// Set while Cargo runs this program in place of rustc.
const WRAPPER: &str = "EVENKEEL_XTASK_IS_RUSTC";

/// Counters for branches and comparisons, and checks that release builds leave out.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions=on",
    "-Coverflow-checks=on",
    "-Cforce-frame-pointers=yes",
];

/// Limits of one input.
const MAX_SECS: u32 = 20;
const MAX_MEMORY_MIB: u32 = 2048;
const MAX_BYTES: u32 = 1 << 18;

/// Default time for all targets together, minutes.
const DEFAULT_MINUTES: f64 = 10.0;

/// What the user asked for.
struct Options {
    minutes: f64,
    targets: Vec<String>,
    /// A folder with more inputs.
    seeds: Option<PathBuf>,
}

/// What libFuzzer says of a target.
#[derive(Default)]
struct Tally {
    cases: u64,
    /// Inputs that panic, are too slow or need too much memory, by what went wrong.
    faults: BTreeMap<String, Vec<PathBuf>>,
}

/// Runs rustc with the flags if Cargo started this program in its place.
pub(crate) fn run_as_rustc() -> Option<ExitCode> {
    env::var_os(WRAPPER)?;
    let mut args = env::args_os().skip(1);
    let rustc = args.next()?;
    let args: Vec<OsString> = args.collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let value_of = |option: &str| {
        let at = args.iter().position(|arg| arg == option)?;
        args.get(at + 1)?.to_str()
    };
    // Build scripts and macros run while compiling, without libFuzzer.
    let runs_at_build = value_of("--crate-name")
        .is_none_or(|name| name.starts_with("build_script"))
        || value_of("--crate-type") == Some("proc-macro")
        || has("-vV");
    let mut command = Command::new(rustc);
    command.args(&args);
    if !runs_at_build {
        command.args(FLAGS);
    }
    let code = command.status().ok().and_then(|status| status.code());
    Some(ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    ))
}

/// Fuzzes the targets in turn and lists the faults.
pub(crate) fn fuzz(libtorch: LibtorchSource, args: &[String]) -> Result {
    let options = Options::parse(args)?;
    commands::cargo(libtorch, "build --release --bin evenkeel", &[])?;
    let folder = build(libtorch)?;
    let program = folder.join("evenkeel-fuzz");
    let work = folder.join("fuzz");
    let names = target_names()?;
    let chosen: Vec<&String> = if options.targets.is_empty() {
        names.iter().collect()
    } else {
        options.targets.iter().collect()
    };
    if let Some(name) = chosen.iter().find(|name| !names.contains(name)) {
        return Err(format!(
            "there is no target {name}; the targets are {}",
            names.join(", ")
        ));
    }
    let secs = (options.minutes * 60.0 / chosen.len() as f64).ceil() as u64;
    let mut faults = 0;
    let mut summary = Vec::new();
    for name in chosen {
        say(format!("fuzzing {name} for {secs} s"));
        let tally = run(
            &program,
            name,
            &work.join(name),
            secs,
            options.seeds.as_deref(),
        )?;
        faults += tally.faults.len();
        summary.push(format!(
            "{name}: {} cases, {} faults",
            tally.cases,
            tally.faults.len()
        ));
        for (message, files) in &tally.faults {
            summary.push(format!("  {message}"));
            summary.push(format!(
                "    {} inputs, such as {}",
                files.len(),
                files[0].display()
            ));
        }
    }
    for line in &summary {
        say(line);
    }
    if faults == 0 {
        return Ok(());
    }
    Err(format!(
        "{faults} faults; correct each, and keep one of its inputs in fuzz/regressions/TARGET/"
    ))
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            minutes: DEFAULT_MINUTES,
            targets: Vec::new(),
            seeds: None,
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            let mut value = || {
                let value = args.next();
                value.ok_or_else(|| format!("{option} needs a value"))
            };
            match option.as_str() {
                "--minutes" => {
                    let text = value()?;
                    let minutes = text
                        .parse()
                        .ok()
                        .filter(|&minutes: &f64| minutes > 0.0 && minutes < 1e4);
                    options.minutes = minutes.ok_or_else(|| {
                        format!("--minutes is {text}; it must be a number above 0")
                    })?;
                }
                "--target" => options.targets.push(value()?.clone()),
                "--seeds" => options.seeds = Some(PathBuf::from(value()?)),
                _ => {
                    return Err(format!(
                        "unknown option {option}; the options are --minutes, --target and --seeds"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// Builds the targets. Returns the folder with the program.
fn build(libtorch: LibtorchSource) -> Result<PathBuf> {
    let wrapper = env::current_exe().context("cannot find this program")?;
    let output = commands::cargo_command(libtorch)
        .args(["build", "--release", "--package", "evenkeel-fuzz"])
        .args(["--message-format", "json-render-diagnostics"])
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .env(WRAPPER, "1")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        return Err("the fuzz targets do not compile".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let executable = text
        .lines()
        .filter(|line| line.contains("\"name\":\"evenkeel-fuzz\""))
        .filter_map(|line| line.split_once("\"executable\":\""))
        .filter_map(|(_, rest)| rest.split_once('"'))
        .map(|(path, _)| PathBuf::from(path))
        .next_back()
        .ok_or("cargo names no program for the fuzz targets")?;
    Ok(executable.parent().unwrap_or(Path::new(".")).to_owned())
}

/// Names of the targets, read from the source.
fn target_names() -> Result<Vec<String>> {
    let source = fs::read_to_string(checkout().join("fuzz/src/lib.rs"))
        .context("cannot read fuzz/src/lib.rs")?;
    let names = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("name: \""))
        .filter_map(|rest| rest.split_once('"'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

/// Fuzzes one target. `work` keeps the inputs that reach new code, and those that fail.
fn run(program: &Path, name: &str, work: &Path, secs: u64, seeds: Option<&Path>) -> Result<Tally> {
    let corpus = work.join("corpus");
    let failures = work.join("failures");
    fs::remove_dir_all(&failures).ok();
    for folder in [&corpus, &failures] {
        fs::create_dir_all(folder).context(format!("cannot create {}", folder.display()))?;
    }
    let target = |command: &mut Command| {
        command
            .env("EVENKEEL_FUZZ_TARGET", name)
            .env("EVENKEEL_FUZZ_PROGRAM", program.with_file_name("evenkeel"))
            .env("RUST_BACKTRACE", "0");
    };
    let mut first = Command::new(program);
    target(&mut first);
    let status = first.env("EVENKEEL_FUZZ_SEEDS", &corpus).status();
    if !status.context("cannot run the fuzz targets")?.success() {
        return Err(format!("the first inputs of {name} cannot be made"));
    }
    let mut command = Command::new(program);
    target(&mut command);
    command
        .args([
            "-fork=2",
            "-ignore_crashes=1",
            "-ignore_timeouts=1",
            "-ignore_ooms=1",
        ])
        .arg(format!("-timeout={MAX_SECS}"))
        .arg(format!("-rss_limit_mb={MAX_MEMORY_MIB}"))
        .arg(format!("-max_len={MAX_BYTES}"))
        .arg(format!("-max_total_time={secs}"))
        .arg("-seed=1")
        .arg(format!("-artifact_prefix={}/", failures.display()))
        .arg(&corpus);
    let saved = checkout().join("fuzz/regressions").join(name);
    command.args(
        [Some(saved.as_path()), seeds]
            .into_iter()
            .flatten()
            .filter(|folder| folder.is_dir()),
    );
    let output = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    let output = output.context("cannot run the fuzz targets")?;
    let log = String::from_utf8_lossy(&output.stderr);
    let cases = log
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once(':')?.0.parse().ok())
        .next_back();
    fs::write(work.join("log"), log.as_bytes()).context("cannot write the log")?;
    let Some(cases) = cases else {
        let end: Vec<&str> = log.lines().rev().take(10).collect();
        return Err(format!("libFuzzer did not run {name}:\n{}", end.join("\n")));
    };
    let mut tally = Tally {
        cases,
        ..Tally::default()
    };
    for entry in fs::read_dir(&failures)
        .context("cannot read the failing inputs")?
        .flatten()
    {
        let file = entry.path();
        let mut again = Command::new(program);
        target(&mut again);
        let output = again
            .arg(format!("-timeout={MAX_SECS}"))
            .arg(format!("-rss_limit_mb={MAX_MEMORY_MIB}"))
            .arg(&file)
            .output()
            .context("cannot run the fuzz targets")?;
        if output.status.success() {
            // Slow only because the machine was busy.
            continue;
        }
        let reason = reason(&String::from_utf8_lossy(&output.stderr));
        tally.faults.entry(reason).or_default().push(file);
    }
    Ok(tally)
}

/// The place and the first line of a panic, or what else stopped the program.
fn reason(log: &str) -> String {
    let mut lines = log.lines();
    while let Some(line) = lines.next() {
        if let Some((_, place)) = line.split_once("panicked at ") {
            let message = lines.next().unwrap_or_default();
            let message: String = message.chars().take(160).collect();
            return format!("{place} {message}");
        }
        if let Some((_, what)) = line.split_once("ERROR: libFuzzer: ") {
            return what.to_owned();
        }
    }
    "ended without a message".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_place_of_a_panic() {
        let log = "x\nthread 'main' (7) panicked at crates/a.rs:1:2:\nindex 3\n==1== ERROR: libFuzzer: deadly signal\n";
        assert_eq!(reason(log), "crates/a.rs:1:2: index 3");
        assert_eq!(
            reason("==1== ERROR: libFuzzer: timeout after 20 seconds\n"),
            "timeout after 20 seconds"
        );
    }

    #[test]
    fn targets_are_read_from_the_source() {
        assert!(target_names().unwrap().contains(&"recording".to_owned()));
    }

    #[test]
    fn minutes_must_be_positive() {
        let parse = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            Options::parse(&words).map(|options| options.minutes)
        };
        assert_eq!(parse(&["--minutes", "0.5"]), Ok(0.5));
        assert!(parse(&["--minutes", "-1"]).unwrap_err().contains("above 0"));
        assert!(
            parse(&["--hours", "1"])
                .unwrap_err()
                .contains("unknown option")
        );
    }
}
