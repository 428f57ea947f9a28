//! The layout of one episode: every range is drawn, every obstacle, start and goal is placed. A
//! layout is plain geometry and must not know physics.

use std::sync::Arc;

use nalgebra::Point2;

use super::geometry::{Obstacle, Rect};
use super::map::Map;
use super::movers::{MoverGroup, MoverPlacement};
use super::robot::{RobotParameters, SampledParameter};

/// A room with everything in it at the start of an episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The inside of the walls.
    pub arena: Rect,
    /// The obstacles of every episode, if the scenario has a map.
    pub map: Option<Arc<Map>>,
    /// The other obstacles.
    pub obstacles: Vec<Obstacle>,
    /// The movers.
    pub movers: Vec<MoverPlacement>,
    /// How the movers move. Each mover is in exactly one group; groups are in order.
    pub mover_groups: Vec<MoverGroup>,
    /// `[robots]`: the robots.
    pub robots: Vec<RobotParameters>,
    /// The positions of a `one_of` goal that were not chosen.
    pub alternative_goals: Vec<AlternativeGoal>,
    /// The physical parameters that were drawn from ranges.
    pub sampled_parameters: Vec<SampledParameter>,
    /// How many times everything was drawn again because it could not be placed. See
    /// [`LayoutSampler::sample`](super::LayoutSampler::sample).
    pub redraws: u32,
}

impl Layout {
    /// All obstacles, those of the map first.
    pub fn all_obstacles(&self) -> impl Iterator<Item = &Obstacle> {
        let of_map = self.map.iter().flat_map(|map| map.obstacles());
        of_map.chain(&self.obstacles)
    }

    /// Obstacles that may be nearer to a point than `distance`, metres. Contains all that are.
    pub fn all_obstacles_near(
        &self,
        point: Point2<f32>,
        distance: f32,
    ) -> impl Iterator<Item = &Obstacle> {
        let of_map = self
            .map
            .iter()
            .flat_map(move |map| map.obstacles_near(point, distance));
        of_map.chain(&self.obstacles)
    }

    /// Whether a point is inside the walls and at least `margin` metres from walls and obstacles.
    pub fn is_free(&self, point: Point2<f32>, margin: f32) -> bool {
        self.arena.contains(point, margin)
            && self
                .all_obstacles_near(point, margin)
                .all(|o| o.signed_distance(point) > margin)
    }

    /// The axis of the longer side: 0 is x, 1 is y.
    pub fn longer_axis(&self) -> usize {
        usize::from(self.arena.size().y > self.arena.size().x)
    }
}

/// A position that could have been the goal of this episode and is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlternativeGoal {
    /// Centre, metres.
    pub position: Point2<f32>,
    /// Radius of the goal, metres.
    pub radius: f32,
}
