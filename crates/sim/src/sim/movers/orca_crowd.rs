//! Pedestrians who give way by reciprocal velocity obstacles; see `sim/orca.rs` for the maths.

use std::ops::Range;

use nalgebra::Vector2;

use crate::scenario::Layout;
use crate::scenario::spec::OrcaSpec;
use crate::sim::orca::{self, Disc, HalfPlane};

/// Only so many of those who are near are looked at, nearest first, as in the authors' library.
const MOST_NEIGHBOURS: usize = 10;

/// Everybody counts as this much wider, metres. It keeps people at arm's length from one another,
/// and a crowd that meets in the middle of a square does not jam there.
const SPARE: f32 = 0.05;

/// Memory from one pedestrian to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) planes: Vec<HalfPlane>,
    /// Gap to a neighbour, what of the avoiding is left to us, and who it is.
    near: Vec<(f32, f32, Disc)>,
}

/// Everyone, as one of them sees it.
pub(super) struct Others<'a> {
    pub(super) bodies: &'a [Disc],
    /// Who looks.
    pub(super) me: usize,
    /// Those who give way likewise.
    pub(super) alike: Range<usize>,
    /// The robots, as far as they are heeded. They are taken to do their part.
    pub(super) robots: &'a [Disc],
}

/// The velocity that collides with nobody, nearest to `wish`.
pub(super) fn velocity(
    model: &OrcaSpec,
    layout: &Layout,
    others: &Others,
    wish: Vector2<f32>,
    max_speed: f32,
    dt_secs: f32,
    memory: &mut Memory,
) -> Vector2<f32> {
    let Memory { planes, near } = memory;
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
    let reach = model.neighbour_m as f32;
    let mut look = |share: f32, other: &Disc| {
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
    if near.len() > MOST_NEIGHBOURS {
        near.select_nth_unstable_by(MOST_NEIGHBOURS, |a, b| a.0.total_cmp(&b.0));
        near.truncate(MOST_NEIGHBOURS);
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
            planes.push(HalfPlane::beyond(outward.cast(), f64::from(-most)));
        }
    }
    let fixed = planes.len();
    let horizon = model.horizon_secs as f32;
    let wider = |disc: &Disc| Disc {
        radius: disc.radius + SPARE,
        ..*disc
    };
    planes.extend(near.iter().map(|(_, share, other)| {
        orca::agent_plane(&wider(&me), &wider(other), *share, horizon, dt_secs)
    }));
    orca::new_velocity(wish, max_speed, planes, fixed)
}
