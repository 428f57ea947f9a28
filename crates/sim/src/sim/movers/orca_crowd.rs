//! Pedestrians who give way by reciprocal velocity obstacles; see `sim/orca.rs` for the maths.

use std::ops::Range;

use nalgebra::Vector2;

use crate::scenario::Layout;
use crate::scenario::spec::OrcaSpec;
use crate::sim::orca::{self, HalfPlane, MovingDisc};

/// Only so many of those who are near are looked at, nearest first, as in the authors' library.
const MAX_NEIGHBOURS: usize = 10;

/// Everybody counts as this much wider, metres. It keeps people at arm's length from one another,
/// and a crowd that meets in the middle of a square does not jam there.
const EXTRA_RADIUS_M: f32 = 0.05;

/// Memory from one pedestrian to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct OrcaScratch {
    pub(super) planes: Vec<HalfPlane>,
    /// Gap to a neighbour, what of the avoiding is left to us, and who it is.
    near: Vec<(f32, f32, MovingDisc)>,
}

/// Everyone, as one of them sees it.
pub(super) struct Neighbours<'a> {
    pub(super) bodies: &'a [MovingDisc],
    /// Who looks.
    pub(super) me: usize,
    /// Those who give way likewise.
    pub(super) alike: Range<usize>,
    /// The robots, as far as they are heeded. They are taken to do their part.
    pub(super) robots: &'a [MovingDisc],
}

/// The velocity that collides with nobody, nearest to `preferred`.
pub(super) fn velocity(
    model: &OrcaSpec,
    layout: &Layout,
    others: &Neighbours,
    preferred: Vector2<f32>,
    max_speed: f32,
    dt_secs: f32,
    scratch: &mut OrcaScratch,
) -> Vector2<f32> {
    let OrcaScratch { planes, near } = scratch;
    let me = others.bodies[others.me];
    planes.clear();
    let wall_horizon = model.wall_horizon_secs as f32;
    orca::obstacle_planes(
        layout,
        me.position,
        me.radius,
        max_speed,
        wall_horizon,
        planes,
    );
    near.clear();
    let reach = model.neighbour_distance_m as f32;
    let mut look = |share: f32, other: &MovingDisc| {
        let gap = (other.position - me.position).norm() - me.radius - other.radius;
        if gap < reach {
            near.push((gap, share, *other));
        }
    };
    for (index, other) in others.bodies.iter().enumerate() {
        if index != others.me {
            // Whoever moves in another manner gives way to nobody.
            look(
                if others.alike.contains(&index) {
                    0.5
                } else {
                    1.0
                },
                other,
            );
        }
    }
    for robot in others.robots {
        look(0.5, robot);
    }
    if near.len() > MAX_NEIGHBOURS {
        near.select_nth_unstable_by(MAX_NEIGHBOURS, |a, b| a.0.total_cmp(&b.0));
        near.truncate(MAX_NEIGHBOURS);
    }
    near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Where a crowd is so dense that no velocity is free of collisions for the horizon, the least
    // bad one would still collide, by centimetres. Those who give way likewise may not: neither
    // takes more than half of the gap between them in a step. To stand still is always allowed.
    for (gap, share, other) in near.iter() {
        if *share < 1.0 && *gap < 2.0 * max_speed * dt_secs {
            let outward = (me.position - other.position)
                .try_normalize(0.0)
                .unwrap_or_else(Vector2::x);
            let most = gap.max(0.0) / (2.0 * dt_secs);
            planes.push(HalfPlane::from_normal(outward.cast(), f64::from(-most)));
        }
    }
    let fixed = planes.len();
    let horizon = model.horizon_secs as f32;
    let wider = |disc: &MovingDisc| MovingDisc {
        radius: disc.radius + EXTRA_RADIUS_M,
        ..*disc
    };
    planes.extend(near.iter().map(|(_, share, other)| {
        orca::agent_plane(&wider(&me), &wider(other), *share, horizon, dt_secs)
    }));
    orca::new_velocity(preferred, max_speed, planes, fixed)
}
