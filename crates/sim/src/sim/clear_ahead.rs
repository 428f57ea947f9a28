//! Whether a disc that goes straight on passes by all that stands, as the engine's solver would have
//! it: to the solver, whatever is near is a wall without end, through the point that is nearest when
//! the step begins. Where none of those is run into, nothing pushes.

use nalgebra::{Point2, Vector2};

use super::map_index::ShapeBlock;
use super::scene::{BoxBlock, DiscBlock, LANES, Polygon, Scene};

/// What a disc passes by less than this it may touch, metres.
const CONTACT_TOLERANCE: f32 = 1e-3;
/// The engine moves things in four parts of a step, and sees to it at the end of the last that the
/// next such part would not run into anything either: so far must the way be clear, in ways.
const STEP_LOOKAHEAD: f32 = 1.25;

impl Scene {
    /// Whether a disc passes by everything on its way, in metres, from where it is. Of movers and
    /// robots nothing is known here; and of a polygon, only how near it is.
    pub(super) fn is_clear_ahead(
        &self,
        from: Point2<f32>,
        displacement: Vector2<f32>,
        radius: f32,
    ) -> bool {
        let (displacement, near) = (displacement * STEP_LOOKAHEAD, radius + CONTACT_TOLERANCE);
        let (low, high) = (from - self.arena.min, self.arena.max - from);
        let walls = (low.inf(&(low + displacement)))
            .inf(&high.inf(&(high - displacement)))
            .min();
        // Whatever is farther away is out of reach.
        let reach = near + displacement.norm();
        let far = |polygon: &Polygon| polygon.obstacle.signed_distance(from) > reach;
        reach.is_finite()
            && walls > near
            && self.polygons.iter().all(far)
            && self
                .discs
                .iter()
                .all(|block| discs(block, from, displacement) > near)
            && self
                .boxes
                .iter()
                .all(|block| boxes(block, from, displacement) > near)
            && self.map_index.as_ref().is_none_or(|map_index| {
                let mut blocks = map_index.groups.groups_near(from, reach);
                blocks.all(|block| match block {
                    ShapeBlock::Boxes(block) => boxes(block, from, displacement) > near,
                    ShapeBlock::Discs(block) => discs(block, from, displacement) > near,
                })
            })
    }
}

/// The distance that is left to the nearest of the lines that touch eight discs, metres.
fn discs(block: &DiscBlock, from: Point2<f32>, displacement: Vector2<f32>) -> f32 {
    let left: [f32; LANES] = std::array::from_fn(|i| {
        let (x, y) = (from.x - block.x[i], from.y - block.y[i]);
        let center = (x * x + y * y).sqrt();
        let distance = center - block.radius[i];
        let after = distance + ((x * displacement.x + y * displacement.y) / center).min(0.0);
        if distance > 0.0 { after } else { distance }
    });
    left.into_iter().fold(f32::INFINITY, f32::min)
}

/// The same of eight boxes.
fn boxes(block: &BoxBlock, from: Point2<f32>, displacement: Vector2<f32>) -> f32 {
    let left: [f32; LANES] = std::array::from_fn(|i| {
        let (axis_x, axis_y) = (block.axis_x[i], block.axis_y[i]);
        let (dx, dy) = (from.x - block.x[i], from.y - block.y[i]);
        let (x, y) = (dx * axis_x + dy * axis_y, dy * axis_x - dx * axis_y);
        let (way_x, way_y) = (
            displacement.x * axis_x + displacement.y * axis_y,
            displacement.y * axis_x - displacement.x * axis_y,
        );
        let (beyond_x, beyond_y) = (x.abs() - block.half_x[i], y.abs() - block.half_y[i]);
        let (out_x, out_y) = (beyond_x.max(0.0), beyond_y.max(0.0));
        let distance = (out_x * out_x + out_y * out_y).sqrt();
        let along = out_x * way_x.copysign(way_x * x) + out_y * way_y.copysign(way_y * y);
        let after = distance + (along / distance).min(0.0);
        if distance > 0.0 {
            after
        } else {
            beyond_x.max(beyond_y)
        }
    });
    left.into_iter().fold(f32::INFINITY, f32::min)
}
