//! The way out of a dead end, which the dynamic window by itself has none of: where the robot
//! gets no nearer to the goal it keeps what is in the way to one side (as a bug does that follows
//! a wall: Lumelsky & Stepanov 1987) until it is nearer than where it gave up.

use std::f32::consts::{PI, TAU};

use nalgebra::Vector2;

/// Standing for so long is being stuck, and so is getting no nearer for so long, seconds.
const STANDING_SECS: f32 = 0.7;
const NO_NEARER_SECS: f32 = 5.0;

/// What counts as nearer, metres.
const NEARER_M: f32 = 0.2;

/// A direction is open if the robot gets this far in it, metres, or as far as the goal.
const OPEN_M: f32 = 0.8;

/// Directions that are looked at, all around.
const DIRECTIONS: usize = 72;

/// Whether the robot makes for the goal or goes around something.
#[derive(Clone, Debug)]
pub(super) struct Detour {
    /// To which side it goes around, 1 for the left, -1 for the right.
    side: Option<f32>,
    /// The side that it took last without having come nearer since.
    last: Option<f32>,
    /// Nearest that it has been to the goal since it last changed its mind, metres.
    nearest: f32,
    standing_secs: f32,
    no_nearer_secs: f32,
}

impl Default for Detour {
    fn default() -> Self {
        Self {
            side: None,
            last: None,
            nearest: f32::INFINITY,
            standing_secs: 0.0,
            no_nearer_secs: 0.0,
        }
    }
}

impl Detour {
    /// What to make for. `path` is how far the robot gets along a bearing, up to `lookahead` metres, and
    /// `stands` whether it stands.
    pub(super) fn target(
        &mut self,
        goal: Vector2<f32>,
        free_distance: impl Fn(f32) -> f32,
        lookahead: f32,
        stands: bool,
        dt_secs: f32,
    ) -> Vector2<f32> {
        let bearing = libm::atan2f(goal.y, goal.x);
        let distance = goal.norm();
        let enough = OPEN_M.min(lookahead).min(distance);
        // Turning towards an open goal is no standing.
        let waits = stands && (self.side.is_some() || free_distance(bearing) < enough);
        self.standing_secs = if waits {
            self.standing_secs + dt_secs
        } else {
            0.0
        };
        self.no_nearer_secs += dt_secs;
        if distance < self.nearest - NEARER_M {
            self.no_nearer_secs = 0.0;
            self.nearest = distance;
            self.side = None;
            self.last = None;
        }
        let patience = if self.side.is_some() { 4.0 } else { 1.0 };
        if self.standing_secs > STANDING_SECS * patience
            || self.no_nearer_secs > NO_NEARER_SECS * patience
        {
            self.standing_secs = 0.0;
            self.no_nearer_secs = 0.0;
            self.nearest = self.nearest.min(distance);
            self.switch_side(bearing, &free_distance, enough);
        }
        match self.side {
            None => goal,
            Some(side) => {
                let (bearing, _) = opening(bearing, side, &free_distance, enough);
                Vector2::new(libm::cosf(bearing), libm::sinf(bearing)) * lookahead
            }
        }
    }

    /// Takes the other side than the last time; the first time, the one that opens sooner.
    fn switch_side(&mut self, bearing: f32, free_distance: &impl Fn(f32) -> f32, enough: f32) {
        let turn = |side: f32| opening(bearing, side, free_distance, enough).1;
        let sooner = || if turn(1.0) <= turn(-1.0) { 1.0 } else { -1.0 };
        let side = self.last.map_or_else(sooner, |last| -last);
        self.side = Some(side);
        self.last = Some(side);
    }
}

/// The first open bearing from the goal's towards one side, and how far that is to turn, radians;
/// where none is open, the one that leads farthest.
fn opening(goal: f32, side: f32, free_distance: &impl Fn(f32) -> f32, enough: f32) -> (f32, f32) {
    let mut best = (goal, 0.0);
    let mut most = -1.0;
    for index in 0..DIRECTIONS {
        let turn = TAU * index as f32 / DIRECTIONS as f32;
        let bearing = libm::remainderf(goal + side * turn, 2.0 * PI);
        let found = free_distance(bearing);
        if found >= enough {
            return (bearing, turn);
        }
        if found > most {
            most = found;
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
    fn it_goes_around_by_the_side_that_opens_sooner_and_comes_back_to_the_goal() {
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
                assert_eq!(target, goal, "step {step}: patience first");
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
    fn it_stays_with_the_wall_until_it_is_nearer() {
        let mut detour = Detour::default();
        let blocked = |_| 0.1;
        for _ in 0..10 {
            detour.target(Vector2::new(3.0, 0.0), blocked, 1.5, true, DT);
        }
        let open = |_| 2.0;
        let farther = Vector2::new(3.5, 0.0);
        assert!(detour.side.is_some());
        detour.target(farther, open, 1.5, false, DT);
        assert!(detour.side.is_some(), "farther than where it gave up");
    }
}
