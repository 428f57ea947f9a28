//! One environment with its controller.

use std::time::Duration;

use bevy::platform::cell::SyncCell;
use bevy::prelude::{Component, Transform};

use evenkeel_sim::env::{Controller, EpisodeRunner, NavEnv, Outcome, StepResult};
use evenkeel_sim::sim::WorldSnapshot;

/// What follows the end of an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEpisodeEnd {
    /// The next control step starts the next episode.
    #[default]
    Next,
    /// Nothing, until [`NavSim::reset`] is called.
    Wait,
}

/// A [`NavEnv`] with its [`Controller`]. [`NavPlugin`](super::NavPlugin) steps each one that is
/// spawned, and gives it a child for each robot ([`NavRobot`](super::NavRobot)) and each mover
/// ([`NavMover`](super::NavMover)).
///
/// Its `Transform` is in metres, so that several worlds can stand beside one another. An app that
/// attaches meshes to the robots must give every `NavSim` a `Visibility`, which headless Bevy does
/// not have: `app.register_required_components::<NavSim, Visibility>()`.
#[derive(Component)]
#[require(Transform)]
pub struct NavSim {
    runner: EpisodeRunner,
    /// A controller need not be `Sync`; the cell gives access to one thread at a time.
    controller: SyncCell<Box<dyn Controller + Send>>,
    on_end: OnEpisodeEnd,
    control_step: Duration,
    /// Simulated time since the last control step.
    since_step: Duration,
    previous: WorldSnapshot,
    /// Whether an episode has started that no [`EpisodeBegan`](super::EpisodeBegan) was sent for.
    unannounced: bool,
}

/// What one control step did.
pub(super) enum SimAdvance {
    /// It started a new episode instead.
    Began,
    /// It made a step; has the outcome if the episode ended with it.
    Advanced(Option<Outcome>),
    /// Nothing: the episode had ended before.
    Idle,
}

impl NavSim {
    /// A simulation that continues the episode that `env` is in.
    pub fn new(env: NavEnv, controller: Box<dyn Controller + Send>) -> Self {
        let secs = env.scenario().spec.task.control_step_secs;
        let mut sim = Self {
            runner: EpisodeRunner::new(env),
            controller: SyncCell::new(controller),
            on_end: OnEpisodeEnd::default(),
            control_step: Duration::from_secs_f64(secs),
            since_step: Duration::ZERO,
            previous: WorldSnapshot::default(),
            unannounced: true,
        };
        sim.start_episode();
        sim
    }

    /// Sets what follows the end of an episode.
    #[must_use]
    pub fn on_episode_end(mut self, on_end: OnEpisodeEnd) -> Self {
        self.on_end = on_end;
        self
    }

    /// Starts an episode: see [`NavEnv::reset`].
    pub fn reset(&mut self, episode: u64) {
        self.runner.reset(episode);
        self.start_episode();
    }

    fn start_episode(&mut self) {
        self.runner.begin_episode(self.controller.get().as_mut());
        self.previous.clone_from(self.runner.snapshot());
        self.since_step = Duration::ZERO;
        self.unannounced = true;
    }

    /// The environment.
    pub fn env(&self) -> &NavEnv {
        self.runner.env()
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> &WorldSnapshot {
        self.runner.snapshot()
    }

    /// The snapshot before the newest; the same as the newest at the beginning of an episode.
    pub fn previous_snapshot(&self) -> &WorldSnapshot {
        &self.previous
    }

    /// How far simulated time has gone from the newest snapshot towards the next, 0 to 1.
    /// Interpolating from [`Self::previous_snapshot`] to [`Self::snapshot`] by this share gives
    /// smooth motion, one control step late.
    pub fn interpolation(&self) -> f32 {
        if self.outcome().is_some() {
            return 1.0;
        }
        (self.since_step.as_secs_f32() / self.control_step.as_secs_f32()).min(1.0)
    }

    /// The result of the last control step for the only or first robot; `None` before the first
    /// step of an episode.
    pub fn last_step(&self) -> Option<&StepResult> {
        self.last_steps().first()
    }

    /// `[robots]`: the results of the last control step; empty before the first step of an episode.
    pub fn last_steps(&self) -> &[StepResult] {
        self.runner.results()
    }

    /// How the episode ended, if it has: see [`NavEnv::episode_outcome`].
    pub fn outcome(&self) -> Option<Outcome> {
        self.env().episode_outcome()
    }

    /// Whether an episode has started since the last call.
    pub(super) fn take_unannounced(&mut self) -> bool {
        std::mem::take(&mut self.unannounced)
    }

    /// Whether an episode has started since the last [`Self::take_unannounced`].
    pub(super) fn is_unannounced(&self) -> bool {
        self.unannounced
    }

    /// Adds simulated time.
    pub(super) fn advance_clock(&mut self, time: Duration) {
        self.since_step += time;
    }

    /// Whether a control step is due. If so, its time is taken off the clock.
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
        if self.outcome().is_some() {
            if self.on_end == OnEpisodeEnd::Wait {
                return SimAdvance::Idle;
            }
            let rest = self.since_step;
            self.reset(self.env().episode() + 1);
            self.since_step = rest;
            return SimAdvance::Began;
        }
        self.previous.clone_from(self.runner.snapshot());
        self.runner.step_with(self.controller.get().as_mut());
        SimAdvance::Advanced(self.outcome())
    }
}
