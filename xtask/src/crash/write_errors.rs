//! Every command that writes runs on a full disk and in a read-only folder. Each of its files must be
//! whole or absent, and the message must name the file and the cause.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Program, artifacts, progress};
use crate::{Context, Result};

/// A command that writes one file. `OUT` stands for the file.
struct Writer {
    args: &'static [&'static str],
    /// Name of the file.
    file: &'static str,
}

const WRITERS: [Writer; 11] = [
    Writer {
        args: &["scenario", "show", "maze", "--out", "OUT"],
        file: "maze.svg",
    },
    Writer {
        args: &["scenario", "show", "slam_map", "--toml", "--out", "OUT"],
        file: "map.toml",
    },
    Writer {
        args: &["scenario", "import", "floor.yaml", "--out", "OUT"],
        file: "floor.toml",
    },
    Writer {
        args: &[
            "record",
            "planner:straight",
            "--scenario=maze",
            "--episodes=3",
            "--out",
            "OUT",
        ],
        file: "drive.mcap",
    },
    Writer {
        args: &["export", "drive.mcap", "--format=csv", "--out", "OUT"],
        file: "drive.csv",
    },
    Writer {
        args: &[
            "eval",
            "planner:straight",
            "--scenario=maze",
            "--episodes=20",
            "--out",
            "OUT",
        ],
        file: "evaluation.json",
    },
    Writer {
        args: &[
            "eval",
            "planner:straight",
            "--suite=suite.toml",
            "--out",
            "OUT",
        ],
        file: "suite.html",
    },
    Writer {
        args: &[
            "eval",
            "planner:straight",
            "--suite=suite.toml",
            "--out",
            "OUT",
        ],
        file: "suite.json",
    },
    Writer {
        args: &["report", "run", "--force", "--out", "OUT"],
        file: "report.html",
    },
    Writer {
        args: &["autopsy", "exploder", "--arms=clipped", "--out", "OUT"],
        file: "autopsy.html",
    },
    Writer {
        args: &["suite", "freeze", "OUT"],
        file: "unfrozen.toml",
    },
];

/// Training on a disk that becomes full. It writes settings, logs, checkpoints and recordings.
const TRAIN: [&str; 10] = [
    "train",
    "open_field",
    "--seed=3",
    "--envs=32",
    "--steps=20k",
    "--episodes=20",
    "--progress=none",
    "--record-every=2",
    "--set=train.horizon=32",
    "--set=train.checkpoint_every=3",
];

/// Training that ends in an incident.
const EXPLODER: [&str; 7] = [
    "train",
    "exploder",
    "--arm=unclipped",
    "--steps=60k",
    "--episodes=0",
    "--progress=none",
    "--out=exploder",
];

/// A suite of one scenario, without hashes.
const SUITE: &str = "version = 1\ntitle = \"One\"\nepisodes = 5\n\n[[scenario]]\n\
                     scenario = \"open_field\"\ndifficulty = \"easy\"\n";

const FLOOR: &str = "image: floor.pgm\nresolution: 0.25\norigin: [0.0, 0.0, 0.0]\nnegate: 0\n\
                     occupied_thresh: 0.65\nfree_thresh: 0.196\n";

/// Size of the disk, bytes.
const DISK_SIZE: u64 = 4 << 20;

/// Runs all checks. Returns what was wrong.
pub(super) fn check(program: &Program, scratch: &Path) -> Result<Vec<String>> {
    let disk = scratch.join("disk");
    fs::create_dir(&disk).context("cannot create a folder")?;
    let Some(disk) = Disk::mount(disk)? else {
        progress(
            "skipped full disks and read-only folders: to mount a tmpfs for them, run this \
             command as root",
        );
        return Ok(Vec::new());
    };
    let inputs = scratch.join("inputs");
    make_inputs(program, &inputs)?;
    let checks = Checks {
        program,
        inputs: &inputs,
        disk: &disk,
    };
    let mut failures = Vec::new();
    for writer in &WRITERS {
        failures.extend(checks.full_disk(writer)?);
    }
    failures.extend(checks.training_on_a_full_disk()?);
    failures.extend(checks.read_only()?);
    progress(&format!(
        "full disk and read-only folder: {} writing commands, {} wrong",
        WRITERS.len() + 1,
        failures.len()
    ));
    Ok(failures)
}

/// Makes all files that the commands read.
fn make_inputs(program: &Program, folder: &Path) -> Result {
    fs::create_dir(folder).context("cannot create a folder")?;
    let mut image = b"P5 60 60 255\n".to_vec();
    image.extend((0..3600).map(|at| {
        if (at / 60) % 9 == 4 && at % 7 > 2 {
            0
        } else {
            254
        }
    }));
    fs::write(folder.join("floor.pgm"), image).context("cannot write an input")?;
    fs::write(folder.join("floor.yaml"), FLOOR).context("cannot write an input")?;
    for name in ["suite.toml", "unfrozen.toml"] {
        fs::write(folder.join(name), SUITE).context("cannot write an input")?;
    }
    program.succeed(folder, &["suite", "freeze", "suite.toml"])?;
    let record = [
        "record",
        "planner:straight",
        "--scenario=maze",
        "--out=drive.mcap",
    ];
    program.succeed(folder, &record)?;
    program.succeed(folder, &EXPLODER)?;
    program.succeed(folder, &[&TRAIN[..], &["--out=run"]].concat())?;
    Ok(())
}

struct Checks<'a> {
    program: &'a Program,
    /// The folder in which the commands run.
    inputs: &'a Path,
    disk: &'a Disk,
}

impl Checks<'_> {
    /// Runs a command on a disk without space, and with space for half of its file. The file that
    /// was there must stay, with nothing beside it.
    fn full_disk(&self, writer: &Writer) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        self.disk.clear()?;
        let out = self.disk.path.join(writer.file);
        let old = self.old_file(writer)?;
        fs::write(&out, &old).context("cannot write to the disk")?;
        self.program.succeed(self.inputs, &writer.arguments(&out))?;
        let whole = fs::metadata(&out).context("a command wrote nothing")?.len();
        for free in [0, whole / 2] {
            self.disk.clear()?;
            fs::write(&out, &old).context("cannot write to the disk")?;
            self.disk.fill(free)?;
            let name = format!("{} with {free} bytes free", writer.line());
            // A file that fits into the last page does not fail.
            let failed = self.failure(writer, &out, "No space left on device");
            failures.extend(failed?.map(|failure| format!("{name}: {failure}")));
            let left = fs::read(&out).unwrap_or_default();
            if left != old {
                failures.push(format!("{name}: the file that was there was changed"));
            }
            let mut names = self.disk.names()?;
            names.retain(|name| name != writer.file && name != FILL);
            // What was recorded until the disk was full can be read.
            names.retain(|name| !name.ends_with(".unfinished.mcap"));
            if !names.is_empty() {
                failures.push(format!("{name}: left {}", names.join(", ")));
            }
        }
        Ok(failures)
    }

    /// What the command's file holds before the command runs.
    fn old_file(&self, writer: &Writer) -> Result<Vec<u8>> {
        if writer.args[0] == "suite" {
            return fs::read(self.inputs.join("unfrozen.toml")).context("cannot read an input");
        }
        Ok(b"what was here before\n".to_vec())
    }

    /// Runs a command that must fail with a message that names its file and the cause. Returns what
    /// is wrong.
    fn failure(&self, writer: &Writer, out: &Path, cause: &str) -> Result<Option<String>> {
        let (success, _, stderr) = self.program.output(self.inputs, &writer.arguments(out))?;
        Ok(wrong_message(success, &stderr, out, cause))
    }

    /// Trains on disks on which there is less and less space. Once there is space again, training
    /// must continue to what it would have been.
    fn training_on_a_full_disk(&self) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        let run = self.disk.path.join("run");
        let out = format!("--out={}", run.display());
        let start = [&TRAIN[..], &[&out]].concat();
        let resume = format!("--resume={}", run.display());
        let resume = ["train", &resume, "--episodes=20", "--progress=none"];
        let expected = self.inputs.join("run");
        let whole = size(&expected)?;
        for share in 0..12 {
            let free = whole * share / 10;
            let name = format!("train with {free} bytes free");
            self.disk.clear()?;
            self.disk.fill(free)?;
            let (success, _, stderr) = self.program.output(self.inputs, &start)?;
            let wrong = wrong_message(success, &stderr, &run, "No space left on device");
            // The last disks are large enough.
            if !success || share < 5 {
                failures.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
            }
            fs::remove_file(self.disk.path.join(FILL)).context("cannot remove a file")?;
            let is_run = run.join("run.json").is_file();
            let again = if is_run { &resume[..] } else { &start };
            let (success, _, stderr) = self.program.output(self.inputs, again)?;
            if !success && !stderr.contains("steps of this run are done") {
                failures.push(format!("{name}: with space again: {stderr}"));
                continue;
            }
            let found = artifacts::differences(&expected, &run)?;
            failures.extend(found.iter().map(|found| format!("{name}: {found}")));
        }
        Ok(failures)
    }

    /// Runs every command where nothing can be written.
    fn read_only(&self) -> Result<Vec<String>> {
        const CAUSE: &str = "Read-only file system";
        let mut failures = Vec::new();
        self.disk.clear()?;
        for writer in &WRITERS {
            let old = self.old_file(writer)?;
            fs::write(self.disk.path.join(writer.file), old).context("cannot write to the disk")?;
        }
        let run = self.disk.path.join("run");
        copy(&self.inputs.join("run"), &run)?;
        self.disk.remount("ro")?;
        for writer in &WRITERS {
            let out = self.disk.path.join(writer.file);
            let failed = self.failure(writer, &out, CAUSE)?;
            let name = format!("{} in a read-only folder", writer.line());
            failures.extend(failed.map(|failure| format!("{name}: {failure}")));
            if fs::read(&out).unwrap_or_default() != self.old_file(writer)? {
                failures.push(format!("{name}: the file that was there was changed"));
            }
        }
        let run = run.display().to_string();
        let new = format!("--out={}/new", self.disk.path.display());
        let train = [&TRAIN[..], &[&new]].concat();
        let compare = ["compare", "open_field", "--steps=1k", &new];
        let report = ["compare", "run", "run", &new];
        let resume = ["train", "--resume", &run, "--steps=30k", "--progress=none"];
        for args in [&train[..], &compare, &report, &resume] {
            let (success, _, stderr) = self.program.output(self.inputs, args)?;
            let wrong = wrong_message(success, &stderr, &self.disk.path, CAUSE);
            let name = args.join(" ");
            failures.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
        }
        // What is there can be read.
        let readers: [&[&str]; 4] = [
            &["runs", &run],
            &["eval", &run, "--episodes=5"],
            &["report", &run, "--out=other.html"],
            &["record", &run, "--episodes=1", "--out=other.mcap"],
        ];
        for args in readers {
            let (success, _, stderr) = self.program.output(self.inputs, args)?;
            if !success {
                failures.push(format!(
                    "{} of a read-only folder: {stderr}",
                    args.join(" ")
                ));
            }
        }
        self.disk.remount("rw")?;
        Ok(failures)
    }
}

impl Writer {
    fn arguments<'a>(&'a self, out: &'a Path) -> Vec<&'a str> {
        let out = out.to_str().expect("the scratch folder's name is UTF-8");
        let words = self.args.iter();
        words
            .map(|&word| if word == "OUT" { out } else { word })
            .collect()
    }

    fn line(&self) -> String {
        self.args.join(" ").replace("OUT", self.file)
    }
}

/// What is wrong with the way in which a command failed, if anything is.
fn wrong_message(success: bool, stderr: &str, path: &Path, cause: &str) -> Option<String> {
    // A note on stderr may name the path too.
    let error = stderr.find("error").map_or("", |at| &stderr[at..]);
    // A recording is written under another name beside its own.
    let paths = [path.to_owned(), path.with_extension("unfinished.mcap")];
    let names_path = paths
        .iter()
        .any(|path| error.contains(&path.display().to_string()));
    let wrong = match () {
        () if success => "succeeded",
        () if stderr.contains("panicked") => "panicked",
        () if !names_path => "does not name the file",
        () if !stderr.contains(cause) => "does not name the cause",
        () => return None,
    };
    Some(format!("{wrong}: {}", stderr.trim_end()))
}

/// The file that fills the disk.
const FILL: &str = "fill";

/// A small disk.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts a disk at a folder. `None` if this process may not.
    fn mount(path: PathBuf) -> Result<Option<Self>> {
        if cfg!(not(target_os = "linux")) {
            return Ok(None);
        }
        let size = format!("size={DISK_SIZE}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path);
        let output = mount.output().context("cannot run mount")?;
        Ok(output.status.success().then_some(Self { path }))
    }

    fn remount(&self, mode: &str) -> Result {
        let options = format!("remount,{mode}");
        let mut mount = Command::new("mount");
        mount.args(["-o", &options]).arg(&self.path);
        let status = mount.status().context("cannot run mount")?;
        let failed = || format!("cannot remount {}", self.path.display());
        if status.success() {
            Ok(())
        } else {
            Err(failed())
        }
    }

    /// Removes everything.
    fn clear(&self) -> Result {
        for entry in fs::read_dir(&self.path).context("cannot read the disk")? {
            let path = entry.context("cannot read the disk")?.path();
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.context("cannot clear the disk")?;
        }
        Ok(())
    }

    /// Fills the disk, except for `free` bytes, which are rounded down to whole pages.
    fn fill(&self, free: u64) -> Result {
        const PAGE: u64 = 4096;
        let path = self.path.join(FILL);
        let mut file = fs::File::create(&path).context("cannot fill the disk")?;
        let page = [1; PAGE as usize];
        while file.write_all(&page).is_ok() {}
        let full = file.metadata().context("cannot fill the disk")?.len();
        let length = (full - full % PAGE).saturating_sub(free - free % PAGE);
        file.set_len(length).context("cannot fill the disk")
    }

    /// The names of all files, sorted.
    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).context("cannot read the disk")?;
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<String> = names
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg(&self.path).status().ok();
    }
}

/// Bytes of all files in a folder, each rounded up to a page.
fn size(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder).context("cannot read a folder")? {
        let path = entry.context("cannot read a folder")?.path();
        total += if path.is_dir() {
            size(&path)?
        } else {
            let length = path.metadata().context("cannot read a file")?.len();
            length.next_multiple_of(4096)
        };
    }
    Ok(total)
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> Result {
    fs::create_dir(to).context("cannot create a folder")?;
    for entry in fs::read_dir(from).context("cannot read a folder")? {
        let path = entry.context("cannot read a folder")?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target).context("cannot copy a file")?;
        }
    }
    Ok(())
}
