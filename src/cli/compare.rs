//! `evenkeel compare`: trains arms on the same seeds and compares them, or compares existing runs.

#[cfg(feature = "learn")]
mod grid;
#[cfg(feature = "learn")]
mod training;

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Serialize;

use super::common::{MAX_EPISODES, MAX_STEPS, checked_override, count, text_path};
#[cfg(feature = "learn")]
use super::signals::stop_runs_on_signal;
use super::{Ui, report, scorecard};
use evenkeel::lab::{Assessment, RunRecords, assess};
use evenkeel::report::subject_mark;
use evenkeel::runs::{
    LAST, RUNS_FOLDER, create_folder, newest_comparison, newest_run_or_comparison,
};
use evenkeel::scenario::shipped_scenarios;

/// Arguments of `evenkeel compare`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Compare the default stabilising techniques, the same without a gradient clip, and none; five seeds
  each:
    evenkeel compare reference --arms clipped,unclipped,raw --seeds 5
  Compare several gradient clips:
    evenkeel compare reference --arms clipped,agc,autoclip,zclip --seeds 5
  Get a first impression:
    evenkeel compare open_field --arms clipped,raw --seeds 2 --steps 400k
  Resume an interrupted comparison, or extend it:
    evenkeel compare reference --out runs/compare__reference__20260101T120000Z
    evenkeel compare reference --out runs/compare__reference__20260101T120000Z --seeds 10
  Train all combinations of arms and settings that a file lists:
    evenkeel compare --grid grids/clips.toml
  Show the comparison that you started last again:
    evenkeel compare @last
  Compare existing runs, also of one arm with different settings:
    evenkeel compare runs/reference__clipped__s1__* runs/reference__raw__s1__*")]
pub(crate) struct Args {
    /// A scenario to train the arms in, or folders of existing runs; `@last` is the comparison that you
    /// started last
    #[arg(required_unless_present = "grid", value_name = "SCENARIO|RUN")]
    what: Vec<String>,
    /// TOML file with a grid: scenarios, seeds, and axes of arms or of a setting's values; every
    /// combination is trained and compared with the file's baseline
    ///
    /// To resume an interrupted grid, repeat the command with the grid's folder as --out.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["what", "arms", "arm_file", "seeds", "seed", "steps", "episodes", "set"]
    )]
    grid: Option<PathBuf>,
    /// Named configurations (arms) to compare: the first one with each of the others; `evenkeel arms` lists them
    /// [default: clipped,raw]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    arms: Option<Vec<String>>,
    /// TOML file with further arms: [[arm]] name = "…", description = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// Number of seeds per arm; with fewer than five, differences are shown without a verdict
    /// [default: 5]
    #[arg(long, value_name = "N", value_parser = count::<u64>(1..=1000))]
    seeds: Option<u64>,
    /// The first seed [default: 1]
    #[arg(long, value_name = "N", value_parser = count::<u64>(0..=u64::MAX))]
    seed: Option<u64>,
    /// Environment steps of each run, as in 2000000 or 2M [default: the scenario's
    /// `train.total_steps`]
    #[arg(long, alias = "total-timesteps", value_name = "N", value_parser = count::<u64>(1..=MAX_STEPS))]
    steps: Option<u64>,
    /// Number of runs trained at the same time [default: one per core]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=1024))]
    jobs: Option<u32>,
    /// Held-out episodes of each run's final evaluation [default: 1000]
    #[arg(long, value_name = "N", value_parser = count::<u64>(1..=MAX_EPISODES))]
    episodes: Option<u64>,
    /// Override one setting in every arm, as in `--set train.gamma=0.98`; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = checked_override)]
    set: Vec<String>,
    /// Folder of the comparison; an existing comparison (`@last`: the one that you started last) is
    /// resumed: --arms and --seeds add to it, and all other settings stay as they are
    #[arg(long, short, value_name = "DIR", value_parser = text_path())]
    out: Option<PathBuf>,
    /// Write over a page on other runs, where existing runs are compared
    #[arg(long)]
    force: bool,
}

impl Args {
    /// Returns the first flag on the command line that only applies to training.
    fn training_flag(&self) -> Option<&'static str> {
        let flags = [
            ("--arms", self.arms.is_some()),
            ("--arm-file", self.arm_file.is_some()),
            ("--seeds", self.seeds.is_some()),
            ("--seed", self.seed.is_some()),
            ("--steps", self.steps.is_some()),
            ("--jobs", self.jobs.is_some()),
            ("--episodes", self.episodes.is_some()),
            ("--set", !self.set.is_empty()),
        ];
        flags
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }
}

#[derive(Serialize)]
struct Output {
    report: PathBuf,
    scenarios: Vec<Assessment>,
}

/// Runs `evenkeel compare`.
///
/// # Errors
/// If an arm or a run is invalid, or training fails.
pub(crate) fn run(mut args: Args, ui: &Ui) -> anyhow::Result<()> {
    if args.out.as_deref() == Some(Path::new(LAST)) {
        args.out = Some(newest_comparison(Path::new(RUNS_FOLDER))?);
    }
    if let Some(file) = &args.grid {
        #[cfg(feature = "learn")]
        return grid::run(file, &args, ui);
        #[cfg(not(feature = "learn"))]
        bail!("{}: {NO_LIBTORCH}", file.display());
    }
    let folders = folders(&args.what)?;
    // A shipped name means the scenario even if a folder has that name; ./NAME is the folder.
    let is_shipped = shipped_scenarios()
        .iter()
        .any(|scenario| scenario.name == args.what[0]);
    let are_runs = folders.len() > 1 || (folders[0].is_dir() && !is_shipped);
    if are_runs {
        if let Some(flag) = args.training_flag() {
            bail!("{flag} applies to training, and existing runs are only compared; leave it out");
        }
        for folder in &folders {
            ensure!(
                folder.is_dir(),
                "{}: no such run; give one scenario, or existing runs",
                folder.display()
            );
        }
        let runs = report::read(&folders, ui)?;
        let subject = subject_mark(&folders);
        let out = match (args.out, folders.as_slice()) {
            (None, [folder]) => folder.join(report::PAGE),
            (out, _) => report::free_page(&out.unwrap_or_default(), &subject, args.force, ui),
        };
        return answer(&out, &runs, &subject, ui);
    }
    #[cfg(feature = "learn")]
    {
        let request = training::request(&args)?;
        let folder = training::run(&request, &*stop_runs_on_signal()?, ui)
            .map_err(|error| training::with_resume_hint(error, &args.what[0], args.jobs))?;
        let runs = report::read(std::slice::from_ref(&folder), ui)?;
        let subject = subject_mark(std::slice::from_ref(&folder));
        answer(&folder.join(report::PAGE), &runs, &subject, ui)
    }
    #[cfg(not(feature = "learn"))]
    bail!("{NO_LIBTORCH}")
}

#[cfg(not(feature = "learn"))]
const NO_LIBTORCH: &str =
    "this program was built without libtorch and can only compare existing runs";

/// The paths that are named; `@last` alone is the comparison that was started last, and beside others
/// also a run.
fn folders(what: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let runs = Path::new(RUNS_FOLDER);
    let resolve = |text: &String| match text.as_str() {
        LAST if what.len() == 1 => newest_comparison(runs),
        LAST => newest_run_or_comparison(runs),
        path => Ok(PathBuf::from(path)),
    };
    Ok(what.iter().map(resolve).collect::<Result<_, _>>()?)
}

fn answer(out: &Path, runs: &RunRecords, subject: &str, ui: &Ui) -> anyhow::Result<()> {
    if let Some(parent) = out.parent() {
        create_folder(parent)?;
    }
    let RunRecords { records, order, .. } = runs;
    report::write(out, records, order, subject)?;
    let answer = Output {
        report: out.to_owned(),
        scenarios: assess(records, order),
    };
    ui.answer(&answer, |answer| {
        let text = scorecard::text(&answer.scenarios);
        format!("{text}{}", answer.report.display())
    })?;
    report::check_complete(runs)
}
