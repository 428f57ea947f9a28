//! Autopsies: an optimiser step of an incident run again under other remedies, by the learner's own
//! update, with what each would have done, which transitions carried the gradient, and where the
//! robot was then.

use std::sync::Arc;

use serde::Serialize;

use super::Arm;
use crate::env::{NavEnv, Outcome, VecEnv, VecEnvError};
use crate::eval::{EpisodeTrace, Tracer};
use crate::learn::{
    Applied, Contribution, Experiment, Incident, LearnError, Remedy, RunConfig, Trainer, Tried,
    UpdateInput, Workers, contributions, update,
};
use crate::scenario::{Diagnostic, Document, Scenario};
use crate::seed::Split;
use crate::sim::{ACTIONS, Frame};
use crate::telemetry::{DivergedReport, DivergenceReason, Event, HealthEvent, Sink, StepReport};

/// Transitions that are told of.
const TRANSITIONS: usize = 12;
/// Of these, how many are drawn.
const DRAWN: usize = 3;

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
        source: Box<LearnError>,
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
    /// What the detectors saw in the last step of the incident.
    pub symptoms: Vec<HealthEvent>,
    /// By what the run would have diverged had the step been taken, or did.
    pub diverges: Option<DivergenceReason>,
    /// Whether the step, run again under the run's own remedy, gave what was logged, bit for bit.
    pub reproduced: bool,
    /// Names of the parameters, in the order of every list of layers.
    pub layers: Vec<String>,
    /// What was logged of the steps that were kept, this one's predecessors included.
    pub before: Vec<StepReport>,
    /// The step under each remedy, the run's own first.
    pub trials: Vec<Trial>,
    /// Transitions of the minibatch, or sequences for a policy with memory.
    pub minibatch: usize,
    /// Over how many of them the gradient is spread.
    pub spread: Option<f64>,
    /// The transitions that carried most of it.
    pub transitions: Vec<Transition>,
}

/// The step under one remedy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The arm's name.
    pub arm: String,
    /// What it is, in a sentence.
    pub about: String,
    /// Whether it is the remedy that the run was trained with.
    pub own: bool,
    /// What was measured of the step.
    pub report: StepReport,
    /// Why it could not be taken.
    pub refused: Option<DivergenceReason>,
    /// The same minibatch seen from where the step led: what the next step over it would measure.
    pub after: Option<StepReport>,
    /// How training went on from there.
    pub continued: Option<Continued>,
}

/// How training went on from the step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Continued {
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
pub struct Transition {
    /// What it added to the gradient.
    #[serde(flatten)]
    pub contribution: Contribution,
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
    /// The episode up to the end of the rollout, of the first few.
    pub trace: Option<EpisodeTrace>,
}

/// Runs a step of an incident again.
///
/// # Errors
/// If an arm is about more than the step, or the incident cannot be simulated again.
pub fn autopsy(incident: &Incident, options: &AutopsyOptions) -> Result<Autopsy, AutopsyError> {
    let step = find(incident, options.step)?;
    let experiment = experiment(incident)?;
    let workers = Workers::new(options.threads, 1).map_err(LearnError::from)?;
    let bench = Bench {
        incident,
        step,
        experiment: &experiment,
        workers: &workers,
        options,
    };
    let own = &incident.state.config;
    let mut trials = vec![bench.trial(&incident.run.arm, "as it was trained", true, own)?];
    for arm in &options.arms {
        let config = experiment.rearmed(&arm.layer)?;
        trials.push(bench.trial(&arm.name, &arm.about, false, &config)?);
    }
    let policy = incident.policy();
    let carried = contributions(&policy, &workers, &step.input, TRANSITIONS);
    let actions = incident.actions(step);
    let transitions = carried.top.iter().enumerate();
    let transitions = transitions
        .map(|(rank, one)| bench.locate(*one, &actions, rank < DRAWN))
        .collect::<Result<_, _>>()?;
    Ok(Autopsy {
        scenario: incident.run.scenario.clone(),
        arm: incident.run.arm.clone(),
        seed: incident.state.seed,
        global_step: step.input.global_step,
        optimiser_step: step.input.optimiser_step,
        iteration: incident.iteration(step),
        symptoms: incident.symptoms.clone(),
        diverges: step.diverges,
        reproduced: trials[0].report == step.report,
        layers: policy
            .layout()
            .entries()
            .iter()
            .map(|entry| entry.name.clone())
            .collect(),
        before: incident
            .steps
            .iter()
            .map(|step| step.report.clone())
            .collect(),
        trials,
        minibatch: carried.of,
        spread: carried.spread,
        transitions,
    })
}

fn find(incident: &Incident, number: Option<u64>) -> Result<&Tried, AutopsyError> {
    let Some(number) = number else {
        return Ok(incident.last());
    };
    let of = |step: &&Tried| step.input.optimiser_step == number;
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
    if let Some(unarmed) = &incident.run.unarmed {
        let unarmed = Document::of_values("settings without an arm", unarmed)?;
        experiment.unarmed = unarmed.read()?;
    }
    Ok(experiment)
}

/// What every trial is made with.
struct Bench<'a> {
    incident: &'a Incident,
    step: &'a Tried,
    experiment: &'a Experiment,
    workers: &'a Workers,
    options: &'a AutopsyOptions,
}

impl Bench<'_> {
    /// The step under one remedy.
    fn trial(
        &self,
        arm: &str,
        about: &str,
        own: bool,
        config: &RunConfig,
    ) -> Result<Trial, AutopsyError> {
        let no_remedy = |source| AutopsyError::Arm {
            arm: arm.into(),
            source: Box::new(source),
        };
        let input = self
            .incident
            .input_under(self.step, config)
            .map_err(no_remedy)?;
        let policy = self.incident.policy();
        let remedy = Remedy::from(config);
        let (report, refused, after) = match update(&policy, self.workers, &input, &remedy) {
            Ok(Applied {
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
                let after = match update(&policy, self.workers, &next, &remedy) {
                    Ok(applied) => applied.report,
                    Err(refused) => refused.report,
                };
                (report, None, Some(after))
            }
            Err(refused) => (refused.report, Some(refused.reason), None),
        };
        let continued = match self.options.continue_iterations {
            0 => None,
            iterations => Some(self.go_on(config, iterations)?),
        };
        Ok(Trial {
            arm: arm.into(),
            about: about.into(),
            own,
            report,
            refused,
            after,
            continued,
        })
    }

    /// Trains on from the step.
    fn go_on(&self, config: &RunConfig, iterations: u32) -> Result<Continued, AutopsyError> {
        let envs = config.train.num_envs as usize;
        let (scenario, seed) = (&self.experiment.scenario, self.incident.state.seed);
        let env = VecEnv::new(scenario, seed, Split::Train, envs, self.options.threads)?;
        let mut config = config.clone();
        config.train.threads = self.options.threads as u32;
        let mut trainer = Trainer::fork(self.incident, self.step, &config, env)?;
        let mut tally = Tally::default();
        for _ in 0..iterations.min(trainer.iterations_left()) {
            tally.0.iterations += 1;
            if trainer.iterate(&mut tally)?.is_some() {
                break;
            }
        }
        Ok(tally.0)
    }

    /// Where the robot was in a transition.
    fn locate(
        &self,
        contribution: Contribution,
        actions: &[f32],
        draw: bool,
    ) -> Result<Transition, AutopsyError> {
        let envs = self.incident.state.config.train.num_envs as usize;
        let (rollout_step, env) = (contribution.row / envs, contribution.row % envs);
        let failed = |reason: String| AutopsyError::Replay { env, reason };
        let (scenario, seed) = (&self.experiment.scenario, self.incident.state.seed);
        let state = &self.incident.environments(self.step)[env];
        let mut nav = NavEnv::new(Arc::clone(scenario), seed, Split::Train, env as u64)
            .map_err(|error| failed(error.to_string()))?;
        let mut frame = Frame::default();
        let action_at = |step: usize| &actions[(step * envs + env) * ACTIONS..][..ACTIONS];
        // The episode is the one that the transition is in: it began in this rollout or before.
        nav.restore(state).map_err(failed)?;
        let mut episode = state.clone();
        for step in 0..rollout_step {
            let action = action_at(step);
            episode.actions.extend_from_slice(action);
            if nav.step(action).outcome.is_some() {
                episode.episode += 1;
                episode.actions.clear();
                nav.reset(episode.episode);
            }
        }
        nav.frame(&mut frame);
        let robot = frame.robots[0].clone();
        let episode_step = nav.steps();
        let trace = draw.then(|| {
            nav.reset(episode.episode);
            nav.frame(&mut frame);
            let mut tracer = Tracer::begin(&nav, &frame);
            let later = (rollout_step..actions.len() / (envs * ACTIONS)).map(action_at);
            let mut ended = None;
            for action in episode.actions.chunks_exact(ACTIONS).chain(later) {
                ended = nav.step(action).outcome;
                nav.frame(&mut frame);
                tracer.step(&frame);
                if ended.is_some() {
                    break;
                }
            }
            tracer.finish(episode.episode, ended.unwrap_or(Outcome::TimeLimit))
        });
        nav.restore(&episode).map_err(failed)?;
        let action = action_at(rollout_step);
        Ok(Transition {
            contribution,
            env,
            rollout_step,
            episode: episode.episode,
            episode_step,
            position: robot.position,
            heading_rad: robot.heading_rad,
            speed_mps: robot.speed_mps,
            clearance_m: robot.clearance_m,
            action: action.to_vec(),
            outcome: nav.step(action).outcome,
            trace,
        })
    }
}

/// Takes what is told of training that goes on.
#[derive(Default)]
struct Tally(Continued);

impl Sink for Tally {
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
