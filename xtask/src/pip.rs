//! Fetching wheels with pip, and taking files out of them with Python's zipfile.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::pins::{Bundle, WHEEL_PLATFORMS, WHEEL_PYTHON, Wheel};
use crate::progress::Progress;
use crate::{Context, Result};

const INSTALL_PYTHON: &str =
    "install Python 3 with pip (Debian, Ubuntu: apt-get install python3 python3-pip)";

/// The programs that fetch and unpack.
pub(crate) struct Tools {
    python: &'static str,
    pip: &'static [&'static str],
}

impl Tools {
    /// Finds Python and pip: Python's own, or one that stands by itself (its Python may be
    /// another).
    pub(crate) fn find() -> Result<Self> {
        let python = ["python3", "python"]
            .into_iter()
            .find(|python| {
                works(&[
                    python,
                    "-c",
                    "import sys, zipfile; sys.exit(sys.version_info < (3, 7))",
                ])
            })
            .ok_or_else(|| format!("python3 is missing: {INSTALL_PYTHON}"))?;
        let pips: [&[&str]; 4] = [
            &["python3", "-m", "pip"],
            &["python", "-m", "pip"],
            &["pip3"],
            &["pip"],
        ];
        let pip = pips
            .into_iter()
            .find(|pip| works(&[*pip, &["--version"]].concat()))
            .ok_or_else(|| format!("pip is missing: {INSTALL_PYTHON}"))?;
        Ok(Self { python, pip })
    }

    /// Brings the bundle's wheels into `wheels/` of `folder`. Wheels that an earlier run left
    /// there are kept if they are whole.
    pub(crate) fn download(&self, bundle: &Bundle, folder: &Path) -> Result {
        let wheels = folder.join("wheels");
        // pip writes what arrives to its temporary folder first: on the same disk, and where its
        // size can be watched. What a run that was cut off left there is of no use.
        let arriving = folder.join("arriving");
        fs::remove_dir_all(&arriving).ok();
        fs::create_dir_all(&wheels).context("cannot create the folder for downloads")?;
        fs::create_dir_all(&arriving).context("cannot create the folder for downloads")?;
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
        command.env("TMPDIR", &arriving).stdin(Stdio::null());
        command.stdout(log_file.try_clone().context("cannot write pip's log")?);
        command.stderr(log_file);

        let mut pip = command.spawn().context("cannot start pip")?;
        let mut progress = Progress::new("libtorch", bundle.download_bytes());
        let status = loop {
            if let Some(status) = pip.try_wait().context("cannot wait for pip")? {
                break status;
            }
            progress.show(bytes_below(&wheels) + bytes_below(&arriving));
            std::thread::sleep(Duration::from_millis(200));
        };
        let complete = status.success();
        progress.finish(complete);
        if complete {
            Ok(())
        } else {
            Err(explain(&fs::read_to_string(&log).unwrap_or_default()))
        }
    }

    /// Takes from a downloaded wheel what evenkeel needs, into `tree`.
    pub(crate) fn unpack(&self, wheel: &Wheel, wheels: &Path, tree: &Path) -> Result {
        let mut command = Command::new(self.python);
        command.args(["-c", include_str!("unpack.py")]);
        command.arg(wheels.join(wheel.file)).arg(tree);
        command.args(wheel.take.iter().map(|(from, to)| format!("{from}={to}")));
        let output = command
            .stdin(Stdio::null())
            .output()
            .context("cannot start python")?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().last().unwrap_or("python failed");
        Err(format!("cannot unpack {}: {last}", wheel.file))
    }
}

/// Whether a program is there and does what it is asked.
pub(crate) fn works(command: &[&str]) -> bool {
    Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The size of all files below a folder; files that come and go meanwhile count as nothing.
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

/// One line that says why pip failed and what to do, from what it printed.
fn explain(log: &str) -> String {
    let says = |texts: &[&str]| texts.iter().any(|text| log.contains(text));
    if says(&["No space left on device"]) {
        return "the disk is full: make room and run this again".to_owned();
    }
    if says(&["DO NOT MATCH THE HASHES"]) {
        return "what arrived is not what is pinned: it was damaged or altered on its way; \
                run this again, or check the package index that pip is configured for"
            .to_owned();
    }
    if says(&[
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
        return "PyPI cannot be reached, or the connection broke: check the network (behind a \
                proxy, set HTTPS_PROXY), then run this again"
            .to_owned();
    }
    let last = log
        .lines()
        .rfind(|line| line.starts_with("ERROR"))
        .or_else(|| log.lines().rfind(|line| !line.trim().is_empty()))
        .unwrap_or("no word why");
    format!("pip cannot fetch libtorch: {last}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn a_failure_of_pip_becomes_one_line_that_helps() {
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
                "not what is pinned",
            ),
            (
                "ERROR: first\nERROR: No matching distribution found for torch\nnotice\n",
                "ERROR: No matching distribution found for torch",
            ),
            ("", "no word why"),
        ] {
            let line = explain(log);
            assert!(line.contains(expected), "{log:?} gave {line:?}");
            assert_eq!(line.lines().count(), 1);
        }
    }

    #[test]
    fn bytes_are_counted_in_folders_within_folders() {
        let scratch = Scratch::new("bytes");
        fs::create_dir_all(scratch.path().join("a/b")).unwrap();
        fs::write(scratch.path().join("a/b/x"), [0; 5]).unwrap();
        fs::write(scratch.path().join("y"), [0; 2]).unwrap();
        assert_eq!(bytes_below(scratch.path()), 7);
        assert_eq!(bytes_below(&scratch.path().join("none")), 0);
    }
}
