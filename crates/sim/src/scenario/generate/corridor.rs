//! A corridor from the arena's left side to its right side, with bends and lay-bys (niches in which
//! one robot can let another pass). Everything else is solid.

use nalgebra::Point2;

use crate::scenario::spec::CorridorSpec;
use crate::scenario::{Obstacle, Rect};
use crate::seed::Rng;

use super::draw::{random_bool, random_index_below, uniform_between};
use super::walls::block;

pub(super) fn build(
    spec: &CorridorSpec,
    arena: &Rect,
    obstacles: &mut Vec<Obstacle>,
    difficulty_rng: &mut Rng,
    rng: &mut Rng,
) {
    let size = arena.size();
    let width = (spec.width_m.sample(difficulty_rng) as f32).min(size.y);
    let [length, depth] = spec.lay_by_m.map(|side| side.sample(difficulty_rng) as f32);
    let legs = spec.bends.sample_count(difficulty_rng) as usize + 1;
    let lay_bys = spec.lay_bys.sample_count(difficulty_rng);
    let leg = size.x / legs as f32;
    let mut free = Vec::new();
    let mut heights = Vec::new();
    // The corridor keeps the depth of a lay-by from the arena's walls, if there is room.
    let wall_margin = depth.min((size.y - width) / 2.0) * f32::from(lay_bys > 0);
    for index in 0..legs {
        let low = arena.min.y + uniform_between(wall_margin, size.y - width - wall_margin, rng);
        let (left, right) = (index as f32 * leg, (index + 1) as f32 * leg);
        free.push(Rect {
            min: Point2::new(arena.min.x + left, low),
            max: Point2::new(arena.min.x + right, low + width),
        });
        if let Some(&previous) = heights.last() {
            let middle = arena.min.x + left;
            free.push(Rect {
                min: Point2::new(middle - width / 2.0, low.min(previous)),
                max: Point2::new(middle + width / 2.0, low.max(previous) + width),
            });
        }
        heights.push(low);
    }
    for _ in 0..lay_bys {
        let index = random_index_below(legs, rng);
        let (left, right) = (index as f32 * leg, (index + 1) as f32 * leg - length);
        let from = arena.min.x + uniform_between(left, right, rng);
        let low = heights[index];
        let (low, high) = if random_bool(0.5, rng) {
            (low - depth, low + width)
        } else {
            (low, low + width + depth)
        };
        free.push(Rect {
            min: Point2::new(from, low),
            max: Point2::new(from + length, high),
        });
    }
    fill_except(&free, arena, obstacles);
}

/// Fills the arena with boxes except for some rectangles. Each vertical slab lies between two
/// neighbouring x coordinates of rectangle sides.
fn fill_except(free: &[Rect], arena: &Rect, obstacles: &mut Vec<Obstacle>) {
    let inside = |x: f32| x.clamp(arena.min.x, arena.max.x);
    let mut edges: Vec<f32> = free
        .iter()
        .flat_map(|rect| [inside(rect.min.x), inside(rect.max.x)])
        .chain([arena.min.x, arena.max.x])
        .collect();
    edges.sort_by(f32::total_cmp);
    for slab in edges.windows(2).filter(|slab| slab[1] - slab[0] > 1e-4) {
        let middle = f32::midpoint(slab[0], slab[1]);
        let mut gaps: Vec<(f32, f32)> = free
            .iter()
            .filter(|rect| rect.min.x < middle && middle < rect.max.x)
            .map(|rect| (rect.min.y, rect.max.y))
            .collect();
        gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut top = arena.min.y;
        for (low, high) in gaps.into_iter().chain([(arena.max.y, arena.max.y)]) {
            if low - top > 1e-4 {
                obstacles.push(block(Point2::new(slab[0], top), Point2::new(slab[1], low)));
            }
            top = top.max(high);
        }
    }
}
