//! One environment and whoever drives it.

use std::time::Duration;

use bevy::platform::cell::SyncCell;
use bevy::prelude::{Component, Transform};

use evenkeel_sim::env::{Controller, EpisodeRunner, NavEnv, Outcome, StepResult};
use evenkeel_sim::sim::WorldSnapshot;

/// What follows the end of an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEpisodeEnd {
    /// The next control step begins the next episode.
    #[default]
    Next,
    /// Nothing, until [`NavSim::reset`] is called.
    Wait,
}

/// A [`NavEnv`] with the [`Controller`] that drives it. Spawn one, and
/// [`NavPlugin`](super::NavPlugin) steps it and gives it a child for each robot
/// ([`NavRobot`](super::NavRobot)) and each mover ([`NavMover`](super::NavMover)).
///
/// Metres are the units of its `Transform`, so that several worlds may stand beside one another. An
/// app that hangs meshes below the robots gives all of them a `Visibility`, which a headless Bevy
/// does not know: `app.register_required_components::<NavSim, Visibility>()`.
#[derive(Component)]
#[require(Transform)]
pub struct NavSim {
    env: NavEnv,
    /// Actors need not be shareable between threads; this lets only one at a time have it.
    controller: SyncCell<Box<dyn Controller + Send>>,
    after_end: OnEpisodeEnd,
    control_step: Duration,
    /// Simulated time that has passed since the last control step.
    since_step: Duration,
    previous: WorldSnapshot,
    frame: WorldSnapshot,
    outcome: Option<Outcome>,
    /// `[robots]`: what the last control step gave; nothing where the episode has only begun.
    last_steps: Vec<StepResult>,
    /// The episode that has begun without anyone having been told.
    unannounced: bool,
    runner: EpisodeRunner,
}

/// What one control step came to.
pub(super) enum SimAdvance {
    /// A new episode has begun instead.
    Began,
    /// The episode goes on, or has ended now.
    Advanced(Option<Outcome>),
    /// The episode ended earlier.
    Idle,
}

impl NavSim {
    /// A simulation that goes on from wherever the environment is.
    pub fn new(env: NavEnv, controller: Box<dyn Controller + Send>) -> Self {
        let secs = env.scenario().spec.task.control_step_secs;
        let mut sim = Self {
            controller: SyncCell::new(controller),
            after_end: OnEpisodeEnd::default(),
            control_step: Duration::from_secs_f64(secs),
            since_step: Duration::ZERO,
            previous: WorldSnapshot::default(),
            frame: WorldSnapshot::default(),
            outcome: None,
            last_steps: Vec::new(),
            unannounced: true,
            runner: EpisodeRunner::default(),
            env,
        };
        sim.start_episode();
        sim
    }

    /// Says what follows the end of an episode.
    #[must_use]
    pub fn on_episode_end(mut self, after_end: OnEpisodeEnd) -> Self {
        self.after_end = after_end;
        self
    }

    /// Begins the episode of this number, as [`NavEnv::reset`] does.
    pub fn reset(&mut self, episode: u64) {
        self.env.reset(episode);
        self.start_episode();
    }

    /// Takes up the episode that the environment has begun.
    fn start_episode(&mut self) {
        self.runner.reset(&self.env, self.controller.get().as_mut());
        self.env.snapshot(&mut self.frame);
        self.previous.clone_from(&self.frame);
        self.since_step = Duration::ZERO;
        self.outcome = None;
        self.last_steps.clear();
        self.unannounced = true;
    }

    /// The environment.
    pub fn env(&self) -> &NavEnv {
        &self.env
    }

    /// The newest frame.
    pub fn snapshot(&self) -> &WorldSnapshot {
        &self.frame
    }

    /// The frame before the newest; the same at an episode's beginning.
    pub fn previous_snapshot(&self) -> &WorldSnapshot {
        &self.previous
    }

    /// How far simulated time has gone from the newest frame towards the next, 0 to 1: whoever
    /// draws between [`Self::previous_snapshot`] and [`Self::snapshot`] by this share draws smoothly,
    /// one control step late.
    pub fn interpolation(&self) -> f32 {
        if self.outcome.is_some() {
            return 1.0;
        }
        (self.since_step.as_secs_f32() / self.control_step.as_secs_f32()).min(1.0)
    }

    /// What the last control step gave the only or first robot, unless the episode has only begun.
    pub fn last_step(&self) -> Option<&StepResult> {
        self.last_steps.first()
    }

    /// `[robots]`: what the last control step gave each robot; empty where the episode has only
    /// begun.
    pub fn last_steps(&self) -> &[StepResult] {
        &self.last_steps
    }

    /// How the episode ended, if it has: see [`NavEnv::episode_outcome`].
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether an episode has begun since the last call.
    pub(super) fn take_unannounced(&mut self) -> bool {
        std::mem::take(&mut self.unannounced)
    }

    /// Whether an episode has begun that nobody has been told of.
    pub(super) fn is_unannounced(&self) -> bool {
        self.unannounced
    }

    /// Lets simulated time pass.
    pub(super) fn advance_clock(&mut self, time: Duration) {
        self.since_step += time;
    }

    /// Whether a control step is due; each is told once.
    pub(super) fn step_is_due(&mut self) -> bool {
        match self.since_step.checked_sub(self.control_step) {
            Some(rest) => {
                self.since_step = rest;
                true
            }
            None => false,
        }
    }

    /// One control step.
    pub(super) fn step(&mut self) -> SimAdvance {
        if self.outcome.is_some() {
            if self.after_end == OnEpisodeEnd::Wait {
                return SimAdvance::Idle;
            }
            let rest = self.since_step;
            self.reset(self.env.episode() + 1);
            self.since_step = rest;
            return SimAdvance::Began;
        }
        let controller = self.controller.get().as_mut();
        let steps = self.runner.step(&mut self.env, controller, &self.frame);
        self.last_steps.clear();
        self.last_steps.extend_from_slice(steps);
        std::mem::swap(&mut self.previous, &mut self.frame);
        self.env.snapshot(&mut self.frame);
        self.outcome = self.env.episode_outcome();
        SimAdvance::Advanced(self.outcome)
    }
}
