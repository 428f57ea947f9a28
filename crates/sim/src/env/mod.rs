//! The task around the world: observations by name, actions, named rewards, `Outcome`, and many
//! environments stepped together. This room must never know torch or Bevy.

mod agent;
mod api;
mod bench;
mod levels;
mod nav;
mod observe;
mod outcome;
mod probe;
mod reward;
mod runner;
mod scan_map;
mod team_controller;
mod vec;
mod worker_pool;

pub use api::{
    Controller, EnvState, EpisodeStats, ObsLayout, PolicyPrediction, StepBuffers, VectorEnv,
};
pub use bench::{EnvBench, bench_env};
pub use levels::{LEVEL_ENV, LevelPlan};
pub use nav::episode_id;
pub use nav::{NavEnv, StepResult};
pub use observe::{GOAL_SCALE_M, LIDAR_HALF_M, action_dim, obs_layout};
pub use outcome::Outcome;
pub use probe::{EnvSnapshot, Probe};
pub use reward::{REWARD_TERM_NAMES, REWARD_TERMS};
pub use runner::EpisodeRunner;
pub use scan_map::PATH_BEARING;
pub use team_controller::TeamController;
pub use vec::{VecEnv, VecEnvError, thread_count};
pub use worker_pool::ENV_THREAD_PREFIX;
pub use worker_pool::WorkerPool;
