//! Draws starts and goals of the robots: one robot after the other, or all at once if the file has an
//! arrangement.

use std::f32::consts::TAU;

use nalgebra::Point2;
use rand::RngExt as _;

use super::episode_key::EpisodeKey;
use super::flood::FloodGrid;
use super::free_space::{FreeSpace, MAX_POSITION_TRIES, POSITION_MARGIN, axis_of, random_index};
use super::placement_error::PlacementError;
use super::robot::ParameterSampler;
use super::spec::{ArrangementSpec, CircleSwapSpec, RobotSpec, ScenarioSpec};
use super::{AlternativeGoal, Layout, RobotParameters};
use crate::seed::{Purpose, Rng};

/// Free space between two robots at the start of an episode, metres.
const ROBOT_MARGIN: f32 = 0.2;

/// Adds the robots to a layout whose obstacles are placed. Marks the grid for the layout.
///
/// # Errors
/// If a robot has no room or no path.
pub(super) fn place_robots(
    spec: &ScenarioSpec,
    key: EpisodeKey,
    grid: &mut FloodGrid,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<(), PlacementError> {
    layout.robots.clear();
    layout.alternative_goals.clear();
    layout.sampled_parameters.clear();
    let robot = &spec.robot[0];
    let mut physics = key.stream(Purpose::Randomisation);
    let mut draws = ParameterSampler {
        rng: &mut physics,
        sampled: &mut layout.sampled_parameters,
    };
    let goal_radius = draws.sample("task.goal_radius_m", &spec.task.goal_radius_m);
    // All robots have the same parameters.
    let template = draws.sample_robot(robot, goal_radius);
    match &robot.arrangement {
        None => {
            let min_distance = spec.task.min_start_goal_distance_m as f32;
            for _ in 0..robot.count {
                place_robot(robot, &template, min_distance, grid, layout, rng)?;
            }
            Ok(())
        }
        Some(ArrangementSpec::CircleSwap(circle)) => {
            place_on_circle(robot, circle, &template, layout, rng)?;
            grid.rasterize(layout, template.passage_radius);
            let mut robots = layout.robots.iter();
            robots
                .all(|robot| grid.is_reachable(robot.start, robot.goal))
                .then_some(())
                .ok_or(PlacementError::Path)
        }
    }
}

/// Places one robot, clear of those before it.
fn place_robot(
    spec: &RobotSpec,
    template: &RobotParameters,
    min_distance: f32,
    grid: &mut FloodGrid,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<(), PlacementError> {
    let mut placed = *template;
    let space = FreeSpace {
        layout,
        margin: placed.radius + POSITION_MARGIN,
    };
    let others = &layout.robots;
    let no_room = |error: PlacementError| match spec.count {
        1 => error,
        _ => PlacementError::Robots,
    };
    let min_start_distance = min_start_distance(&placed);
    placed.start = space
        .sample_position(&spec.start, rng, |start| {
            others
                .iter()
                .all(|other| (other.start - start).norm() > min_start_distance)
        })
        .ok_or_else(|| no_room(PlacementError::Start))?;
    placed.heading_rad = spec.start_heading_rad.sample(rng) as f32;
    let start = placed.start;
    let min_goal_distance = min_goal_distance(&placed);
    let mut goals = spec
        .goal
        .alternatives()
        .iter()
        .map(|position| {
            space.sample_position(position, rng, |goal| {
                let mut others = others.iter();
                (goal - start).norm() >= min_distance
                    && others.all(|other| (other.goal - goal).norm() > min_goal_distance)
            })
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| no_room(PlacementError::Goal))?;
    if layout.robots.is_empty() {
        grid.rasterize(layout, placed.passage_radius);
    }
    if !goals.iter().all(|&goal| grid.is_reachable(start, goal)) {
        return Err(PlacementError::Path);
    }
    placed.goal = goals.swap_remove(random_index(goals.len(), rng));
    layout
        .alternative_goals
        .extend(goals.into_iter().map(|position| AlternativeGoal {
            position,
            radius: placed.goal_radius,
        }));
    layout.robots.push(placed);
    Ok(())
}

/// Places all robots on a circle, each opposite to its goal.
fn place_on_circle(
    spec: &RobotSpec,
    circle: &CircleSwapSpec,
    template: &RobotParameters,
    layout: &mut Layout,
    rng: &mut Rng,
) -> Result<(), PlacementError> {
    let radius = circle.radius_m.sample(rng) as f32;
    let middle = nalgebra::center(&layout.arena.min, &layout.arena.max);
    let starts_and_goals = |phase: f32| {
        (0..spec.count).map(move |index| {
            let out = axis_of(phase + TAU * index as f32 / spec.count as f32) * radius;
            (middle + out, middle - out)
        })
    };
    let space = FreeSpace {
        layout,
        margin: template.radius + POSITION_MARGIN,
    };
    let is_free =
        |(start, goal): (Point2<f32>, Point2<f32>)| space.is_free(start) && space.is_free(goal);
    let phase = (0..MAX_POSITION_TRIES)
        .map(|_| TAU * rng.random::<f32>())
        .find(|&phase| starts_and_goals(phase).all(is_free))
        .ok_or(PlacementError::Robots)?;
    layout.robots.extend(
        starts_and_goals(phase).map(|(start, goal)| RobotParameters {
            start,
            goal,
            heading_rad: spec.start_heading_rad.sample(rng) as f32,
            ..*template
        }),
    );
    Ok(())
}

/// Smallest distance between the starts of two robots, metres.
fn min_start_distance(robot: &RobotParameters) -> f32 {
    2.0 * robot.radius + ROBOT_MARGIN
}

/// Smallest distance between the goals of two robots, metres: a robot anywhere within its goal
/// leaves the centre of the other goal free.
fn min_goal_distance(robot: &RobotParameters) -> f32 {
    2.0 * robot.radius + robot.goal_radius + POSITION_MARGIN
}

/// Smallest distance between two neighbours on a circle for robots of this radius, metres.
pub(super) fn min_neighbour_distance(radius: f64, goal_radius: f64) -> f64 {
    2.0 * radius + f64::from(ROBOT_MARGIN).max(goal_radius + f64::from(POSITION_MARGIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::scenario::{LayoutSampler, resolve};
    use crate::seed::Split;

    /// Layouts of many episodes.
    fn layouts(name: &str, flags: &[&str]) -> Vec<Layout> {
        let flags: Vec<_> = flags.iter().map(|f| Override::parse(f).unwrap()).collect();
        let scenario = resolve(name, &flags).unwrap();
        let mut sampler = LayoutSampler::default();
        (0..100)
            .map(|episode| {
                let key = EpisodeKey {
                    root: 3,
                    split: Split::Eval,
                    env: 0,
                    episode,
                };
                let mut layout = Layout::default();
                sampler.sample(&scenario, key, &mut layout).unwrap();
                layout
            })
            .collect()
    }

    #[test]
    fn robots_start_and_end_clear_of_one_another() {
        for layout in layouts("reference", &["robot.count=5"]) {
            assert_eq!(layout.robots.len(), 5);
            for (index, robot) in layout.robots.iter().enumerate() {
                assert!((robot.goal - robot.start).norm() >= 4.0);
                for other in &layout.robots[..index] {
                    assert!((robot.start - other.start).norm() > 0.6);
                    assert!((robot.goal - other.goal).norm() > 0.75);
                }
            }
        }
    }

    #[test]
    fn robots_on_a_circle_have_opposite_goals() {
        let mut headings = Vec::new();
        for layout in layouts("swap", &["robot.mass_kg={ uniform = [5, 50] }"]) {
            let robots = &layout.robots;
            let middle = Point2::new(4.0, 4.0);
            let radius = (robots[0].start - middle).norm();
            assert!((2.0..=3.5).contains(&radius), "{radius}");
            for (index, robot) in robots.iter().enumerate() {
                assert!(((robot.start - middle) + (robot.goal - middle)).norm() < 1e-5);
                // The chord of a sixth of a circle is its radius.
                let next = &robots[(index + 1) % robots.len()];
                assert!(((robot.start - next.start).norm() - radius).abs() < 1e-4);
                assert_eq!(robot.mass_kg.to_bits(), robots[0].mass_kg.to_bits());
                headings.push(robot.heading_rad.to_bits());
            }
        }
        headings.sort_unstable();
        headings.dedup();
        assert!(headings.len() > 590, "each draws its own heading");
    }
}
