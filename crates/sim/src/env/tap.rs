//! A tap on environments that train: whoever opens one sees the first few of them now and then,
//! copied out between two vector steps. It reads, and nothing else: what is trained is the same
//! with a tap as without. Shut, it costs one atomic load a vector step.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nalgebra::Point2;

use super::{NavEnv, Outcome};
use crate::scenario::Layout;
use crate::sim::Frame;

/// Ends of episodes that are remembered of each environment.
const ENDS: usize = 5;

/// One environment as it was between two vector steps.
#[derive(Clone, Debug, Default)]
pub struct Tapped {
    /// Number of its episode.
    pub episode: u64,
    /// What stands in its room.
    pub layout: Layout,
    /// How things are.
    pub frame: Frame,
    /// `[robots]`: where each has been in this episode, metres, one point a control step; since the
    /// tap was opened, where that was later.
    pub trails: Vec<Vec<Point2<f32>>>,
    /// `[robots]`: undiscounted sum of each one's rewards so far.
    pub returns: Vec<f64>,
    /// How the last few episodes ended since the tap was opened, the newest last.
    pub ends: VecDeque<Outcome>,
}

/// The handle that whoever looks and whoever steps share.
#[derive(Debug)]
pub struct Tap {
    /// Environments that are shown at most.
    most: usize,
    state: AtomicU8,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    fresh: bool,
    envs: Vec<Tapped>,
}

/// Nobody looks.
const SHUT: u8 = 0;
/// Somebody looks, and has what there is to see.
const OPEN: u8 = 1;
/// Somebody asks for what comes next.
const ASKED: u8 = 2;

impl Tap {
    /// A tap, shut, on the first environments, at most as many as are stepped by one thread at a
    /// time (16).
    pub fn new(most: usize) -> Self {
        Self {
            most: most.min(super::vec::SHARD),
            state: AtomicU8::new(SHUT),
            shown: Mutex::default(),
        }
    }

    /// Asks for a copy after the next vector step, and opens the tap if it was shut.
    pub fn ask(&self) {
        self.state.store(ASKED, Ordering::Relaxed);
    }

    /// Nobody looks any more.
    pub fn shut(&self) {
        self.state.store(SHUT, Ordering::Relaxed);
    }

    /// Exchanges the environments for those that were copied since the last time, if any were.
    pub fn take(&self, envs: &mut Vec<Tapped>) -> bool {
        let mut shown = self.shown();
        let fresh = std::mem::take(&mut shown.fresh);
        if fresh {
            std::mem::swap(&mut shown.envs, envs);
        }
        fresh
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        // A copy that was cut off is still a copy.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a tap that hangs on the environments.
#[derive(Debug)]
pub(super) struct Spout {
    tap: Arc<Tap>,
    tracks: Vec<Track>,
}

/// What has to be kept from step to step to be shown.
#[derive(Debug, Default)]
struct Track {
    episode: u64,
    /// `[robots]`.
    trails: Vec<Vec<Point2<f32>>>,
    ends: VecDeque<Outcome>,
}

impl Spout {
    pub(super) fn new(tap: Arc<Tap>) -> Self {
        let tracks = Vec::new();
        Self { tap, tracks }
    }

    /// Whether somebody looks.
    pub(super) fn is_open(&self) -> bool {
        self.tap.state.load(Ordering::Relaxed) != SHUT
    }

    /// After a vector step: keeps where the robots are, and copies everything if it was asked for.
    /// `envs` are the first ones, `outcomes` how their episodes ended in this step.
    pub(super) fn follow(&mut self, envs: &[NavEnv], outcomes: &[Option<Outcome>]) {
        let count = self.tap.most.min(envs.len());
        self.tracks.resize_with(count, Track::default);
        for ((track, env), outcome) in self.tracks.iter_mut().zip(envs).zip(outcomes) {
            track.step(env, *outcome);
        }
        // Whoever shut it meanwhile stays unseen.
        let asked =
            self.tap
                .state
                .compare_exchange(ASKED, OPEN, Ordering::Relaxed, Ordering::Relaxed);
        if asked.is_ok() {
            let mut shown = self.tap.shown();
            shown.envs.resize_with(count, Tapped::default);
            for ((shown, env), track) in shown.envs.iter_mut().zip(envs).zip(&self.tracks) {
                shown.copy(env, track);
            }
            shown.fresh = true;
        }
    }
}

impl Track {
    fn step(&mut self, env: &NavEnv, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            if self.ends.len() == ENDS {
                self.ends.pop_front();
            }
            self.ends.push_back(outcome);
        }
        if outcome.is_some() || self.episode != env.episode() {
            self.episode = env.episode();
            self.trails.iter_mut().for_each(Vec::clear);
        }
        self.trails.resize_with(env.robot_count(), Vec::new);
        for (robot, trail) in self.trails.iter_mut().enumerate() {
            trail.push(env.position_of(robot));
        }
    }
}

impl Tapped {
    fn copy(&mut self, env: &NavEnv, track: &Track) {
        self.episode = env.episode();
        self.layout.clone_from(env.layout());
        env.frame(&mut self.frame);
        self.trails.clone_from(&track.trails);
        self.returns = env.returns();
        self.ends.clone_from(&track.ends);
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
        let tap = Arc::new(Tap::new(9));
        envs.set_tap(Arc::clone(&tap));
        let mut seen = Vec::new();
        drive(&mut envs, &mut buffers, 3);
        assert!(!tap.take(&mut seen), "nobody had asked");
        tap.ask();
        drive(&mut envs, &mut buffers, 4);
        assert!(tap.take(&mut seen) && !tap.take(&mut seen));
        assert_eq!(seen.len(), 9);
        for shown in &seen {
            assert_eq!(shown.frame.step, 4, "the step after the question");
            assert_eq!(shown.layout.robots.len(), 1);
            let at = shown.frame.robots[0].position;
            assert_eq!(shown.trails, [[Point2::from(at)]], "it was shut before");
        }
        tap.ask();
        drive(&mut envs, &mut buffers, 1);
        tap.take(&mut seen);
        assert_eq!(seen[0].trails[0].len(), 5, "it has been open since");
    }

    #[test]
    fn ends_are_counted_and_trails_begin_anew() {
        let (mut envs, mut buffers) = envs(4);
        let tap = Arc::new(Tap::new(9));
        envs.set_tap(Arc::clone(&tap));
        tap.ask();
        drive(&mut envs, &mut buffers, 1500);
        tap.ask();
        drive(&mut envs, &mut buffers, 1);
        let mut seen = Vec::new();
        assert!(tap.take(&mut seen));
        for shown in &seen {
            assert_eq!(shown.ends.len(), ENDS, "after {} episodes", shown.episode);
            assert!(shown.episode as usize >= ENDS);
            let points = shown.trails[0].len() as u32;
            assert!(points.abs_diff(shown.frame.step) <= 1, "one a control step");
        }
    }

    #[test]
    fn looking_on_changes_nothing() {
        let (mut plain, mut buffers) = envs(20);
        let (mut tapped, mut looked_at) = envs(20);
        let tap = Arc::new(Tap::new(9));
        tapped.set_tap(Arc::clone(&tap));
        for _ in 0..40 {
            tap.ask();
            drive(&mut plain, &mut buffers, 5);
            drive(&mut tapped, &mut looked_at, 5);
        }
        assert_eq!(buffers.obs, looked_at.obs);
        assert_eq!(plain.state(), tapped.state());
    }
}
