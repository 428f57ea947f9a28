//! The task around a world: named observation blocks, actions, named reward terms, outcomes, and
//! many environments stepped together. This module must not depend on a tensor library or on Bevy.

mod agent;
mod api;
mod bench;
#[cfg(test)]
mod contact_tests;
mod episode_sequence;
mod levels;
mod nav;
mod obs_bounds;
mod observe;
mod outcome;
mod probe;
mod reward;
mod runner;
mod scan_map;
mod team_controller;
mod trajectory;
mod vec;
mod worker_pool;

pub use agent::StepResult;
pub use api::{
    Controller, EnvState, EpisodeStats, ObsLayout, PolicyPrediction, StepBuffers, VectorEnv,
};
pub use bench::{EnvBenchResult, bench_env};
pub use episode_sequence::EpisodeSequence;
pub use levels::{LEVEL_ENV, LevelPlan};
pub use nav::{NavEnv, episode_id};
pub use obs_bounds::obs_bounds;
pub use observe::{LIDAR_HALF_M, action_dim, obs_layout};
pub use outcome::Outcome;
pub use probe::{EnvSnapshot, Probe};
pub use reward::{MAX_REWARD_TERMS, reward_term_names};
pub use runner::EpisodeRunner;
pub use scan_map::{GOAL_SCALE_M, PATH_BEARING};
pub use team_controller::{TEAM_SEPARATOR, TeamController};
pub use trajectory::{Trajectory, TrajectoryReplay};
pub use vec::{VecEnv, VecEnvError, max_threads, thread_count};
pub use worker_pool::{ENV_THREAD_PREFIX, WorkerPool};
