//! Optimal reciprocal collision avoidance (ORCA; van den Berg, Guy, Lin & Manocha 2011, "Reciprocal
//! n-body collision avoidance"): a half-plane of velocities that avoid each obstacle, and the
//! velocity within all half-planes that is nearest to the preferred one. Plain geometry for movers
//! and planners; this file must not know the physics engine.

#[cfg(test)]
mod tests;

use nalgebra::{Point2, Vector2};

use crate::scenario::{Layout, Obstacle, Shape};

/// Lines whose directions differ by no more than this are parallel, radians.
const PARALLEL_TOLERANCE: f64 = 1e-9;

/// Double precision, because nearly parallel lines meet far away.
type Vec2 = Vector2<f64>;

/// Velocities on a line or to the left of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfPlane {
    /// A velocity on the line, metres per second.
    pub point: Vec2,
    /// Unit vector along the line. Permitted velocities are to its left.
    pub direction: Vec2,
}

impl HalfPlane {
    /// The velocities with `velocity · normal >= offset`, where `normal` is a unit vector.
    pub fn from_normal(normal: Vec2, offset: f64) -> Self {
        Self {
            point: normal * offset,
            direction: Vec2::new(normal.y, -normal.x),
        }
    }

    /// Distance of a velocity from the half-plane, metres per second; negative inside.
    pub fn excess(&self, velocity: Vector2<f64>) -> f64 {
        self.direction.perp(&(self.point - velocity))
    }
}

/// A moving disc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MovingDisc {
    /// Centre, metres.
    pub position: Point2<f32>,
    /// Metres per second.
    pub velocity: Vector2<f32>,
    /// Metres.
    pub radius: f32,
}

/// The velocities of `me` that avoid `other` for `horizon_secs`, if `me` makes `share` of the
/// necessary change of velocity and `other` the rest: 0.5 if both avoid each other, 1 if `other`
/// does not avoid `me`. Discs that overlap must separate within `dt_secs`.
///
/// The half-plane is tangent to the velocity obstacle at the point of its boundary that is nearest
/// to the relative velocity (section 4 of the paper).
pub fn agent_plane(
    me: &MovingDisc,
    other: &MovingDisc,
    share: f32,
    horizon_secs: f32,
    dt_secs: f32,
) -> HalfPlane {
    let offset = (other.position - me.position).cast::<f64>();
    let velocity = me.velocity.cast::<f64>();
    let relative = velocity - other.velocity.cast::<f64>();
    let radius = f64::from(me.radius) + f64::from(other.radius);
    let square = offset.norm_squared();
    let is_apart = square > radius * radius;
    // The velocity obstacle is a cone that is cut off by a circle. The circle is that of the
    // horizon, or that of one step if the discs overlap, where there is no cone.
    let horizon = f64::from(if is_apart { horizon_secs } else { dt_secs });
    let from_cutoff = relative - offset / horizon;
    let along = from_cutoff.dot(&offset);
    let on_cutoff =
        along < 0.0 && along * along > radius * radius * from_cutoff.norm_squared() || !is_apart;
    let (direction, change) = if on_cutoff {
        let speed = from_cutoff.norm();
        // Discs at the same position with the same velocity may separate in any direction.
        let outward = from_cutoff
            .try_normalize(f64::MIN_POSITIVE)
            .or_else(|| (-offset).try_normalize(f64::MIN_POSITIVE))
            .unwrap_or_else(Vec2::x);
        (
            Vec2::new(outward.y, -outward.x),
            outward * (radius / horizon - speed),
        )
    } else {
        let leg = (square - radius * radius).sqrt();
        let direction = if offset.perp(&from_cutoff) > 0.0 {
            Vec2::new(
                offset.x * leg - offset.y * radius,
                offset.x * radius + offset.y * leg,
            )
        } else {
            Vec2::new(
                -offset.x * leg - offset.y * radius,
                offset.x * radius - offset.y * leg,
            )
        } / square;
        (direction, direction * relative.dot(&direction) - relative)
    };
    HalfPlane {
        point: velocity + change * f64::from(share),
        direction,
    }
}

/// Adds to `planes` the velocities with which a disc at `position` touches no wall and no obstacle
/// of the layout for `horizon_secs`. Leaves out what the disc cannot reach in that time at
/// `max_speed`.
///
/// Each wall and each obstacle, which are convex, gives one half-plane. It is tangent to the
/// velocity obstacle at the point of its boundary that is nearest to zero, so it bounds only the
/// speed towards the nearest point: the disc may slide along a surface, and a disc that overlaps
/// nothing may stand still. A disc that overlaps an obstacle must leave it within `horizon_secs`.
pub fn obstacle_planes(
    layout: &Layout,
    position: Point2<f32>,
    radius: f32,
    max_speed: f32,
    horizon_secs: f32,
    planes: &mut Vec<HalfPlane>,
) {
    let mut avoid = |distance: f32, outward: Vector2<f32>| {
        let gap = distance - radius;
        if gap < max_speed * horizon_secs {
            let max_approach = f64::from(gap / horizon_secs);
            planes.push(HalfPlane::from_normal(outward.cast(), -max_approach));
        }
    };
    let (low, high) = (position - layout.arena.min, layout.arena.max - position);
    avoid(low.x, Vector2::x());
    avoid(low.y, Vector2::y());
    avoid(high.x, -Vector2::x());
    avoid(high.y, -Vector2::y());
    for obstacle in layout.all_obstacles_near(position, radius + max_speed * horizon_secs) {
        let (distance, outward) = nearest_surface(obstacle, position);
        avoid(distance, outward);
    }
}

/// Signed distance of a point from an obstacle, metres, negative inside, and the unit vector in
/// which it increases.
pub fn nearest_surface(obstacle: &Obstacle, point: Point2<f32>) -> (f32, Vector2<f32>) {
    let local = obstacle.to_local(point);
    let (distance, outward) = match &obstacle.shape {
        Shape::Disc { radius } => {
            let (distance, outward) = away_from(local, Vector2::zeros(), Vector2::x());
            (distance - radius, outward)
        }
        Shape::Segment { half } => {
            let share = (local.dot(half) / half.norm_squared()).clamp(-1.0, 1.0);
            let across = Vector2::new(-half.y, half.x) / half.norm();
            away_from(local, half * share, across)
        }
        Shape::Box { half_extents: half } => {
            let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
            polygon(
                &corners.map(|(x, y)| Vector2::new(x * half.x, y * half.y)),
                local,
            )
        }
        Shape::Polygon { vertices } => polygon(vertices, local),
    };
    (distance, obstacle.to_world(outward) - obstacle.position)
}

/// Distance and direction of `point` from another point; the direction is `default` if they
/// coincide.
fn away_from(
    point: Vector2<f32>,
    from: Vector2<f32>,
    default: Vector2<f32>,
) -> (f32, Vector2<f32>) {
    let offset = point - from;
    let distance = offset.norm();
    if distance > 0.0 {
        (distance, offset / distance)
    } else {
        (0.0, default)
    }
}

/// Signed distance and outward direction of a point from a convex polygon with counter-clockwise
/// corners.
fn polygon(vertices: &[Vector2<f32>], point: Vector2<f32>) -> (f32, Vector2<f32>) {
    let mut inside = (f32::NEG_INFINITY, Vector2::x());
    let mut outside = (f32::INFINITY, Vector2::x());
    for (corner, next) in vertices.iter().zip(vertices.iter().cycle().skip(1)) {
        let edge = next - corner;
        let offset = point - corner;
        let normal = Vector2::new(edge.y, -edge.x) / edge.norm();
        let distance = normal.dot(&offset);
        if distance > inside.0 {
            inside = (distance, normal);
        }
        let share = (offset.dot(&edge) / edge.norm_squared()).clamp(0.0, 1.0);
        let to_edge = away_from(point, corner + edge * share, normal);
        if to_edge.0 < outside.0 {
            outside = to_edge;
        }
    }
    if inside.0 <= 0.0 { inside } else { outside }
}

/// The velocity nearest to `preferred` that is no faster than `max_speed` and is in every
/// half-plane (a linear programme in two dimensions, solved incrementally).
///
/// If there is none, returns the velocity in the first `fixed` half-planes whose largest
/// [excess](HalfPlane::excess) over the others is smallest (a linear programme in three dimensions;
/// section 5.3 of the paper). So the half-planes that must hold, such as walls, come first. If even
/// those have no velocity in common, all half-planes are treated alike.
///
/// # Panics
/// If `fixed` is larger than the number of half-planes.
pub fn new_velocity(
    preferred: Vector2<f32>,
    max_speed: f32,
    planes: &[HalfPlane],
    fixed: usize,
) -> Vector2<f32> {
    assert!(fixed <= planes.len(), "{fixed} of {} planes", planes.len());
    let start = if preferred.norm_squared() > max_speed * max_speed {
        preferred.normalize() * max_speed
    } else {
        preferred
    };
    let (start, preferred) = (start.cast(), preferred.cast());
    let max_speed = f64::from(max_speed);
    let velocity = match optimum(planes, max_speed, start, Objective::Nearest(preferred)) {
        Ok(velocity) => velocity,
        Err(Infeasible { at, velocity }) => least_excess(planes, fixed, at, max_speed, velocity),
    };
    velocity.cast()
}

/// What the velocity is optimised for.
#[derive(Clone, Copy)]
enum Objective {
    /// The velocity nearest to this one.
    Nearest(Vec2),
    /// The velocity farthest along this unit vector.
    Farthest(Vec2),
}

/// There is no velocity in all half-planes: the first `at` have `velocity` in common, but no
/// velocity is also in the next.
struct Infeasible {
    at: usize,
    velocity: Vec2,
}

/// The best velocity in all half-planes and in the disc of `max_speed`; `start` is the best in the
/// disc.
fn optimum(
    planes: &[HalfPlane],
    max_speed: f64,
    start: Vec2,
    objective: Objective,
) -> Result<Vec2, Infeasible> {
    let mut velocity = start;
    for (at, plane) in planes.iter().enumerate() {
        if plane.excess(velocity) > 0.0 {
            // The new optimum is on the line of the half-plane that excludes the old one.
            velocity = optimum_on_line(plane, &planes[..at], max_speed, objective)
                .ok_or(Infeasible { at, velocity })?;
        }
    }
    Ok(velocity)
}

/// The best velocity on a line that is in all half-planes and in the disc, if there is any.
fn optimum_on_line(
    line: &HalfPlane,
    planes: &[HalfPlane],
    max_speed: f64,
    objective: Objective,
) -> Option<Vec2> {
    let middle = -line.point.dot(&line.direction);
    let off_centre = line.point.perp(&line.direction);
    let half_square = max_speed * max_speed - off_centre * off_centre;
    if half_square < 0.0 {
        return None;
    }
    let half = half_square.sqrt();
    let (mut low, mut high) = (middle - half, middle + half);
    for plane in planes {
        let crossing = line.direction.perp(&plane.direction);
        let inside = -plane.excess(line.point);
        if crossing.abs() <= PARALLEL_TOLERANCE {
            if inside < 0.0 {
                return None;
            }
            continue;
        }
        let at = inside / crossing;
        if crossing > 0.0 {
            high = high.min(at);
        } else {
            low = low.max(at);
        }
        if low > high {
            return None;
        }
    }
    let at = match objective {
        Objective::Farthest(direction) if direction.dot(&line.direction) > 0.0 => high,
        Objective::Farthest(_) => low,
        Objective::Nearest(velocity) => line
            .direction
            .dot(&(velocity - line.point))
            .clamp(low, high),
    };
    Some(line.point + line.direction * at)
}

/// The velocity whose largest excess over the half-planes from `fixed` on is smallest. `velocity`
/// must be in all half-planes before `begin`.
fn least_excess(
    planes: &[HalfPlane],
    fixed: usize,
    begin: usize,
    max_speed: f64,
    mut velocity: Vec2,
) -> Vec2 {
    let fixed = if begin < fixed { 0 } else { fixed };
    let mut excess = 0.0;
    let mut projected = Vec::with_capacity(planes.len());
    for (index, plane) in planes.iter().enumerate().skip(begin) {
        if plane.excess(velocity) <= excess {
            continue;
        }
        // The velocities with a larger excess over this plane than over an earlier one are a
        // half-plane too, bounded by the line on which both are equal.
        projected.clear();
        projected.extend_from_slice(&planes[..fixed]);
        for other in planes.iter().take(index).skip(fixed) {
            let crossing = plane.direction.perp(&other.direction);
            let point = if crossing.abs() > PARALLEL_TOLERANCE {
                let along = other.direction.perp(&(plane.point - other.point)) / crossing;
                plane.point + plane.direction * along
            } else if plane.direction.dot(&other.direction) > 0.0 {
                continue;
            } else {
                (plane.point + other.point) * 0.5
            };
            let direction = (other.direction - plane.direction).normalize();
            projected.push(HalfPlane { point, direction });
        }
        let inward = Vec2::new(-plane.direction.y, plane.direction.x);
        // Fails only by rounding, because the last velocity is in all of these half-planes.
        if let Ok(better) = optimum(
            &projected,
            max_speed,
            inward * max_speed,
            Objective::Farthest(inward),
        ) {
            velocity = better;
        }
        excess = plane.excess(velocity);
    }
    velocity
}
