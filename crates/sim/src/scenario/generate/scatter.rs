//! Discs and boxes at uniformly distributed positions.

use nalgebra::Vector2;

use crate::scenario::free_space::{axis_of, sample_point, uniform_in};
use crate::scenario::spec::{ScatterBoxesSpec, ScatterDiscsSpec};
use crate::scenario::{Obstacle, Rect, Shape};
use crate::seed::Rng;

pub(super) fn discs(
    spec: &ScatterDiscsSpec,
    arena: &Rect,
    obstacles: &mut Vec<Obstacle>,
    rng: &mut Rng,
) {
    for _ in 0..spec.count {
        let radius = spec.radius_m.sample(rng) as f32;
        let position = uniform_in(arena.min, arena.max, rng);
        obstacles.push(Obstacle {
            shape: Shape::Disc { radius },
            position,
            axis: Vector2::x(),
        });
    }
}

pub(super) fn boxes(
    spec: &ScatterBoxesSpec,
    arena: &Rect,
    obstacles: &mut Vec<Obstacle>,
    rng: &mut Rng,
) {
    for _ in 0..spec.count {
        let half_extents = sample_point(&spec.half_extents_m, rng).coords;
        let position = uniform_in(arena.min, arena.max, rng);
        let axis = axis_of(spec.yaw_rad.sample(rng) as f32);
        obstacles.push(Obstacle {
            shape: Shape::Box { half_extents },
            position,
            axis,
        });
    }
}
