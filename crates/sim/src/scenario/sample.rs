//! Layouts: every range drawn, every obstacle, start and goal placed, and a path for the robot
//! known to exist. The geodesic itself is not computed here: it is dear, and training does not
//! need it.

use nalgebra::{Point2, Vector2};

use super::flood::FloodGrid;
use super::generate::generate;
use super::goal_distance::GoalDistanceField;
use super::layout_difficulty::DifficultyEstimator;
use super::movers::place_movers;
use super::place_robots::place_robots;
use super::spec::{ObstacleSpec, PositionSpec, RobotSpec};
use super::{Layout, Obstacle, Quantity, Rect, Scenario, Shape};
use crate::seed::{Purpose, Rng, RootSeed, Split, derive_seed, stream};

/// Whole layouts that are tried before a scenario is given up.
const MAX_LAYOUT_TRIES: u32 = 200;

/// Places for one start, goal or mover that are tried within one layout.
pub(super) const MAX_POSITION_TRIES: u32 = 50;

/// Free space around a start or a goal, beyond the robot's radius, metres. It keeps an episode
/// from beginning in contact.
pub(super) const POSITION_MARGIN: f32 = 0.05;

/// Why no layout could be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The start is never clear of obstacles and walls.
    #[error(
        "no room for the robot's start: obstacles or walls cover it in all {MAX_LAYOUT_TRIES} layouts that were tried"
    )]
    Start,
    /// The goal is never clear, or never far enough from the start.
    #[error(
        "no room for the goal: in all {MAX_LAYOUT_TRIES} layouts that were tried, obstacles or walls cover it, or it is nearer to the start than task.min_start_goal_distance_m"
    )]
    Goal,
    /// Several robots find no place.
    #[error(
        "no room for the starts and goals of all robots in any of the {MAX_LAYOUT_TRIES} layouts that were tried"
    )]
    Robots,
    /// A mover finds no place.
    #[error("no room for the movers in any of the {MAX_LAYOUT_TRIES} layouts that were tried")]
    Mover,
    /// The obstacles always part the start from the goal.
    #[error(
        "no path from start to goal that is wide enough for the robot in any of the {MAX_LAYOUT_TRIES} layouts that were tried"
    )]
    Path,
}

/// Draws layouts, keeping its memory from one to the next.
#[derive(Clone, Debug, Default)]
pub struct LayoutSampler {
    grid: FloodGrid,
    difficulty: DifficultyEstimator,
}

/// Which episode of which environment a layout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpisodeKey {
    /// Root seed of the run.
    pub root: RootSeed,
    /// Training, choosing or reporting.
    pub split: Split,
    /// Index of the environment.
    pub env: u64,
    /// Episodes of this environment before it.
    pub episode: u64,
}

impl EpisodeKey {
    /// This episode's stream for a purpose.
    pub fn stream(self, purpose: Purpose) -> Rng {
        stream(self.root, self.split, self.env, self.episode, purpose)
    }

    /// The key for what is drawn for one robot alone, so that no two robots of a world slip or
    /// misread alike. The first robot's is the episode's own.
    #[must_use]
    pub fn for_robot(self, robot: usize) -> Self {
        Self {
            root: derive_seed(self.root, robot as u64),
            ..self
        }
    }
}

impl LayoutSampler {
    /// Draws the layout of an episode into `layout`.
    ///
    /// # Errors
    /// If many layouts in turn could not be placed or had no path.
    pub fn sample(
        &mut self,
        scenario: &Scenario,
        key: EpisodeKey,
        layout: &mut Layout,
    ) -> Result<(), PlacementError> {
        let mut rng = key.stream(Purpose::Layout);
        let mut last = PlacementError::Path;
        for _ in 0..MAX_LAYOUT_TRIES {
            match self.attempt(scenario, key, &mut rng, layout) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// How hard a layout is to get through, from 0 for an open plain towards 1; `None` if there is
    /// no way that the sampler would have accepted. See `scenario/difficulty.rs`.
    pub fn difficulty(&mut self, layout: &Layout) -> Option<f32> {
        self.difficulty.estimate(layout, &mut self.grid)
    }

    /// How far it is to the goal of a robot from anywhere in the layout that was drawn last.
    pub fn fill_goal_distances(
        &self,
        layout: &Layout,
        robot: usize,
        field: &mut GoalDistanceField,
    ) {
        field.fill(layout, robot, &self.grid);
    }

    fn attempt(
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

pub(super) fn sample_point(point: &[Quantity; 2], rng: &mut Rng) -> Point2<f32> {
    let x = point[0].sample(rng) as f32;
    Point2::new(x, point[1].sample(rng) as f32)
}

pub(super) fn axis_of(yaw_rad: f32) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(yaw_rad);
    Vector2::new(cos, sin)
}

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
            let doubled_area: f32 = (0..vertices.len())
                .map(|i| vertices[i].perp(&vertices[(i + 1) % vertices.len()]))
                .sum();
            if doubled_area < 0.0 {
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

pub(super) fn uniform_in(min: Point2<f32>, max: Point2<f32>, rng: &mut Rng) -> Point2<f32> {
    use rand::RngExt as _;
    let x = min.x + (max.x - min.x) * rng.random::<f32>();
    Point2::new(x, min.y + (max.y - min.y) * rng.random::<f32>())
}

/// An index below `count`; a choice of one draws nothing from the stream.
pub(super) fn random_index(count: usize, rng: &mut Rng) -> usize {
    use rand::RngExt as _;
    match count as u32 {
        0 | 1 => 0,
        count => rng.random_range(0..count) as usize,
    }
}

/// How wide a way a robot can need at most, metres.
fn max_robot_width(spec: &RobotSpec) -> f32 {
    2.0 * spec.passage_radius().max() as f32
}

/// What stands in a layout, asked for free places.
pub(super) struct FreeSpace<'a> {
    pub(super) layout: &'a Layout,
    /// Distance that a place keeps from everything that stands, metres.
    pub(super) margin: f32,
}

impl FreeSpace<'_> {
    pub(super) fn sample_position(
        &self,
        place: &PositionSpec,
        rng: &mut Rng,
        accept: impl Fn(Point2<f32>) -> bool,
    ) -> Option<Point2<f32>> {
        (0..MAX_POSITION_TRIES)
            .map(|_| self.sample_once(place, rng))
            .find(|&point| accept(point) && self.is_free(point))
    }

    fn sample_once(&self, place: &PositionSpec, rng: &mut Rng) -> Point2<f32> {
        let arena = self.layout.arena;
        let corner = |[x, y]: [f64; 2]| Point2::new(x as f32, y as f32);
        match place {
            PositionSpec::Anywhere => uniform_in(arena.min, arena.max, rng),
            PositionSpec::Region(region) => {
                uniform_in(corner(region.min_m), corner(region.max_m), rng)
            }
            PositionSpec::At(point) => sample_point(&point.position_m, rng),
            PositionSpec::OneOf(places) => {
                self.sample_once(&places[random_index(places.len(), rng)], rng)
            }
        }
    }

    pub(super) fn is_free(&self, point: Point2<f32>) -> bool {
        self.layout.is_free(point, self.margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;
    use crate::scenario::resolve;

    fn key(episode: u64) -> EpisodeKey {
        EpisodeKey {
            root: 7,
            split: Split::Eval,
            env: 0,
            episode,
        }
    }

    /// FNV-1a over the bits of all that was drawn in fifty episodes.
    fn fingerprint(name: &str) -> u64 {
        let scenario = resolve(name, &[]).unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
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
            for byte in drawn
                .flat_map(|pair| [pair.x, pair.y])
                .flat_map(f32::to_le_bytes)
            {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    fn obstacle_size(obstacle: &Obstacle) -> Vector2<f32> {
        match &obstacle.shape {
            Shape::Disc { radius } => Vector2::repeat(*radius),
            Shape::Box { half_extents } => *half_extents,
            Shape::Polygon { vertices } => vertices.iter().sum(),
            Shape::Segment { half } => *half,
        }
    }

    /// The reference room, cluttered, with goals to choose from.
    fn choosing(goals: &str) -> Scenario {
        let flag = format!("robot.0.goal={{ one_of = [{goals}] }}");
        resolve("reference", &[Override::parse(&flag).unwrap()]).unwrap()
    }

    #[test]
    fn each_goal_of_several_is_chosen_as_often_and_the_others_stay_free() {
        let scenario = choosing(
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
        // 1000 each, four deviations of 26.
        assert!(
            chosen.iter().all(|count| (896..=1104).contains(count)),
            "{chosen:?}"
        );
    }

    #[test]
    fn the_room_does_not_tell_which_goal_was_chosen() {
        // Two places at one point: the choice between them changes nothing else.
        let [one, two] =
            ["[9, 9]", "[9.0, 9.0]"].map(|at| format!("{{ at = {{ position_m = {at} }} }}"));
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let mut single = Layout::default();
        let pair = choosing(&format!("{one}, {two}"));
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
    fn layouts_are_those_that_were_published() {
        // Frozen: figures over held-out episodes can be compared as long as these hold.
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
