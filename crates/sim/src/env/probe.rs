//! A tap on environments that train: whoever opens one sees the first few of them now and then,
//! copied out between two vector steps. It reads, and nothing else: what is trained is the same
//! with a tap as without. Shut, it costs one atomic load a vector step.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nalgebra::Point2;

use super::{NavEnv, Outcome};
use crate::scenario::Layout;
use crate::sim::WorldSnapshot;

/// Ends of episodes that are remembered of each environment.
const MAX_OUTCOMES: usize = 5;

/// One environment as it was between two vector steps.
#[derive(Clone, Debug, Default)]
pub struct EnvSnapshot {
    /// Number of its episode.
    pub episode: u64,
    /// What stands in its room.
    pub layout: Layout,
    /// How things are.
    pub frame: WorldSnapshot,
    /// `[robots]`: where each has been in this episode, metres, one point a control step; since the
    /// tap was opened, where that was later.
    pub trails: Vec<Vec<Point2<f32>>>,
    /// `[robots]`: undiscounted sum of each one's rewards so far.
    pub returns: Vec<f64>,
    /// How the last few episodes ended since the tap was opened, the newest last.
    pub outcomes: VecDeque<Outcome>,
}

/// The handle that whoever looks and whoever steps share.
#[derive(Debug)]
pub struct Probe {
    /// Environments that are shown at most.
    max_envs: usize,
    state: AtomicU8,
    buffer: Mutex<ProbeBuffer>,
}

#[derive(Debug, Default)]
struct ProbeBuffer {
    fresh: bool,
    envs: Vec<EnvSnapshot>,
}

/// Nobody looks.
const CLOSED: u8 = 0;
/// Somebody looks, and has what there is to see.
const OPEN: u8 = 1;
/// Somebody asks for what comes next.
const REQUESTED: u8 = 2;

impl Probe {
    /// A tap, shut, on the first environments, at most as many as are stepped by one thread at a
    /// time (16).
    pub fn new(max_envs: usize) -> Self {
        Self {
            max_envs: max_envs.min(super::vec::SHARD_SIZE),
            state: AtomicU8::new(CLOSED),
            buffer: Mutex::default(),
        }
    }

    /// Asks for a copy after the next vector step, and opens the tap if it was shut.
    pub fn request(&self) {
        self.state.store(REQUESTED, Ordering::Relaxed);
    }

    /// Nobody looks any more.
    pub fn close(&self) {
        self.state.store(CLOSED, Ordering::Relaxed);
    }

    /// Exchanges the environments for those that were copied since the last time, if any were.
    pub fn take(&self, envs: &mut Vec<EnvSnapshot>) -> bool {
        let mut buffer = self.shown();
        let fresh = std::mem::take(&mut buffer.fresh);
        if fresh {
            std::mem::swap(&mut buffer.envs, envs);
        }
        fresh
    }

    fn shown(&self) -> MutexGuard<'_, ProbeBuffer> {
        // A copy that was cut off is still a copy.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a tap that hangs on the environments.
#[derive(Debug)]
pub(super) struct ProbeSource {
    probe: Arc<Probe>,
    histories: Vec<EnvHistory>,
}

/// What has to be kept from step to step to be shown.
#[derive(Debug, Default)]
struct EnvHistory {
    episode: u64,
    /// `[robots]`.
    trails: Vec<Vec<Point2<f32>>>,
    outcomes: VecDeque<Outcome>,
}

impl ProbeSource {
    pub(super) fn new(probe: Arc<Probe>) -> Self {
        let histories = Vec::new();
        Self { probe, histories }
    }

    /// Whether somebody looks.
    pub(super) fn is_open(&self) -> bool {
        self.probe.state.load(Ordering::Relaxed) != CLOSED
    }

    /// After a vector step: keeps where the robots are, and copies everything if it was asked for.
    /// `envs` are the first ones, `outcomes` how their episodes ended in this step.
    pub(super) fn record(&mut self, envs: &[NavEnv], outcomes: &[Option<Outcome>]) {
        let count = self.probe.max_envs.min(envs.len());
        self.histories.resize_with(count, EnvHistory::default);
        for ((history, env), outcome) in self.histories.iter_mut().zip(envs).zip(outcomes) {
            history.step(env, *outcome);
        }
        // Whoever shut it meanwhile stays unseen.
        let requested = self.probe.state.compare_exchange(
            REQUESTED,
            OPEN,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if requested.is_ok() {
            let mut buffer = self.probe.shown();
            buffer.envs.resize_with(count, EnvSnapshot::default);
            for ((buffer, env), history) in buffer.envs.iter_mut().zip(envs).zip(&self.histories) {
                buffer.copy(env, history);
            }
            buffer.fresh = true;
        }
    }
}

impl EnvHistory {
    fn step(&mut self, env: &NavEnv, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            if self.outcomes.len() == MAX_OUTCOMES {
                self.outcomes.pop_front();
            }
            self.outcomes.push_back(outcome);
        }
        if outcome.is_some() || self.episode != env.episode() {
            self.episode = env.episode();
            self.trails.iter_mut().for_each(Vec::clear);
        }
        self.trails.resize_with(env.robot_count(), Vec::new);
        for (robot, trail) in self.trails.iter_mut().enumerate() {
            trail.push(env.robot_position(robot));
        }
    }
}

impl EnvSnapshot {
    fn copy(&mut self, env: &NavEnv, history: &EnvHistory) {
        self.episode = env.episode();
        self.layout.clone_from(env.layout());
        env.snapshot(&mut self.frame);
        self.trails.clone_from(&history.trails);
        self.returns = env.returns();
        self.outcomes.clone_from(&history.outcomes);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{StepBuffers, VecEnv, VectorEnv as _};
    use super::*;
    use crate::seed::Split;

    fn envs(count: usize) -> (VecEnv, StepBuffers) {
        let scenario = Arc::new(crate::scenario::resolve("movers", &[]).unwrap());
        let mut envs = VecEnv::new(&scenario, 3, Split::Train, count, 2).unwrap();
        let mut buffers = StepBuffers::new(count, envs.obs_layout().dim());
        envs.reset(&mut buffers);
        (envs, buffers)
    }

    fn drive(envs: &mut VecEnv, buffers: &mut StepBuffers, steps: usize) {
        let actions = [1.0, 0.1].repeat(envs.num_envs());
        for _ in 0..steps {
            envs.step(&actions, buffers);
        }
    }

    #[test]
    fn what_was_asked_for_comes_once_and_is_what_the_environments_are() {
        let (mut envs, mut buffers) = envs(20);
        let probe = Arc::new(Probe::new(9));
        envs.set_probe(Arc::clone(&probe));
        let mut seen = Vec::new();
        drive(&mut envs, &mut buffers, 3);
        assert!(!probe.take(&mut seen), "nobody had asked");
        probe.request();
        drive(&mut envs, &mut buffers, 4);
        assert!(probe.take(&mut seen) && !probe.take(&mut seen));
        assert_eq!(seen.len(), 9);
        for buffer in &seen {
            assert_eq!(buffer.frame.step, 4, "the step after the question");
            assert_eq!(buffer.layout.robots.len(), 1);
            let at = buffer.frame.robots[0].position;
            assert_eq!(buffer.trails, [[Point2::from(at)]], "it was shut before");
        }
        probe.request();
        drive(&mut envs, &mut buffers, 1);
        probe.take(&mut seen);
        assert_eq!(seen[0].trails[0].len(), 5, "it has been open since");
    }

    #[test]
    fn ends_are_counted_and_trails_begin_anew() {
        let (mut envs, mut buffers) = envs(4);
        let probe = Arc::new(Probe::new(9));
        envs.set_probe(Arc::clone(&probe));
        probe.request();
        drive(&mut envs, &mut buffers, 1500);
        probe.request();
        drive(&mut envs, &mut buffers, 1);
        let mut seen = Vec::new();
        assert!(probe.take(&mut seen));
        for buffer in &seen {
            assert_eq!(
                buffer.outcomes.len(),
                MAX_OUTCOMES,
                "after {} episodes",
                buffer.episode
            );
            assert!(buffer.episode as usize >= MAX_OUTCOMES);
            let points = buffer.trails[0].len() as u32;
            assert!(
                points.abs_diff(buffer.frame.step) <= 1,
                "one a control step"
            );
        }
    }

    #[test]
    fn looking_on_changes_nothing() {
        let (mut plain, mut buffers) = envs(20);
        let (mut probed, mut looked_at) = envs(20);
        let probe = Arc::new(Probe::new(9));
        probed.set_probe(Arc::clone(&probe));
        for _ in 0..40 {
            probe.request();
            drive(&mut plain, &mut buffers, 5);
            drive(&mut probed, &mut looked_at, 5);
        }
        assert_eq!(buffers.obs, looked_at.obs);
        assert_eq!(plain.state(), probed.state());
    }
}
