//! `evenkeel compare`: arms against each other on the same seeds, or runs that exist.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Serialize;

use super::common::{MAX_EPISODES, parse_count};
use super::{Ui, report, scorecard};
use crate::lab::{Assessment, RunRecord, assess};
use crate::scenario::{Diagnostic, Override, shipped};

/// Arguments of `evenkeel compare`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Clipping against none and against nothing at all, five seeds each:
    evenkeel compare reference --arms clipped,unclipped,raw --seeds 5
  Ways to clip against each other:
    evenkeel compare reference --arms clipped,agc,autoclip,zclip --seeds 5
  A quick look:
    evenkeel compare open_field --arms clipped,raw --seeds 2 --steps 400k
  Go on with a comparison that was interrupted, or add to it:
    evenkeel compare reference --out runs/compare__reference__20260101T120000Z
    evenkeel compare reference --out runs/compare__reference__20260101T120000Z --seeds 10
  Runs that exist:
    evenkeel compare runs/reference__clipped__s1__* runs/reference__raw__s1__*")]
pub struct Args {
    /// A scenario to train the arms in; or two or more folders of runs that exist
    #[arg(required = true, value_name = "SCENARIO|RUN")]
    what: Vec<String>,
    /// Arms to compare, the first against each other one; `evenkeel arms` lists them
    /// [default: clipped,raw]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    arms: Option<Vec<String>>,
    /// TOML file with further arms: [[arm]] name = "…", about = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// Seeds for each arm; under five, differences are shown but nothing is claimed
    /// [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,
    /// The first seed [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Environment steps of each run, as in 2000000 or 2M [default: the scenario's]
    #[arg(long, alias = "total-timesteps", value_name = "N", value_parser = parse_count)]
    steps: Option<u64>,
    /// Runs at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    jobs: Option<u32>,
    /// Held-out episodes of each run's final evaluation [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MAX_EPISODES))]
    episodes: Option<u64>,
    /// Override one setting in every arm, as in `--set train.gamma=0.98`; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = checked_override)]
    set: Vec<String>,
    /// Folder of the comparison; one that is there is gone on with: flags add arms and seeds, and
    /// what no flag says stays as it is
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    /// The first flag given that means nothing for runs that exist.
    fn training_flag(&self) -> Option<&'static str> {
        let given = [
            ("--arms", self.arms.is_some()),
            ("--arm-file", self.arm_file.is_some()),
            ("--seeds", self.seeds.is_some()),
            ("--seed", self.seed.is_some()),
            ("--steps", self.steps.is_some()),
            ("--jobs", self.jobs.is_some()),
            ("--episodes", self.episodes.is_some()),
            ("--set", !self.set.is_empty()),
        ];
        given
            .into_iter()
            .find_map(|(flag, given)| given.then_some(flag))
    }
}

#[derive(Serialize)]
struct Answer {
    report: PathBuf,
    scenarios: Vec<Assessment>,
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
    // A shipped name means the scenario even where a folder has that name; ./NAME is the folder.
    let named = shipped()
        .iter()
        .any(|scenario| scenario.name == args.what[0]);
    let exist = folders.len() > 1 || (folders[0].is_dir() && !named);
    if exist {
        if let Some(flag) = args.training_flag() {
            bail!("{flag} is about training, and runs that exist are only compared; leave it out");
        }
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
    bail!("this program was built without libtorch and compares only runs that exist")
}

fn answer(out: &Path, records: &[RunRecord], order: &[String], ui: &Ui) -> anyhow::Result<()> {
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent)?;
    }
    report::write(out, records, order)?;
    let answer = Answer {
        report: out.to_owned(),
        scenarios: assess(records, order),
    };
    ui.answer(&answer, |answer| {
        let text = scorecard::text(&answer.scenarios);
        format!("{text}{}", answer.report.display())
    })
}

#[cfg(feature = "learn")]
mod train {
    //! Training what is to be compared.

    use std::io::IsTerminal as _;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use anyhow::{Context as _, bail, ensure};
    use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

    use super::Args;
    use crate::cli::Ui;
    use crate::env::thread_count;
    use crate::lab::format::{duration, number, percent};
    use crate::lab::{self, Arm, ChildProgress, CompareError, CompareOptions, Job, Watcher};
    use crate::runs::{Comparison, RunDir, RunStatus, write_atomic};
    use crate::scenario::{self, Override, shipped};

    /// Trains what is not there yet; gives the comparison's folder.
    pub(super) fn run(args: &Args, ui: &Ui) -> anyhow::Result<PathBuf> {
        let name = &args.what[0];
        let overrides: Vec<Override> = args
            .set
            .iter()
            .map(|text| Override::parse(text))
            .collect::<Result<_, _>>()?;
        let scenario = scenario::resolve(name, &overrides)?;
        let named = args.arms.as_deref().unwrap_or_default();
        for (index, arm) in named.iter().enumerate() {
            ensure!(!named[..index].contains(arm), "arm '{arm}' is named twice");
        }
        let folder = args.out.clone().unwrap_or_else(|| {
            let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            PathBuf::from(format!("runs/compare__{}__{now}", scenario.name))
        });
        let (mut manifest, arms) = plan(args, &folder)?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        // What the arms are now, so that going on later means the same.
        let arm_file = folder.join(ARM_FILE);
        write_atomic(&arm_file, lab::arms_toml(&arms)?.as_bytes())
            .with_context(|| format!("cannot write {}", arm_file.display()))?;
        let cores = thread_count(0);
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
        done.map_err(|error| go_on(error, args, &options.folder))?;
        Ok(options.folder)
    }

    /// The definitions of a comparison's arms, in its folder.
    const ARM_FILE: &str = "arms.toml";

    /// Says how to go on after an interruption; after a mistake the same again would not help.
    fn go_on(error: CompareError, args: &Args, folder: &Path) -> anyhow::Error {
        let interrupted = matches!(
            error,
            CompareError::Stopped | CompareError::Child { killed: true, .. }
        );
        if !interrupted {
            return error.into();
        }
        let program = std::env::args_os().next().map_or_else(
            || "evenkeel".to_owned(),
            |program| program.to_string_lossy().into_owned(),
        );
        let folder = folder.display().to_string();
        let mut words = vec![program, "compare".into(), args.what[0].clone()];
        words.extend(["--out".into(), folder]);
        if let Some(jobs) = args.jobs {
            words.extend(["--jobs".into(), jobs.to_string()]);
        }
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        anyhow::anyhow!("{error}\ngo on with:\n  {}", words.join(" "))
    }

    /// A word as a shell reads it.
    fn quoted(word: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,=@%+".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.to_owned()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    }

    /// The scenario as the manifest has it: a shipped name, or an absolute path.
    fn place(name: &str) -> String {
        if shipped().iter().any(|scenario| scenario.name == name) {
            return name.to_owned();
        }
        Path::new(name)
            .canonicalize()
            .map_or_else(|_| name.to_owned(), |path| path.display().to_string())
    }

    /// The comparison that is asked for, and its arms. One that is in the folder already stays as
    /// it is but for arms, seeds and episodes that flags ask for.
    fn plan(args: &Args, folder: &Path) -> anyhow::Result<(Comparison, Vec<Arm>)> {
        if Comparison::is_in(folder) {
            return grown(args, folder);
        }
        let default = || ["clipped", "raw"].map(str::to_owned).to_vec();
        let names = args.arms.clone().unwrap_or_else(default);
        let arms = lab::arms(&names, args.arm_file.as_deref())?;
        let seeds = seeds(args.seed.unwrap_or(1), args.seeds.unwrap_or(5));
        let episodes = args.episodes.unwrap_or(1000);
        let mut manifest = Comparison::new(place(&args.what[0]), names, seeds, episodes);
        manifest.steps = args.steps;
        manifest.set.clone_from(&args.set);
        Ok((manifest, arms))
    }

    fn seeds(first: u64, count: u64) -> Vec<u64> {
        (first..first.saturating_add(count)).collect()
    }

    /// The comparison in a folder, with what the flags add to it.
    fn grown(args: &Args, folder: &Path) -> anyhow::Result<(Comparison, Vec<Arm>)> {
        let mut manifest = Comparison::read(folder)?;
        let shown = folder.display();
        let (asked, there) = (place(&args.what[0]), place(&manifest.scenario));
        ensure!(
            asked == there,
            "{shown}: this folder holds a comparison in {there}, not in {asked}; choose another \
             --out"
        );
        if let Some(steps) = args.steps.filter(|steps| manifest.steps != Some(*steps)) {
            let there = manifest
                .steps
                .map_or("the scenario's steps".into(), |steps| {
                    format!("--steps {steps}")
                });
            bail!(
                "{shown}: this folder holds a comparison with {there}, not with --steps {steps}; \
                 leave --steps out, or choose another --out"
            );
        }
        if !args.set.is_empty() && args.set != manifest.set {
            let there = match manifest.set.as_slice() {
                [] => "no --set".to_owned(),
                set => format!("--set {}", set.join(" --set ")),
            };
            bail!(
                "{shown}: this folder holds a comparison with {there}; leave --set out, or choose \
                 another --out"
            );
        }
        let kept = folder.join(ARM_FILE);
        let kept = kept.is_file().then_some(kept);
        let mut arms = lab::arms(&manifest.arms, kept.as_deref())?;
        if let Some(file) = &args.arm_file {
            for arm in lab::arms_in(file)? {
                let Some(there) = arms.iter().find(|there| there.name == arm.name) else {
                    continue;
                };
                ensure!(
                    there.settings()? == arm.settings()?,
                    "{}: arm '{}' is not the one that {shown} was begun with; give it another \
                     name, or choose another --out",
                    file.display(),
                    arm.name
                );
            }
        }
        for name in args.arms.iter().flatten() {
            if !manifest.arms.contains(name) {
                arms.push(lab::arm(
                    name,
                    args.arm_file.as_deref().or(kept.as_deref()),
                )?);
                manifest.arms.push(name.clone());
            }
        }
        if args.seeds.is_some() || args.seed.is_some() {
            let first = manifest.seeds.iter().min().copied().unwrap_or(1);
            let count = args.seeds.unwrap_or(manifest.seeds.len() as u64);
            manifest
                .seeds
                .extend(seeds(args.seed.unwrap_or(first), count));
            manifest.seeds.sort_unstable();
            manifest.seeds.dedup();
        }
        manifest.episodes = args.episodes.unwrap_or(manifest.episodes);
        Ok((manifest, arms))
    }

    /// ` · finished in 21 s · success 70.8 %`.
    fn described(run: &RunDir) -> Option<String> {
        let info = run.info().ok()?;
        let diverged = info.status == RunStatus::Diverged;
        let success = lab::final_success(diverged, run.evaluation().ok()?.as_ref());
        let success = success.map_or(String::new(), |share| {
            format!(" · success {}", percent(share))
        });
        let (status, took) = (info.status.name(), duration(info.wall_secs));
        Some(format!(" · {status} in {took}{success}"))
    }

    /// A bar for each run under way and one for all; where stderr is no terminal, a line for each
    /// run that ends.
    struct Bars {
        all: MultiProgress,
        total: ProgressBar,
        runs: Vec<ProgressBar>,
        lines: bool,
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
            Self {
                all,
                total,
                runs,
                lines: !std::io::stderr().is_terminal(),
            }
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

        fn ended(&self, job: &Job, run: &RunDir) {
            let bar = &self.runs[job.index];
            bar.finish_and_clear();
            self.all.remove(bar);
            self.total.inc(1);
            if self.lines {
                let (done, of) = (self.total.position(), self.total.length().unwrap_or(0));
                let how = described(run).unwrap_or_default();
                eprintln!("{done} of {of} runs · {} s{}{how}", job.arm, job.seed);
            }
        }
    }
}
