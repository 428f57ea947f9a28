//! One held-out episode while it runs, and its figures once it has ended.

use nalgebra::{Point2, Vector2};

use super::conduct::Record;
use super::trace::Tracer;
use super::{EpisodeRow, EpisodeTrace, EvalError, EvalOptions};
use crate::env::{NavEnv, Outcome};
use crate::scenario::{Geodesic, GeodesicPath, Layout};
use crate::sim::Frame;

/// An environment and the episode that runs in it.
pub(super) struct Episode {
    env: NavEnv,
    frame: Frame,
    dt_secs: f64,
    geodesic: bool,
    so_far: SoFar,
}

/// What is known of an episode so far.
struct SoFar {
    number: u64,
    position: Point2<f32>,
    velocity: Vector2<f64>,
    acceleration: Vector2<f64>,
    path_m: f64,
    jerk_sum: f64,
    min_clearance_m: f64,
    record: Record,
    tracer: Option<Tracer>,
}

/// An episode that has ended.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) row: EpisodeRow,
    pub(super) weights: Weights,
    pub(super) trace: Option<EpisodeTrace>,
}

/// Success weighted by path length, softly, and by time; 0 where geodesics were not computed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weights {
    pub(super) spl: f64,
    pub(super) soft_spl: f64,
    pub(super) sct: f64,
}

impl Episode {
    /// Begins an episode in an environment; never another in its stead: figures must not count
    /// one layout twice.
    pub(super) fn begin(
        mut env: NavEnv,
        number: u64,
        options: &EvalOptions,
    ) -> Result<Self, EvalError> {
        let mut frame = Frame::default();
        let so_far = SoFar::begin(&mut env, &mut frame, number, options)?;
        Ok(Self {
            dt_secs: env.scenario().spec.task.control_step_secs,
            geodesic: options.geodesic,
            so_far,
            frame,
            env,
        })
    }

    /// The next episode in the same environment.
    pub(super) fn again(&mut self, number: u64, options: &EvalOptions) -> Result<(), EvalError> {
        self.so_far = SoFar::begin(&mut self.env, &mut self.frame, number, options)?;
        Ok(())
    }

    pub(super) fn observe(&self, out: &mut [f32]) {
        self.env.observe(out);
    }

    pub(super) fn layout(&self) -> &Layout {
        self.env.layout()
    }

    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// One control step; the episode's figures if it ended there.
    pub(super) fn step(&mut self, action: &[f32]) -> Option<Finished> {
        let outcome = self.env.step(action).outcome;
        self.env.frame(&mut self.frame);
        self.so_far
            .step(self.env.position(), &self.frame, self.dt_secs);
        outcome.map(|outcome| self.finish(outcome))
    }

    fn finish(&mut self, outcome: Outcome) -> Finished {
        let robot = &self.env.layout().robots[0];
        let steps = self.env.steps();
        let ways = self.geodesic.then(|| self.ways());
        let so_far = &mut self.so_far;
        let distances = ways.as_ref().map(|ways| [ways.start_m, ways.left_m]);
        let goal_radius = f64::from(robot.goal_radius);
        let row = EpisodeRow {
            episode: so_far.number,
            outcome,
            episodic_return: self.env.episode_return(),
            length: steps,
            time_secs: f64::from(steps) * self.dt_secs,
            path_m: so_far.path_m,
            geodesic_m: distances.map(|[start, _]| (start - goal_radius).max(0.0)),
            geodesic_left_m: distances.map(|[_, left]| left),
            min_clearance_m: so_far.min_clearance_m.max(0.0),
            jerk_mps3: so_far.jerk_sum / f64::from(steps.max(1)),
            drawn: self.env.layout().drawn.iter().map(Into::into).collect(),
            conduct: Some(
                so_far
                    .record
                    .finish(ways.as_ref().map(|ways| &*ways.shortest)),
            ),
        };
        let weights = distances.map(|[start, left]| {
            Weights::new(&row, start, left, f64::from(robot.drive.max_speed()))
        });
        let trace = so_far
            .tracer
            .take()
            .map(|tracer| tracer.finish(so_far.number, outcome));
        Finished {
            row,
            weights: weights.unwrap_or_default(),
            trace,
        }
    }

    fn ways(&self) -> Ways {
        let layout = self.env.layout();
        let robot = &layout.robots[0];
        let geodesic = Geodesic::new(layout, robot.passage_radius);
        let to_goal = |from| {
            geodesic
                .path(from, robot.goal)
                .filter(|way| way.length_m.is_finite())
        };
        // A path was made sure of when the episode was placed; the straight line bounds it.
        let start = to_goal(robot.start).unwrap_or_else(|| GeodesicPath {
            length_m: f64::from((robot.goal - robot.start).norm()),
            points: vec![robot.start, robot.goal],
        });
        Ways {
            start_m: start.length_m,
            // A robot that the world has lost came no nearer.
            left_m: to_goal(self.env.position()).map_or(start.length_m, |left| left.length_m),
            shortest: start.points,
        }
    }
}

impl SoFar {
    /// Begins an episode in an environment.
    fn begin(
        env: &mut NavEnv,
        frame: &mut Frame,
        number: u64,
        options: &EvalOptions,
    ) -> Result<Self, EvalError> {
        env.try_begin(number)
            .map_err(|reason| EvalError::unplaceable(env.scenario(), options, number, reason))?;
        env.frame(frame);
        let dt_secs = env.scenario().spec.task.control_step_secs;
        Ok(Self {
            number,
            position: env.position(),
            velocity: velocity(frame),
            acceleration: Vector2::zeros(),
            path_m: 0.0,
            jerk_sum: 0.0,
            min_clearance_m: f64::from(frame.robots[0].clearance_m),
            record: Record::begin(dt_secs, &env.layout().robots[0], frame),
            tracer: (number < options.traces).then(|| Tracer::begin(env, frame)),
        })
    }

    /// Takes one control step.
    fn step(&mut self, position: Point2<f32>, frame: &Frame, dt_secs: f64) {
        self.path_m += f64::from((position - self.position).norm());
        self.position = position;
        let velocity = velocity(frame);
        let acceleration = (velocity - self.velocity) / dt_secs;
        self.jerk_sum += (acceleration - self.acceleration).norm() / dt_secs;
        (self.velocity, self.acceleration) = (velocity, acceleration);
        let clearance = f64::from(frame.robots[0].clearance_m);
        self.min_clearance_m = self.min_clearance_m.min(clearance);
        self.record.step(frame);
        if let Some(tracer) = &mut self.tracer {
            tracer.step(frame);
        }
    }
}

/// The shortest ways to the goal's centre.
struct Ways {
    /// Length from the start, metres.
    start_m: f64,
    /// Length from the robot's last position, metres.
    left_m: f64,
    /// The way from the start, a polyline.
    shortest: Vec<Point2<f32>>,
}

impl Finished {
    pub(super) fn succeeded(&self) -> bool {
        self.row.outcome == Outcome::Goal
    }
}

impl Weights {
    /// METRICS.md's SPL, `SoftSPL` and SCT of one episode. `start_m` and `left_m` are geodesic
    /// distances to the goal's centre at the start and at the end.
    fn new(row: &EpisodeRow, start_m: f64, left_m: f64, max_speed_mps: f64) -> Self {
        let success = f64::from(row.outcome == Outcome::Goal);
        let shortest = row.geodesic_m.unwrap_or(0.0);
        let directness = ratio(shortest, row.path_m);
        let nearness = if start_m > 0.0 {
            (1.0 - left_m / start_m).max(0.0)
        } else {
            1.0
        };
        Self {
            spl: success * directness,
            soft_spl: nearness * directness,
            sct: success * ratio(shortest / max_speed_mps, row.time_secs),
        }
    }
}

/// best / max(taken, best), 1 where both are 0.
fn ratio(best: f64, taken: f64) -> f64 {
    let most = best.max(taken);
    if most > 0.0 { best / most } else { 1.0 }
}

/// Metres per second.
fn velocity(frame: &Frame) -> Vector2<f64> {
    let robot = &frame.robots[0];
    let (sin, cos) = f64::from(robot.heading_rad).sin_cos();
    let ahead = Vector2::new(cos, sin) * f64::from(robot.speed_mps);
    ahead + Vector2::new(-sin, cos) * f64::from(robot.side_speed_mps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(outcome: Outcome, path_m: f64, geodesic_m: f64, time_secs: f64) -> EpisodeRow {
        EpisodeRow {
            episode: 0,
            outcome,
            episodic_return: 0.0,
            length: 1,
            time_secs,
            path_m,
            geodesic_m: Some(geodesic_m),
            geodesic_left_m: None,
            min_clearance_m: 0.0,
            jerk_mps3: 0.0,
            drawn: Vec::new(),
            conduct: None,
        }
    }

    fn near(weights: Weights, spl: f64, soft_spl: f64, sct: f64) {
        let found = [weights.spl, weights.soft_spl, weights.sct];
        for (found, expect) in found.into_iter().zip([spl, soft_spl, sct]) {
            assert!((found - expect).abs() < 1e-12, "{found} is not {expect}");
        }
    }

    #[test]
    fn weights_are_those_worked_out_by_hand() {
        // Goal centre 4.3 m off, goal radius 0.3 m: l = 4 m. Driven 5 m in 10 s at most 1 m/s.
        let reached = row(Outcome::Goal, 5.0, 4.0, 10.0);
        near(
            Weights::new(&reached, 4.3, 0.3, 1.0),
            0.8,
            (1.0 - 0.3 / 4.3) * 0.8,
            0.4,
        );
        // Hit something half-way.
        let hit = row(Outcome::CollisionStatic, 2.0, 4.0, 3.0);
        near(Weights::new(&hit, 4.3, 2.15, 1.0), 0.0, 0.5, 0.0);
        // Driven away from the goal.
        let away = row(Outcome::TimeLimit, 8.0, 4.0, 50.0);
        near(Weights::new(&away, 4.3, 6.0, 1.0), 0.0, 0.0, 0.0);
        // Began within the goal: both lengths are 0.
        let there = row(Outcome::Goal, 0.0, 0.0, 0.0);
        near(Weights::new(&there, 0.2, 0.2, 1.0), 1.0, 0.0, 1.0);
    }
}
