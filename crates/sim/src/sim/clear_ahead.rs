//! Whether a disc that moves straight ahead passes all static shapes, in the sense of the engine's
//! solver. To the solver each nearby shape is an infinite line through its nearest point at the
//! start of the step. If the disc reaches none of these lines, the solver does not push it.

use nalgebra::{Point2, Vector2};

use super::blocks::{BoxBlock, DiscBlock, LANES};
use super::map_index::ShapeBlock;
use super::scene::{Polygon, Scene};

/// A disc that passes a shape by less than this may touch it, metres.
const CONTACT_TOLERANCE: f32 = 1e-3;
/// Clear distance required, as a multiple of the step's displacement. The engine moves bodies in
/// four substeps, and also prevents contacts in the substep after the last.
const STEP_LOOKAHEAD: f32 = 1.25;

impl Scene {
    /// Whether a disc at `from` passes all static shapes on a displacement, metres. Ignores movers
    /// and robots. Returns false if a polygon is within reach.
    pub(super) fn is_clear_ahead(
        &self,
        from: Point2<f32>,
        displacement: Vector2<f32>,
        radius: f32,
    ) -> bool {
        let displacement = displacement * STEP_LOOKAHEAD;
        let min_distance = radius + CONTACT_TOLERANCE;
        let (low, high) = (from - self.arena.min, self.arena.max - from);
        let walls = (low.inf(&(low + displacement)))
            .inf(&high.inf(&(high - displacement)))
            .min();
        let reach = min_distance + displacement.norm();
        let is_out_of_reach = |polygon: &Polygon| polygon.obstacle.signed_distance(from) > reach;
        reach.is_finite()
            && walls > min_distance
            && self.polygons.iter().all(is_out_of_reach)
            && self
                .discs
                .iter()
                .all(|block| discs(block, from, displacement) > min_distance)
            && self
                .boxes
                .iter()
                .all(|block| boxes(block, from, displacement) > min_distance)
            && self.map_index.as_ref().is_none_or(|map_index| {
                let mut blocks = map_index.groups.groups_near(from, reach);
                blocks.all(|block| match block {
                    ShapeBlock::Boxes(block) => boxes(block, from, displacement) > min_distance,
                    ShapeBlock::Discs(block) => discs(block, from, displacement) > min_distance,
                })
            })
    }
}

/// Distance after the displacement to the nearest of the lines of eight discs, metres.
fn discs(block: &DiscBlock, from: Point2<f32>, displacement: Vector2<f32>) -> f32 {
    let distances: [f32; LANES] = std::array::from_fn(|i| {
        let (x, y) = (from.x - block.x[i], from.y - block.y[i]);
        let center = (x * x + y * y).sqrt();
        let distance = center - block.radius[i];
        let after = distance + ((x * displacement.x + y * displacement.y) / center).min(0.0);
        if distance > 0.0 { after } else { distance }
    });
    distances.into_iter().fold(f32::INFINITY, f32::min)
}

/// Distance after the displacement to the nearest of the lines of eight boxes, metres.
fn boxes(block: &BoxBlock, from: Point2<f32>, displacement: Vector2<f32>) -> f32 {
    let distances: [f32; LANES] = std::array::from_fn(|i| {
        let (axis_x, axis_y) = (block.axis_x[i], block.axis_y[i]);
        let (dx, dy) = (from.x - block.x[i], from.y - block.y[i]);
        let (x, y) = (dx * axis_x + dy * axis_y, dy * axis_x - dx * axis_y);
        let (move_x, move_y) = (
            displacement.x * axis_x + displacement.y * axis_y,
            displacement.y * axis_x - displacement.x * axis_y,
        );
        let (outside_x, outside_y) = (x.abs() - block.half_x[i], y.abs() - block.half_y[i]);
        let (out_x, out_y) = (outside_x.max(0.0), outside_y.max(0.0));
        let distance = (out_x * out_x + out_y * out_y).sqrt();
        let along = out_x * move_x.copysign(move_x * x) + out_y * move_y.copysign(move_y * y);
        let after = distance + (along / distance).min(0.0);
        if distance > 0.0 {
            after
        } else {
            outside_x.max(outside_y)
        }
    });
    distances.into_iter().fold(f32::INFINITY, f32::min)
}
