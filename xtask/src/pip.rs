//! Downloads wheels with pip and extracts files from them with Python's `zipfile` module.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::pins::{Bundle, WHEEL_PLATFORMS, WHEEL_PYTHON, Wheel};
use crate::progress::Progress;
use crate::{Context, Result};

const PYTHON_HINT: &str =
    "install Python 3 with pip (Debian, Ubuntu: apt-get install python3 python3-pip)";

/// The programs that download and unpack wheels.
pub(crate) struct Tools {
    python: &'static str,
    /// Program and first arguments.
    pip: &'static [&'static str],
}

impl Tools {
    /// Finds Python 3.7 or newer, and pip: either as a module of Python or as a program, which may use
    /// another Python.
    pub(crate) fn find() -> Result<Self> {
        let python = ["python3", "python"]
            .into_iter()
            .find(|python| {
                succeeds(&[
                    python,
                    "-c",
                    "import sys, zipfile; sys.exit(sys.version_info < (3, 7))",
                ])
            })
            .ok_or_else(|| format!("python3 is missing: {PYTHON_HINT}"))?;
        let pips: [&[&str]; 4] = [
            &["python3", "-m", "pip"],
            &["python", "-m", "pip"],
            &["pip3"],
            &["pip"],
        ];
        let pip = pips
            .into_iter()
            .find(|pip| succeeds(&[*pip, &["--version"]].concat()))
            .ok_or_else(|| format!("pip is missing: {PYTHON_HINT}"))?;
        Ok(Self { python, pip })
    }

    /// Downloads the bundle's wheels to `folder/wheels`. Keeps complete wheels from an earlier run.
    pub(crate) fn download(&self, bundle: &Bundle, folder: &Path) -> Result {
        let wheels = folder.join("wheels");
        // pip downloads to its temporary folder first. This folder is on the same disk as `wheels`, and
        // its size shows the progress. Leftovers of an interrupted run are useless.
        let temporary = folder.join("arriving");
        fs::remove_dir_all(&temporary).ok();
        fs::create_dir_all(&wheels).context("cannot create the folder for downloads")?;
        fs::create_dir_all(&temporary).context("cannot create the folder for downloads")?;
        let requirements = folder.join("requirements.txt");
        fs::write(&requirements, bundle.requirements()).context("cannot write requirements.txt")?;
        let log = folder.join("pip.log");
        let log_file = File::create(&log).context("cannot write pip's log")?;

        let mut command = Command::new(self.pip[0]);
        command.args(&self.pip[1..]);
        command.args(["download", "--quiet", "--no-deps", "--require-hashes"]);
        command.args(["--only-binary=:all:", "--no-cache-dir", "--no-input"]);
        command.args(["--disable-pip-version-check", "--progress-bar", "off"]);
        command.args(WHEEL_PYTHON);
        for platform in WHEEL_PLATFORMS {
            command.args(["--platform", platform]);
        }
        command.arg("--dest").arg(&wheels);
        command.arg("--requirement").arg(&requirements);
        command.env("TMPDIR", &temporary).stdin(Stdio::null());
        command.stdout(log_file.try_clone().context("cannot write pip's log")?);
        command.stderr(log_file);

        let mut pip = command.spawn().context("cannot run pip")?;
        let mut progress = Progress::new("libtorch", bundle.download_bytes());
        let status = loop {
            if let Some(status) = pip.try_wait().context("cannot wait for pip")? {
                break status;
            }
            progress.show(bytes_below(&wheels) + bytes_below(&temporary));
            std::thread::sleep(Duration::from_millis(200));
        };
        let complete = status.success();
        progress.finish(complete);
        if complete {
            Ok(())
        } else {
            Err(explain_failure(
                &fs::read_to_string(&log).unwrap_or_default(),
            ))
        }
    }

    /// Extracts the files of a downloaded wheel that evenkeel needs to `tree`.
    pub(crate) fn unpack(&self, wheel: &Wheel, wheels: &Path, tree: &Path) -> Result {
        let mut command = Command::new(self.python);
        command.args(["-c", include_str!("unpack.py")]);
        command.arg(wheels.join(wheel.file)).arg(tree);
        command.args(
            wheel
                .extract
                .iter()
                .map(|(from, to)| format!("{from}={to}")),
        );
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("cannot run python")?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().last().unwrap_or("python failed");
        Err(format!("cannot unpack {}: {last}", wheel.file))
    }
}

/// Runs a command without showing its output and returns whether it succeeds.
pub(crate) fn succeeds(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Returns the total size of all files below a folder, bytes. Files that disappear meanwhile count as 0.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Returns one line that says why pip failed and what to do, based on pip's output.
fn explain_failure(log: &str) -> String {
    let mentions = |texts: &[&str]| texts.iter().any(|text| log.contains(text));
    if mentions(&["No space left on device"]) {
        return "the disk is full: free some space and run the command again".to_owned();
    }
    if mentions(&["DO NOT MATCH THE HASHES"]) {
        return "a downloaded file does not match its pinned hash: run the command again, or check the \
                package index that pip is configured to use"
            .to_owned();
    }
    if mentions(&[
        "NewConnectionError",
        "ConnectionError",
        "ConnectTimeout",
        "ReadTimeout",
        "ProxyError",
        "SSLError",
        "name resolution",
        "timed out",
        "IncompleteRead",
        "Connection broken",
        "Connection aborted",
    ]) {
        return "cannot reach PyPI, or the connection was interrupted: check the network (behind a \
                proxy, set HTTPS_PROXY) and run the command again"
            .to_owned();
    }
    let last = log
        .lines()
        .rfind(|line| line.starts_with("ERROR"))
        .or_else(|| log.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("pip gave no reason");
    format!("pip cannot download libtorch: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn failures_of_pip_are_explained_in_one_line() {
        for (log, expected) in [
            (
                "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by \
                 'NewConnectionError('<pip._vendor.urllib3>: Failed to establish a new \
                 connection: [Errno -3] Temporary failure in name resolution')'\n\
                 ERROR: No matching distribution found for torch==2.13.0\n",
                "check the network",
            ),
            (
                "ERROR: Could not install: [Errno 28] No space left on device\n",
                "disk is full",
            ),
            (
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n",
                "does not match its pinned hash",
            ),
            (
                "ERROR: first\nERROR: No matching distribution found for torch\nnotice\n",
                "ERROR: No matching distribution found for torch",
            ),
            ("", "pip gave no reason"),
        ] {
            let line = explain_failure(log);
            assert!(line.contains(expected), "{log:?} gave {line:?}");
            assert_eq!(line.lines().count(), 1);
        }
    }

    #[test]
    fn bytes_below_includes_nested_folders() {
        let scratch = Scratch::new("bytes");
        fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        fs::write(scratch.path().join("a/b/x"), [0; 5]).unwrap();
        fs::write(scratch.path().join("y"), [0; 2]).unwrap();
        assert_eq!(bytes_below(scratch.path()), 7);
        assert_eq!(bytes_below(&scratch.path().join("none")), 0);
    }
}
