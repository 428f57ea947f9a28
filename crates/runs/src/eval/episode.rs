//! One held-out episode while it runs, and its metrics once it has ended.

use nalgebra::{Point2, Vector2};

use super::driving_quality::DrivingRecorder;
use super::trace::Tracer;
use super::{EpisodeRow, EpisodeTrace, EvalError, EvalOptions};
use evenkeel_sim::env::{EpisodeRunner, NavEnv, Outcome};
use evenkeel_sim::scenario::{Geodesic, GeodesicPath, Layout};
use evenkeel_sim::sim::{RobotSnapshot, WorldSnapshot};

/// An environment and the episode that runs in it.
pub(super) struct EvalEpisode {
    runner: EpisodeRunner,
    number: u64,
    dt_secs: f64,
    geodesic: bool,
    /// `[robots]`.
    progress_of_robots: Vec<RobotProgress>,
    /// Results of the robots whose part has ended.
    finished: Vec<RobotResult>,
}

/// Running sums of a robot's part in an episode.
struct RobotProgress {
    robot: usize,
    ended: bool,
    position: Point2<f32>,
    velocity: Vector2<f64>,
    acceleration: Vector2<f64>,
    path_m: f64,
    jerk_sum: f64,
    min_clearance_m: f64,
    record: DrivingRecorder,
    tracer: Option<Tracer>,
}

/// The metrics of a robot's part in an episode.
#[derive(Clone, Debug)]
pub(super) struct RobotResult {
    pub(super) row: EpisodeRow,
    pub(super) weighted_success: WeightedSuccess,
    pub(super) trace: Option<EpisodeTrace>,
}

/// Success weighted by path length, softly, and by time; 0 where geodesics were not computed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct WeightedSuccess {
    pub(super) spl: f64,
    pub(super) soft_spl: f64,
    pub(super) sct: f64,
}

impl EvalEpisode {
    /// Starts an episode in an environment.
    ///
    /// # Errors
    /// If the episode cannot be placed. It is not replaced by another, so that no layout counts
    /// twice.
    pub(super) fn begin(
        env: NavEnv,
        number: u64,
        options: &EvalOptions,
    ) -> Result<Self, EvalError> {
        let mut this = Self {
            dt_secs: env.scenario().spec.task.control_step_secs,
            geodesic: options.geodesic,
            number,
            progress_of_robots: Vec::new(),
            finished: Vec::new(),
            runner: EpisodeRunner::new(env),
        };
        this.reset(number, options)?;
        Ok(this)
    }

    /// Starts another episode in the same environment.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub(super) fn reset(&mut self, number: u64, options: &EvalOptions) -> Result<(), EvalError> {
        self.runner.try_reset(number).map_err(|reason| {
            EvalError::unplaceable(self.runner.env().scenario(), options, number, reason)
        })?;
        self.number = number;
        self.progress_of_robots.clear();
        let (env, snapshot) = (self.runner.env(), self.runner.snapshot());
        for robot in 0..env.robot_count() {
            let traced = number < options.traces && robot == 0;
            let tracer = traced.then(|| Tracer::begin(&self.runner, robot));
            self.progress_of_robots
                .push(RobotProgress::begin(env, robot, snapshot, tracer));
        }
        Ok(())
    }

    /// Writes the observation of each robot, `[robots, obs]`.
    pub(super) fn observe(&self, out: &mut [f32]) {
        let env = self.runner.env();
        let dim = env.obs_layout().dim();
        for (robot, out) in out.chunks_exact_mut(dim).enumerate() {
            env.observe_robot(robot, out);
        }
    }

    /// Whether a robot's part has ended while the episode goes on.
    pub(super) fn is_inactive(&self, robot: usize) -> bool {
        self.runner.env().outcome(robot).is_some()
    }

    pub(super) fn layout(&self) -> &Layout {
        self.runner.env().layout()
    }

    pub(super) fn snapshot(&self) -> &WorldSnapshot {
        self.runner.snapshot()
    }

    /// One control step with `actions`, `[robots, act]`. Returns the results of all robots if the
    /// episode ended with it.
    pub(super) fn step(&mut self, actions: &[f32]) -> Option<Vec<RobotResult>> {
        self.runner.step(actions);
        for robot in 0..self.progress_of_robots.len() {
            let progress = &mut self.progress_of_robots[robot];
            if !progress.ended {
                progress.step(self.runner.snapshot(), self.dt_secs);
            }
            if let Some(outcome) = self.runner.results()[robot].outcome {
                let finished = self.finish(robot, outcome);
                self.finished.push(finished);
            }
        }
        self.runner
            .env()
            .is_over()
            .then(|| std::mem::take(&mut self.finished))
    }

    fn finish(&mut self, index: usize, outcome: Outcome) -> RobotResult {
        let paths = self.geodesic.then(|| self.goal_paths(index));
        let env = self.runner.env();
        let robot = &env.layout().robots[index];
        let steps = env.robot_steps(index);
        let progress = &mut self.progress_of_robots[index];
        progress.ended = true;
        let distances = paths
            .as_ref()
            .map(|paths| [paths.start_m, paths.remaining_m]);
        let goal_radius = f64::from(robot.goal_radius);
        let sampled_parameters = env.layout().sampled_parameters.iter();
        let shortest = paths.as_ref().map(|paths| &*paths.shortest);
        let row = EpisodeRow {
            episode: self.number,
            robot: index as u32,
            outcome,
            episodic_return: env.robot_return(index),
            length: steps,
            time_secs: f64::from(steps) * self.dt_secs,
            path_m: progress.path_m,
            geodesic_m: distances.map(|[start, _]| (start - goal_radius).max(0.0)),
            geodesic_remaining_m: distances.map(|[_, left]| left),
            min_clearance_m: progress.min_clearance_m.max(0.0),
            jerk_mps3: progress.jerk_sum / f64::from(steps.max(1)),
            sampled_parameters: sampled_parameters.map(Into::into).collect(),
            driving_quality: Some(progress.record.finish(shortest)),
        };
        let weighted_success = distances.map(|[start, left]| {
            WeightedSuccess::new(
                &row,
                start,
                left,
                f64::from(robot.drive.max_forward_speed()),
            )
        });
        let tracer = progress.tracer.take();
        RobotResult {
            trace: tracer.map(|tracer| tracer.finish(Some(outcome))),
            row,
            weighted_success: weighted_success.unwrap_or_default(),
        }
    }

    fn goal_paths(&self, robot: usize) -> GoalPaths {
        let at = Point2::from(self.runner.snapshot().robots[robot].position);
        let layout = self.runner.env().layout();
        let robot = &layout.robots[robot];
        let geodesic = Geodesic::new(layout, robot.passage_radius);
        let to_goal = |from| {
            geodesic
                .path(from, robot.goal)
                .filter(|path| path.length_m.is_finite())
        };
        // Placement made sure that there is a path; otherwise the straight line is a lower bound.
        let start = to_goal(robot.start).unwrap_or_else(|| GeodesicPath {
            length_m: f64::from((robot.goal - robot.start).norm()),
            points: vec![robot.start, robot.goal],
        });
        GoalPaths {
            start_m: start.length_m,
            // A robot whose position is not finite counts as still at the start.
            remaining_m: to_goal(at).map_or(start.length_m, |left| left.length_m),
            shortest: start.points,
        }
    }
}

impl RobotProgress {
    /// Starts at the beginning of the episode that `env` is in.
    fn begin(env: &NavEnv, index: usize, snapshot: &WorldSnapshot, tracer: Option<Tracer>) -> Self {
        let dt_secs = env.scenario().spec.task.control_step_secs;
        let robot = &snapshot.robots[index];
        Self {
            robot: index,
            ended: false,
            position: robot.position.into(),
            velocity: velocity(robot),
            acceleration: Vector2::zeros(),
            path_m: 0.0,
            jerk_sum: 0.0,
            min_clearance_m: f64::from(robot.clearance_m),
            record: DrivingRecorder::begin(dt_secs, &env.layout().robots, index, snapshot),
            tracer,
        }
    }

    /// Adds one control step.
    fn step(&mut self, snapshot: &WorldSnapshot, dt_secs: f64) {
        let robot = &snapshot.robots[self.robot];
        let position = Point2::from(robot.position);
        self.path_m += f64::from((position - self.position).norm());
        self.position = position;
        let velocity = velocity(robot);
        let acceleration = (velocity - self.velocity) / dt_secs;
        self.jerk_sum += (acceleration - self.acceleration).norm() / dt_secs;
        (self.velocity, self.acceleration) = (velocity, acceleration);
        let clearance = f64::from(robot.clearance_m);
        self.min_clearance_m = self.min_clearance_m.min(clearance);
        self.record.step(snapshot);
        if let Some(tracer) = &mut self.tracer {
            tracer.step(snapshot);
        }
    }
}

/// The shortest paths to the goal's centre.
struct GoalPaths {
    /// Length from the start, metres.
    start_m: f64,
    /// Length from the robot's last position, metres.
    remaining_m: f64,
    /// The path from the start, a polyline.
    shortest: Vec<Point2<f32>>,
}

impl RobotResult {
    pub(super) fn succeeded(&self) -> bool {
        self.row.outcome == Outcome::Goal
    }
}

impl WeightedSuccess {
    /// SPL, `SoftSPL` and SCT of one episode: see docs/metrics.md. `start_m` and `remaining_m` are geodesic
    /// distances to the goal's centre at the start and at the end.
    fn new(row: &EpisodeRow, start_m: f64, remaining_m: f64, max_speed_mps: f64) -> Self {
        let success = f64::from(row.outcome == Outcome::Goal);
        let shortest = row.geodesic_m.unwrap_or(0.0);
        // An episode that starts within the goal ends with its first step, in which the robot moves:
        // no path could be shorter.
        let starts_at_goal = shortest <= 0.0 && row.length == 1;
        let [path_m, time_secs] = if starts_at_goal {
            [0.0; 2]
        } else {
            [row.path_m, row.time_secs]
        };
        let directness = ratio(shortest, path_m);
        let nearness = if start_m > 0.0 {
            (1.0 - remaining_m / start_m).max(0.0)
        } else {
            1.0
        };
        Self {
            spl: success * directness,
            soft_spl: nearness * directness,
            sct: success * ratio(shortest / max_speed_mps, time_secs),
        }
    }
}

/// best / max(taken, best), 1 where both are 0.
fn ratio(best: f64, taken: f64) -> f64 {
    let most = best.max(taken);
    if most > 0.0 { best / most } else { 1.0 }
}

/// Metres per second.
fn velocity(robot: &RobotSnapshot) -> Vector2<f64> {
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
            geodesic_remaining_m: None,
            min_clearance_m: 0.0,
            jerk_mps3: 0.0,
            sampled_parameters: Vec::new(),
            driving_quality: None,
        }
    }

    fn near(weighted_success: WeightedSuccess, spl: f64, soft_spl: f64, sct: f64) {
        let found = [
            weighted_success.spl,
            weighted_success.soft_spl,
            weighted_success.sct,
        ];
        for (found, expect) in found.into_iter().zip([spl, soft_spl, sct]) {
            assert!((found - expect).abs() < 1e-12, "{found} is not {expect}");
        }
    }

    #[test]
    fn weights_are_those_worked_out_by_hand() {
        // Goal centre 4.3 m off, goal radius 0.3 m: l = 4 m. Driven 5 m in 10 s at most 1 m/s.
        let reached = row(Outcome::Goal, 5.0, 4.0, 10.0);
        near(
            WeightedSuccess::new(&reached, 4.3, 0.3, 1.0),
            0.8,
            (1.0 - 0.3 / 4.3) * 0.8,
            0.4,
        );
        // Hit something half-way.
        let hit = row(Outcome::CollisionStatic, 2.0, 4.0, 3.0);
        near(WeightedSuccess::new(&hit, 4.3, 2.15, 1.0), 0.0, 0.5, 0.0);
        // Driven away from the goal.
        let away = row(Outcome::TimeLimit, 8.0, 4.0, 50.0);
        near(WeightedSuccess::new(&away, 4.3, 6.0, 1.0), 0.0, 0.0, 0.0);
        // Began within the goal: both lengths are 0.
        let there = row(Outcome::Goal, 0.0, 0.0, 0.0);
        near(WeightedSuccess::new(&there, 0.2, 0.2, 1.0), 1.0, 0.0, 1.0);
        // The same, with the step that every episode takes.
        let there = row(Outcome::Goal, 0.01, 0.0, 0.1);
        near(WeightedSuccess::new(&there, 0.2, 0.1, 1.0), 1.0, 0.5, 1.0);
        let hit = row(Outcome::CollisionStatic, 0.01, 0.0, 0.1);
        near(WeightedSuccess::new(&hit, 0.2, 0.2, 1.0), 0.0, 0.0, 0.0);
        // Slipped out of the goal, and came back later.
        let back = EpisodeRow {
            length: 30,
            ..row(Outcome::Goal, 1.0, 0.0, 3.0)
        };
        near(WeightedSuccess::new(&back, 0.2, 0.2, 1.0), 0.0, 0.0, 0.0);
    }
}
