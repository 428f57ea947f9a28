//! The one training loop: gather a rollout, learn from it, say what happened, now and then
//! evaluate and save.

use std::path::Path;
use std::time::Instant;

use tch::Tensor;

use super::checkpoint::{Checkpoint, SavedPolicy, SavedState};
use super::curriculum::{Taught, Teacher};
use super::incident::{Incident, IncidentFolder};
use super::learner::{Learner, Lesson, Optimised, Place, Tried};
use super::lived::{Heard, RECORDED, lived};
use super::measure::Measure;
use super::normaliser::{Moments, Normaliser};
use super::recorder::{Recorder, RecorderConfig};
use super::resume::refuse_changes;
use super::rollout::{Rollout, RolloutTime, collect};
use super::{EvaluateError, LearnError, PolicyActor, RunConfig};
use crate::nn::entries;
use crate::optim::{Moment, OptimiserState};
use evenkeel_runs::health::{Guardian, Monitor, RobotVitals, StepVitals};
use evenkeel_runs::record::{Lived, RecordError};
use evenkeel_runs::telemetry::{
    Action, CheckpointReport, DivergedReport, EvalSummary, EvaluationReport, Event, GuardReport,
    IterationReport, Sink, StepReport, WallReport,
};
use evenkeel_sim::env::{Actor, EpisodeStats, StepBuffers, VectorEnv};
use evenkeel_sim::seed::Root;

mod fork;
mod summary;

use summary::mean_report;

/// Trains one policy in one vector of environments.
pub struct Trainer<E> {
    env: E,
    buffers: StepBuffers,
    learner: Learner,
    observation: Normaliser,
    rollout: Rollout,
    monitor: Monitor,
    recorder: Recorder,
    /// Absent where every level is new.
    teacher: Option<Teacher>,
    state: SavedState,
    clock: Clock,
    /// The rest of an iteration, which a fork begins with.
    forked: Option<(Lesson, Place)>,
    /// Whether the iteration under way is to be recorded, and what was lived in its rollout.
    record: bool,
    lived: Option<Lived>,
}

/// Wall clock of a run, summed over resumptions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Seconds of the sessions before this one, up to the checkpoint.
    before: f64,
    began: Instant,
}

impl Clock {
    fn start(before: f64) -> Self {
        let began = Instant::now();
        Self { before, began }
    }

    /// Seconds so far.
    pub(super) fn secs(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }
}

/// Evaluates an actor on episodes held out for choosing.
pub type Evaluate<'a> = dyn FnMut(&mut dyn Actor) -> Result<EvalSummary, EvaluateError> + 'a;

/// Records what an environment lived in an iteration, given what was told of the iteration.
pub type Record<'a> = dyn FnMut(&Lived, &[Event]) -> Result<(), RecordError> + 'a;

/// What surrounds a run: who listens, who evaluates, where checkpoints go, and when to stop.
pub struct Session<'a> {
    /// Hears of everything that happens.
    pub sink: &'a mut dyn Sink,
    /// Called as often as `train.eval_every` says, and at the end.
    pub evaluate: Option<&'a mut Evaluate<'a>>,
    /// The folder that `last` and `best` are written into.
    pub checkpoints: Option<&'a Path>,
    /// Where the flight recorder writes what it has kept when a detector fires.
    pub incidents: Option<&'a IncidentFolder>,
    /// Called as often as `train.record_every` says.
    pub record: Option<&'a mut Record<'a>>,
    /// Asked after each iteration whether to stop there.
    pub stop: &'a dyn Fn() -> bool,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// All steps were done.
    Finished,
    /// It was asked to stop and can be resumed.
    Stopped,
    /// It diverged; the last checkpoint is from before.
    Diverged(DivergedReport),
}

/// What the optimiser steps of an iteration came to.
struct Learned {
    /// One report a step, in order.
    steps: Vec<StepReport>,
    optimised: Optimised,
    /// How long they took.
    secs: f64,
}

impl<E: VectorEnv> Trainer<E> {
    /// A run before its first iteration.
    pub fn new(config: &RunConfig, seed: Root, env: E) -> Result<Self, LearnError> {
        let clock = Clock::start(0.0);
        let learner = Learner::new(config, seed, env.obs_layout(), env.action_dim())?;
        let state = SavedState::begin(
            config.clone(),
            seed,
            env.obs_layout(),
            env.action_dim(),
            learner.initial_norm,
        );
        let mut trainer = Self::assemble(env, learner, Moments::new(0), state, clock)?;
        trainer.env.reset(&mut trainer.buffers);
        Ok(trainer)
    }

    /// A run that goes on where a checkpoint left it; the seed is the checkpoint's, and `env` must
    /// have been made with it. `config` may differ from the checkpoint's in the number of steps
    /// (over which a schedule is then stretched), threads, device, evaluations and checkpoints.
    pub fn resume(config: &RunConfig, checkpoint: &Checkpoint, env: E) -> Result<Self, LearnError> {
        let saved = &checkpoint.policy;
        let clock = Clock::start(saved.state.elapsed_secs);
        saved.state.check_fits(env.obs_layout(), env.action_dim())?;
        refuse_changes(&saved.state.config, config)?;
        if config.iterations() < saved.state.iteration {
            return Err(LearnError::AlreadyAt {
                total_steps: config.train.total_steps,
                global_step: saved.state.global_step,
            });
        }
        let (layout, act) = (env.obs_layout(), env.action_dim());
        let mut learner = Learner::new(config, saved.state.seed, layout, act)?;
        let device = learner.parameters.device();
        let flat = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        learner.parameters = flat(&saved.parameters);
        learner.statistics = flat(&saved.statistics);
        learner.initial_norm = saved.state.initial_norm;
        let moments = checkpoint.moments.iter().map(|(name, entries)| Moment {
            name,
            tensor: flat(entries),
        });
        learner.optimiser = OptimiserState {
            moments: moments.collect(),
            steps: saved.state.steps_taken,
        };
        learner.tried = saved.state.optimiser_step;
        learner.guardian = Guardian::resume(config.stability.guard, saved.state.guard);
        learner.clip.clone_from(&saved.state.clip);
        let kinds = config.stability.normalise;
        learner.returns = Normaliser::new(kinds.returns, checkpoint.returns.clone());
        let state = SavedState {
            config: config.clone(),
            ..saved.state.clone()
        };
        let mut trainer = Self::assemble(env, learner, saved.observation.clone(), state, clock)?;
        trainer
            .env
            .restore(&checkpoint.environments, &mut trainer.buffers)
            .map_err(LearnError::Restore)?;
        if let Some(memory) = &mut trainer.rollout.memory {
            memory.hidden.clone_from(&checkpoint.hidden);
        }
        // What the environments did before is not this run's.
        trainer.env.take_stats();
        Ok(trainer)
    }

    fn assemble(
        mut env: E,
        learner: Learner,
        observation: Moments,
        state: SavedState,
        clock: Clock,
    ) -> Result<Self, LearnError> {
        let train = &learner.config.train;
        let envs = train.num_envs as usize;
        if env.num_envs() != envs {
            return Err(LearnError::EnvCount {
                expected: envs,
                found: env.num_envs(),
            });
        }
        let obs_dim = env.obs_layout().dim();
        let observation = if observation.mean.is_empty() {
            Moments::new(obs_dim)
        } else {
            observation
        };
        let teacher = Teacher::new(
            train.curriculum,
            state.curriculum.clone(),
            env.scenario(),
            state.seed,
            learner.config.threads(),
        )?;
        if let Some(teacher) = &teacher {
            env.follow(&teacher.first_plan());
        }
        Ok(Self {
            teacher,
            buffers: StepBuffers::new(envs, obs_dim),
            observation: Normaliser::new(
                learner.config.stability.normalise.observation,
                observation,
            ),
            rollout: learner.rollout(),
            monitor: Monitor::resume(
                learner.config.stability.health.clone(),
                learner.anatomy(),
                state.health.clone(),
            ),
            recorder: Recorder::new(learner.config.stability.recorder, state.recorded),
            env,
            learner,
            state,
            clock,
            forked: None,
            record: false,
            lived: None,
        })
    }

    /// How much is measured and told from here on. Nothing else depends on it: with
    /// [`Measure::Guard`] the same run is trained in silence.
    pub fn set_measure(&mut self, measured: Measure) {
        self.learner.measured = measured;
        let config = match measured {
            Measure::Everything => self.state.config.stability.recorder,
            Measure::Guard => RecorderConfig::OFF,
        };
        self.recorder = Recorder::new(config, self.state.recorded);
    }

    /// All settings of the run.
    pub fn config(&self) -> &RunConfig {
        &self.state.config
    }

    /// Iterations that are left of the budget.
    pub fn iterations_left(&self) -> u32 {
        let left = self
            .state
            .config
            .iterations()
            .saturating_sub(self.state.iteration);
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Environment steps gathered.
    pub fn global_step(&self) -> u64 {
        self.state.global_step
    }

    /// Seconds of wall clock since the run began: training, evaluations, checkpoints and logs,
    /// summed over resumptions. What came after the checkpoint resumed from does not count.
    pub fn elapsed_secs(&self) -> f64 {
        self.clock.secs()
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The weights by name, flat, in order.
    pub fn parameters(&self) -> Vec<f32> {
        entries(&self.learner.parameters)
    }

    /// The policy as it is now, deterministic.
    pub fn actor(&self) -> PolicyActor {
        PolicyActor::assemble(
            self.learner.policy.clone(),
            &self.learner.parameters,
            &self.learner.statistics,
            self.observation.clone(),
            &self.state,
        )
        .with_returns(self.learner.returns.clone())
    }

    /// All that the next iteration reads.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            policy: SavedPolicy {
                state: SavedState {
                    elapsed_secs: self.elapsed_secs(),
                    clip: self.learner.clip.clone(),
                    health: self.monitor.state().clone(),
                    guard: *self.learner.guardian.state(),
                    recorded: self.recorder.last,
                    steps_taken: self.learner.optimiser.steps,
                    ..self.state.clone()
                },
                parameters: entries(&self.learner.parameters),
                statistics: entries(&self.learner.statistics),
                observation: self.observation.moments().clone(),
            },
            moments: self
                .learner
                .optimiser
                .moments
                .iter()
                .map(|moment| (moment.name, entries(&moment.tensor)))
                .collect(),
            returns: self.learner.returns.moments().clone(),
            hidden: self.hidden(),
            environments: self.env.state(),
        }
    }

    /// `[N, state]`: what the policy remembers of each environment.
    fn hidden(&self) -> Vec<f32> {
        let memory = self.rollout.memory.as_ref();
        memory.map_or_else(Vec::new, |memory| memory.hidden.clone())
    }

    /// Trains until all steps are done, the session asks to stop, or the run diverges.
    pub fn run(&mut self, session: &mut Session) -> Result<Ended, LearnError> {
        let iterations = self.state.config.iterations();
        while self.state.iteration < iterations {
            self.record = session.record.is_some() && self.recording_is_due();
            let mut heard = Heard {
                sink: session.sink,
                kept: self.record.then(Vec::new),
            };
            let diverged = self.iterate(&mut heard)?;
            let events = heard.kept.unwrap_or_default();
            if let (Some(record), Some(lived)) = (&mut session.record, self.lived.take()) {
                record(&lived, &events).map_err(LearnError::Record)?;
            }
            self.keep_incidents(session)?;
            if let Some(diverged) = diverged {
                session.sink.flush().map_err(LearnError::Sink)?;
                return Ok(Ended::Diverged(diverged));
            }
            let done = self.state.iteration == iterations;
            let stop = !done && (session.stop)();
            let (train, iteration) = (&self.state.config.train, self.state.iteration);
            let evaluate = train.evaluates_after(iteration) || done;
            let due = iteration.is_multiple_of(u64::from(train.checkpoint_every));
            let save = due || done || stop;
            if evaluate {
                self.evaluate(session)?;
            }
            if save {
                self.save(session, "last")?;
            }
            session.sink.flush().map_err(LearnError::Sink)?;
            if stop {
                return Ok(Ended::Stopped);
            }
        }
        // Training may go on beyond divergence where the guard is off.
        Ok(self
            .state
            .diverged
            .clone()
            .map_or(Ended::Finished, Ended::Diverged))
    }

    /// Whether the next iteration is one of those to be recorded.
    fn recording_is_due(&self) -> bool {
        let every = u64::from(self.state.config.train.record_every);
        every > 0 && (self.state.iteration + 1).is_multiple_of(every)
    }

    /// One iteration: a rollout with all its epochs. Says so if training ends with it because the
    /// run diverged; then the weights are those before the step that the guard refused.
    pub fn iterate(&mut self, sink: &mut dyn Sink) -> Result<Option<DivergedReport>, LearnError> {
        let began = Instant::now();
        let (lesson, place, time) = if let Some((lesson, place)) = self.forked.take() {
            (lesson, place, RolloutTime::default())
        } else {
            let taught = self.choose_levels()?;
            let (lesson, time) = self.gather(taught);
            (lesson, Place::default(), time)
        };
        let learned = self.learn(&lesson, place, sink)?;
        let stats = self.env.take_stats();
        if let Some(teacher) = &mut self.teacher {
            teacher.observe(&stats);
            self.state.curriculum = teacher.state().clone();
        }
        let wall = self.wall(began.elapsed().as_secs_f64(), &learned, time);
        self.conclude(lesson, learned, &stats, wall, sink)
    }

    /// Says which levels the next rollout plays.
    fn choose_levels(&mut self) -> Result<Option<Taught>, LearnError> {
        let Some(mut teacher) = self.teacher.take() else {
            return Ok(None);
        };
        let iteration = self.state.iteration;
        let prepared = teacher.prepare(iteration, || self.actor());
        let taught = teacher.teach(iteration);
        self.teacher = Some(teacher);
        prepared?;
        self.env.follow(&taught.plan);
        self.state.curriculum = taught.state.clone();
        Ok(Some(taught))
    }

    /// Gathers a rollout.
    fn gather(&mut self, taught: Option<Taught>) -> (Lesson, RolloutTime) {
        let environments = if self.recorder.is_on() || self.record {
            self.env.state()
        } else {
            Vec::new()
        };
        let acting = self.learner.acting(&self.observation);
        let (seed, iteration) = (self.state.seed, self.state.iteration);
        let (seen, time) = collect(
            &mut self.rollout,
            &acting,
            &mut self.env,
            &mut self.buffers,
            seed,
            iteration,
        );
        let (returned, explained) = self.learner.evaluate(&mut self.rollout, &self.observation);
        self.lived = self.record.then(|| {
            let acting = self.learner.acting(&self.observation);
            let before = environments[RECORDED].clone();
            let robots = self.rollout.envs / environments.len();
            Lived {
                iteration: iteration + 1,
                global_step: self.state.global_step,
                levels: taught.as_ref().map(|taught| taught.plan.clone()),
                ..lived(
                    &self.rollout,
                    &acting,
                    &self.learner.returns,
                    before,
                    robots,
                )
            }
        });
        self.state.global_step += self.state.config.steps_per_iteration();
        let (rows, sequences) = self.learner.batch(&self.rollout);
        let waits = &self.rollout.waits;
        let lesson = Lesson {
            iteration,
            global_step: self.state.global_step,
            rows,
            sequences,
            waits: if waits.contains(&true) {
                waits.clone()
            } else {
                Vec::new()
            },
            explained,
            observation: self.observation.moments().clone(),
            returns: self.learner.returns.moments().clone(),
            seen,
            returned,
            environments,
            taught,
            hidden: self.hidden(),
        };
        (lesson, time)
    }

    /// Gathers a rollout and tries the first optimiser step on it.
    #[cfg(test)]
    pub(super) fn first_step(&mut self) -> Tried {
        let (lesson, _) = self.gather(None);
        let mut first = None;
        self.learner
            .optimise(&lesson, Place::default(), &mut |tried| {
                first.get_or_insert(tried);
            });
        first.expect("an iteration has a step")
    }

    /// Learns from a rollout, from a place in it on, and tells of every optimiser step.
    fn learn(
        &mut self,
        lesson: &Lesson,
        from: Place,
        sink: &mut dyn Sink,
    ) -> Result<Learned, LearnError> {
        let began = Instant::now();
        let mut told: Vec<Event> = Vec::new();
        let (monitor, recorder) = (&mut self.monitor, &mut self.recorder);
        let silent = self.learner.measured == Measure::Guard;
        let optimised = self.learner.optimise(lesson, from, &mut |tried: Tried| {
            if silent {
                return;
            }
            let vitals = StepVitals {
                not_finite: tried.diverges,
                ..StepVitals::from(&tried.report)
            };
            let seen = monitor.observe(&vitals);
            told.push(Event::Step(tried.report.clone()));
            told.extend(guard_report(&tried).map(Event::Guard));
            recorder.watch(tried, &seen);
            told.extend(seen.into_iter().map(Event::Health));
        });
        if !optimised.rolled_back {
            self.observation.advance(&lesson.seen);
            self.learner.returns.advance(&lesson.returned);
        }
        self.state.iteration += 1;
        self.state.optimiser_step = self.learner.tried;
        let secs = began.elapsed().as_secs_f64();
        told.iter()
            .try_for_each(|event| sink.record(event))
            .map_err(LearnError::Sink)?;
        let steps = told.into_iter().filter_map(|event| match event {
            Event::Step(step) => Some(step),
            _ => None,
        });
        Ok(Learned {
            steps: steps.collect(),
            optimised,
            secs,
        })
    }

    /// Tells what the iteration came to, and whether training ends with it.
    fn conclude(
        &mut self,
        lesson: Lesson,
        learned: Learned,
        stats: &EpisodeStats,
        wall: WallReport,
        sink: &mut dyn Sink,
    ) -> Result<Option<DivergedReport>, LearnError> {
        let Learned {
            steps, optimised, ..
        } = learned;
        if self.learner.measured == Measure::Guard {
            return Ok(optimised.diverged.filter(|_| optimised.over));
        }
        let clipped = |step: &&StepReport| step.clipped();
        let report = IterationReport {
            iteration: self.state.iteration,
            global_step: self.state.global_step,
            optimiser_step: self.state.optimiser_step,
            episodes: stats.episodes,
            outcomes: stats.outcomes,
            success_rate: stats.success_rate(),
            episodic_return: stats.mean_return(),
            episodic_length: stats.mean_length(),
            reward_terms: stats
                .reward_terms
                .iter()
                .map(|&(name, sum)| (name.to_string(), sum / stats.steps.max(1) as f64))
                .collect(),
            learning_rate: optimised.learning_rate,
            explained_variance: lesson.explained,
            action_std: self.action_std(),
            mean: mean_report(&steps),
            clip_share: steps.iter().filter(clipped).count() as f64 / steps.len().max(1) as f64,
            layers: optimised.layers,
            epochs: optimised.epochs,
            curriculum: self.teacher.as_ref().map(Teacher::report),
            wall,
        };
        let seen = self.monitor.observe_iteration(&report);
        self.recorder.note(&seen);
        self.recorder.keep(lesson);
        let mut tell = |event: Event| sink.record(&event).map_err(LearnError::Sink);
        tell(Event::Iteration(report))?;
        seen.into_iter()
            .try_for_each(|seen| tell(Event::Health(seen)))?;
        if let (None, Some(diverged)) = (&self.state.diverged, &optimised.diverged) {
            tell(Event::Diverged(diverged.clone()))?;
            self.state.diverged = Some(diverged.clone());
        }
        let over = optimised.over.then(|| self.state.diverged.clone());
        Ok(over.flatten())
    }

    fn wall(&self, iteration: f64, learned: &Learned, rollout: RolloutTime) -> WallReport {
        WallReport {
            elapsed_secs: self.elapsed_secs(),
            steps_per_sec: self.state.config.steps_per_iteration() as f64 / iteration,
            simulate_secs: rollout.simulate.as_secs_f64(),
            forward_secs: rollout.forward.as_secs_f64(),
            optimise_secs: learned.secs,
        }
    }

    fn action_std(&self) -> Option<f64> {
        let Learner {
            policy,
            parameters,
            statistics,
            ..
        } = &self.learner;
        let weights = policy.weights(parameters, statistics);
        let std = policy.distribution(&weights).mean_std();
        std.is_finite().then_some(std)
    }

    fn evaluate(&mut self, session: &mut Session) -> Result<(), LearnError> {
        let Some(evaluate) = session.evaluate.as_mut() else {
            return Ok(());
        };
        let summary = evaluate(&mut self.actor()).map_err(LearnError::Evaluate)?;
        let score = (summary.success.value, summary.episodic_return.value);
        let best = self.state.best.is_none_or(|best| score > best);
        if best {
            self.state.best = Some(score);
        }
        let (global_step, optimiser_step) = (self.state.global_step, self.state.optimiser_step);
        let drove = RobotVitals::of_evaluation(&summary, global_step, optimiser_step);
        let seen = self.monitor.observe_robot(&drove);
        self.recorder.note(&seen);
        let event = Event::Evaluation(EvaluationReport {
            global_step: self.state.global_step,
            elapsed_secs: self.elapsed_secs(),
            summary,
            best,
        });
        session.sink.record(&event).map_err(LearnError::Sink)?;
        for seen in seen {
            let event = Event::Health(seen);
            session.sink.record(&event).map_err(LearnError::Sink)?;
        }
        self.keep_incidents(session)?;
        if best {
            self.save(session, "best")
        } else {
            Ok(())
        }
    }

    /// Writes what the flight recorder has set aside.
    fn keep_incidents(&mut self, session: &mut Session) -> Result<(), LearnError> {
        let (caught, lessons) = self.recorder.take();
        let Some(folder) = session.incidents else {
            return Ok(());
        };
        for catch in caught {
            let (run, config) = (&folder.run, &folder.config);
            let incident = Incident::of_catch(catch, lessons, &self.state, run, config);
            let report = folder
                .keep(incident, self.state.config.stability.recorder)
                .map_err(LearnError::Incident)?;
            session
                .sink
                .record(&Event::Incident(report))
                .map_err(LearnError::Sink)?;
        }
        Ok(())
    }

    fn save(&self, session: &mut Session, name: &str) -> Result<(), LearnError> {
        let Some(folder) = session.checkpoints else {
            return Ok(());
        };
        // The log first: a resumption cuts off what is beyond its checkpoint, but could not make
        // up for what is missing before it.
        let event = Event::Checkpoint(CheckpointReport {
            name: name.into(),
            global_step: self.state.global_step,
        });
        session.sink.record(&event).map_err(LearnError::Sink)?;
        session.sink.flush().map_err(LearnError::Sink)?;
        Ok(self.checkpoint().save(&folder.join(name))?)
    }
}

/// What is told of the guard's decision about a step. Where it only looks on, a fault that goes on
/// is told of once.
fn guard_report(tried: &Tried) -> Option<GuardReport> {
    let ruling = tried.ruling;
    let goes_on = ruling.action == Action::Proceed && ruling.in_a_row > 1;
    ruling.fault.filter(|_| !goes_on).map(|fault| GuardReport {
        global_step: tried.input.global_step,
        optimiser_step: tried.input.optimiser_step,
        fault,
        action: ruling.action,
    })
}
