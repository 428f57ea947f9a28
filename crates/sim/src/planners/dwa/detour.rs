//! Detours out of dead ends, which the dynamic window alone does not find. When the robot gets no
//! nearer to the goal, it keeps the obstacle on one side, like a bug algorithm that follows a wall
//! (Lumelsky & Stepanov 1987), until it is nearer to the goal than where it gave up.

use std::f32::consts::{PI, TAU};

use nalgebra::Vector2;

/// A robot that stands for this long is stuck, seconds.
const STANDING_SECS: f32 = 0.7;
/// A robot that gets no nearer to the goal for this long is stuck, seconds.
const NO_PROGRESS_SECS: f32 = 5.0;

/// Smallest decrease of the distance to the goal that counts as progress, metres.
const PROGRESS_M: f32 = 0.2;

/// A direction is open if the free distance is at least this, metres, or reaches the goal.
const OPEN_M: f32 = 0.8;

/// Number of directions that are tried, over a full circle.
const DIRECTIONS: usize = 72;

/// Whether the robot drives to the goal or makes a detour.
#[derive(Clone, Debug)]
pub(super) struct Detour {
    /// Side of the current detour, 1 for left, -1 for right; `None` on the way to the goal.
    side: Option<f32>,
    /// Side of the last detour, if there has been no progress since.
    last_side: Option<f32>,
    /// Distance to the goal at the last progress, metres.
    nearest: f32,
    standing_secs: f32,
    no_progress_secs: f32,
}

impl Default for Detour {
    fn default() -> Self {
        Self {
            side: None,
            last_side: None,
            nearest: f32::INFINITY,
            standing_secs: 0.0,
            no_progress_secs: 0.0,
        }
    }
}

impl Detour {
    /// The point to drive to, in the robot's frame, metres. `free_distance` returns the free
    /// distance along a bearing, up to `lookahead` metres.
    pub(super) fn target(
        &mut self,
        goal: Vector2<f32>,
        free_distance: impl Fn(f32) -> f32,
        lookahead: f32,
        is_standing: bool,
        dt_secs: f32,
    ) -> Vector2<f32> {
        let bearing = libm::atan2f(goal.y, goal.x);
        let distance = goal.norm();
        let open_distance = OPEN_M.min(lookahead).min(distance);
        // A robot that turns towards a goal in an open direction is not stuck.
        let is_blocked =
            is_standing && (self.side.is_some() || free_distance(bearing) < open_distance);
        self.standing_secs = if is_blocked {
            self.standing_secs + dt_secs
        } else {
            0.0
        };
        self.no_progress_secs += dt_secs;
        if distance < self.nearest - PROGRESS_M {
            self.no_progress_secs = 0.0;
            self.nearest = distance;
            self.side = None;
            self.last_side = None;
        }
        let patience = if self.side.is_some() { 4.0 } else { 1.0 };
        if self.standing_secs > STANDING_SECS * patience
            || self.no_progress_secs > NO_PROGRESS_SECS * patience
        {
            self.standing_secs = 0.0;
            self.no_progress_secs = 0.0;
            self.nearest = self.nearest.min(distance);
            self.switch_side(bearing, &free_distance, open_distance);
        }
        match self.side {
            None => goal,
            Some(side) => {
                let (bearing, _) = opening(bearing, side, &free_distance, open_distance);
                Vector2::new(libm::cosf(bearing), libm::sinf(bearing)) * lookahead
            }
        }
    }

    /// Starts a detour on the other side than the last one. The first detour is on the side where a
    /// direction is open at the smaller turn.
    fn switch_side(
        &mut self,
        bearing: f32,
        free_distance: &impl Fn(f32) -> f32,
        open_distance: f32,
    ) {
        let turn = |side: f32| opening(bearing, side, free_distance, open_distance).1;
        let nearer_side = || if turn(1.0) <= turn(-1.0) { 1.0 } else { -1.0 };
        let side = self.last_side.map_or_else(nearer_side, |last| -last);
        self.side = Some(side);
        self.last_side = Some(side);
    }
}

/// The first open bearing from the bearing of the goal towards one side, and the turn between the
/// two, radians. If no bearing is open, the one with the largest free distance.
fn opening(
    goal: f32,
    side: f32,
    free_distance: &impl Fn(f32) -> f32,
    open_distance: f32,
) -> (f32, f32) {
    let mut best = (goal, 0.0);
    let mut longest = -1.0;
    for index in 0..DIRECTIONS {
        let turn = TAU * index as f32 / DIRECTIONS as f32;
        let bearing = libm::remainderf(goal + side * turn, 2.0 * PI);
        let distance = free_distance(bearing);
        if distance >= open_distance {
            return (bearing, turn);
        }
        if distance > longest {
            longest = distance;
            best = (bearing, turn);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const DT: f32 = 0.1;

    #[test]
    fn the_first_detour_is_on_the_side_that_opens_first_and_ends_with_progress() {
        let mut detour = Detour::default();
        let goal = Vector2::new(3.0, 0.0);
        // A wall ahead that opens at 1 rad to the right and at 2 rad to the left.
        let free_distance = |bearing: f32| {
            if (-1.0..2.0).contains(&bearing) {
                0.1
            } else {
                2.0
            }
        };
        let mut target = goal;
        for step in 0..10 {
            if step < 6 {
                assert_eq!(target, goal, "step {step}: not stuck yet");
            }
            target = detour.target(goal, free_distance, 1.5, true, DT);
        }
        let bearing = libm::atan2f(target.y, target.x);
        assert!((-1.2..-1.0).contains(&bearing), "{bearing}");
        // Past the wall, and nearer than before.
        let past = Vector2::new(2.0, 0.5);
        let target = detour.target(past, |_| 2.0, 1.5, false, DT);
        assert_eq!(target, past);
    }

    #[test]
    fn a_detour_lasts_until_there_is_progress() {
        let mut detour = Detour::default();
        let blocked = |_| 0.1;
        for _ in 0..10 {
            detour.target(Vector2::new(3.0, 0.0), blocked, 1.5, true, DT);
        }
        let open = |_| 2.0;
        let farther = Vector2::new(3.5, 0.0);
        assert!(detour.side.is_some());
        detour.target(farther, open, 1.5, false, DT);
        assert!(
            detour.side.is_some(),
            "farther than where the detour started"
        );
    }
}
