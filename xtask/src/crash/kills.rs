//! Training is killed at random moments and resumed until it ends. What it leaves must be what
//! undisturbed training leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use super::{Options, Program, artifacts, progress};
use crate::{Context, Result};

/// Training that is killed. All of it takes a second or two.
struct Case {
    name: &'static str,
    /// Arguments that start it, without `--out`.
    start: &'static [&'static str],
    /// Whether it is a comparison, which continues by the same command.
    is_comparison: bool,
}

/// Settings of all trainings: short rollouts, with evaluations and checkpoints that are out of step.
const SMALL: [&str; 7] = [
    "--set=train.horizon=32",
    "--set=train.minibatches=2",
    "--set=train.epochs=2",
    "--set=train.checkpoint_every=3",
    "--set=train.eval_every=5",
    "--set=train.eval_episodes=10",
    "--set=policy.actor.hidden=[32]",
];

/// Arguments of a single training besides those of its case.
const SINGLE: [&str; 2] = ["--progress=none", "--episodes=10"];

const CASES: [Case; 6] = [
    Case {
        name: "plain",
        start: &["train", "movers", "--seed=7", "--envs=32", "--steps=12k"],
        is_comparison: false,
    },
    Case {
        name: "recorded",
        start: &[
            "train",
            "reference",
            "--seed=8",
            "--envs=32",
            "--steps=9k",
            "--record-every=2",
        ],
        is_comparison: false,
    },
    Case {
        name: "robots",
        start: &[
            "train",
            "swap",
            "--seed=9",
            "--envs=36",
            "--steps=9k",
            "--record-every=4",
        ],
        is_comparison: false,
    },
    Case {
        name: "memory",
        start: &[
            "train",
            "open_field",
            "--seed=10",
            "--envs=32",
            "--steps=8k",
            "--set=policy.memory={gru={size=16}}",
        ],
        is_comparison: false,
    },
    Case {
        name: "comparison",
        start: &[
            "compare",
            "open_field",
            "--arms=clipped,raw",
            "--seeds=2",
            "--jobs=2",
            "--steps=4k",
            "--episodes=10",
            "--set=train.num_envs=32",
        ],
        is_comparison: true,
    },
    Case {
        name: "grid",
        start: &["compare", "--grid=../grid.toml", "--jobs=2"],
        is_comparison: true,
    },
];

/// A grid of two cells in two scenarios.
const GRID: &str = r#"
scenarios = ["open_field", "reference"]
seeds = 1
steps = 4000
episodes = 10
set = ["train.num_envs=16", "train.horizon=32", "train.epochs=2", "train.checkpoint_every=3"]
[[axis]]
name = "clip"
arms = ["clipped", "raw"]
"#;

/// Longest time that one command may take.
const TIME_LIMIT: Duration = Duration::from_mins(5);

/// Kills training `options.kills` times in all. Returns what differed.
pub(super) fn check(program: &Program, scratch: &Path, options: &Options) -> Result<Vec<String>> {
    if options.kills == 0 {
        return Ok(Vec::new());
    }
    if cfg!(not(unix)) {
        progress("skipped killing: it needs Unix, where a process group can be killed");
        return Ok(Vec::new());
    }
    fs::write(scratch.join("grid.toml"), GRID).context("cannot write the grid")?;
    let mut random = Random(options.seed);
    let mut references: Vec<Option<(PathBuf, Duration)>> = CASES.iter().map(|_| None).collect();
    let (mut kills, mut trials, mut same) = (0, 0, 0);
    let mut failures = Vec::new();
    while kills < options.kills {
        let index = trials % CASES.len();
        let case = &CASES[index];
        if references[index].is_none() {
            references[index] = Some(undisturbed(program, case, scratch)?);
        }
        let (expected, duration) = references[index].as_mut().expect("it was just made");
        trials += 1;
        let name = format!("{}-{trials}", case.name);
        let folder = scratch.join(&name);
        fs::create_dir(&folder).context("cannot create a folder")?;
        let trial = Trial {
            program,
            case,
            folder: &folder,
            duration: *duration,
        };
        let before = kills;
        let started = Instant::now();
        let most = (kills + 1 + (3.0 * random.share()) as u32).min(options.kills);
        let found = match trial.run(&mut random, most, &mut kills) {
            Ok(()) => artifacts::differences(expected, &folder.join("run"))?,
            Err(failure) => vec![failure],
        };
        let count = kills - before;
        if count == 0 {
            // Another load of the machine: it ended before it could be killed.
            *duration = started.elapsed();
        }
        if found.is_empty() {
            same += 1;
            fs::remove_dir_all(&folder).ok();
        }
        let result = match found.as_slice() {
            [] => "the same".to_owned(),
            found => found.join("; "),
        };
        progress(&format!("{name}: killed {count} times, {result}"));
        failures.extend(found.iter().map(|found| format!("{name}: {found}")));
    }
    progress(&format!(
        "{kills} kills in {trials} trainings, of which {same} left the same as undisturbed"
    ));
    Ok(failures)
}

/// Trains without a disturbance. Returns what it left, and how long it took.
fn undisturbed(program: &Program, case: &Case, scratch: &Path) -> Result<(PathBuf, Duration)> {
    let folder = scratch.join(format!("{}-undisturbed", case.name));
    fs::create_dir(&folder).context("cannot create a folder")?;
    let started = Instant::now();
    program.succeed(&folder, &case.arguments())?;
    Ok((folder.join("run"), started.elapsed()))
}

impl Case {
    /// The arguments that start training in the folder `run`.
    fn arguments(&self) -> Vec<&'static str> {
        let mut args = self.start.to_vec();
        let is_grid = args.iter().any(|word| word.starts_with("--grid"));
        if !is_grid {
            args.extend(SMALL);
        }
        if !self.is_comparison {
            args.extend(SINGLE);
        }
        args.push("--out=run");
        args
    }
}

/// A training that is killed once or more, and ends.
struct Trial<'a> {
    program: &'a Program,
    case: &'a Case,
    folder: &'a Path,
    /// How long it takes without a disturbance.
    duration: Duration,
}

impl Trial<'_> {
    /// Starts training, kills it, resumes it, and so on, until `kills` has grown to `most` and it ends.
    fn run(&self, random: &mut Random, most: u32, kills: &mut u32) -> Result {
        let mut log: Vec<String> = Vec::new();
        loop {
            let args = self.next_arguments();
            log.extend(["evenkeel ", &args.join(" "), "\n"].map(str::to_owned));
            let mut command = self.program.command(self.folder, &args);
            let stderr = fs::File::create(self.folder.join("log")).context("cannot write a log")?;
            command.stderr(stderr);
            #[cfg(unix)]
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut child = command.spawn().context("cannot start evenkeel")?;
            // Half of the kills come at any time, half soon after the start.
            let share = random.share() * if random.share() < 0.5 { 1.0 } else { 0.3 };
            let kill_after = (*kills < most).then(|| self.duration.mul_f64(share));
            match wait(&mut child, kill_after)? {
                Ended::Killed => {
                    *kills += 1;
                    log.push("killed\n".to_owned());
                }
                Ended::Itself(true) => return Ok(()),
                Ended::Itself(false) => {
                    let stderr = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    // It was killed after it had written everything.
                    if stderr.contains("steps of this run are done") {
                        return Ok(());
                    }
                    let log = log.concat();
                    return Err(format!("ended with an error after\n{log}{stderr}"));
                }
            }
        }
    }

    /// The arguments that start training, or resume what is there.
    fn next_arguments(&self) -> Vec<&'static str> {
        let is_run = self.folder.join("run/run.json").is_file();
        if self.case.is_comparison || !is_run {
            return self.case.arguments();
        }
        let mut args = vec!["train", "--resume=run"];
        args.extend(SINGLE);
        args
    }
}

/// How a process ended.
enum Ended {
    Killed,
    /// Whether it succeeded.
    Itself(bool),
}

/// Waits for a process. Kills it and its children after a time, if one is given.
fn wait(child: &mut Child, kill_after: Option<Duration>) -> Result<Ended> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for evenkeel")? {
            return Ok(Ended::Itself(status.success()));
        }
        let elapsed = started.elapsed();
        if kill_after.is_some_and(|after| elapsed >= after) {
            kill_group(child)?;
            return Ok(Ended::Killed);
        }
        if elapsed > TIME_LIMIT {
            kill_group(child)?;
            return Err(format!("no end after {} s", TIME_LIMIT.as_secs()));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends SIGKILL to a process and the processes that it has started.
fn kill_group(child: &mut Child) -> Result {
    let group = format!("-{}", child.id());
    let mut kill = std::process::Command::new("kill");
    kill.args(["-KILL", "--", &group]);
    kill.status().context("cannot run kill")?;
    child.wait().context("cannot wait for evenkeel")?;
    Ok(())
}

/// `SplitMix64`, so that a seed gives the same moments.
struct Random(u64);

impl Random {
    /// A number from 0 to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }
}
