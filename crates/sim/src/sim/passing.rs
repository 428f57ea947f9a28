//! Whether a disc that goes straight on passes by all that stands, as the engine's solver would have
//! it: to the solver, whatever is near is a wall without end, through the point that is nearest when
//! the step begins. Where none of those is run into, nothing pushes.

use nalgebra::{Point2, Vector2};

use super::scene::{BoxBlock, DiscBlock, LANES, Polygon, Scene};
use super::terrain::Block;

/// What a disc passes by less than this it may touch, metres.
const GRAZE: f32 = 1e-3;
/// The engine moves things in four parts of a step, and sees to it at the end of the last that the
/// next such part would not run into anything either: so far must the way be clear, in ways.
const BEYOND: f32 = 1.25;

impl Scene {
    /// Whether a disc passes by everything on its way, in metres, from where it is. Of movers and
    /// robots nothing is known here; and of a polygon, only how near it is.
    pub(super) fn passes(&self, from: Point2<f32>, way: Vector2<f32>, radius: f32) -> bool {
        let (way, near) = (way * BEYOND, radius + GRAZE);
        let (low, high) = (from - self.arena.min, self.arena.max - from);
        let walls = (low.inf(&(low + way))).inf(&high.inf(&(high - way))).min();
        // Whatever is farther away is out of reach.
        let reach = near + way.norm();
        let far = |polygon: &Polygon| polygon.obstacle.signed_distance(from) > reach;
        reach.is_finite()
            && walls > near
            && self.polygons.iter().all(far)
            && self
                .discs
                .iter()
                .all(|block| discs(block, from, way) > near)
            && self
                .boxes
                .iter()
                .all(|block| boxes(block, from, way) > near)
            && self.terrain.as_ref().is_none_or(|terrain| {
                let mut blocks = terrain.groups.groups_near(from, reach);
                blocks.all(|block| match block {
                    Block::Boxes(block) => boxes(block, from, way) > near,
                    Block::Discs(block) => discs(block, from, way) > near,
                })
            })
    }
}

/// The distance that is left to the nearest of the lines that touch eight discs, metres.
fn discs(block: &DiscBlock, from: Point2<f32>, way: Vector2<f32>) -> f32 {
    let left: [f32; LANES] = std::array::from_fn(|i| {
        let (x, y) = (from.x - block.x[i], from.y - block.y[i]);
        let center = (x * x + y * y).sqrt();
        let distance = center - block.radius[i];
        let after = distance + ((x * way.x + y * way.y) / center).min(0.0);
        if distance > 0.0 { after } else { distance }
    });
    left.into_iter().fold(f32::INFINITY, f32::min)
}

/// The same of eight boxes.
fn boxes(block: &BoxBlock, from: Point2<f32>, way: Vector2<f32>) -> f32 {
    let left: [f32; LANES] = std::array::from_fn(|i| {
        let (axis_x, axis_y) = (block.axis_x[i], block.axis_y[i]);
        let (dx, dy) = (from.x - block.x[i], from.y - block.y[i]);
        let (x, y) = (dx * axis_x + dy * axis_y, dy * axis_x - dx * axis_y);
        let (way_x, way_y) = (
            way.x * axis_x + way.y * axis_y,
            way.y * axis_x - way.x * axis_y,
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
