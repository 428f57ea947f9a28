//! The task around the world: observations by name, actions, named rewards, `Outcome`, and many
//! environments stepped together. This room must never know torch or Bevy.

mod agent;
mod api;
mod bench;
mod crew;
mod levels;
mod nav;
mod observe;
mod outcome;
mod pilot;
mod reward;
mod seen;
mod tap;
mod team;
mod vec;

pub use api::{Actor, EnvState, EpisodeStats, ObsLayout, StepBuffers, Thought, VectorEnv};
pub use bench::{EnvBench, bench_env};
pub use crew::Crew;
pub use crew::THREADS;
pub use levels::{LEVELS_OF, LevelPlan};
pub use nav::part;
pub use nav::{NavEnv, Step};
pub use observe::{GOAL_SCALE_M, LIDAR_HALF_M, action_dim, obs_layout};
pub use outcome::Outcome;
pub use pilot::Pilot;
pub use reward::{TERM_NAMES, TERMS};
pub use seen::WAY_BEARING;
pub use tap::{Tap, Tapped};
pub use team::Team;
pub use vec::{VecEnv, VecEnvError, thread_count};
