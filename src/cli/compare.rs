//! `evenkeel compare`: arms against each other on the same seeds, or runs that exist.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde::Serialize;

use super::common::parse_count;
use super::{Ui, report, scorecard};
use crate::lab::{RunRecord, Scorecard, Verdict};
use crate::scenario::{Diagnostic, Override};

/// Arguments of `evenkeel compare`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Clipping against none and against nothing at all, five seeds each:
    evenkeel compare reference --arms clipped,unclipped,raw --seeds 5
  A quick look:
    evenkeel compare open_field --arms clipped,raw --seeds 2 --steps 400k
  Go on with a comparison that was interrupted:
    evenkeel compare reference --out runs/compare__reference__20260101T120000Z
  Runs that exist:
    evenkeel compare runs/reference__clipped__s1__* runs/reference__raw__s1__*")]
pub struct Args {
    /// A scenario to train the arms in; or two or more folders of runs that exist
    #[arg(required = true, value_name = "SCENARIO|RUN")]
    what: Vec<String>,
    /// Arms to compare, the first against each other one
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "clipped,raw"
    )]
    arms: Vec<String>,
    /// TOML file with further arms: [[arm]] name = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// Seeds for each arm; under five, differences are shown but nothing is claimed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Environment steps of each run, as in 2000000 or 2M [default: the scenario's]
    #[arg(long, alias = "total-timesteps", value_name = "N", value_parser = parse_count)]
    steps: Option<u64>,
    /// Runs at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// Held-out episodes of each run's final evaluation
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    episodes: u64,
    /// Override one setting in every arm, as in `--set train.gamma=0.98`; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = checked_override)]
    set: Vec<String>,
    /// Folder of the comparison; one that is there is gone on with
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Answer {
    report: PathBuf,
    verdict: Verdict,
    scorecard: Scorecard,
}

/// Takes what `--set` takes as it is written: the runs read it for themselves.
fn checked_override(text: &str) -> Result<String, Diagnostic> {
    Override::parse(text).map(|_| text.to_owned())
}

/// Runs `evenkeel compare`.
///
/// # Errors
/// If an arm or a run is wrong, or training fails.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let folders: Vec<PathBuf> = args.what.iter().map(PathBuf::from).collect();
    let exist = folders.len() > 1 || folders[0].is_dir();
    if exist {
        for folder in &folders {
            ensure!(
                folder.is_dir(),
                "{}: no such run; give one scenario, or runs that exist",
                folder.display()
            );
        }
        let (records, order) = report::read(&folders)?;
        let out = args.out.map_or_else(
            || PathBuf::from("report.html"),
            |out| out.join("report.html"),
        );
        return answer(&out, &records, &order, ui);
    }
    #[cfg(feature = "learn")]
    {
        let folder = train::run(&args, ui)?;
        let (records, order) = report::read(std::slice::from_ref(&folder))?;
        answer(&folder.join("report.html"), &records, &order, ui)
    }
    #[cfg(not(feature = "learn"))]
    anyhow::bail!("this program was built without libtorch and compares only runs that exist")
}

fn answer(out: &Path, records: &[RunRecord], order: &[String], ui: &Ui) -> anyhow::Result<()> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    report::write(out, records, order)?;
    let scorecard = Scorecard::new(records, order);
    let verdict = Verdict::new(&scorecard);
    let answer = Answer {
        report: out.to_owned(),
        verdict,
        scorecard,
    };
    ui.answer(&answer, |answer| {
        let text = scorecard::text(&answer.scorecard, &answer.verdict);
        format!("{text}{}", answer.report.display())
    })
}

#[cfg(feature = "learn")]
mod train {
    //! Training what is to be compared.

    use std::path::PathBuf;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::available_parallelism;
    use std::time::Duration;

    use anyhow::{Context as _, ensure};
    use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

    use super::Args;
    use crate::cli::Ui;
    use crate::lab::format::{number, percent};
    use crate::lab::{self, ChildProgress, CompareError, CompareOptions, Job, Watcher};
    use crate::runs::{Comparison, RunDir};
    use crate::scenario::{self, Override};

    /// Trains what is not there yet; gives the comparison's folder.
    pub(super) fn run(args: &Args, ui: &Ui) -> anyhow::Result<PathBuf> {
        let name = &args.what[0];
        let overrides: Vec<Override> = args
            .set
            .iter()
            .map(|text| Override::parse(text))
            .collect::<Result<_, _>>()?;
        let scenario = scenario::resolve(name, &overrides)?;
        lab::arms(&args.arms, args.arm_file.as_deref())?;
        for (index, arm) in args.arms.iter().enumerate() {
            ensure!(
                !args.arms[..index].contains(arm),
                "arm '{arm}' is named twice"
            );
        }
        let folder = args.out.clone().unwrap_or_else(|| {
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            PathBuf::from(format!("runs/compare__{}__{now}", scenario.name))
        });
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let mut manifest = manifest(args, &folder)?;
        let arm_file = match &args.arm_file {
            Some(file) => Some(lab::keep_arm_file(&folder, file)?),
            None => None,
        };
        let cores = available_parallelism().map_or(1, usize::from);
        let count = manifest.arms.len() * manifest.seeds.len();
        let jobs = args.jobs.map_or(cores, |jobs| jobs as usize).min(count);
        let options = CompareOptions {
            program: std::env::current_exe().context("cannot find this program")?,
            threads: (cores / jobs).max(1),
            folder,
            arm_file,
            jobs,
        };
        ui.note(format_args!("{}", options.folder.display()));
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        // The terminal tells the runs as well, and they save; whoever asks twice will not wait.
        ctrlc::set_handler(move || {
            if asked.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .context("cannot listen for Ctrl-C")?;
        let bars = Bars::new(&manifest);
        let done = lab::compare(&mut manifest, &options, &bars, &stop);
        bars.all.clear().ok();
        done.map_err(|error| go_on(error, args, &options))?;
        Ok(options.folder)
    }

    /// Says how to go on after a failure.
    fn go_on(error: CompareError, args: &Args, options: &CompareOptions) -> anyhow::Error {
        let mut again: Vec<String> = std::env::args().skip(1).collect();
        if args.out.is_none() {
            again.extend(["--out".to_owned(), options.folder.display().to_string()]);
        }
        let again = again.join(" ");
        anyhow::anyhow!("{error}\ngo on with:\n  evenkeel {again}")
    }

    fn manifest(args: &Args, folder: &std::path::Path) -> anyhow::Result<Comparison> {
        let name = &args.what[0];
        let seeds = (args.seed..args.seed.saturating_add(args.seeds)).collect();
        let mut manifest = Comparison::new(name.clone(), args.arms.clone(), seeds, args.episodes);
        manifest.steps = args.steps;
        manifest.set.clone_from(&args.set);
        if Comparison::is_in(folder) {
            let before = Comparison::read(folder)?;
            let asked = (&manifest.scenario, manifest.steps, &manifest.set);
            let there = (&before.scenario, before.steps, &before.set);
            ensure!(
                asked == there,
                "{}: this folder holds a comparison in {} with --steps {} and {} --set; choose \
                 another --out, or ask for the same",
                folder.display(),
                before.scenario,
                before
                    .steps
                    .map_or("left out".to_owned(), |steps| steps.to_string()),
                before.set.len(),
            );
            let asked = |arm: &String, seed: u64| {
                manifest.arms.contains(arm) && manifest.seeds.contains(&seed)
            };
            manifest.runs = before
                .runs
                .into_iter()
                .filter(|r| asked(&r.arm, r.seed))
                .collect();
        }
        Ok(manifest)
    }

    /// A bar for each run under way and one for all.
    struct Bars {
        all: MultiProgress,
        total: ProgressBar,
        runs: Vec<ProgressBar>,
    }

    impl Bars {
        fn new(manifest: &Comparison) -> Self {
            let all = MultiProgress::new();
            let count = (manifest.arms.len() * manifest.seeds.len()) as u64;
            let total = all.add(ProgressBar::new(count));
            let style = ProgressStyle::with_template("{bar:28} {pos} of {len} runs  {elapsed}");
            total.set_style(style.expect("the template is well-formed"));
            total.enable_steady_tick(Duration::from_millis(500));
            let runs = (0..count).map(|_| ProgressBar::hidden()).collect();
            Self { all, total, runs }
        }
    }

    impl Watcher for Bars {
        fn began(&self, job: &Job) {
            let bar = &self.runs[job.index];
            let style = "{prefix:16} {bar:28} {percent:>3} %  {msg}";
            let style = ProgressStyle::with_template(style).expect("the template is well-formed");
            bar.set_style(style.progress_chars("━╸ "));
            bar.set_prefix(format!("{} s{}", job.arm, job.seed));
            bar.set_length(1);
            self.all.insert_before(&self.total, bar.clone());
        }

        fn came(&self, job: &Job, progress: &ChildProgress) {
            let bar = &self.runs[job.index];
            bar.set_length(progress.total);
            bar.set_position(progress.step);
            let figure = |name: &str, value: Option<String>| {
                value.map_or(String::new(), |value| format!("{name} {value}  "))
            };
            bar.set_message(format!(
                "{}{}{:.0} k steps/s",
                figure("success", progress.success.map(percent)),
                figure("‖g‖", progress.grad_norm.map(number)),
                progress.steps_per_sec / 1e3,
            ));
        }

        fn evaluating(&self, job: &Job) {
            self.runs[job.index].set_message("evaluating");
        }

        fn ended(&self, job: &Job, _: &RunDir) {
            let bar = &self.runs[job.index];
            bar.finish_and_clear();
            self.all.remove(bar);
            self.total.inc(1);
        }
    }
}
