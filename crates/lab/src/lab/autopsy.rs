//! Autopsies: an optimiser step of an incident run again under other remedies, by the learner's own
//! update, with what each would have done, which transitions carried the gradient, and where the
//! robot was then.

use std::sync::Arc;

use serde::Serialize;

use super::Arm;
use evenkeel_learn::learn::{
    AppliedUpdate, Device, Experiment, ExperimentError, Incident, LearnError, LearnerPool,
    RunConfig, Trainer, TransitionContribution, UpdateAttempt, UpdateInput, UpdateRule,
    gradient_breakdown, update,
};
use evenkeel_runs::eval::{EpisodeTrace, Tracer};
use evenkeel_runs::telemetry::{
    DivergedReport, DivergenceReason, Event, GuardAction, HealthEvent, Sink, UpdateReport,
};
use evenkeel_sim::config::{Diagnostic, Document};
use evenkeel_sim::env::{
    EnvState, LEVEL_ENV, NavEnv, Outcome, StepResult, VecEnv, VecEnvError, action_dim,
};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::Split;
use evenkeel_sim::sim::WorldSnapshot;

mod gradient_sources;
mod summary;

pub use gradient_sources::{GradientSources, SourceTransition, gradient_sources};

/// Transitions that are told of.
const MAX_TRANSITIONS: usize = 12;
/// Episodes of theirs that are drawn.
const MAX_TRACES: usize = 3;

/// What is to be tried.
#[derive(Clone, Debug)]
pub struct AutopsyOptions {
    /// The remedies, beside the run's own.
    pub arms: Vec<Arm>,
    /// The step, by its number; the last one, in which the symptom was seen, if none is named.
    pub step: Option<u64>,
    /// Iterations that each remedy is to go on for.
    pub continue_iterations: u32,
    /// Threads.
    pub threads: usize,
}

/// Why there is no autopsy.
#[derive(Debug, thiserror::Error)]
pub enum AutopsyError {
    /// The step is not among those kept.
    #[error("optimiser step {step} was not kept; there are {}", numbers(kept))]
    NoStep {
        /// What was asked for.
        step: u64,
        /// What is there.
        kept: Vec<u64>,
    },
    /// The incident's scenario or settings cannot be read.
    #[error(transparent)]
    Settings(#[from] Diagnostic),
    /// An arm that no step can be run again with.
    #[error("arm '{arm}': {source}")]
    Arm {
        /// Its name.
        arm: String,
        /// Why.
        source: Box<ExperimentError>,
    },
    /// An environment could not be made.
    #[error(transparent)]
    Environment(#[from] VecEnvError),
    /// Threads could not be started, or a rollout came out differently.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// An environment could not be taken back to where it was.
    #[error("cannot simulate environment {env} again: {reason}")]
    Replay {
        /// Which.
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
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The step.
    pub optimiser_step: u64,
    /// Iterations before its own.
    pub iteration: u64,
    /// Name of the optimiser that the run was trained with.
    pub optimiser: String,
    /// Learning rate of the step.
    pub learning_rate: f64,
    /// What the detectors saw in the last step of the incident.
    pub symptoms: Vec<HealthEvent>,
    /// By what the run would have diverged had the step been taken, or did.
    pub divergence: Option<DivergenceReason>,
    /// What the guard did with it.
    pub action: GuardAction,
    /// Whether the step, run again under the run's own remedy, gave what was logged, bit for bit.
    pub reproduced: bool,
    /// Names of the parameters, in the order of every list of layers.
    pub layers: Vec<String>,
    /// What was logged of the steps that were kept, this one's predecessors included.
    pub preceding_steps: Vec<UpdateReport>,
    /// The step under each remedy, the run's own first.
    pub trials: Vec<RemedyTrial>,
    /// Transitions of the minibatch, or sequences for a policy with memory.
    pub minibatch: usize,
    /// Over how many of them the gradient is spread.
    pub effective_count: Option<f64>,
    /// The transitions that carried most of it.
    pub transitions: Vec<AutopsyTransition>,
}

/// The step under one remedy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RemedyTrial {
    /// The arm's name.
    pub arm: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Whether it is the remedy that the run was trained with.
    pub as_trained: bool,
    /// What was measured of the step.
    pub report: UpdateReport,
    /// By what the run diverges with it; where that is not finite, it cannot be taken.
    pub divergence: Option<DivergenceReason>,
    /// The same minibatch seen from where the step led: what the next step over it would measure.
    pub next_report: Option<UpdateReport>,
    /// How training went on from there.
    pub continuation: Option<Continuation>,
}

/// How training went on from the step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Continuation {
    /// Iterations, that of the step included.
    pub iterations: u32,
    /// Where it diverged, if it did.
    pub diverged: Option<DivergedReport>,
    /// Success of the episodes that ended in each iteration.
    pub success: Vec<Option<f64>>,
    /// Mean gradient norm of each.
    pub grad_norm: Vec<Option<f64>>,
}

/// A transition, and where the robot was then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AutopsyTransition {
    /// What it added to the gradient.
    #[serde(flatten)]
    pub contribution: TransitionContribution,
    /// Its environment.
    pub env: usize,
    /// The step of the rollout.
    pub rollout_step: usize,
    /// The episode of that environment.
    pub episode: u64,
    /// Control steps since the episode began.
    pub episode_step: u32,
    /// Where the robot was, metres.
    pub position: [f32; 2],
    /// Where it headed.
    pub heading_rad: f32,
    /// How fast it was.
    pub speed_mps: f32,
    /// How near to anything it was.
    pub clearance_m: f32,
    /// What it did, each from -1 to 1.
    pub action: Vec<f32>,
    /// How the episode ended with this step, if it did.
    pub outcome: Option<Outcome>,
    /// The episode up to the end of the rollout: of the first few that there is a transition of.
    pub trace: Option<EpisodeTrace>,
}

/// Runs a step of an incident again.
///
/// # Errors
/// If an arm is about more than the step, or the incident cannot be simulated again.
pub fn autopsy(incident: &Incident, options: &AutopsyOptions) -> Result<Autopsy, AutopsyError> {
    let step = find(incident, options.step)?;
    let experiment = experiment(incident)?;
    let torch_threads = incident.state.config.train.torch_threads as usize;
    let workers = LearnerPool::new(options.threads, torch_threads).map_err(LearnError::from)?;
    let bench = TrialContext {
        incident,
        step,
        experiment: &experiment,
        workers: &workers,
        options,
    };
    let own = &incident.state.config;
    incident.check(&experiment)?;
    // What is said of the robot holds only where the rollout comes out as it did.
    incident.replay(step, &mut bench.environments()?)?;
    let mut trials = vec![bench.trial(&incident.run.arm, "as it was trained", true, own)?];
    for arm in &options.arms {
        let config = experiment.with_remedy_of(&arm.layer);
        let config = config.map_err(|source| AutopsyError::Arm {
            arm: arm.name.clone(),
            source: Box::new(source),
        })?;
        trials.push(bench.trial(&arm.name, &arm.description, false, &config)?);
    }
    let policy = incident.policy();
    let carried = gradient_breakdown(&policy, &workers, &step.input, MAX_TRANSITIONS);
    let actions = incident.actions(step);
    let mut transitions: Vec<AutopsyTransition> = Vec::new();
    for one in &carried.top {
        let mut found = bench.locate(*one, &actions)?;
        let drawn = transitions.iter().filter(|other| other.trace.is_some());
        let known =
            |other: &AutopsyTransition| (other.env, other.episode) == (found.env, found.episode);
        if drawn.count() < MAX_TRACES && !transitions.iter().any(known) {
            found.trace = Some(bench.trace(&found, &actions)?);
        }
        transitions.push(found);
    }
    Ok(Autopsy {
        scenario: incident.run.scenario.clone(),
        arm: incident.run.arm.clone(),
        seed: incident.state.seed,
        global_step: step.input.global_step,
        optimiser_step: step.input.optimiser_step,
        iteration: incident.iteration(step),
        optimiser: own.train.optimiser.name().into(),
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
        minibatch: carried.count,
        effective_count: carried.effective_count,
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
            kept: incident
                .steps
                .iter()
                .map(|step| step.input.optimiser_step)
                .collect(),
        })
}

/// The run that an incident is from.
fn experiment(incident: &Incident) -> Result<Experiment, AutopsyError> {
    let (name, text) = (&incident.run.scenario, &incident.config);
    let scenario = Scenario::from_text(name, "config.toml", text, &[])?;
    let nothing = Document::parse("no arm", "")?;
    let seed = incident.state.seed;
    let mut experiment = Experiment::new(Arc::new(scenario), &nothing, &[], seed)?;
    if let Some(base_config) = &incident.run.base_config {
        let base_config = Document::from_values("settings without an arm", base_config)?;
        experiment.base_config = base_config.read()?;
    }
    Ok(experiment)
}

/// What every trial is made with.
struct TrialContext<'a> {
    incident: &'a Incident,
    step: &'a UpdateAttempt,
    experiment: &'a Experiment,
    workers: &'a LearnerPool,
    options: &'a AutopsyOptions,
}

impl TrialContext<'_> {
    /// The step under one remedy.
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
                Ok(AppliedUpdate {
                    parameters,
                    optimiser,
                    clip,
                    report,
                }) => {
                    let next = UpdateInput {
                        parameters,
                        optimiser,
                        clip,
                        ..input
                    };
                    let next_report = match update(&policy, self.workers, &next, &update_rule) {
                        Ok(applied) => applied.report,
                        Err(refused) => refused.report,
                    };
                    let outgrown = self.incident.exceeds_norm_limit(&report);
                    let divergence = outgrown.then_some(DivergenceReason::ParameterNorm);
                    (report, divergence, Some(next_report))
                }
                Err(refused) => (refused.report, Some(refused.reason), None),
            };
        let continuation = match self.options.continue_iterations {
            0 => None,
            iterations => Some(self.continue_training(config, iterations)?),
        };
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

    /// The run's environments.
    fn environments(&self) -> Result<VecEnv, AutopsyError> {
        let envs = self.incident.state.config.train.num_envs as usize;
        let (scenario, seed) = (&self.experiment.scenario, self.incident.state.seed);
        let threads = self.options.threads;
        Ok(VecEnv::new(scenario, seed, Split::Train, envs, threads)?)
    }

    /// Trains on from the step.
    fn continue_training(
        &self,
        config: &RunConfig,
        iterations: u32,
    ) -> Result<Continuation, AutopsyError> {
        let env = self.environments()?;
        let mut config = config.clone();
        config.train.threads = self.options.threads as u32;
        // What is kept is kept on the processor.
        config.train.device = Device::Cpu;
        let mut trainer = Trainer::fork(self.incident, self.step, &config, env)?;
        let mut tally = ContinuationSink::default();
        for _ in 0..iterations.min(trainer.iterations_left()) {
            tally.0.iterations += 1;
            if trainer.iterate(&mut tally)?.is_some() {
                break;
            }
        }
        Ok(tally.0)
    }

    /// Robots of a world.
    fn robots(&self) -> usize {
        self.experiment.scenario.spec.robot_count()
    }

    /// The world of a robot in the midst of the rollout, and its state.
    fn env_at_step(
        &self,
        env: usize,
        rollout_step: usize,
        actions: &[f32],
    ) -> Result<(NavEnv, EnvState), AutopsyError> {
        let failed = |reason: String| AutopsyError::Replay { env, reason };
        let (scenario, seed) = (&self.experiment.scenario, self.incident.state.seed);
        let world = env / self.robots();
        let mut state = self.incident.environments(self.step)[world].clone();
        let plan = self.incident.levels(self.step);
        let population = plan.map_or(world as u64, |_| LEVEL_ENV);
        let mut begun = 0;
        let mut nav = NavEnv::new(Arc::clone(scenario), seed, Split::Train, population)
            .map_err(|error| failed(error.to_string()))?;
        nav.restore(&state).map_err(failed)?;
        let mut steps = vec![StepResult::INACTIVE; self.robots()];
        for actions in self.actions_of(world, actions).take(rollout_step) {
            state.actions.extend_from_slice(actions);
            nav.step_all(actions, &mut steps);
            if nav.is_over() {
                state.episode = plan.map_or(state.episode + 1, |plan| plan.level(world, begun));
                begun += 1;
                state.actions.clear();
                nav.reset(state.episode);
            }
        }
        Ok((nav, state))
    }

    /// The actions of the robots of one world among those of the rollout, `[robots, act]` a step.
    fn actions_of<'a>(&self, world: usize, all: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let envs = self.incident.state.config.train.num_envs as usize;
        all.chunks_exact(self.robots() * action_dim(&self.experiment.scenario))
            .skip(world)
            .step_by(envs / self.robots())
    }

    /// Where the robot was in a transition.
    fn locate(
        &self,
        contribution: TransitionContribution,
        actions: &[f32],
    ) -> Result<AutopsyTransition, AutopsyError> {
        let envs = self.incident.state.config.train.num_envs as usize;
        let (rollout_step, env) = (contribution.row / envs, contribution.row % envs);
        let (world, index) = (env / self.robots(), env % self.robots());
        let (mut nav, state) = self.env_at_step(env, rollout_step, actions)?;
        let mut frame = WorldSnapshot::default();
        nav.snapshot(&mut frame);
        let robot = &frame.robots[index];
        let all = self.actions_of(world, actions).nth(rollout_step);
        let all = all.expect("a row is of the rollout");
        let act = nav.action_dim();
        let mut steps = vec![StepResult::INACTIVE; self.robots()];
        let episode_step = nav.steps();
        nav.step_all(all, &mut steps);
        Ok(AutopsyTransition {
            contribution,
            env,
            rollout_step,
            episode: state.episode,
            episode_step,
            position: robot.position,
            heading_rad: robot.heading_rad,
            speed_mps: robot.speed_mps,
            clearance_m: robot.clearance_m,
            outcome: steps[index].outcome,
            action: all[index * act..(index + 1) * act].to_vec(),
            trace: None,
        })
    }

    /// The episode of a transition, up to its robot's end or that of the rollout.
    fn trace(
        &self,
        one: &AutopsyTransition,
        actions: &[f32],
    ) -> Result<EpisodeTrace, AutopsyError> {
        let (world, index) = (one.env / self.robots(), one.env % self.robots());
        let (mut nav, state) = self.env_at_step(one.env, one.rollout_step, actions)?;
        let mut frame = WorldSnapshot::default();
        nav.reset(state.episode);
        nav.snapshot(&mut frame);
        let mut tracer = Tracer::begin(&nav, index, &frame);
        let later = self.actions_of(world, actions).skip(one.rollout_step);
        let width = self.robots() * nav.action_dim();
        let mut steps = vec![StepResult::INACTIVE; self.robots()];
        for actions in state.actions.chunks_exact(width).chain(later) {
            nav.step_all(actions, &mut steps);
            nav.snapshot(&mut frame);
            tracer.step(&frame);
            if nav.outcome(index).is_some() {
                break;
            }
        }
        let ended = nav.outcome(index).unwrap_or(Outcome::TimeLimit);
        Ok(tracer.finish(state.episode, ended))
    }
}

/// Takes what is told of training that goes on.
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
