//! The error of a scenario for which no layout can be drawn.

/// Layouts that are tried in each attempt to place an episode. They share the parameters that set
/// their difficulty.
pub(super) const MAX_LAYOUT_TRIES: u32 = 200;

/// Attempts to place an episode after the first, each with other parameters. If half of all episodes
/// fail at the first attempt, one in 100,000 fails at all.
pub(super) const MAX_REDRAWS: u32 = 16;

/// Why no layout could be drawn. Names the reason of the last try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The start touches obstacles or walls.
    #[error(
        "no room for the robot's start: obstacles or walls cover it in all {MAX_LAYOUT_TRIES} layouts that were tried"
    )]
    Start,
    /// The goal touches obstacles or walls, or is too near to the start.
    #[error(
        "no room for the goal: in all {MAX_LAYOUT_TRIES} layouts that were tried, obstacles or walls cover it, or it is nearer to the start than task.min_start_goal_distance_m"
    )]
    Goal,
    /// The starts and goals of several robots have no room.
    #[error(
        "no room for the starts and goals of all robots in any of the {MAX_LAYOUT_TRIES} layouts that were tried"
    )]
    Robots,
    /// A mover has no room.
    #[error("no room for the movers in any of the {MAX_LAYOUT_TRIES} layouts that were tried")]
    Mover,
    /// No path leads from start to goal.
    #[error(
        "no path from start to goal that is wide enough for the robot in any of the {MAX_LAYOUT_TRIES} layouts that were tried"
    )]
    Path,
}
