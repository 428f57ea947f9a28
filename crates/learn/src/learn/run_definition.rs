//! What defines one run, a scenario, all settings and a seed; and the run itself in a run directory,
//! trained with logs, checkpoints and evaluations, from the start or from its last checkpoint.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::config::CHANGEABLE_ON_RESUME;
use super::resume::{apply_remedy, changed_settings, check_resumable, check_same_run};
use super::train_state::RunClock;
use super::{
    EvaluateError, Incident, IncidentFolder, LearnError, RunConfig, RunOutcome, StartPolicy,
    TrainHooks, TrainState, Trainer,
};
use evenkeel_runs::eval::{EvalOptions, evaluate};
use evenkeel_runs::recording::{RecordError, Trajectory, record_trajectory};
use evenkeel_runs::runs::{
    RUNS_FOLDER, RunDir, RunError, RunFiles, RunInfo, RunStatus, StopRule, write_atomic,
};
use evenkeel_runs::telemetry::{
    EvalSummary, Event, Fanout, JsonlSink, Sink, TelemetryError, TensorBoardSink,
};
use evenkeel_sim::config::{Diagnostic, Document, InvalidSetting, Override};
use evenkeel_sim::env::{Controller, Probe, VecEnv, VecEnvError, action_dim, obs_layout};
use evenkeel_sim::scenario::{Scenario, TRAINING_SECTIONS};
use evenkeel_sim::seed::{RootSeed, Split};

/// What defines one run: a scenario, all settings and a seed.
#[derive(Clone, Debug)]
pub struct RunDefinition {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// All settings.
    pub config: RunConfig,
    /// The settings without the arm's changes.
    pub base_config: RunConfig,
    /// Root seed of every random stream.
    pub seed: RootSeed,
    /// The policy that the run starts from; absent where it starts from drawn weights.
    pub start: Option<Arc<StartPolicy>>,
}

/// Why a run could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Settings that cannot be read, or are invalid.
    #[error(transparent)]
    Settings(#[from] Diagnostic),
    /// Environments could not be made.
    #[error(transparent)]
    Environment(#[from] VecEnvError),
    /// The run's files.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The run's logs.
    #[error(transparent)]
    Log(#[from] TelemetryError),
    /// Training itself.
    #[error(transparent)]
    Learn(#[from] LearnError),
}

impl RunDefinition {
    /// Settings are the built-in defaults, overridden by the scenario's, an arm's and `overrides`,
    /// in this order. `scenario` must already contain the overrides that change the world.
    pub fn new(
        scenario: Arc<Scenario>,
        arm: &Document,
        overrides: &[Override],
        seed: RootSeed,
    ) -> Result<Self, Diagnostic> {
        let settings = scenario.training_settings();
        Self::with_base_layer(scenario, &settings, arm, overrides, seed)
    }

    /// A run that starts from the weights and normalisers of a policy. Its networks and the kinds of
    /// its normalisers are those of the policy, whatever the scenario says.
    ///
    /// # Errors
    /// If a setting is invalid, or the policy does not fit the scenario, the arm or the overrides.
    pub fn fine_tuning(
        scenario: Arc<Scenario>,
        arm: &Document,
        overrides: &[Override],
        seed: RootSeed,
        start: StartPolicy,
    ) -> Result<Self, TrainError> {
        let mut settings = scenario
            .training_settings()
            .with_keys(&["train", "stability"]);
        settings.overlay(&Document::from_values("policy", &start.settings())?);
        let mut this = Self::with_base_layer(scenario, &settings, arm, overrides, seed)?;
        let (layout, actions) = (obs_layout(&this.scenario), action_dim(&this.scenario));
        start.check_fits(&this.config, &layout, actions)?;
        this.start = Some(Arc::new(start));
        Ok(this)
    }

    /// Settings are the built-in defaults, overridden by `base`, an arm's and `overrides`.
    fn with_base_layer(
        scenario: Arc<Scenario>,
        base: &Document,
        arm: &Document,
        overrides: &[Override],
        seed: RootSeed,
    ) -> Result<Self, Diagnostic> {
        let mut scenario = scenario;
        if arm.subdocument("reward").is_some() {
            scenario = Arc::new(scenario.with_reward_of(arm, overrides)?);
        }
        let arm = &arm.with_keys(&TRAINING_SECTIONS);
        let training_overrides: Vec<Override> = overrides
            .iter()
            .filter(|change| change.affects_training())
            .cloned()
            .collect();
        let mut base_config = Document::from_values("defaults", &RunConfig::default())?;
        base_config.overlay(base);
        let mut document = base_config.clone();
        document.overlay(arm);
        check_replaced(&document, &training_overrides)?;
        document.apply(&training_overrides)?;
        let envs = chosen_envs(&document, [base, arm], &training_overrides, &scenario)?;
        base_config.apply(&envs)?;
        document.apply(&envs)?;
        // An override may be invalid without the arm's settings; it is then left out here.
        for change in training_overrides {
            base_config.apply(&[change]).ok();
        }
        let config = settings(&document)?;
        check_scenario_fit(&config, &scenario, &document)?;
        Ok(Self {
            scenario,
            base_config: base_config.read().unwrap_or_else(|_| config.clone()),
            config,
            seed,
            start: None,
        })
    }

    /// The definition of the run in a directory, with overrides (`train.total_steps`, to train
    /// longer).
    pub fn from_run(run: &RunDir, overrides: &[Override]) -> Result<Self, TrainError> {
        let info = run.info()?;
        let path = run.config_path();
        let text = std::fs::read_to_string(&path).map_err(|source| RunError::Io {
            path: path.clone(),
            source,
        })?;
        let file = path.display().to_string();
        let scenario = Arc::new(Scenario::from_text(
            &info.scenario,
            &file,
            &text,
            overrides,
        )?);
        let no_arm = Document::parse("no arm", "")?;
        let mut this = Self::new(scenario, &no_arm, overrides, info.seed)?;
        if let Some(base_config) = info.base_config {
            this.base_config =
                serde_json::from_value(base_config).map_err(|error| RunError::Format {
                    path: run.path().join("run.json"),
                    reason: format!("`base_config`: {error}"),
                })?;
        }
        let (layout, actions) = (obs_layout(&this.scenario), action_dim(&this.scenario));
        this.start = StartPolicy::of_run(run, &this.config, layout, actions)?.map(Arc::new);
        Ok(this)
    }

    /// The settings, of the scenario and of training, that differ from those that a run was started
    /// with, as `--set` names them; without those that may change when it is resumed.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn differences_from(&self, run: &RunDir) -> Result<Vec<String>, TrainError> {
        let started = Self::from_run(run, &[])?.config_toml()?;
        let now = self.config_toml()?;
        Ok(changed_settings(&table(&started), &table(&now)))
    }

    /// These settings with the remedy of another arm: its values of [`super::REMEDY_SETTINGS`],
    /// and everything else unchanged.
    ///
    /// # Errors
    /// If the arm's settings are invalid, or it changes other settings as well.
    pub fn with_remedy_of(&self, arm: &Document) -> Result<RunConfig, TrainError> {
        if arm.subdocument("reward").is_some() {
            let keys = vec!["reward".to_owned()];
            return Err(LearnError::NotUpdateSetting { keys }.into());
        }
        let mut document = Document::from_values("settings without an arm", &self.base_config)?;
        document.overlay(arm);
        Ok(apply_remedy(
            &self.config,
            &self.base_config,
            &settings(&document)?,
        )?)
    }

    /// Checks that an incident is of such a run.
    ///
    /// # Errors
    /// If the layouts or the settings differ.
    pub fn check_incident(&self, incident: &Incident) -> Result<(), LearnError> {
        let header = &incident.state;
        header.check_compatible(&obs_layout(&self.scenario), action_dim(&self.scenario))?;
        check_same_run(&header.config, &self.config)
    }

    /// The settings that a run directory stores for [`Self::with_remedy_of`]; `None` where the arm
    /// changes nothing.
    ///
    /// # Panics
    /// Never: settings are plain data.
    pub fn base_settings(&self) -> Option<serde_json::Value> {
        let differs = self.base_config != self.config;
        differs.then(|| serde_json::to_value(&self.base_config).expect("settings are plain data"))
    }

    /// A scenario file with every setting, which defines the same run.
    pub fn config_toml(&self) -> Result<String, Diagnostic> {
        let failed = |error: &dyn std::fmt::Display| {
            let message = format!("settings cannot be written as TOML: {error}");
            Diagnostic::without_position(&self.scenario.name, message, None)
        };
        let mut spec = self.scenario.spec.clone();
        let table = |value: toml::Table, key: &str| {
            value
                .get(key)
                .and_then(toml::Value::as_table)
                .cloned()
                .unwrap_or_default()
        };
        let settings = toml::Table::try_from(&self.config).map_err(|error| failed(&error))?;
        spec.train = table(settings.clone(), "train");
        spec.policy = table(settings.clone(), "policy");
        spec.stability = table(settings, "stability");
        toml::to_string(&spec).map_err(|error| failed(&error))
    }

    /// Creates the run directory in which [`Self::train`] then trains: `out`, or a new folder in
    /// [`RUNS_FOLDER`] that is named after scenario, arm, seed and time. `arm` is the name of the arm
    /// that the settings contain, `episodes` the number of held-out episodes of the final evaluation,
    /// which a resumed run keeps.
    ///
    /// # Errors
    /// If the device does not exist, `out` is not empty, or a file cannot be written.
    pub fn create_run(
        &self,
        arm: &str,
        episodes: u64,
        out: Option<&Path>,
    ) -> Result<RunDir, TrainError> {
        self.config.train.device.check().map_err(LearnError::from)?;
        let mut info = RunInfo::begin(
            &self.scenario.name,
            arm,
            self.seed,
            self.config.train.total_steps,
            Some(crate::LIBTORCH_VERSION.to_owned()),
        );
        info.base_config = self.base_settings();
        info.episodes = Some(episodes);
        info.from = self.start.as_ref().map(|start| start.origin.clone());
        let start = self.start.as_ref().map(|start| start.bytes()).transpose();
        let start = start.map_err(|source| RunError::Io {
            path: out.unwrap_or(Path::new(RUNS_FOLDER)).to_owned(),
            source,
        })?;
        let config = self.config_toml()?;
        let files = RunFiles {
            config: &config,
            start: start.as_deref(),
        };
        Ok(match out {
            Some(path) => RunDir::create_at(path, files, &info)?,
            None => RunDir::create(Path::new(RUNS_FOLDER), files, &info)?,
        })
    }

    /// A trainer before its first iteration, with new environments.
    pub fn trainer(&self) -> Result<Trainer<VecEnv>, TrainError> {
        let environments = self.environments()?;
        Ok(self.start_trainer(environments)?)
    }

    fn start_trainer(&self, environments: VecEnv) -> Result<Trainer<VecEnv>, LearnError> {
        Trainer::starting_from(self.start.as_deref(), &self.config, self.seed, environments)
    }

    fn environments(&self) -> Result<VecEnv, VecEnvError> {
        let train = &self.config.train;
        let (envs, threads) = (train.num_envs as usize, train.threads as usize);
        VecEnv::new(&self.scenario, self.seed, Split::Train, envs, threads)
    }

    /// Trains in a run directory: from its last checkpoint if there is one, else from the start.
    /// `observer` receives every event; training stops after an iteration where `stop` returns
    /// true; `probe` gives access to the environments meanwhile.
    ///
    /// `run.json` in the directory states the progress. The logs continue from the checkpoint, and
    /// `config.toml` is rewritten if a setting that may change has changed.
    pub fn train(
        &self,
        run: &RunDir,
        observer: impl Sink + Send + 'static,
        stop: &dyn Fn() -> bool,
        probe: Option<&Arc<Probe>>,
    ) -> Result<RunOutcome, TrainError> {
        let _lock = run.lock()?;
        let train = &self.config.train;
        let threads = train.threads as usize;
        let stored = Self::from_run(run, &[])?;
        // A resumed run reads its scenario from its own folder. All recordings name the same one.
        let recorded = stored.scenario.clone();
        let (stored, now) = (stored.config_toml()?, self.config_toml()?);
        check_resumable(&table(&stored), &table(&now))?;
        let saved = run.checkpoint("last")?;
        let mut environments = self.environments()?;
        if let Some(probe) = probe {
            environments.set_probe(Arc::clone(probe));
        }
        let mut trainer = match &saved {
            Some(folder) => {
                let state = TrainState::load(folder).map_err(LearnError::from)?;
                Trainer::resume(&self.config, &state, environments)?
            }
            None => self.start_trainer(environments)?,
        };
        if now != stored {
            let path = run.config_path();
            write_atomic(&path, now.as_bytes()).map_err(|source| RunError::Io { path, source })?;
        }
        let from = trainer.global_step();
        let mut info = run.info()?;
        let (lines, mut tensorboard) = if saved.is_some() {
            (
                JsonlSink::resume(&run.metrics_path(), from)?,
                TensorBoardSink::resume(run.path(), from)?,
            )
        } else {
            (
                JsonlSink::create(&run.metrics_path())?,
                TensorBoardSink::create(run.path())?,
            )
        };
        tensorboard.write_hyper_parameters(&labels(&info), &hyper_parameters(&self.config))?;
        let logs = Fanout::new().with(lines).with(tensorboard);

        info.status = RunStatus::Running;
        info.total_steps = train.total_steps;
        // A run that a rule has ended goes on without rules when it is resumed.
        if info.stopped_by.take().is_some() {
            info.stop_below.clear();
        }
        run.write_info(&info)?;
        let stopped_by = Cell::new(None);
        let mut sink = RunInfoSink {
            inner: logs.with(observer),
            run,
            info: info.clone(),
            clock: trainer.clock(),
            stopped_by: &stopped_by,
            is_behind: false,
        };
        let options = EvalOptions {
            threads,
            ..EvalOptions::for_selection(train.eval_episodes.into())
        };
        let mut select = |controller: &mut dyn Controller| -> Result<EvalSummary, EvaluateError> {
            Ok(evaluate(&self.scenario, controller, &options)?.summary)
        };
        let (recordings, name) = (run.recordings_path(), run.name());
        let mut record = |trajectory: &Trajectory, events: &[Event]| -> Result<(), RecordError> {
            let file = format!("iteration_{:06}.mcap", trajectory.iteration);
            let path = recordings.join(file);
            record_trajectory(
                &path,
                &recorded,
                self.seed,
                &name,
                trajectory,
                events,
                crate::build(),
            )
        };
        let incidents = IncidentFolder {
            path: run.incidents_path(),
            run: info.clone(),
            config: now,
        };
        let ended = trainer.run(&mut TrainHooks {
            sink: &mut sink,
            evaluate: (train.eval_every > 0).then_some(&mut select),
            checkpoints: Some(&run.path().join("checkpoints")),
            incidents: Some(&incidents),
            record: (train.record_every > 0).then_some(&mut record),
            stop: &|| stopped_by.get().is_some() || stop(),
        })?;
        info.status = match ended {
            RunOutcome::Finished => RunStatus::Finished,
            RunOutcome::Stopped => {
                info.stopped_by = stopped_by.get();
                RunStatus::Stopped
            }
            RunOutcome::Diverged(_) => RunStatus::Diverged,
        };
        info.global_step = trainer.global_step();
        info.wall_secs = trainer.elapsed_secs();
        run.write_info(&info)?;
        Ok(ended)
    }
}

/// What names a run beside its settings.
fn labels(info: &RunInfo) -> [(&'static str, Value); 3] {
    [
        ("scenario", info.scenario.as_str().into()),
        ("arm", info.arm.as_str().into()),
        ("seed", info.seed.into()),
    ]
}

/// The settings that can change what is learned.
fn hyper_parameters(config: &RunConfig) -> Value {
    let mut settings = serde_json::to_value(config).expect("settings are plain data");
    let without_effect = CHANGEABLE_ON_RESUME.iter().skip(1);
    for path in without_effect.chain(&["stability.health", "stability.recorder"]) {
        let (section, key) = path.split_once('.').expect("a section and a key");
        if let Some(section) = settings[section].as_object_mut() {
            section.remove(key);
        }
    }
    settings
}

/// The settings in a document, checked.
fn settings(document: &Document) -> Result<RunConfig, Diagnostic> {
    let config: RunConfig = document.read()?;
    config
        .check()
        .map_err(|invalid| setting_diagnostic(document, &invalid))?;
    Ok(config)
}

/// The override that sets the number of environments by the budget of steps; none where a layer or an
/// override sets it, or where it would not be a multiple of the robots of a world.
fn chosen_envs(
    document: &Document,
    layers: [&Document; 2],
    overrides: &[Override],
    scenario: &Scenario,
) -> Result<Vec<Override>, Diagnostic> {
    const PATH: &str = "train.num_envs";
    let mut written = Document::parse("settings", "")?;
    for layer in layers {
        written.overlay(layer);
    }
    written.apply(overrides)?;
    if written.subdocument(PATH).is_some() {
        return Ok(Vec::new());
    }
    let config: RunConfig = document.read()?;
    let envs = config.train.envs_for_budget();
    let is_default = envs == config.train.num_envs;
    if is_default || !(envs as usize).is_multiple_of(scenario.spec.robot_count()) {
        return Ok(Vec::new());
    }
    Ok(vec![Override::parse(&format!("{PATH}={envs}"))?])
}

/// Refuses an invalid override even if a later one of the same setting takes its place.
fn check_replaced(document: &Document, overrides: &[Override]) -> Result<(), Diagnostic> {
    for (index, change) in overrides.iter().enumerate() {
        let mut later = overrides[index + 1..].iter();
        if later.any(|other| other.has_path_of(change)) {
            let others = overrides.iter().filter(|other| !other.has_path_of(change));
            let mut settings_with = document.clone();
            settings_with.apply(&others.chain([change]).cloned().collect::<Vec<_>>())?;
            settings(&settings_with)?;
        }
    }
    Ok(())
}

/// Refuses settings that do not fit the scenario.
fn check_scenario_fit(
    config: &RunConfig,
    scenario: &Scenario,
    document: &Document,
) -> Result<(), Diagnostic> {
    let checked = config.check_observations(&obs_layout(scenario));
    checked.map_err(|invalid| setting_diagnostic(document, &invalid))?;
    let (envs, robots) = (config.train.num_envs, scenario.spec.robot_count());
    if !(envs as usize).is_multiple_of(robots) {
        let message = format!(
            "`train.num_envs` is {envs}, which is not a multiple of the {robots} robots that share \
             a world"
        );
        let help = format!(
            "it counts robots; write {}",
            envs.next_multiple_of(robots as u32)
        );
        return Err(document.diagnostic("train.num_envs", &message, Some(help)));
    }
    let lidar = &scenario.spec.robot[0].lidar;
    let angle = lidar.field_of_view_deg;
    if config.policy.lidar_conv.is_some() && !lidar.is_full_circle() {
        let message = format!(
            "`policy.lidar_conv` goes around a scan whose last beam is the first one's \
             neighbour, but `robot.lidar.field_of_view_deg` is {angle}"
        );
        let help = "leave it out, or set `robot.lidar.field_of_view_deg` to 360".to_owned();
        return Err(document.diagnostic("policy.lidar_conv", &message, Some(help)));
    }
    Ok(())
}

/// The error of an invalid setting, with the place where it was written.
fn setting_diagnostic(document: &Document, invalid: &InvalidSetting) -> Diagnostic {
    let message = format!("`{}` is {}", invalid.path, invalid.value);
    let help = format!("it must be {}", invalid.expected);
    document.diagnostic(&invalid.path, &message, Some(help))
}

fn table(config: &str) -> toml::Table {
    config.parse().expect("it was written from a table")
}

/// Updates `run.json` with each checkpoint, and passes all events on.
struct RunInfoSink<'a> {
    inner: Fanout,
    run: &'a RunDir,
    info: RunInfo,
    clock: RunClock,
    /// The rule that ends training, once one does.
    stopped_by: &'a Cell<Option<StopRule>>,
    /// Whether the last evaluation broke a rule.
    is_behind: bool,
}

impl Sink for RunInfoSink<'_> {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::Checkpoint(checkpoint) = event {
            self.info.global_step = checkpoint.global_step;
            self.info.wall_secs = self.clock.secs();
            self.run
                .write_info(&self.info)
                .map_err(std::io::Error::other)?;
        }
        if let Event::Evaluation(evaluation) = event {
            let success = evaluation.summary.success.value;
            let mut rules = self.info.stop_below.iter();
            let rule = rules.find(|rule| rule.is_broken_by(evaluation.global_step, success));
            if let (Some(rule), true) = (rule, self.is_behind) {
                self.stopped_by.set(Some(*rule));
            }
            self.is_behind = rule.is_some();
        }
        self.inner.record(event)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
