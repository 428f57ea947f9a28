//! `cargo xtask wheel`: builds the Python package, and tests it in a fresh virtual environment.
//!
//! maturin is installed in a virtual environment in the cache that all checkouts share. Neither
//! building nor testing needs libtorch.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pip::succeeds;
use crate::setup::{cache_folder, lock};
use crate::{Context, Result, checkout, say};

/// The version of maturin that builds wheels.
const MATURIN_VERSION: &str = "1.16.0";

/// What to do after building.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WheelOptions {
    /// Whether to test the wheel.
    test: bool,
    /// Whether to install the trainers' packages, for the tests that need them.
    trainers: bool,
}

impl WheelOptions {
    /// Reads `[--test [--trainers]]`.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        for arg in args {
            match arg.as_str() {
                "--test" => options.test = true,
                "--trainers" => {
                    options.test = true;
                    options.trainers = true;
                }
                _ => return Err(format!("unknown argument of wheel: {arg}")),
            }
        }
        Ok(options)
    }
}

/// Builds the wheel, and tests it if the options say so.
pub(crate) fn wheel(options: WheelOptions) -> Result {
    let python = find_python()?;
    let maturin = install_maturin(python)?;
    let wheel = build(&maturin)?;
    say(format!("built {}", wheel.display()));
    if options.test {
        test(python, &wheel, options.trainers)
    } else {
        say(format!("install it with `pip install {}`", wheel.display()));
        Ok(())
    }
}

/// Finds Python 3.10 or newer that can make virtual environments.
fn find_python() -> Result<&'static str> {
    const CHECK: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
    ["python3", "python"]
        .into_iter()
        .find(|python| succeeds(&[python, "-c", CHECK]))
        .ok_or_else(|| {
            "Python 3.10 or newer with its module venv is missing (Debian, Ubuntu: apt-get install \
             python3 python3-venv)"
                .to_owned()
        })
}

/// Returns the path of the pinned maturin. Installs it in the cache if it is not there or is broken.
fn install_maturin(python: &str) -> Result<PathBuf> {
    let cache = cache_folder()?;
    fs::create_dir_all(&cache).context(format!("cannot create {}", cache.display()))?;
    let _lock = lock(&cache.join("maturin.lock"))?;
    let home = cache.join(format!("maturin-{MATURIN_VERSION}"));
    let maturin = home.join("bin/maturin");
    if succeeds(&[&maturin.to_string_lossy(), "--version"]) {
        return Ok(maturin);
    }
    say(format!(
        "installing maturin {MATURIN_VERSION} in {}",
        home.display()
    ));
    let requirement = format!("maturin=={MATURIN_VERSION}");
    make_venv(python, &home)?;
    install(&home, &[&requirement])?;
    Ok(maturin)
}

/// Builds the wheel, and returns its path.
fn build(maturin: &Path) -> Result<PathBuf> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from);
    let wheels = checkout().join(target).join("wheels");
    remove_wheels(&wheels)?;
    let mut command = Command::new(maturin);
    command.args(["build", "--release", "--out"]).arg(&wheels);
    command.current_dir(checkout().join("python"));
    run(&mut command, "maturin")?;
    find_wheels(&wheels)
        .pop()
        .ok_or_else(|| format!("maturin left no wheel in {}", wheels.display()))
}

/// Installs the wheel in a fresh virtual environment beside it, and runs the tests there.
fn test(python: &str, wheel: &Path, trainers: bool) -> Result {
    let home = wheel.with_file_name("test-venv");
    let tests = checkout().join("python/tests");
    make_venv(python, &home)?;
    let mut requirements = vec![tests.join("requirements.txt")];
    if trainers {
        requirements.push(tests.join("requirements-trainers.txt"));
    }
    let mut arguments = vec![wheel.to_string_lossy().into_owned()];
    for requirement in requirements {
        arguments.push("--requirement".to_owned());
        arguments.push(requirement.to_string_lossy().into_owned());
    }
    say("installing the wheel and the packages of its tests");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    install(&home, &arguments)?;
    let mut command = Command::new(home.join("bin/python"));
    command.args([
        "-m",
        "pytest",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--config-file",
    ]);
    command.arg(checkout().join("python/pyproject.toml"));
    command.arg(tests);
    // Not the folder `python`, whose sources would be imported instead of the wheel.
    command.current_dir(&home);
    run(&mut command, "pytest")
}

/// Makes a virtual environment in place of what is at `home`.
fn make_venv(python: &str, home: &Path) -> Result {
    let mut command = Command::new(python);
    command.args(["-m", "venv", "--clear"]).arg(home);
    run(&mut command, "python -m venv")
}

/// Installs packages in a virtual environment.
fn install(home: &Path, arguments: &[&str]) -> Result {
    let mut command = Command::new(home.join("bin/python"));
    command.args(["-m", "pip", "install", "--quiet", "--no-input"]);
    command.arg("--disable-pip-version-check").args(arguments);
    run(&mut command, "pip")
}

/// Runs a command; `name` is for the message if it fails.
fn run(command: &mut Command, name: &str) -> Result {
    let status = command.status().context(format!("cannot run {name}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{name} failed"))
    }
}

/// The wheels of the package in a folder.
fn find_wheels(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("evenkeel-") && name.ends_with(".whl")
        })
        .collect()
}

/// Removes earlier wheels, so that the one that is there after a build is the new one.
fn remove_wheels(folder: &Path) -> Result {
    for wheel in find_wheels(folder) {
        fs::remove_file(&wheel).context(format!("cannot remove {}", wheel.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    fn parse(args: &[&str]) -> Result<WheelOptions> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        WheelOptions::parse(&args)
    }

    #[test]
    fn the_options_are_read() {
        let [only_build, tested, with_trainers] = [(false, false), (true, false), (true, true)]
            .map(|(test, trainers)| WheelOptions { test, trainers });
        assert_eq!(parse(&[]), Ok(only_build));
        assert_eq!(parse(&["--test"]), Ok(tested));
        assert_eq!(parse(&["--test", "--trainers"]), Ok(with_trainers));
        assert_eq!(parse(&["--trainers"]), Ok(with_trainers));
        assert!(parse(&["--tests"]).unwrap_err().contains("--tests"));
    }

    #[test]
    fn earlier_wheels_are_removed_and_other_files_are_not() {
        let scratch = Scratch::new("wheels");
        let folder = scratch.path();
        for name in ["evenkeel-0.1.0-x.whl", "evenkeel-0.2.0-x.whl", "other.whl"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(find_wheels(folder).len(), 2);
        remove_wheels(folder).unwrap();
        assert!(find_wheels(folder).is_empty());
        assert!(folder.join("other.whl").exists());
        assert!(find_wheels(&folder.join("none")).is_empty());
    }
}
