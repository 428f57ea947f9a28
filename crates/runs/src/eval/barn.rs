//! The BARN protocol (Perille et al. 2020, "Benchmarking metric ground navigation"; Xiao et al.
//! 2022, the challenge): a Jackal robot crosses 300 worlds of cylinders and is scored by its time.
//! Score and clock are those of the challenge.
//!
//! **The simulation is two-dimensional and not Gazebo.** Results compare policies in this
//! simulation. State the difference when comparing them with published results.

mod load;
mod npy;
mod run;

use nalgebra::Point2;
use serde::{Deserialize, Serialize};

pub use load::{BarnError, load_worlds};
pub use npy::{NpyError, points as npy_points};
pub use run::{BarnReport, BarnScore, BarnWorld, evaluate_barn};

/// Start of the robot in each world, metres. It faces the +y direction.
pub const START_M: [f64; 2] = [-2.25, 3.0];
/// Goal in each world, metres: 10 m ahead of the start.
pub const GOAL_M: [f64; 2] = [-2.25, 13.0];
/// Distance from the goal within which the robot has succeeded, metres.
pub const GOAL_RADIUS_M: f64 = 1.0;
/// Distance from the start at which the clock starts, metres.
pub const CLOCK_START_M: f64 = 0.1;
/// Speed along the polyline that defines the optimal time, metres per second.
pub const OPTIMAL_SPEED_MPS: f64 = 2.0;
/// Interval at which the clock checks the robot, seconds.
pub const POLL_SECS: f64 = 0.1;
/// Time limit of a run, seconds.
pub const LIMIT_SECS: f64 = 100.0;
/// Number of runs in each world.
pub const RUNS: u64 = 10;
/// The factor k of the score in newer and in older rounds of the challenge: the largest multiple of
/// the optimal time with the full score.
pub const SCORE_FACTORS: [f64; 2] = [2.0, 4.0];
/// Multiple of the optimal time from which the score stays constant.
const MAX_SLOWDOWN: f64 = 8.0;

/// Radius of the worlds' cylinders, metres. Cells of a path are two radii wide.
const CYLINDER_M: f64 = 0.075;

/// Position of a cell of `path_files` in world coordinates, metres.
fn cell_position([i, j]: [f64; 2]) -> [f64; 2] {
    let cell = 2.0 * CYLINDER_M;
    [
        i * cell - CYLINDER_M - 30.0 * cell,
        j * cell + CYLINDER_M + 5.0,
    ]
}

/// Length of the polyline from the start through the cells of `path_files/path_N.npy` to the goal,
/// metres. `cells` are `[n]` of `[i, j]`. The challenge takes it as the optimal path, although it
/// is not the shortest.
pub fn polyline_m(cells: &[[f64; 2]]) -> f64 {
    let points = cells
        .iter()
        .map(|&cell| cell_position(cell))
        .chain([GOAL_M]);
    let mut length_m = 0.0;
    let mut from = Point2::from(START_M);
    for to in points.map(Point2::from) {
        length_m += (to - from).norm();
        from = to;
    }
    length_m
}

/// Optimal time (OT) of a world: the time along its polyline at full speed, seconds.
pub fn optimal_secs(polyline_m: f64) -> f64 {
    polyline_m / OPTIMAL_SPEED_MPS
}

/// Score of one run: OT / clip(AT, k · OT, 8 · OT) if it succeeded, otherwise 0. OT is the optimal
/// time, AT the actual time. At most 1 / k.
pub fn score(succeeded: bool, optimal_secs: f64, actual_secs: f64, k: f64) -> f64 {
    if succeeded {
        optimal_secs / actual_secs.clamp(k * optimal_secs, MAX_SLOWDOWN * optimal_secs)
    } else {
        0.0
    }
}

/// Outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarnOutcome {
    /// The robot reached the goal.
    Succeeded,
    /// The robot touched something. Takes precedence over a success in the same tick.
    Collided,
    /// The time limit was reached. Takes precedence over a success in the same tick.
    TimedOut,
}

/// The clock of the challenge. It checks the robot every [`POLL_SECS`], starts once the robot is
/// [`CLOCK_START_M`] away from its start, and decides when the run ends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BarnClock {
    /// Simulation time at which the clock started, seconds.
    started_secs: Option<f64>,
    /// Simulation time of the last tick, seconds.
    latest_secs: f64,
}

impl BarnClock {
    /// Checks the robot. `time_secs` is the simulation time, and `collided` tells whether the robot
    /// touched something since the last tick. Returns the outcome if the run has ended.
    ///
    /// Unlike in the challenge, which waits for the robot forever, a robot that never moves times
    /// out, and a collision before the clock has started counts.
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

    /// Actual time (AT) on the clock, seconds.
    pub fn actual_secs(&self) -> f64 {
        self.latest_secs - self.started_secs.unwrap_or(0.0)
    }
}

/// Result of one run in one world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BarnRun {
    /// Number of the world.
    pub world: u32,
    /// Index of the run in the world.
    pub run: u64,
    /// Outcome.
    pub outcome: BarnOutcome,
    /// Actual time (AT), seconds.
    pub actual_secs: f64,
    /// Optimal time (OT), seconds.
    pub optimal_secs: f64,
}

impl BarnRun {
    /// The score with the factor k.
    pub fn score(&self, k: f64) -> f64 {
        let succeeded = self.outcome == BarnOutcome::Succeeded;
        score(succeeded, self.optimal_secs, self.actual_secs, k)
    }

    /// The output line of the challenge's program: world, success, collision, time-out, AT and
    /// score. Newer rounds of the challenge use k = 2.
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
    fn cell_positions_are_those_of_the_challenge() {
        let near = |actual: [f64; 2], expected: [f64; 2]| {
            let difference = Point2::from(actual) - Point2::from(expected);
            assert!(difference.norm() < 1e-12, "{actual:?} is not {expected:?}");
        };
        near(cell_position([0.0, 0.0]), [-4.575, 5.075]);
        near(
            cell_position([26.0, 10.0]),
            [0.15 * 26.0 - 4.575, 0.15 * 10.0 + 5.075],
        );
    }

    #[test]
    fn a_polyline_connects_start_cells_and_goal() {
        // 10 m straight ahead without cells, and also with cells (15.5, 0) and (15.5, 10), which
        // are both at x = -2.25.
        assert!((polyline_m(&[]) - 10.0).abs() < 1e-12);
        assert!((polyline_m(&[[15.5, 0.0], [15.5, 10.0]]) - 10.0).abs() < 1e-9);
        // Through cell (0, 0) only: √(2.325² + 2.075²) + √(2.325² + 7.925²).
        let expected = 3.116_287_856 + 8.259_010_231;
        assert!((polyline_m(&[[0.0, 0.0]]) - expected).abs() < 1e-6);
    }

    #[test]
    fn scores_match_values_computed_by_hand() {
        // With an optimal time of 5 s, the full score is given up to 10 s for k = 2, and up to 20 s
        // for k = 4.
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

    /// Ticks a clock for a robot that drives straight towards the goal by `step_m` per tick.
    fn drive(
        step_m: f64,
        ticks: u32,
        collision_tick: Option<u32>,
    ) -> (BarnClock, Option<BarnOutcome>) {
        let mut clock = BarnClock::default();
        for tick in 1..=ticks {
            let position = [START_M[0], START_M[1] + step_m * f64::from(tick)];
            let collided = collision_tick == Some(tick);
            let time = POLL_SECS * f64::from(tick);
            if let Some(outcome) = clock.tick(time, position, collided) {
                return (clock, Some(outcome));
            }
        }
        (clock, None)
    }

    #[test]
    fn the_clock_starts_after_a_tenth_of_a_metre() {
        // With 0.04 m per tick, the robot has driven 0.12 m after 0.3 s and 9 m after 22.5 s.
        let (clock, outcome) = drive(0.04, 400, None);
        assert_eq!(outcome, Some(BarnOutcome::Succeeded));
        assert!(
            (clock.actual_secs() - 22.2).abs() < 1e-9,
            "{}",
            clock.actual_secs()
        );
    }

    #[test]
    fn collisions_and_time_outs_take_precedence_over_successes() {
        assert_eq!(drive(0.04, 400, Some(225)).1, Some(BarnOutcome::Collided));
        assert_eq!(drive(0.04, 400, Some(1)).1, Some(BarnOutcome::Collided));
        // With 0.0089 m per tick, the clock starts at tick 12 (1.2 s). The robot first is within
        // a metre of the goal at tick 1012 (101.2 s), at which the time limit is reached, too.
        let (clock, outcome) = drive(0.0089, 2000, None);
        assert_eq!(outcome, Some(BarnOutcome::TimedOut));
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
            "the robot never moves"
        );
    }

    #[test]
    fn lines_have_the_format_of_the_challenge() {
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
