//! Draws layouts: draws every range, places every obstacle, start and goal, and makes sure that a path
//! exists. The geodesic is not computed here: it is expensive, and training does not need it.

use nalgebra::{Point2, Vector2};

use super::episode_key::EpisodeKey;
use super::flood::FloodGrid;
use super::free_space::{axis_of, sample_point};
use super::generate::generate;
use super::goal_distance::GoalDistanceField;
use super::layout_difficulty::DifficultyEstimator;
use super::load::{Scenario, ScenarioError};
use super::place_movers::place_movers;
use super::place_robots::place_robots;
use super::placement_error::{MAX_LAYOUT_TRIES, MAX_REDRAWS, PlacementError};
use super::polygon::doubled_area;
use super::spec::{ObstacleSpec, RobotSpec};
use super::{Layout, Obstacle, Rect, Shape};
use crate::seed::{Purpose, Rng, Split};

/// Layouts that are drawn to check a scenario, half of them of training and half held out.
const LAYOUTS_CHECKED: u32 = 200;

/// If the first so many layouts all fail, no further attempts are made.
const HOPELESS: u32 = 5;

/// How many of the layouts that were drawn to check a scenario had to be drawn again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayoutCheck {
    /// Layouts that were drawn.
    pub sampled: u32,
    /// Those of them that could not be placed at the first attempt.
    pub redrawn: u32,
}

/// Draws layouts. Reuses its buffers from one layout to the next.
#[derive(Clone, Debug, Default)]
pub struct LayoutSampler {
    grid: FloodGrid,
    difficulty: DifficultyEstimator,
}

impl LayoutSampler {
    /// Draws the layout of an episode into `layout`.
    ///
    /// A crowded scenario may fail to place a few of its episodes. Such an episode is drawn again, as
    /// a function of its key and the attempt alone, so that training, evaluation and replay have the
    /// same layout; [`Layout::redraws`] counts the attempts.
    ///
    /// # Errors
    /// If no attempt gives a layout with room and with a path.
    pub fn sample(
        &mut self,
        scenario: &Scenario,
        key: EpisodeKey,
        layout: &mut Layout,
    ) -> Result<(), PlacementError> {
        let mut last = PlacementError::Path;
        for attempt in 0..=MAX_REDRAWS {
            match self.attempt(scenario, key.for_attempt(attempt), layout) {
                Ok(()) => {
                    layout.redraws = attempt;
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Draws layouts of one key until one can be placed.
    fn attempt(
        &mut self,
        scenario: &Scenario,
        key: EpisodeKey,
        layout: &mut Layout,
    ) -> Result<(), PlacementError> {
        let mut rng = key.stream(Purpose::Layout);
        let mut last = PlacementError::Path;
        for _ in 0..MAX_LAYOUT_TRIES {
            match self.try_sample(scenario, key, &mut rng, layout) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The difficulty of a layout, from 0 (an open plain) towards 1. `None` if no path leads from
    /// start to goal. See `scenario/layout_difficulty.rs`.
    pub fn difficulty(&mut self, layout: &Layout) -> Option<f32> {
        self.difficulty.estimate(layout, &mut self.grid)
    }

    /// Computes the distance to a robot's goal from everywhere in the layout that was drawn last.
    pub fn fill_goal_distances(
        &self,
        layout: &Layout,
        robot: usize,
        field: &mut GoalDistanceField,
    ) {
        field.fill(layout, robot, &self.grid);
    }

    /// Draws one layout, which may turn out to have no room or no path.
    fn try_sample(
        &mut self,
        scenario: &Scenario,
        key: EpisodeKey,
        rng: &mut Rng,
        layout: &mut Layout,
    ) -> Result<(), PlacementError> {
        let spec = &scenario.spec;
        let origin = sample_point(&spec.arena.origin(), rng);
        layout.arena = Rect {
            min: origin,
            max: origin + sample_point(&spec.arena.size(), rng).coords,
        };
        layout.map.clone_from(&scenario.map);
        layout.obstacles.clear();
        layout.obstacles.extend(
            spec.obstacles
                .iter()
                .map(|obstacle| place_obstacle(obstacle, rng)),
        );
        let mut difficulty_rng = key.stream(Purpose::LayoutDifficulty);
        let width = max_robot_width(&spec.robot[0]);
        for generator in &spec.generate {
            generate(generator, width, layout, &mut difficulty_rng, rng);
        }
        place_robots(spec, key, &mut self.grid, layout, rng)?;
        place_movers(&spec.movers, layout, &mut key.stream(Purpose::Movers))
    }
}

/// Draws an obstacle of the file.
fn place_obstacle(spec: &ObstacleSpec, rng: &mut Rng) -> Obstacle {
    let upright = Vector2::new(1.0, 0.0);
    match spec {
        ObstacleSpec::Disc(disc) => {
            let position = sample_point(&disc.center_m, rng);
            let radius = disc.radius_m.sample(rng) as f32;
            Obstacle {
                shape: Shape::Disc { radius },
                position,
                axis: upright,
            }
        }
        ObstacleSpec::Box(spec) => {
            let position = sample_point(&spec.center_m, rng);
            let half_extents = sample_point(&spec.half_extents_m, rng).coords;
            let axis = axis_of(spec.yaw_rad.sample(rng) as f32);
            Obstacle {
                shape: Shape::Box { half_extents },
                position,
                axis,
            }
        }
        ObstacleSpec::Polygon(polygon) => {
            let corners: Vec<Vector2<f32>> = polygon
                .vertices_m
                .iter()
                .map(|&[x, y]| Vector2::new(x as f32, y as f32))
                .collect();
            let middle = corners.iter().sum::<Vector2<f32>>() / corners.len() as f32;
            let mut vertices: Vec<_> = corners.iter().map(|corner| corner - middle).collect();
            if doubled_area(&vertices) < 0.0 {
                vertices.reverse();
            }
            let position = Point2::from(middle) + sample_point(&polygon.offset_m, rng).coords;
            let axis = axis_of(polygon.yaw_rad.sample(rng) as f32);
            Obstacle {
                shape: Shape::Polygon { vertices },
                position,
                axis,
            }
        }
        ObstacleSpec::Segment(segment) => {
            let from = sample_point(&segment.from_m, rng);
            let to = sample_point(&segment.to_m, rng);
            let shape = Shape::Segment {
                half: (to - from) / 2.0,
            };
            Obstacle {
                shape,
                position: nalgebra::center(&from, &to),
                axis: upright,
            }
        }
    }
}

/// The largest passage width that a robot can need, metres.
fn max_robot_width(spec: &RobotSpec) -> f32 {
    2.0 * spec.passage_radius().max() as f32
}

impl Scenario {
    /// Draws layouts to check that the scenario can be placed and solved, and counts those that had
    /// to be drawn again.
    ///
    /// # Errors
    /// If one of the layouts cannot be drawn.
    pub fn check_layouts(&self) -> Result<LayoutCheck, ScenarioError> {
        let mut sampler = LayoutSampler::default();
        let mut layout = Layout::default();
        let mut check = LayoutCheck::default();
        for split in [Split::Train, Split::Eval] {
            for episode in 0..u64::from(LAYOUTS_CHECKED / 2) {
                let key = EpisodeKey {
                    root: 0,
                    split,
                    env: 0,
                    episode,
                };
                check.sampled += 1;
                let Err(reason) = sampler.attempt(self, key, &mut layout) else {
                    continue;
                };
                check.redrawn += 1;
                if check.redrawn == check.sampled && check.sampled < HOPELESS {
                    continue;
                }
                if check.redrawn == HOPELESS && check.sampled == HOPELESS {
                    return Err(self.unplaceable(reason));
                }
                let drawn = sampler.sample(self, key, &mut layout);
                drawn.map_err(|reason| self.unplaceable(reason))?;
            }
        }
        Ok(check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::hash::fnv1a_64;
    use crate::scenario::free_space::{FreeSpace, POSITION_MARGIN};
    use crate::scenario::resolve;

    fn key(episode: u64) -> EpisodeKey {
        EpisodeKey {
            root: 7,
            split: Split::Eval,
            env: 0,
            episode,
        }
    }

    /// A hash over the bits of everything that is drawn in 50 episodes.
    fn fingerprint(name: &str) -> u64 {
        let scenario = resolve(name, &[]).unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let mut bytes = Vec::new();
        for episode in 0..50 {
            sampler
                .sample(&scenario, key(episode), &mut layout)
                .unwrap();
            let arena = [layout.arena.min, layout.arena.max];
            let obstacles = layout.obstacles.iter().flat_map(|obstacle| {
                [
                    obstacle.position.coords,
                    obstacle.axis,
                    obstacle_size(obstacle),
                ]
            });
            let movers = layout
                .movers
                .iter()
                .flat_map(|mover| [mover.position.coords, mover.velocity]);
            let robots = layout.robots.iter().flat_map(|robot| {
                let heading = Vector2::new(robot.heading_rad, robot.goal_radius);
                [robot.start.coords, heading, robot.goal.coords]
            });
            let drawn = arena
                .iter()
                .map(|corner| corner.coords)
                .chain(obstacles)
                .chain(movers)
                .chain(robots);
            let numbers = drawn.flat_map(|pair| [pair.x, pair.y]);
            bytes.extend(numbers.flat_map(f32::to_le_bytes));
        }
        fnv1a_64(bytes)
    }

    fn obstacle_size(obstacle: &Obstacle) -> Vector2<f32> {
        match &obstacle.shape {
            Shape::Disc { radius } => Vector2::repeat(*radius),
            Shape::Box { half_extents } => *half_extents,
            Shape::Polygon { vertices } => vertices.iter().sum(),
            Shape::Segment { half } => *half,
        }
    }

    /// The reference scenario with alternative goals.
    fn with_goals(goals: &str) -> Scenario {
        let flag = format!("robot.0.goal={{ one_of = [{goals}] }}");
        resolve("reference", &[Override::parse(&flag).unwrap()]).unwrap()
    }

    #[test]
    fn alternative_goals_are_equally_likely_and_all_free() {
        let scenario = with_goals(
            "{ at = { position_m = [9, 1] } }, { at = { position_m = [9, 9] } }, \
             { region = { min_m = [1, 1], max_m = [2, 2] } }",
        );
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let mut chosen = [0; 3];
        for episode in 0..3000 {
            sampler
                .sample(&scenario, key(episode), &mut layout)
                .unwrap();
            let robot = layout.robots[0];
            let index = match (robot.goal.x > 5.0, robot.goal.y > 5.0) {
                (true, false) => 0,
                (true, true) => 1,
                (false, _) => 2,
            };
            chosen[index] += 1;
            assert_eq!(layout.alternative_goals.len(), 2);
            let space = FreeSpace {
                layout: &layout,
                margin: robot.radius + POSITION_MARGIN,
            };
            for alternative_goal in &layout.alternative_goals {
                assert!((alternative_goal.position - robot.start).norm() >= 4.0);
                assert!(
                    space.is_free(alternative_goal.position),
                    "episode {episode}"
                );
                sampler.grid.rasterize(&layout, robot.radius);
                assert!(
                    sampler
                        .grid
                        .is_reachable(robot.start, alternative_goal.position)
                );
            }
        }
        // 1000 each, within four standard deviations of 26.
        assert!(
            chosen.iter().all(|count| (896..=1104).contains(count)),
            "{chosen:?}"
        );
    }

    #[test]
    fn the_layout_does_not_depend_on_the_chosen_goal() {
        // Two goals at one point: the choice between them changes nothing else.
        let [one, two] =
            ["[9, 9]", "[9.0, 9.0]"].map(|at| format!("{{ at = {{ position_m = {at} }} }}"));
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let mut single = Layout::default();
        let pair = with_goals(&format!("{one}, {two}"));
        let flag = format!("robot.0.goal={one}");
        let alone = resolve("reference", &[Override::parse(&flag).unwrap()]).unwrap();
        for episode in 0..200 {
            sampler.sample(&pair, key(episode), &mut layout).unwrap();
            sampler.sample(&alone, key(episode), &mut single).unwrap();
            layout.alternative_goals.clear();
            assert_eq!(layout, single, "episode {episode}");
        }
    }

    #[test]
    fn a_rare_layout_that_cannot_be_placed_is_drawn_again_by_its_key_alone() {
        // So crowded that a few per cent of the episodes fail at their first attempt.
        let flags = [
            "arena.size_m=[4, 4]",
            "generate=[{ discs = { count = 34, radius_m = 0.3 } }]",
            "task.min_start_goal_distance_m=2.5",
        ];
        let flags = flags.map(|flag| Override::parse(flag).unwrap());
        let scenario = resolve("open_field", &flags).unwrap();
        let LayoutCheck { sampled, redrawn } = scenario.check_layouts().unwrap();
        assert!(
            redrawn > 0 && redrawn < sampled / 2,
            "{redrawn} of {sampled}"
        );
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let mut again = Layout::default();
        let mut found = Vec::new();
        for episode in 0..150 {
            let drawn = sampler.sample(&scenario, key(episode), &mut layout);
            drawn.unwrap_or_else(|error| panic!("episode {episode}: {error}"));
            if layout.redraws > 0 {
                found.push(episode);
                let mut fresh = LayoutSampler::default();
                fresh.sample(&scenario, key(episode), &mut again).unwrap();
                assert_eq!(layout, again);
            }
        }
        assert!(!found.is_empty());
        let none = resolve("reference", &[]).unwrap().check_layouts().unwrap();
        assert_eq!(none.redrawn, 0);
    }

    #[test]
    fn layouts_are_unchanged() {
        // Frozen: results over held-out episodes are comparable as long as these hold.
        for (name, frozen) in [
            ("open_field", 0xb2a6_3184_9f65_7bdc_u64),
            ("reference", 0xb79a_f7f7_e0e1_36fd_u64),
            ("movers", 0x1d7d_edc7_57e6_9df3_u64),
            ("corridor", 0x1a7c_0d8c_2421_db60_u64),
            ("u_trap", 0xa43e_1a66_0739_8f93_u64),
        ] {
            assert_eq!(fingerprint(name), frozen, "{name}");
        }
    }
}
