//! Autopsies: runs an optimiser step of an incident again under other remedies, with the learner's own
//! update. Reports what each remedy would have done, which transitions contributed most to the
//! gradient, and where the robot was in them.

use std::cell::Cell;
use std::sync::Arc;

use serde::Serialize;

use super::Arm;
use evenkeel_learn::learn::{
    Device, FiniteUpdate, Incident, LearnError, LearnerPool, RunConfig, RunDefinition, TrainError,
    Trainer, TransitionContribution, UpdateAttempt, UpdateInput, UpdateRule, gradient_breakdown,
    update,
};
use evenkeel_runs::eval::{EpisodeTrace, Tracer};
use evenkeel_runs::telemetry::{
    DivergedReport, DivergenceReason, Event, GuardAction, HealthEvent, Sink, UpdateReport,
};
use evenkeel_sim::config::{Diagnostic, Document};
use evenkeel_sim::env::{Outcome, TrajectoryReplay, VecEnv, VecEnvError};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::Split;

mod gradient_sources;
mod summary;

pub use gradient_sources::{GradientSources, SourceTransition, gradient_sources};

/// Number of transitions in a report.
const MAX_TRANSITIONS: usize = 12;
/// Number of episodes with a trace.
const MAX_TRACES: usize = 3;

/// What an autopsy computes.
#[derive(Clone, Debug)]
pub struct AutopsyOptions {
    /// The remedies to try besides the run's own.
    pub arms: Vec<Arm>,
    /// Number of the step; without one, the last step, in which the symptoms were detected.
    pub step: Option<u64>,
    /// Iterations to continue training for under each remedy.
    pub continue_iterations: u32,
    /// Number of threads.
    pub threads: usize,
}

/// Why an autopsy failed.
#[derive(Debug, thiserror::Error)]
pub enum AutopsyError {
    /// The incident does not have the step.
    #[error("the incident has no optimiser step {step}; it has {}", numbers(steps))]
    NoStep {
        /// The requested step.
        step: u64,
        /// The steps of the incident.
        steps: Vec<u64>,
    },
    /// The incident's scenario or settings cannot be read.
    #[error(transparent)]
    Settings(#[from] Diagnostic),
    /// An arm changes more than an optimiser step reads.
    #[error("arm '{arm}': {source}")]
    Arm {
        /// Its name.
        arm: String,
        /// Why.
        source: Box<TrainError>,
    },
    /// An environment could not be made.
    #[error(transparent)]
    Environment(#[from] VecEnvError),
    /// Threads could not be started, or the replay of a rollout differs.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// An environment could not be replayed.
    #[error("cannot replay environment {env}: {reason}")]
    Replay {
        /// The environment.
        env: usize,
        /// Why.
        reason: String,
    },
}

fn numbers(steps: &[u64]) -> String {
    let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
    steps.join(", ")
}

/// An optimiser step under several remedies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Autopsy {
    /// Scenario name.
    pub scenario: String,
    /// The arm that the run was trained with.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// Environment steps that the run had collected.
    pub global_step: u64,
    /// Number of the optimiser step.
    pub optimiser_step: u64,
    /// Iterations before that of the step.
    pub iteration: u64,
    /// Name of the run's optimiser.
    pub optimiser: String,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// The detections in the last step of the incident.
    pub symptoms: Vec<HealthEvent>,
    /// Why the run diverged with the step, or would have if the guard had let it pass.
    pub divergence: Option<DivergenceReason>,
    /// What the update guard did with the step.
    pub action: GuardAction,
    /// Whether the step under the run's own remedy reproduced the logged report bit for bit.
    pub reproduced: bool,
    /// Names of the parameters, in the order of all lists by layer.
    pub layers: Vec<String>,
    /// Logged reports of all steps of the incident, this one included.
    pub preceding_steps: Vec<UpdateReport>,
    /// The step under each remedy, the run's own first.
    pub trials: Vec<RemedyTrial>,
    /// Size of the minibatch: transitions, or sequences for a policy with memory.
    pub minibatch: usize,
    /// Effective number of them that contribute to the gradient.
    pub effective_count: Option<f64>,
    /// The transitions that contributed most to the gradient.
    pub transitions: Vec<AutopsyTransition>,
}

/// The step under one remedy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RemedyTrial {
    /// The arm's name.
    pub arm: String,
    /// The arm's description.
    pub description: String,
    /// Whether it is the run's own remedy.
    pub as_trained: bool,
    /// Measurements of the step.
    pub report: UpdateReport,
    /// Why the run diverges with it, if it does. A step that is not finite cannot be applied.
    pub divergence: Option<DivergenceReason>,
    /// Measurements of another step on the same minibatch, from the parameters after this step.
    pub next_report: Option<UpdateReport>,
    /// Training continued from the step.
    pub continuation: Option<Continuation>,
}

/// Training continued from the step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Continuation {
    /// Number of iterations, including that of the step.
    pub iterations: u32,
    /// Where it diverged, if it did.
    pub diverged: Option<DivergedReport>,
    /// `[iterations]`: success rate of the episodes that ended.
    pub success: Vec<Option<f64>>,
    /// `[iterations]`: mean gradient norm.
    pub grad_norm: Vec<Option<f64>>,
}

/// A transition, and where the robot was in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutopsyTransition {
    /// Its contribution to the gradient.
    #[serde(flatten)]
    pub contribution: TransitionContribution,
    /// Index of its environment (of the robot, where several share a world).
    pub env: usize,
    /// Its step in the rollout, from 0.
    pub rollout_step: usize,
    /// Number of its episode.
    pub episode: u64,
    /// Control steps since the beginning of the episode.
    pub episode_step: u32,
    /// Position of the robot, metres.
    pub position: [f32; 2],
    /// Its heading.
    pub heading_rad: f32,
    /// Its speed.
    pub speed_mps: f32,
    /// Its clearance.
    pub clearance_m: f32,
    /// `[act]`: its action, in [-1, 1].
    pub action: Vec<f32>,
    /// How its part of the episode ended with this step, if it did.
    pub outcome: Option<Outcome>,
    /// Its episode up to the end of the robot's part or of the rollout; only for the first few
    /// episodes.
    pub trace: Option<EpisodeTrace>,
}

/// Runs a step of an incident again under each remedy. `progress` receives the share of the work that
/// is done, 0 to 1.
///
/// # Errors
/// If the incident does not have the step, an arm changes more than an optimiser step reads, or the
/// rollout cannot be reproduced.
pub fn autopsy(
    incident: &Incident,
    options: &AutopsyOptions,
    progress: &dyn Fn(f64),
) -> Result<Autopsy, AutopsyError> {
    let step = find(incident, options.step)?;
    let definition = definition(incident)?;
    let torch_threads = incident.state.config.train.torch_threads as usize;
    let workers = LearnerPool::new(options.threads, torch_threads).map_err(LearnError::from)?;
    let context = TrialContext {
        incident,
        step,
        definition: &definition,
        workers: &workers,
        options,
        progress,
        trials_done: Cell::new(0),
    };
    let config = &incident.state.config;
    definition.check_incident(incident)?;
    // Positions of the robot are right only if the rollout is reproduced.
    incident.replay(step, &mut context.environments()?)?;
    let mut trials = vec![context.trial(&incident.run.arm, "as it was trained", true, config)?];
    for arm in &options.arms {
        let config = definition.with_remedy_of(&arm.layer);
        let config = config.map_err(|source| AutopsyError::Arm {
            arm: arm.name.clone(),
            source: Box::new(source),
        })?;
        trials.push(context.trial(&arm.name, &arm.description, false, &config)?);
    }
    let policy = incident.policy();
    let breakdown = gradient_breakdown(&policy, &workers, &step.input, MAX_TRANSITIONS);
    let mut transitions: Vec<AutopsyTransition> = Vec::new();
    for contribution in &breakdown.top {
        let mut transition = context.locate(*contribution)?;
        let traces = transitions.iter().filter(|other| other.trace.is_some());
        let is_same_episode = |other: &AutopsyTransition| {
            (other.env, other.episode) == (transition.env, transition.episode)
        };
        if traces.count() >= MAX_TRACES || transitions.iter().any(is_same_episode) {
            transition.trace = None;
        }
        transitions.push(transition);
    }
    Ok(Autopsy {
        scenario: incident.run.scenario.clone(),
        arm: incident.run.arm.clone(),
        seed: incident.state.seed,
        global_step: step.input.global_step,
        optimiser_step: step.input.optimiser_step,
        iteration: incident.iteration(step),
        optimiser: config.train.optimiser.name().into(),
        learning_rate: step.input.learning_rate,
        symptoms: incident.symptoms.clone(),
        divergence: step.divergence,
        action: step.decision.action,
        reproduced: trials[0].report == step.report,
        layers: policy
            .layout()
            .entries()
            .iter()
            .map(|entry| entry.name.clone())
            .collect(),
        preceding_steps: incident
            .steps
            .iter()
            .map(|step| step.report.clone())
            .collect(),
        trials,
        minibatch: breakdown.count,
        effective_count: breakdown.effective_count,
        transitions,
    })
}

fn find(incident: &Incident, number: Option<u64>) -> Result<&UpdateAttempt, AutopsyError> {
    let Some(number) = number else {
        return Ok(incident.last());
    };
    let of = |step: &&UpdateAttempt| step.input.optimiser_step == number;
    incident
        .steps
        .iter()
        .find(of)
        .ok_or_else(|| AutopsyError::NoStep {
            step: number,
            steps: incident
                .steps
                .iter()
                .map(|step| step.input.optimiser_step)
                .collect(),
        })
}

/// The definition of the run that the incident is from.
fn definition(incident: &Incident) -> Result<RunDefinition, AutopsyError> {
    let (name, text) = (&incident.run.scenario, &incident.config);
    let scenario = Scenario::from_text(name, "config.toml", text, &[])?;
    let no_arm = Document::parse("no arm", "")?;
    let seed = incident.state.seed;
    let mut definition = RunDefinition::new(Arc::new(scenario), &no_arm, &[], seed)?;
    if let Some(base_config) = &incident.run.base_config {
        let base_config = Document::from_values("settings without an arm", base_config)?;
        definition.base_config = base_config.read()?;
    }
    Ok(definition)
}

/// What all trials share.
struct TrialContext<'a> {
    incident: &'a Incident,
    step: &'a UpdateAttempt,
    definition: &'a RunDefinition,
    workers: &'a LearnerPool,
    options: &'a AutopsyOptions,
    /// Receives the share of the work that is done.
    progress: &'a dyn Fn(f64),
    trials_done: Cell<usize>,
}

impl TrialContext<'_> {
    /// Runs the step under one remedy.
    fn trial(
        &self,
        arm: &str,
        description: &str,
        as_trained: bool,
        config: &RunConfig,
    ) -> Result<RemedyTrial, AutopsyError> {
        let input = self.incident.input(self.step, config);
        let policy = self.incident.policy();
        let update_rule = UpdateRule::from(config);
        let (report, divergence, next_report) =
            match update(&policy, self.workers, &input, &update_rule) {
                Ok(FiniteUpdate {
                    parameters,
                    optimiser,
                    clip,
                    learning_rate,
                    report,
                }) => {
                    let next = UpdateInput {
                        parameters,
                        optimiser,
                        clip,
                        learning_rate,
                        ..input
                    };
                    let next_report = match update(&policy, self.workers, &next, &update_rule) {
                        Ok(applied) => applied.report,
                        Err(refused) => refused.report,
                    };
                    let exceeds = self.incident.exceeds_norm_limit(&report);
                    let divergence = exceeds.then_some(DivergenceReason::ParameterNorm);
                    (report, divergence, Some(next_report))
                }
                Err(refused) => (refused.report, Some(refused.reason), None),
            };
        let continuation = match self.options.continue_iterations {
            0 => None,
            iterations => Some(self.continue_training(config, iterations)?),
        };
        self.trials_done.set(self.trials_done.get() + 1);
        self.report_progress(0.0);
        Ok(RemedyTrial {
            arm: arm.into(),
            description: description.into(),
            as_trained,
            report,
            divergence,
            next_report,
            continuation,
        })
    }

    /// Reports the progress, with a share of the trial that is under way.
    fn report_progress(&self, share: f64) {
        let trials = self.options.arms.len() + 1;
        (self.progress)((self.trials_done.get() as f64 + share) / trials as f64);
    }

    /// Makes the run's environments.
    fn environments(&self) -> Result<VecEnv, AutopsyError> {
        let envs = self.incident.state.config.train.num_envs as usize;
        let (scenario, seed) = (&self.definition.scenario, self.incident.state.seed);
        let threads = self.options.threads;
        Ok(VecEnv::new(scenario, seed, Split::Train, envs, threads)?)
    }

    /// Continues training from the step.
    fn continue_training(
        &self,
        config: &RunConfig,
        iterations: u32,
    ) -> Result<Continuation, AutopsyError> {
        let env = self.environments()?;
        let mut config = config.clone();
        config.train.threads = self.options.threads as u32;
        // The tensors of an incident are on the CPU.
        config.train.device = Device::Cpu;
        let mut trainer = Trainer::fork(self.incident, self.step, &config, env)?;
        let mut sink = ContinuationSink::default();
        let count = iterations.min(trainer.iterations_left());
        for _ in 0..count {
            sink.0.iterations += 1;
            if trainer.iterate(&mut sink)?.is_some() {
                break;
            }
            self.report_progress(f64::from(sink.0.iterations) / f64::from(count));
        }
        Ok(sink.0)
    }

    /// Replays the rollout of a transition's environment: where the robot was in the transition, and
    /// its episode up to the end of its part or of the rollout.
    fn locate(
        &self,
        contribution: TransitionContribution,
    ) -> Result<AutopsyTransition, AutopsyError> {
        let (envs, robots) = (
            self.incident.state.config.train.num_envs as usize,
            self.definition.scenario.spec.robot_count(),
        );
        let (rollout_step, env) = (contribution.row / envs, contribution.row % envs);
        let (world, index) = (env / robots, env % robots);
        let trajectory = self.incident.trajectory(self.step, world);
        let nav = trajectory
            .environment(&self.definition.scenario, self.incident.state.seed)
            .map_err(|error| AutopsyError::Replay {
                env,
                reason: error.to_string(),
            })?;
        let mut replay = TrajectoryReplay::new(nav, &trajectory);
        let mut tracer = Tracer::begin(replay.runner(), index);
        let mut found = None;
        while replay.prepare() {
            let runner = replay.runner();
            if runner.env().steps() == 0 {
                tracer = Tracer::begin(runner, index);
            }
            let robot = &runner.snapshot().robots[index];
            let is_found = replay.next_step() == Some(rollout_step);
            let mut transition = is_found.then(|| AutopsyTransition {
                contribution,
                env,
                rollout_step,
                episode: runner.env().episode(),
                episode_step: runner.env().steps(),
                position: robot.position,
                heading_rad: robot.heading_rad,
                speed_mps: robot.speed_mps,
                clearance_m: robot.clearance_m,
                action: Vec::new(),
                outcome: None,
                trace: None,
            });
            replay.step();
            let runner = replay.runner();
            tracer.step(runner.snapshot());
            if let Some(transition) = &mut transition {
                let act = runner.env().action_dim();
                transition.action = runner.actions()[index * act..(index + 1) * act].to_vec();
                transition.outcome = runner.results()[index].outcome;
            }
            found = found.or(transition);
            if found.is_some() && runner.env().outcome(index).is_some() {
                break;
            }
        }
        let mut found = found.expect("a row is of the rollout");
        found.trace = Some(tracer.finish(replay.runner().env().outcome(index)));
        Ok(found)
    }
}

/// Collects the [`Continuation`] from the events of the training.
#[derive(Default)]
struct ContinuationSink(Continuation);

impl Sink for ContinuationSink {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Iteration(iteration) => {
                self.0.success.push(iteration.success_rate);
                self.0.grad_norm.push(iteration.mean.grad_norm);
            }
            Event::Diverged(diverged) => self.0.diverged = Some(diverged.clone()),
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
