//! All that is needed to draw an episode: the way of one robot, to which the others are movers.

use nalgebra::Vector2;

use super::{EpisodeTrace, ObstacleOutline};
use evenkeel_sim::env::{NavEnv, Outcome};
use evenkeel_sim::scenario::{Footprint, Obstacle, Shape};
use evenkeel_sim::sim::WorldSnapshot;

/// Draws an episode while it runs.
#[derive(Debug)]
pub struct Tracer {
    robot: usize,
    trace: EpisodeTrace,
}

impl Tracer {
    /// Takes the map and the first pose of a robot.
    pub fn begin(env: &NavEnv, index: usize, frame: &WorldSnapshot) -> Self {
        let layout = env.layout();
        let robot = &layout.robots[index];
        let (min, max) = (layout.arena.min, layout.arena.max);
        let trace = EpisodeTrace {
            episode: env.episode(),
            // Until it has ended otherwise.
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
        tracer.step(frame);
        tracer
    }

    /// Takes the next pose.
    pub fn step(&mut self, frame: &WorldSnapshot) {
        let robot = &frame.robots[self.robot];
        let [x, y] = robot.position;
        self.trace.poses.push([x, y, robot.heading_rad]);
        let movers = frame.movers.iter().map(|mover| mover.position);
        let others = all_except(self.robot, &frame.robots).map(|other| other.position);
        self.trace
            .mover_positions
            .push(movers.chain(others).collect());
    }

    /// What was drawn.
    pub fn finish(self, episode: u64, outcome: Outcome) -> EpisodeTrace {
        EpisodeTrace {
            episode,
            outcome,
            ..self.trace
        }
    }
}

/// All but one.
fn all_except<T>(index: usize, all: &[T]) -> impl Iterator<Item = &T> {
    all[..index].iter().chain(&all[index + 1..])
}

/// An obstacle in world coordinates.
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
