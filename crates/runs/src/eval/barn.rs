//! The BARN protocol (Perille et al. 2020, "Benchmarking metric ground navigation"; Xiao et al.
//! 2022, the challenge): 300 worlds of cylinders that a Jackal crosses, scored by time. The score
//! and the clock are the challenge's own, step by step, over worlds simulated in the plane.
//!
//! **Ours is a 2-D simulation and not Gazebo.** Figures compare policies within it; beside published
//! ones they stand only with that said.

mod load;
mod npy;
mod run;

use nalgebra::Point2;
use serde::{Deserialize, Serialize};

pub use load::{BarnError, load_worlds};
pub use npy::{NpyError, points as npy_points};
pub use run::{BarnReport, BarnScore, BarnWorld, evaluate_barn};

/// Where the robot starts in every world, metres; it looks along +y.
pub const START_M: [f64; 2] = [-2.25, 3.0];
/// Where it is to go, metres: 10 m ahead.
pub const GOAL_M: [f64; 2] = [-2.25, 13.0];
/// It has arrived within this distance, metres.
pub const GOAL_RADIUS_M: f64 = 1.0;
/// The clock runs from the moment that it is this far from its start, metres.
pub const CLOCK_START_M: f64 = 0.1;
/// What is asked for the optimal time: the polyline at this speed, metres per second.
pub const OPTIMAL_SPEED_MPS: f64 = 2.0;
/// Time between two looks at the robot, seconds.
pub const POLL_SECS: f64 = 0.1;
/// The clock stops a run after this time, seconds.
pub const LIMIT_SECS: f64 = 100.0;
/// Runs of each world.
pub const RUNS: u64 = 10;
/// Times slower than optimal up to which nothing is lost (k), in the newer and the older rounds.
pub const SCORE_FACTORS: [f64; 2] = [2.0, 4.0];
/// Times slower than optimal from which no more is lost.
const MAX_SLOWDOWN: f64 = 8.0;

/// Radius of the worlds' cylinders, metres: cells of a path are two radii wide.
const CYLINDER_M: f64 = 0.075;

/// A cell of a world's `path_files` in the world's metres.
fn cell_position([i, j]: [f64; 2]) -> [f64; 2] {
    let cell = 2.0 * CYLINDER_M;
    [
        i * cell - CYLINDER_M - 30.0 * cell,
        j * cell + CYLINDER_M + 5.0,
    ]
}

/// Length of the polyline start → the cells of `path_files/path_N.npy` → goal, metres: what the
/// challenge holds for the optimal path. It is not the shortest.
pub fn polyline_m(cells: &[[f64; 2]]) -> f64 {
    let ways = cells
        .iter()
        .map(|&cell| cell_position(cell))
        .chain([GOAL_M]);
    let mut length = 0.0;
    let mut from = Point2::from(START_M);
    for to in ways.map(Point2::from) {
        length += (to - from).norm();
        from = to;
    }
    length
}

/// The time that a polyline takes at full speed, seconds.
pub fn optimal_secs(polyline_m: f64) -> f64 {
    polyline_m / OPTIMAL_SPEED_MPS
}

/// The score of one run: OT / clip(AT, k · OT, 8 · OT) if it succeeded, and 0 otherwise; at most
/// 1 / k.
pub fn score(succeeded: bool, optimal_secs: f64, actual_secs: f64, k: f64) -> f64 {
    if succeeded {
        optimal_secs / actual_secs.clamp(k * optimal_secs, MAX_SLOWDOWN * optimal_secs)
    } else {
        0.0
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarnOutcome {
    /// Within a metre of the goal.
    Succeeded,
    /// Touched something; in the same look as an arrival, that counts.
    Collided,
    /// Not there after 100 s; in the same look as an arrival, that counts.
    TimedOut,
}

/// The challenge's clock: it is shown the robot every [`POLL_SECS`], starts once that has moved
/// by [`CLOCK_START_M`], and says when the run is over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BarnClock {
    /// When it started, seconds of the world.
    started_secs: Option<f64>,
    /// The latest look, seconds of the world.
    latest_secs: f64,
}

impl BarnClock {
    /// A look at the robot: the time in the world, seconds, where the robot is, metres, and
    /// whether it has touched anything since the last look.
    ///
    /// The challenge waits for ever for a robot that does not move; here that is a run out of
    /// time, and one that was hit before it moved has collided.
    pub fn tick(
        &mut self,
        time_secs: f64,
        position_m: [f64; 2],
        collided: bool,
    ) -> Option<BarnOutcome> {
        let position = Point2::from(position_m);
        self.latest_secs = time_secs;
        if self.started_secs.is_none() && (position - Point2::from(START_M)).norm() >= CLOCK_START_M
        {
            self.started_secs = Some(time_secs);
        }
        if collided {
            Some(BarnOutcome::Collided)
        } else if time_secs - self.started_secs.unwrap_or(0.0) >= LIMIT_SECS - 1e-9 {
            Some(BarnOutcome::TimedOut)
        } else if (position - Point2::from(GOAL_M)).norm() <= GOAL_RADIUS_M {
            Some(BarnOutcome::Succeeded)
        } else {
            None
        }
    }

    /// Time on the clock (AT), seconds.
    pub fn actual_secs(&self) -> f64 {
        self.latest_secs - self.started_secs.unwrap_or(0.0)
    }
}

/// One run in one world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarnRun {
    /// The world's number.
    pub world: u32,
    /// Which run of it.
    pub run: u64,
    /// How it ended.
    pub outcome: BarnOutcome,
    /// AT, seconds.
    pub actual_secs: f64,
    /// OT, seconds.
    pub optimal_secs: f64,
}

impl BarnRun {
    /// Its score with a patience of k.
    pub fn score(&self, k: f64) -> f64 {
        let succeeded = self.outcome == BarnOutcome::Succeeded;
        score(succeeded, self.optimal_secs, self.actual_secs, k)
    }

    /// The line that the challenge's program writes: world, success, collision, time-out, AT and
    /// score, which its newer rounds take with k = 2.
    pub fn line(&self, k: f64) -> String {
        let is = |outcome: BarnOutcome| u8::from(self.outcome == outcome);
        format!(
            "{} {} {} {} {:.4} {:.4}",
            self.world,
            is(BarnOutcome::Succeeded),
            is(BarnOutcome::Collided),
            is(BarnOutcome::TimedOut),
            self.actual_secs,
            self.score(k)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_where_the_challenge_has_them() {
        let near = |found: [f64; 2], expect: [f64; 2]| {
            let off = Point2::from(found) - Point2::from(expect);
            assert!(off.norm() < 1e-12, "{found:?} is not {expect:?}");
        };
        near(cell_position([0.0, 0.0]), [-4.575, 5.075]);
        near(
            cell_position([26.0, 10.0]),
            [0.15 * 26.0 - 4.575, 0.15 * 10.0 + 5.075],
        );
    }

    #[test]
    fn a_polyline_goes_from_the_start_by_all_cells_to_the_goal() {
        // Without cells 10 m straight on. By the cells (15.5, 0) and (15.5, 10), both at
        // x = -2.25, it is no longer.
        assert!((polyline_m(&[]) - 10.0).abs() < 1e-12);
        assert!((polyline_m(&[[15.5, 0.0], [15.5, 10.0]]) - 10.0).abs() < 1e-9);
        // By (0, 0) alone: √(2.325² + 2.075²) + √(2.325² + 7.925²).
        let expect = 3.116_287_856 + 8.259_010_231;
        assert!((polyline_m(&[[0.0, 0.0]]) - expect).abs() < 1e-6);
    }

    #[test]
    fn scores_are_those_worked_out_by_hand() {
        // OT 5 s: up to 10 s nothing is lost at k = 2, and up to 20 s at k = 4.
        for (actual, newer, older) in [
            (4.0, 0.5, 0.25),
            (10.0, 0.5, 0.25),
            (12.5, 0.4, 0.25),
            (25.0, 0.2, 0.2),
            (40.0, 0.125, 0.125),
            (99.0, 0.125, 0.125),
        ] {
            assert!(
                (score(true, 5.0, actual, 2.0) - newer).abs() < 1e-12,
                "{actual} s"
            );
            assert!(
                (score(true, 5.0, actual, 4.0) - older).abs() < 1e-12,
                "{actual} s"
            );
            assert_eq!(score(false, 5.0, actual, 2.0).to_bits(), 0);
        }
    }

    /// Looks at a robot that goes up from the start by so many metres a look.
    fn drive(
        step_m: f64,
        until: u32,
        collides_at: Option<u32>,
    ) -> (BarnClock, Option<BarnOutcome>) {
        let mut clock = BarnClock::default();
        for count in 1..=until {
            let position = [START_M[0], START_M[1] + step_m * f64::from(count)];
            let hit = collides_at == Some(count);
            let time = POLL_SECS * f64::from(count);
            if let Some(ending) = clock.tick(time, position, hit) {
                return (clock, Some(ending));
            }
        }
        (clock, None)
    }

    #[test]
    fn the_clock_runs_from_a_tenth_of_a_metre() {
        // At 0.04 m a look, 0.12 m are driven at the third, 0.3 s; 9 m at the 225th, 22.5 s.
        let (clock, ending) = drive(0.04, 400, None);
        assert_eq!(ending, Some(BarnOutcome::Succeeded));
        assert!(
            (clock.actual_secs() - 22.2).abs() < 1e-9,
            "{}",
            clock.actual_secs()
        );
    }

    #[test]
    fn a_collision_beats_an_arrival_and_so_does_the_limit() {
        assert_eq!(drive(0.04, 400, Some(225)).1, Some(BarnOutcome::Collided));
        assert_eq!(drive(0.04, 400, Some(1)).1, Some(BarnOutcome::Collided));
        // 0.0089 m a look: the clock starts at the 12th look, 1.2 s, and stops at the 1012th, 101.2
        // s, which is the first to find the goal within a metre.
        let (clock, ending) = drive(0.0089, 2000, None);
        assert_eq!(ending, Some(BarnOutcome::TimedOut));
        assert!((clock.actual_secs() - 100.0).abs() < 1e-9);
        let mut clock = BarnClock {
            started_secs: Some(1.0),
            latest_secs: 100.9,
        };
        assert_eq!(
            clock.tick(101.0, [-2.25, 12.5], false),
            Some(BarnOutcome::TimedOut)
        );
        assert_eq!(
            drive(0.0, 2000, None).1,
            Some(BarnOutcome::TimedOut),
            "never moves"
        );
    }

    #[test]
    fn lines_are_the_challenges() {
        let run = BarnRun {
            world: 7,
            run: 0,
            outcome: BarnOutcome::Succeeded,
            actual_secs: 12.5,
            optimal_secs: 5.0,
        };
        assert_eq!(run.line(2.0), "7 1 0 0 12.5000 0.4000");
        let late = BarnRun {
            outcome: BarnOutcome::TimedOut,
            actual_secs: 100.0,
            ..run
        };
        assert_eq!(late.line(2.0), "7 0 0 1 100.0000 0.0000");
    }
}
