//! How an episode ended.

use serde::{Deserialize, Serialize};

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The goal was reached.
    Goal,
    /// The robot touched a wall or a static obstacle.
    CollisionStatic,
    /// The robot touched a mover or another robot.
    CollisionMover,
    /// The robot left the arena.
    OutOfBounds,
    /// The time limit was reached.
    TimeLimit,
    /// The state of the world was no longer finite.
    NonFinite,
}

impl Outcome {
    /// Every outcome, in the order in which tables show them.
    pub const ALL: [Self; 6] = [
        Self::Goal,
        Self::CollisionStatic,
        Self::CollisionMover,
        Self::OutOfBounds,
        Self::TimeLimit,
        Self::NonFinite,
    ];

    /// How an episode ended, from how the part of each robot ended: [`Goal`](Self::Goal) if all
    /// robots reached their goals, and else the outcome of the first robot that did not. `None`
    /// while a part goes on.
    pub fn of_episode(parts: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        parts
            .into_iter()
            .try_fold(Self::Goal, |so_far, part| match so_far {
                Self::Goal => part,
                failure => part.map(|_| failure),
            })
    }

    /// Whether the episode was truncated rather than terminated. A truncated episode bootstraps
    /// from the value of its final observation, a terminated one does not.
    pub fn is_truncation(self) -> bool {
        matches!(self, Self::TimeLimit)
    }

    /// The name used in logs and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Goal => "goal",
            Self::CollisionStatic => "collision_static",
            Self::CollisionMover => "collision_mover",
            Self::OutOfBounds => "out_of_bounds",
            Self::TimeLimit => "time_limit",
            Self::NonFinite => "non_finite",
        }
    }
}
