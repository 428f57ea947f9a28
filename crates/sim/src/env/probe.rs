//! A probe on environments that are trained in: it copies the first few of them between two vector
//! steps, when an observer on another thread requests it. It must not change the environments:
//! training gives the same bits with a probe as without. A closed probe costs one atomic load per
//! vector step.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nalgebra::Point2;

use super::{NavEnv, Outcome};
use crate::scenario::Layout;
use crate::sim::WorldSnapshot;

/// Outcomes that are kept for each environment.
const MAX_OUTCOMES: usize = 5;

/// One environment between two vector steps.
#[derive(Clone, Debug, Default)]
pub struct EnvSnapshot {
    /// Number of the episode.
    pub episode: u64,
    /// Layout of the episode.
    pub layout: Layout,
    /// State of the world.
    pub world: WorldSnapshot,
    /// `[robots]`: positions of each robot in this episode, metres, one per control step since the
    /// probe was opened.
    pub trails: Vec<Vec<Point2<f32>>>,
    /// `[robots]`: undiscounted sum of each robot's rewards so far.
    pub returns: Vec<f64>,
    /// Outcomes of the last few episodes since the probe was opened, the newest last.
    pub outcomes: VecDeque<Outcome>,
}

/// The handle that the observer and the environments share.
#[derive(Debug)]
pub struct Probe {
    /// Number of environments that are copied, if there are as many.
    max_envs: usize,
    state: AtomicU8,
    buffer: Mutex<ProbeBuffer>,
}

#[derive(Debug, Default)]
struct ProbeBuffer {
    /// Whether `envs` was copied since the observer last took it.
    fresh: bool,
    envs: Vec<EnvSnapshot>,
}

/// There is no observer.
const CLOSED: u8 = 0;
/// There is an observer, and no request.
const OPEN: u8 = 1;
/// The observer requests a copy after the next vector step.
const REQUESTED: u8 = 2;

impl Probe {
    /// A closed probe on the first `max_envs` environments.
    pub fn new(max_envs: usize) -> Self {
        Self {
            max_envs,
            state: AtomicU8::new(CLOSED),
            buffer: Mutex::default(),
        }
    }

    /// Requests a copy after the next vector step, and opens the probe if it is closed.
    pub fn request(&self) {
        self.state.store(REQUESTED, Ordering::Relaxed);
    }

    /// Closes the probe.
    pub fn close(&self) {
        self.state.store(CLOSED, Ordering::Relaxed);
    }

    /// Swaps `envs` with the newest copy. Returns false, and leaves `envs` as it is, if nothing was
    /// copied since the last call.
    pub fn take(&self, envs: &mut Vec<EnvSnapshot>) -> bool {
        let mut buffer = self.lock_buffer();
        let fresh = std::mem::take(&mut buffer.fresh);
        if fresh {
            std::mem::swap(&mut buffer.envs, envs);
        }
        fresh
    }

    fn lock_buffer(&self) -> MutexGuard<'_, ProbeBuffer> {
        // A copy that a panic interrupted is still usable.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The environments' side of a probe.
#[derive(Debug)]
pub(super) struct ProbeSource {
    probe: Arc<Probe>,
    histories: Vec<EnvHistory>,
}

/// What a copy shows of earlier steps.
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

    /// Whether there is an observer.
    pub(super) fn is_open(&self) -> bool {
        self.probe.state.load(Ordering::Relaxed) != CLOSED
    }

    /// Takes a vector step: extends the histories, and copies the environments if a copy was
    /// requested. `envs` are the environments with how their episodes ended in this step.
    pub(super) fn record<'a>(
        &mut self,
        envs: impl Iterator<Item = (&'a NavEnv, &'a Option<Outcome>)>,
    ) {
        let envs: Vec<_> = envs.take(self.probe.max_envs).collect();
        self.histories.resize_with(envs.len(), EnvHistory::default);
        for (history, (env, outcome)) in self.histories.iter_mut().zip(&envs) {
            history.step(env, **outcome);
        }
        // Not a plain store: the observer may have closed the probe in the meantime.
        let requested = self.probe.state.compare_exchange(
            REQUESTED,
            OPEN,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if requested.is_ok() {
            let mut buffer = self.probe.lock_buffer();
            buffer.envs.resize_with(envs.len(), EnvSnapshot::default);
            let histories = envs.iter().zip(&self.histories);
            for (snapshot, ((env, _), history)) in buffer.envs.iter_mut().zip(histories) {
                snapshot.copy(env, history);
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
        env.snapshot(&mut self.world);
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
    fn a_request_gives_one_copy_of_the_environments() {
        let (mut envs, mut buffers) = envs(20);
        let probe = Arc::new(Probe::new(9));
        envs.set_probe(Arc::clone(&probe));
        let mut snapshots = Vec::new();
        drive(&mut envs, &mut buffers, 3);
        assert!(!probe.take(&mut snapshots), "there was no request");
        probe.request();
        drive(&mut envs, &mut buffers, 4);
        assert!(probe.take(&mut snapshots) && !probe.take(&mut snapshots));
        assert_eq!(snapshots.len(), 9);
        for snapshot in &snapshots {
            assert_eq!(snapshot.world.step, 4, "the first step after the request");
            assert_eq!(snapshot.layout.robots.len(), 1);
            let at = snapshot.world.robots[0].position;
            assert_eq!(
                snapshot.trails,
                [[Point2::from(at)]],
                "it was closed before"
            );
        }
        probe.request();
        drive(&mut envs, &mut buffers, 1);
        probe.take(&mut snapshots);
        assert_eq!(
            snapshots[0].trails[0].len(),
            5,
            "it has been open since the request"
        );
    }

    #[test]
    fn outcomes_are_kept_and_trails_start_again_with_each_episode() {
        let (mut envs, mut buffers) = envs(4);
        let probe = Arc::new(Probe::new(9));
        envs.set_probe(Arc::clone(&probe));
        probe.request();
        drive(&mut envs, &mut buffers, 1500);
        probe.request();
        drive(&mut envs, &mut buffers, 1);
        let mut snapshots = Vec::new();
        assert!(probe.take(&mut snapshots));
        for snapshot in &snapshots {
            assert_eq!(
                snapshot.outcomes.len(),
                MAX_OUTCOMES,
                "after {} episodes",
                snapshot.episode
            );
            assert!(snapshot.episode as usize >= MAX_OUTCOMES);
            let points = snapshot.trails[0].len() as u32;
            assert!(
                points.abs_diff(snapshot.world.step) <= 1,
                "one point per control step"
            );
        }
    }

    #[test]
    fn a_probe_changes_nothing() {
        let (mut plain, mut buffers) = envs(20);
        let (mut probed, mut probed_buffers) = envs(20);
        let probe = Arc::new(Probe::new(9));
        probed.set_probe(Arc::clone(&probe));
        for _ in 0..40 {
            probe.request();
            drive(&mut plain, &mut buffers, 5);
            drive(&mut probed, &mut probed_buffers, 5);
        }
        assert_eq!(buffers.obs, probed_buffers.obs);
        assert_eq!(plain.state(), probed.state());
    }
}
