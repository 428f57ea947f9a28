//! Collects what is needed to draw an episode: the map and the poses of one robot, to which the other
//! robots are movers.

use nalgebra::Vector2;

use super::{EpisodeTrace, ObstacleOutline};
use evenkeel_sim::env::{EpisodeRunner, Outcome};
use evenkeel_sim::scenario::{Footprint, Obstacle, Shape};
use evenkeel_sim::sim::WorldSnapshot;

/// Collects an [`EpisodeTrace`] while the episode runs.
#[derive(Debug)]
pub struct Tracer {
    robot: usize,
    trace: EpisodeTrace,
}

impl Tracer {
    /// Takes the map and the first pose of a robot from the episode that `runner` has started.
    pub fn begin(runner: &EpisodeRunner, index: usize) -> Self {
        let env = runner.env();
        let layout = env.layout();
        let robot = &layout.robots[index];
        let (min, max) = (layout.arena.min, layout.arena.max);
        let trace = EpisodeTrace {
            episode: env.episode(),
            // Until `finish` sets it.
            outcome: Outcome::TimeLimit,
            dt_secs: env.scenario().spec.task.control_step_secs,
            arena: [min.x, min.y, max.x, max.y],
            obstacles: layout.all_obstacles().map(obstacle_outline).collect(),
            goal: [robot.goal.x, robot.goal.y, robot.goal_radius],
            alternative_goals: layout
                .alternative_goals
                .iter()
                .map(|alternative_goal| {
                    [
                        alternative_goal.position.x,
                        alternative_goal.position.y,
                        alternative_goal.radius,
                    ]
                })
                .collect(),
            robot_radius: robot.radius,
            robot_footprint: robot
                .footprint
                .iter()
                .flat_map(Footprint::corners)
                .map(|&corner| corner.into())
                .collect(),
            poses: Vec::new(),
            mover_radii: (layout.movers.iter().map(|mover| mover.radius))
                .chain(all_except(index, &layout.robots).map(|other| other.radius))
                .collect(),
            mover_positions: Vec::new(),
        };
        let mut tracer = Self {
            robot: index,
            trace,
        };
        tracer.step(runner.snapshot());
        tracer
    }

    /// Adds the poses of a control step.
    pub fn step(&mut self, snapshot: &WorldSnapshot) {
        let robot = &snapshot.robots[self.robot];
        let [x, y] = robot.position;
        self.trace.poses.push([x, y, robot.heading_rad]);
        let movers = snapshot.movers.iter().map(|mover| mover.position);
        let others = all_except(self.robot, &snapshot.robots).map(|other| other.position);
        self.trace
            .mover_positions
            .push(movers.chain(others).collect());
    }

    /// The trace. Without an outcome the episode was cut off, which counts as a time-out.
    pub fn finish(self, outcome: Option<Outcome>) -> EpisodeTrace {
        EpisodeTrace {
            outcome: outcome.unwrap_or(Outcome::TimeLimit),
            ..self.trace
        }
    }
}

/// All elements but that at `index`.
fn all_except<T>(index: usize, all: &[T]) -> impl Iterator<Item = &T> {
    all[..index].iter().chain(&all[index + 1..])
}

/// The outline of an obstacle in world coordinates.
fn obstacle_outline(obstacle: &Obstacle) -> ObstacleOutline {
    let corners = |local: &[Vector2<f32>]| {
        let world = local.iter().map(|&corner| obstacle.to_world(corner));
        ObstacleOutline::Polygon(world.map(|point| [point.x, point.y]).collect())
    };
    match &obstacle.shape {
        Shape::Disc { radius } => {
            ObstacleOutline::Disc([obstacle.position.x, obstacle.position.y, *radius])
        }
        Shape::Box { half_extents: h } => corners(&[
            Vector2::new(-h.x, -h.y),
            Vector2::new(h.x, -h.y),
            Vector2::new(h.x, h.y),
            Vector2::new(-h.x, h.y),
        ]),
        Shape::Polygon { vertices } => corners(vertices),
        Shape::Segment { half } => corners(&[-half, *half]),
    }
}
