//! Trains the runs of a comparison, and resumes or extends an existing comparison.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Args;
use crate::cli::Ui;
use crate::cli::common::shell_line;
use crate::cli::files::{RUNS_FOLDER, create_folder, write_file};
use crate::cli::signals::stop_on_signal;
use evenkeel::config::{Diagnostic, Override};
use evenkeel::env::thread_count;
use evenkeel::lab::{
    self, Arm, ChildProgress, CompareError, CompareOptions, PlannedRun, ProgressListener,
};
use evenkeel::runs::{Comparison, RunDir, RunStatus};
use evenkeel::scenario::{self, shipped_scenarios};
use evenkeel::telemetry::format::{duration, number, percent};

/// A comparison that the user requested by flags or by a grid file.
#[derive(Clone, Debug)]
pub(super) struct ComparisonRequest {
    /// The scenario's name or path, as the user wrote it.
    pub(super) scenario: String,
    /// Arms to train. If empty, the existing comparison's arms or the default arms.
    pub(super) arms: Vec<String>,
    /// The file that defines `defined_arms`.
    pub(super) arm_file: Option<PathBuf>,
    /// Arms besides the built-in ones.
    pub(super) defined_arms: Vec<Arm>,
    /// The first seed.
    pub(super) seed: Option<u64>,
    /// Number of seeds per arm.
    pub(super) seeds: Option<u64>,
    /// Environment steps of each run.
    pub(super) steps: Option<u64>,
    /// Held-out episodes of each run's final evaluation.
    pub(super) episodes: Option<u64>,
    /// Overrides for every arm, each `path=value`.
    pub(super) set: Vec<String>,
    /// Number of runs trained at the same time.
    pub(super) jobs: Option<u32>,
    /// The comparison's folder. Defaults to a folder named after the scenario and the time.
    pub(super) out: Option<PathBuf>,
}

impl ComparisonRequest {
    /// Reads the flags of `evenkeel compare SCENARIO`.
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

/// Trains the comparison's runs that do not exist yet, and returns its folder.
pub(super) fn run(
    request: &ComparisonRequest,
    stop: &AtomicBool,
    ui: &Ui,
) -> anyhow::Result<PathBuf> {
    let overrides = parse_overrides(&request.set)?;
    let scenario = scenario::resolve(&request.scenario, &overrides)?;
    let folder = request
        .out
        .clone()
        .unwrap_or_else(|| default_folder("compare", &scenario.name));
    let (mut manifest, arms) = plan(request, &folder)?;
    create_folder(&folder)?;
    // A resumed comparison reads its arms from this file, so that their settings stay the same.
    let arm_file = folder.join(ARM_FILE);
    write_file(&arm_file, lab::arms_toml(&arms)?)?;
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
    let result = lab::compare(&mut manifest, &options, &bars, stop);
    bars.all.clear().ok();
    match result {
        Ok(()) => Ok(options.folder),
        Err(error) => Err(Interrupted::of(error, options.folder)),
    }
}

/// Parses the values of `--set`.
pub(super) fn parse_overrides(set: &[String]) -> Result<Vec<Override>, Diagnostic> {
    set.iter().map(|text| Override::parse(text)).collect()
}

/// Returns the default of `--out`: `runs/KIND__NAME__TIME`.
pub(super) fn default_folder(kind: &str, name: &str) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    Path::new(RUNS_FOLDER).join(format!("{kind}__{name}__{now}"))
}

/// Returns a flag that the first Ctrl-C sets. The terminal sends Ctrl-C to the runs' processes too;
/// they save and end. A second Ctrl-C ends this program at once.
pub(super) fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::<AtomicBool>::default();
    stop_on_signal(stop.clone(), || ())?;
    Ok(stop)
}

/// Name of the file in a comparison's folder that defines its arms.
const ARM_FILE: &str = "arms.toml";

/// A comparison that ended early and can be resumed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Interrupted {
    error: CompareError,
    /// The comparison's folder.
    pub(super) folder: PathBuf,
}

impl Interrupted {
    /// Wraps the errors after which resuming can succeed, and returns all others as they are.
    fn of(error: CompareError, folder: PathBuf) -> anyhow::Error {
        match error {
            CompareError::Stopped | CompareError::Child { killed: true, .. } => {
                Self { error, folder }.into()
            }
            error => error.into(),
        }
    }
}

/// Adds the command that resumes a comparison in a scenario, if `error` is an [`Interrupted`].
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

/// Returns `error` together with the command that resumes the comparison: `evenkeel compare` with
/// `args`.
pub(super) fn resume_error(
    error: &anyhow::Error,
    args: &[&str],
    jobs: Option<u32>,
) -> anyhow::Error {
    let program = std::env::args_os().next().map_or_else(
        || "evenkeel".to_owned(),
        |program| program.to_string_lossy().into_owned(),
    );
    let mut words = vec![program, "compare".into()];
    words.extend(args.iter().map(|&word| word.to_owned()));
    if let Some(jobs) = jobs {
        words.extend(["--jobs".into(), jobs.to_string()]);
    }
    anyhow::anyhow!("{error}\nresume with:\n  {}", shell_line(&words))
}

/// Returns the scenario as the manifest names it: a shipped name, or an absolute path.
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

/// Returns the requested comparison and its arms. If the folder already holds a comparison, it is
/// extended by the requested arms and seeds, and keeps its other settings.
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

/// Reads the comparison in a folder and adds the requested arms and seeds.
fn extended_comparison(
    request: &ComparisonRequest,
    folder: &Path,
) -> anyhow::Result<(Comparison, Vec<Arm>)> {
    let mut manifest = Comparison::read(folder)?;
    check_same_comparison(request, &manifest, folder)?;
    let arm_file = folder.join(ARM_FILE);
    let saved_arms = if arm_file.is_file() {
        lab::load_arms(&arm_file)?
    } else {
        Vec::new()
    };
    let arms = lab::component_arms(
        &manifest.arms,
        &lab::with_built_in_arms(saved_arms.clone())?,
    )?;
    for arm in &request.defined_arms {
        let Some(existing) = arms.iter().find(|existing| existing.name == arm.name) else {
            continue;
        };
        ensure!(
            existing.settings()? == arm.settings()?,
            "{}: arm '{}' has other settings than in {}; give it another name, or choose another \
             --out",
            request.arm_file.clone().unwrap_or_default().display(),
            arm.name,
            folder.display(),
        );
    }
    let new = request
        .arms
        .iter()
        .filter(|name| !manifest.arms.contains(name));
    let new: Vec<String> = new.cloned().collect();
    manifest.arms.extend(new);
    // The comparison's own arms come first: a built-in arm may have changed since.
    let mut known = arms;
    for arm in request.defined_arms.iter().chain(&saved_arms) {
        if known.iter().all(|existing| existing.name != arm.name) {
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

/// Checks that the request does not contradict the comparison in the folder.
fn check_same_comparison(
    request: &ComparisonRequest,
    manifest: &Comparison,
    folder: &Path,
) -> anyhow::Result<()> {
    let (requested, existing) = (
        absolute_scenario(&request.scenario),
        absolute_scenario(&manifest.scenario),
    );
    let folder = folder.display();
    ensure!(
        requested == existing,
        "{folder}: this folder holds a comparison in {existing}, not in {requested}; choose \
         another --out"
    );
    if let Some(steps) = request.steps.filter(|steps| manifest.steps != Some(*steps)) {
        let existing = manifest
            .steps
            .map_or("the scenario's steps".into(), |steps| {
                format!("--steps {steps}")
            });
        bail!(
            "{folder}: this folder holds a comparison with {existing}, not with --steps {steps}; \
             leave --steps out, or choose another --out"
        );
    }
    if !request.set.is_empty() && request.set != manifest.set {
        let existing = match manifest.set.as_slice() {
            [] => "no --set".to_owned(),
            set => format!("--set {}", set.join(" --set ")),
        };
        bail!(
            "{folder}: this folder holds a comparison with {existing}; leave --set out, or choose \
             another --out"
        );
    }
    Ok(())
}

/// Describes how a run ended, as in ` · finished in 21 s · success 70.8 %`.
fn run_status_text(run: &RunDir) -> Option<String> {
    let info = run.info().ok()?;
    let diverged = info.status == RunStatus::Diverged;
    let success = lab::final_success(diverged, run.evaluation().ok()?.as_ref());
    let success = success.map_or(String::new(), |share| {
        format!(" · success {}", percent(share))
    });
    let (status, elapsed) = (info.status.name(), duration(info.wall_secs));
    Some(format!(" · {status} in {elapsed}{success}"))
}

/// Shows one progress bar per active run and one for all runs. Where stderr is no terminal, prints a
/// line for each run that ends.
struct ProgressBars {
    all: MultiProgress,
    total: ProgressBar,
    runs: Vec<ProgressBar>,
    prints_lines: bool,
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
            prints_lines: !std::io::stderr().is_terminal(),
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
        if self.prints_lines {
            let (done, count) = (self.total.position(), self.total.length().unwrap_or(0));
            let status = run_status_text(run).unwrap_or_default();
            eprintln!("{done} of {count} runs · {} s{}{status}", job.arm, job.seed);
        }
    }
}
