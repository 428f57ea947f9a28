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
use evenkeel::config::Override;
use evenkeel::env::thread_count;
use evenkeel::lab::{
    self, Arm, ChildProgress, CompareError, CompareOptions, PlannedRun, ProgressListener,
};
use evenkeel::runs::{Comparison, RunDir, RunStatus, write_atomic};
use evenkeel::scenario::{self, shipped_scenarios};
use evenkeel::telemetry::format::{duration, number, percent};

/// What is asked for: by flags, or by a file.
#[derive(Clone, Debug)]
pub(super) struct ComparisonRequest {
    /// The scenario as it was written.
    pub(super) scenario: String,
    /// Arms to train; none: those that are there, or the default ones.
    pub(super) arms: Vec<String>,
    /// The file that `defined_arms` is from.
    pub(super) arm_file: Option<PathBuf>,
    /// Arms beside the built-in ones.
    pub(super) defined_arms: Vec<Arm>,
    /// The first seed.
    pub(super) seed: Option<u64>,
    /// Seeds for each arm.
    pub(super) seeds: Option<u64>,
    /// Environment steps of each run.
    pub(super) steps: Option<u64>,
    /// Held-out episodes of each run's evaluation.
    pub(super) episodes: Option<u64>,
    /// `path=value` for every arm.
    pub(super) set: Vec<String>,
    /// Runs at once.
    pub(super) jobs: Option<u32>,
    /// Where it is kept; a folder named after scenario and time if left out.
    pub(super) out: Option<PathBuf>,
}

impl ComparisonRequest {
    /// What the flags of `evenkeel compare SCENARIO` ask for.
    pub(super) fn from_args(args: &Args) -> anyhow::Result<Self> {
        let arms = args.arms.clone().unwrap_or_default();
        for (index, arm) in arms.iter().enumerate() {
            ensure!(!arms[..index].contains(arm), "arm '{arm}' is named twice");
        }
        let arm_file = args.arm_file.clone();
        let defined_arms = arm_file.as_deref().map(lab::load_arms).transpose()?;
        Ok(Self {
            scenario: args.what[0].clone(),
            arms,
            defined_arms: defined_arms.unwrap_or_default(),
            arm_file,
            seed: args.seed,
            seeds: args.seeds,
            steps: args.steps,
            episodes: args.episodes,
            set: args.set.clone(),
            jobs: args.jobs,
            out: args.out.clone(),
        })
    }
}

/// Trains what is not there yet; gives the comparison's folder.
pub(super) fn run(
    request: &ComparisonRequest,
    stop: &AtomicBool,
    ui: &Ui,
) -> anyhow::Result<PathBuf> {
    let overrides: Vec<Override> = request
        .set
        .iter()
        .map(|text| Override::parse(text))
        .collect::<Result<_, _>>()?;
    let scenario = scenario::resolve(&request.scenario, &overrides)?;
    let folder = request.out.clone().unwrap_or_else(|| {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        PathBuf::from(format!("runs/compare__{}__{now}", scenario.name))
    });
    let (mut manifest, arms) = plan(request, &folder)?;
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    // What the arms are now, so that going on later means the same.
    let arm_file = folder.join(ARM_FILE);
    write_atomic(&arm_file, lab::arms_toml(&arms)?.as_bytes())
        .with_context(|| format!("cannot write {}", arm_file.display()))?;
    let cores = thread_count(0);
    let count = manifest.arms.len() * manifest.seeds.len();
    let jobs = request.jobs.map_or(cores, |jobs| jobs as usize).min(count);
    let options = CompareOptions {
        program: std::env::current_exe().context("cannot find this program")?,
        threads: (cores / jobs).max(1),
        folder,
        arm_file,
        jobs,
    };
    ui.note(format_args!("{}", options.folder.display()));
    let bars = ProgressBars::new(&manifest);
    let done = lab::compare(&mut manifest, &options, &bars, stop);
    bars.all.clear().ok();
    match done {
        Ok(()) => Ok(options.folder),
        Err(error) => Err(Interrupted::of(error, options.folder)),
    }
}

/// Asks for an end when the user does. The terminal tells the runs as well, and they save; whoever
/// asks twice will not wait.
pub(super) fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}

/// The definitions of a comparison's arms, in its folder.
const ARM_FILE: &str = "arms.toml";

/// A comparison that ended early and can be gone on with.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Interrupted {
    error: CompareError,
    /// Its folder.
    pub(super) folder: PathBuf,
}

impl Interrupted {
    /// After a mistake the same again would not help.
    fn of(error: CompareError, folder: PathBuf) -> anyhow::Error {
        match error {
            CompareError::Stopped | CompareError::Child { killed: true, .. } => {
                Self { error, folder }.into()
            }
            error => error.into(),
        }
    }
}

/// Says how to go on after an interruption of a comparison in a scenario.
pub(super) fn with_resume_hint(
    error: anyhow::Error,
    scenario: &str,
    jobs: Option<u32>,
) -> anyhow::Error {
    let Some(Interrupted { folder, .. }) = error.downcast_ref() else {
        return error;
    };
    let out = folder.display().to_string();
    resume_error(&error, &[scenario, "--out", &out], jobs)
}

/// An error with the words of a command that goes on from there.
pub(super) fn resume_error(
    error: &anyhow::Error,
    about: &[&str],
    jobs: Option<u32>,
) -> anyhow::Error {
    let program = std::env::args_os().next().map_or_else(
        || "evenkeel".to_owned(),
        |program| program.to_string_lossy().into_owned(),
    );
    let mut words = vec![program, "compare".into()];
    words.extend(about.iter().map(|&word| word.to_owned()));
    if let Some(jobs) = jobs {
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
fn absolute_scenario(name: &str) -> String {
    if shipped_scenarios()
        .iter()
        .any(|scenario| scenario.name == name)
    {
        return name.to_owned();
    }
    Path::new(name)
        .canonicalize()
        .map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

/// The comparison that is asked for, and the arms that it is made of. One that is in the folder
/// already stays as it is but for arms, seeds and episodes that are asked for.
fn plan(request: &ComparisonRequest, folder: &Path) -> anyhow::Result<(Comparison, Vec<Arm>)> {
    if Comparison::exists_in(folder) {
        return extended_comparison(request, folder);
    }
    let mut names = request.arms.clone();
    if names.is_empty() {
        names = ["clipped", "raw"].map(str::to_owned).to_vec();
    }
    let known = lab::with_built_in_arms(request.defined_arms.clone())?;
    let arms = lab::component_arms(&names, &known)?;
    let seeds = seeds(request.seed.unwrap_or(1), request.seeds.unwrap_or(5));
    let episodes = request.episodes.unwrap_or(1000);
    let mut manifest =
        Comparison::new(absolute_scenario(&request.scenario), names, seeds, episodes);
    manifest.steps = request.steps;
    manifest.set.clone_from(&request.set);
    Ok((manifest, arms))
}

fn seeds(first: u64, count: u64) -> Vec<u64> {
    (first..first.saturating_add(count)).collect()
}

/// The comparison in a folder, with what is asked for beside it.
fn extended_comparison(
    request: &ComparisonRequest,
    folder: &Path,
) -> anyhow::Result<(Comparison, Vec<Arm>)> {
    let mut manifest = Comparison::read(folder)?;
    check_same_comparison(request, &manifest, folder)?;
    let shown = folder.display();
    let kept = folder.join(ARM_FILE);
    let kept = if kept.is_file() {
        lab::load_arms(&kept)?
    } else {
        Vec::new()
    };
    let arms = lab::component_arms(&manifest.arms, &lab::with_built_in_arms(kept.clone())?)?;
    for arm in &request.defined_arms {
        let Some(there) = arms.iter().find(|there| there.name == arm.name) else {
            continue;
        };
        ensure!(
            there.settings()? == arm.settings()?,
            "{}: arm '{}' is not the one that {shown} was begun with; give it another name, or \
             choose another --out",
            request.arm_file.clone().unwrap_or_default().display(),
            arm.name
        );
    }
    let new = request
        .arms
        .iter()
        .filter(|name| !manifest.arms.contains(name));
    let new: Vec<String> = new.cloned().collect();
    manifest.arms.extend(new);
    // What it was begun with comes first: a built-in arm may have changed since.
    let mut known = arms;
    for arm in request.defined_arms.iter().chain(&kept) {
        if known.iter().all(|there| there.name != arm.name) {
            known.push(arm.clone());
        }
    }
    let arms = lab::component_arms(&manifest.arms, &lab::with_built_in_arms(known)?)?;
    if request.seeds.is_some() || request.seed.is_some() {
        let first = manifest.seeds.iter().min().copied().unwrap_or(1);
        let count = request.seeds.unwrap_or(manifest.seeds.len() as u64);
        manifest
            .seeds
            .extend(seeds(request.seed.unwrap_or(first), count));
        manifest.seeds.sort_unstable();
        manifest.seeds.dedup();
    }
    manifest.episodes = request.episodes.unwrap_or(manifest.episodes);
    Ok((manifest, arms))
}

/// Refuses to go on with a comparison as if it were another.
fn check_same_comparison(
    request: &ComparisonRequest,
    manifest: &Comparison,
    folder: &Path,
) -> anyhow::Result<()> {
    let shown = folder.display();
    let (scenario, there) = (
        absolute_scenario(&request.scenario),
        absolute_scenario(&manifest.scenario),
    );
    ensure!(
        scenario == there,
        "{shown}: this folder holds a comparison in {there}, not in {scenario}; choose another \
         --out"
    );
    if let Some(steps) = request.steps.filter(|steps| manifest.steps != Some(*steps)) {
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
    if !request.set.is_empty() && request.set != manifest.set {
        let there = match manifest.set.as_slice() {
            [] => "no --set".to_owned(),
            set => format!("--set {}", set.join(" --set ")),
        };
        bail!(
            "{shown}: this folder holds a comparison with {there}; leave --set out, or choose \
             another --out"
        );
    }
    Ok(())
}

/// ` · finished in 21 s · success 70.8 %`.
fn run_status_text(run: &RunDir) -> Option<String> {
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
struct ProgressBars {
    all: MultiProgress,
    total: ProgressBar,
    runs: Vec<ProgressBar>,
    lines: bool,
}

impl ProgressBars {
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

impl ProgressListener for ProgressBars {
    fn run_started(&self, job: &PlannedRun) {
        let bar = &self.runs[job.index];
        let style = "{prefix:16} {bar:28} {percent:>3} %  {msg}";
        let style = ProgressStyle::with_template(style).expect("the template is well-formed");
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(format!("{} s{}", job.arm, job.seed));
        bar.set_length(1);
        self.all.insert_before(&self.total, bar.clone());
    }

    fn run_progressed(&self, job: &PlannedRun, progress: &ChildProgress) {
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

    fn run_evaluating(&self, job: &PlannedRun) {
        self.runs[job.index].set_message("evaluating");
    }

    fn run_finished(&self, job: &PlannedRun, run: &RunDir) {
        let bar = &self.runs[job.index];
        bar.finish_and_clear();
        self.all.remove(bar);
        self.total.inc(1);
        if self.lines {
            let (done, of) = (self.total.position(), self.total.length().unwrap_or(0));
            let how = run_status_text(run).unwrap_or_default();
            eprintln!("{done} of {of} runs · {} s{}{how}", job.arm, job.seed);
        }
    }
}
