//! Pedestrians that avoid each other by ORCA; see `sim/orca.rs`.

use std::ops::Range;

use nalgebra::Vector2;

use crate::scenario::Layout;
use crate::scenario::spec::OrcaSpec;
use crate::sim::orca::{self, HalfPlane, MovingDisc};

/// Number of neighbours that are avoided, nearest first, as in the authors' library.
const MAX_NEIGHBOURS: usize = 10;

/// Added to the radius of each pedestrian, metres. It keeps pedestrians apart, so that a crowd that
/// meets in the middle of an arena does not jam.
const EXTRA_RADIUS_M: f32 = 0.05;

/// Buffers of [`velocity`], reused from call to call.
#[derive(Clone, Debug, Default)]
pub(super) struct OrcaScratch {
    pub(super) planes: Vec<HalfPlane>,
    /// Neighbours: gap, metres, share of the avoidance that the pedestrian makes, and body.
    neighbours: Vec<(f32, f32, MovingDisc)>,
}

/// All movers and robots of which the nearest become the neighbours of one pedestrian.
pub(super) struct NeighbourCandidates<'a> {
    /// All movers.
    pub(super) bodies: &'a [MovingDisc],
    /// Index of the pedestrian itself.
    pub(super) me: usize,
    /// Indices of the pedestrians that avoid others in the same manner.
    pub(super) reciprocal: Range<usize>,
    /// The robots to avoid. They are assumed to make half of the avoidance.
    pub(super) robots: &'a [MovingDisc],
}

/// The velocity nearest to `preferred` that avoids all neighbours and obstacles.
pub(super) fn velocity(
    model: &OrcaSpec,
    layout: &Layout,
    candidates: &NeighbourCandidates,
    preferred: Vector2<f32>,
    max_speed: f32,
    dt_secs: f32,
    scratch: &mut OrcaScratch,
) -> Vector2<f32> {
    let OrcaScratch { planes, neighbours } = scratch;
    let me = candidates.bodies[candidates.me];
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
    neighbours.clear();
    let reach = model.neighbour_distance_m as f32;
    let mut add = |share: f32, other: &MovingDisc| {
        let gap = (other.position - me.position).norm() - me.radius - other.radius;
        if gap < reach {
            neighbours.push((gap, share, *other));
        }
    };
    for (index, other) in candidates.bodies.iter().enumerate() {
        if index != candidates.me {
            // Other kinds of movers do not avoid pedestrians.
            let is_reciprocal = candidates.reciprocal.contains(&index);
            add(if is_reciprocal { 0.5 } else { 1.0 }, other);
        }
    }
    for robot in candidates.robots {
        add(0.5, robot);
    }
    if neighbours.len() > MAX_NEIGHBOURS {
        neighbours.select_nth_unstable_by(MAX_NEIGHBOURS, |a, b| a.0.total_cmp(&b.0));
        neighbours.truncate(MAX_NEIGHBOURS);
    }
    neighbours.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // In a dense crowd no velocity is free of collisions for the whole horizon, and the least bad
    // one may overlap by centimetres. Two reciprocal neighbours must not: each may use at most half
    // of the gap between them in a step. Standing still is always permitted.
    for (gap, share, other) in neighbours.iter() {
        if *share < 1.0 && *gap < 2.0 * max_speed * dt_secs {
            let outward = (me.position - other.position)
                .try_normalize(0.0)
                .unwrap_or_else(Vector2::x);
            let max_approach = gap.max(0.0) / (2.0 * dt_secs);
            planes.push(HalfPlane::from_normal(
                outward.cast(),
                f64::from(-max_approach),
            ));
        }
    }
    let fixed = planes.len();
    let horizon = model.horizon_secs as f32;
    let wider = |disc: &MovingDisc| MovingDisc {
        radius: disc.radius + EXTRA_RADIUS_M,
        ..*disc
    };
    planes.extend(neighbours.iter().map(|(_, share, other)| {
        orca::agent_plane(&wider(&me), &wider(other), *share, horizon, dt_secs)
    }));
    orca::new_velocity(preferred, max_speed, planes, fixed)
}
