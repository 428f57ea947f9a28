//! A tiny environment for tests and examples: a point on a line that has to reach the origin.

use evenkeel_sim::env::{EnvState, EpisodeStats, ObsLayout, Outcome, StepBuffers, VectorEnv};
use evenkeel_sim::seed::{Purpose, RootSeed, Split, stream};

/// Beyond this distance, the episode ends as out of bounds.
const EDGE: f32 = 2.0;
/// Within this distance, the origin is reached.
const NEAR: f32 = 0.1;
/// Distance moved by an action of 1.
const STEP_LENGTH: f32 = 0.1;
/// The episode is truncated after this many steps.
const LIMIT: usize = 40;

/// Points that have to reach the origin, each on a line of its own. The observation is the
/// position, or a scan of it, and the action is the speed. Reaching the origin (the goal) gives a
/// reward of 1, leaving ±2 (out of bounds) −1, and every step costs 0.02 times the distance. The
/// time limit is forty steps.
#[derive(Clone, Debug)]
pub struct TinyEnv {
    layout: ObsLayout,
    seed: RootSeed,
    points: Vec<Point>,
    stats: EpisodeStats,
}

#[derive(Clone, Debug, Default)]
struct Point {
    state: EnvState,
    position: f32,
    episode_return: f64,
}

impl TinyEnv {
    /// `num_envs` points, whose starts depend on the seed.
    pub fn new(seed: RootSeed, num_envs: usize) -> Self {
        Self::with_blocks(
            vec![("position".into(), 0, 1), ("side".into(), 1, 1)],
            seed,
            num_envs,
        )
    }

    /// As [`Self::new`], but observed by a scan of `beams` beams all around. The position is mapped
    /// to a direction, and a beam reads the cosine of the angle between it and that direction.
    pub fn with_lidar(seed: RootSeed, num_envs: usize, beams: usize) -> Self {
        Self::with_blocks(vec![("lidar".into(), 0, beams)], seed, num_envs)
    }

    fn with_blocks(blocks: Vec<(String, usize, usize)>, seed: RootSeed, num_envs: usize) -> Self {
        let layout = ObsLayout { blocks };
        let points = vec![Point::default(); num_envs];
        Self {
            layout,
            seed,
            points,
            stats: EpisodeStats::default(),
        }
    }

    fn begin(&mut self, env: usize, episode: u64) {
        use rand::Rng as _;
        let mut rng = stream(
            self.seed,
            Split::Train,
            env as u64,
            episode,
            Purpose::Layout,
        );
        let unit = (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        self.points[env] = Point {
            state: EnvState {
                episode,
                actions: Vec::new(),
            },
            position: (unit * 2.0 - 1.0) * 1.5,
            episode_return: 0.0,
        };
    }

    /// Moves a point. Gives the reward and, if the episode is over, its outcome.
    fn advance(&mut self, env: usize, action: f32) -> (f32, Option<Outcome>) {
        let point = &mut self.points[env];
        point.state.actions.push(action);
        point.position += STEP_LENGTH * action.clamp(-1.0, 1.0);
        let distance = point.position.abs();
        let (bonus, outcome) = if distance < NEAR {
            (1.0, Some(Outcome::Goal))
        } else if distance > EDGE {
            (-1.0, Some(Outcome::OutOfBounds))
        } else {
            (
                0.0,
                (point.state.actions.len() >= LIMIT).then_some(Outcome::TimeLimit),
            )
        };
        let reward = bonus - 0.02 * distance;
        point.episode_return += f64::from(reward);
        (reward, outcome)
    }

    /// Range of an environment's observation in the buffer of all.
    fn row(&self, env: usize) -> std::ops::Range<usize> {
        let length = self.layout.dim();
        env * length..(env + 1) * length
    }

    fn observe(&self, env: usize, out: &mut [f32]) {
        let position = self.points[env].position;
        if self.layout.block("lidar").is_none() {
            out.copy_from_slice(&[position, position.signum()]);
            return;
        }
        let turn = std::f32::consts::TAU / out.len() as f32;
        for (beam, reading) in out.iter_mut().enumerate() {
            *reading = (position / EDGE * std::f32::consts::PI - turn * beam as f32).cos();
        }
    }
}

impl VectorEnv for TinyEnv {
    fn num_envs(&self) -> usize {
        self.points.len()
    }

    fn obs_layout(&self) -> &ObsLayout {
        &self.layout
    }

    fn action_dim(&self) -> usize {
        1
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        for env in 0..self.points.len() {
            self.begin(env, 0);
            self.observe(env, &mut buffers.obs[self.row(env)]);
        }
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        for (env, &action) in actions.iter().enumerate() {
            let row = self.row(env);
            let (reward, outcome) = self.advance(env, action);
            buffers.reward[env] = reward;
            buffers.outcome[env] = outcome;
            self.stats.steps += 1;
            if let Some(outcome) = outcome {
                self.observe(env, &mut buffers.final_obs[row.clone()]);
                let point = &self.points[env];
                let (episode, length) = (point.state.episode, point.state.actions.len() as u32);
                self.stats.record(outcome, point.episode_return, length);
                self.begin(env, episode + 1);
            }
            self.observe(env, &mut buffers.obs[row]);
        }
    }

    fn take_stats(&mut self) -> EpisodeStats {
        std::mem::take(&mut self.stats)
    }

    fn state(&self) -> Vec<EnvState> {
        self.points
            .iter()
            .map(|point| point.state.clone())
            .collect()
    }

    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String> {
        if states.len() != self.points.len() {
            return Err(format!(
                "{} states for {} points",
                states.len(),
                self.points.len()
            ));
        }
        for (env, state) in states.iter().enumerate() {
            self.begin(env, state.episode);
            for &action in &state.actions {
                self.advance(env, action);
            }
            self.observe(env, &mut buffers.obs[self.row(env)]);
        }
        Ok(())
    }
}
