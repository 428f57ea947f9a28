//! One held-out episode while it runs, and its figures once it has ended.

use nalgebra::{Point2, Vector2};

use super::conduct::Record;
use super::trace::Tracer;
use super::{EpisodeRow, EpisodeTrace, EvalError, EvalOptions};
use evenkeel_sim::env::{NavEnv, Outcome, Step};
use evenkeel_sim::scenario::{Geodesic, GeodesicPath, Layout};
use evenkeel_sim::sim::{Frame, RobotFrame};

/// An environment and the episode that runs in it.
pub(super) struct Episode {
    env: NavEnv,
    number: u64,
    frame: Frame,
    dt_secs: f64,
    geodesic: bool,
    /// `[robots]`.
    parts: Vec<SoFar>,
    /// `[robots]`: those of one step.
    steps: Vec<Step>,
    /// Parts that have ended.
    finished: Vec<Finished>,
}

/// What is known of a robot's part in an episode so far.
struct SoFar {
    robot: usize,
    ended: bool,
    position: Point2<f32>,
    velocity: Vector2<f64>,
    acceleration: Vector2<f64>,
    path_m: f64,
    jerk_sum: f64,
    min_clearance_m: f64,
    record: Record,
    tracer: Option<Tracer>,
}

/// A robot's part in an episode, ended.
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
        env: NavEnv,
        number: u64,
        options: &EvalOptions,
    ) -> Result<Self, EvalError> {
        let mut this = Self {
            dt_secs: env.scenario().spec.task.control_step_secs,
            geodesic: options.geodesic,
            number,
            parts: Vec::new(),
            steps: vec![Step::WAITING; env.robot_count()],
            finished: Vec::new(),
            frame: Frame::default(),
            env,
        };
        this.again(number, options)?;
        Ok(this)
    }

    /// The next episode in the same environment.
    pub(super) fn again(&mut self, number: u64, options: &EvalOptions) -> Result<(), EvalError> {
        let env = &mut self.env;
        env.try_begin(number)
            .map_err(|reason| EvalError::unplaceable(env.scenario(), options, number, reason))?;
        env.frame(&mut self.frame);
        self.number = number;
        self.parts.clear();
        for robot in 0..env.robot_count() {
            let traced = number < options.traces && robot == 0;
            let tracer = traced.then(|| Tracer::begin(env, robot, &self.frame));
            self.parts
                .push(SoFar::begin(env, robot, &self.frame, tracer));
        }
        Ok(())
    }

    /// Writes what each robot sees, `[robots, obs]`.
    pub(super) fn observe(&self, out: &mut [f32]) {
        let dim = self.env.obs_layout().dim();
        for (robot, out) in out.chunks_exact_mut(dim).enumerate() {
            self.env.observe_robot(robot, out);
        }
    }

    /// Whether a robot's part has ended while the episode goes on.
    pub(super) fn waits(&self, robot: usize) -> bool {
        self.env.outcome(robot).is_some()
    }

    pub(super) fn layout(&self) -> &Layout {
        self.env.layout()
    }

    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    /// One control step, `[robots, act]`; the figures of all robots if the episode ended there.
    pub(super) fn step(&mut self, actions: &[f32]) -> Option<Vec<Finished>> {
        self.env.step_all(actions, &mut self.steps);
        self.env.frame(&mut self.frame);
        for robot in 0..self.parts.len() {
            let so_far = &mut self.parts[robot];
            if !so_far.ended {
                so_far.step(&self.frame, self.dt_secs);
            }
            if let Some(outcome) = self.steps[robot].outcome {
                let finished = self.finish(robot, outcome);
                self.finished.push(finished);
            }
        }
        self.env
            .is_over()
            .then(|| std::mem::take(&mut self.finished))
    }

    fn finish(&mut self, index: usize, outcome: Outcome) -> Finished {
        let robot = &self.env.layout().robots[index];
        let steps = self.env.steps_of(index);
        let ways = self.geodesic.then(|| self.ways(index));
        let so_far = &mut self.parts[index];
        so_far.ended = true;
        let distances = ways.as_ref().map(|ways| [ways.start_m, ways.left_m]);
        let goal_radius = f64::from(robot.goal_radius);
        let row = EpisodeRow {
            episode: self.number,
            robot: index as u32,
            outcome,
            episodic_return: self.env.return_of(index),
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
        let tracer = so_far.tracer.take();
        Finished {
            trace: tracer.map(|tracer| tracer.finish(row.episode, outcome)),
            row,
            weights: weights.unwrap_or_default(),
        }
    }

    fn ways(&self, robot: usize) -> Ways {
        let at = Point2::from(self.frame.robots[robot].position);
        let layout = self.env.layout();
        let robot = &layout.robots[robot];
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
            left_m: to_goal(at).map_or(start.length_m, |left| left.length_m),
            shortest: start.points,
        }
    }
}

impl SoFar {
    /// Begins a robot's part in the episode that its environment has begun.
    fn begin(env: &NavEnv, index: usize, frame: &Frame, tracer: Option<Tracer>) -> Self {
        let dt_secs = env.scenario().spec.task.control_step_secs;
        let robot = &frame.robots[index];
        Self {
            robot: index,
            ended: false,
            position: robot.position.into(),
            velocity: velocity(robot),
            acceleration: Vector2::zeros(),
            path_m: 0.0,
            jerk_sum: 0.0,
            min_clearance_m: f64::from(robot.clearance_m),
            record: Record::begin(dt_secs, &env.layout().robots, index, frame),
            tracer,
        }
    }

    /// Takes one control step.
    fn step(&mut self, frame: &Frame, dt_secs: f64) {
        let robot = &frame.robots[self.robot];
        let position = Point2::from(robot.position);
        self.path_m += f64::from((position - self.position).norm());
        self.position = position;
        let velocity = velocity(robot);
        let acceleration = (velocity - self.velocity) / dt_secs;
        self.jerk_sum += (acceleration - self.acceleration).norm() / dt_secs;
        (self.velocity, self.acceleration) = (velocity, acceleration);
        let clearance = f64::from(robot.clearance_m);
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
fn velocity(robot: &RobotFrame) -> Vector2<f64> {
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
            robot: 0,
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
