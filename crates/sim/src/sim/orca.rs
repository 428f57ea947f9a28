//! Optimal reciprocal collision avoidance (ORCA; van den Berg, Guy, Lin & Manocha 2011,
//! "Reciprocal n-body collision avoidance"): for each thing in the way a half-plane of velocities
//! that stay clear of it, and the velocity within all of them that is nearest to the one wished
//! for. Plain geometry, for movers and drivers alike; it moves nothing and knows no engine.

#[cfg(test)]
mod tests;

use nalgebra::{Point2, Vector2};

use crate::scenario::{Layout, Obstacle, Shape};

/// Lines whose directions differ by no more than this are parallel, radians.
const PARALLEL_TOLERANCE: f64 = 1e-9;

/// In double precision: lines that are nearly parallel meet far away.
type Vec2 = Vector2<f64>;

/// Velocities to the left of a line, the line included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfPlane {
    /// A velocity on the line, metres per second.
    pub point: Vec2,
    /// Unit vector along the line; what is permitted lies to its left.
    pub direction: Vec2,
}

impl HalfPlane {
    /// The velocities with `velocity · normal >= offset`; `normal` is a unit vector that points
    /// to where they are.
    pub fn from_normal(normal: Vec2, offset: f64) -> Self {
        Self {
            point: normal * offset,
            direction: Vec2::new(normal.y, -normal.x),
        }
    }

    /// How far a velocity is outside, metres per second; negative inside.
    pub fn excess(&self, velocity: Vector2<f32>) -> f64 {
        self.excess_of(velocity.cast())
    }

    fn excess_of(&self, velocity: Vec2) -> f64 {
        self.direction.perp(&(self.point - velocity))
    }
}

/// A round body that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MovingDisc {
    /// Centre, metres.
    pub position: Point2<f32>,
    /// Metres per second.
    pub velocity: Vector2<f32>,
    /// Metres.
    pub radius: f32,
}

/// The velocities of `me` that avoid `other` for `horizon_secs`, if `me` takes `share` of the
/// change of velocity that this needs and `other` the rest: 0.5 where both avoid each other, 1
/// where `other` heeds no one. Bodies that overlap are to be apart after `dt_secs`.
///
/// The half-plane is tangent to the velocity obstacle where its boundary is nearest to the
/// relative velocity (section 4 of the paper).
pub fn agent_plane(
    me: &MovingDisc,
    other: &MovingDisc,
    share: f32,
    horizon_secs: f32,
    dt_secs: f32,
) -> HalfPlane {
    let between = (other.position - me.position).cast::<f64>();
    let velocity = me.velocity.cast::<f64>();
    let relative = velocity - other.velocity.cast::<f64>();
    let reach = f64::from(me.radius) + f64::from(other.radius);
    let square = between.norm_squared();
    let apart = square > reach * reach;
    // The velocity obstacle is a cone cut off by a circle: of the horizon, or of one step where
    // the bodies overlap and there is no cone.
    let horizon = f64::from(if apart { horizon_secs } else { dt_secs });
    let from_cut_off = relative - between / horizon;
    let along = from_cut_off.dot(&between);
    let on_cut_off =
        along < 0.0 && along * along > reach * reach * from_cut_off.norm_squared() || !apart;
    let (direction, change) = if on_cut_off {
        let speed = from_cut_off.norm();
        // Bodies at one place, moving as one: any way out is as good.
        let outward = from_cut_off
            .try_normalize(f64::MIN_POSITIVE)
            .or_else(|| (-between).try_normalize(f64::MIN_POSITIVE))
            .unwrap_or_else(Vec2::x);
        (
            Vec2::new(outward.y, -outward.x),
            outward * (reach / horizon - speed),
        )
    } else {
        let leg = (square - reach * reach).sqrt();
        let direction = if between.perp(&from_cut_off) > 0.0 {
            Vec2::new(
                between.x * leg - between.y * reach,
                between.x * reach + between.y * leg,
            )
        } else {
            Vec2::new(
                -between.x * leg - between.y * reach,
                between.x * reach - between.y * leg,
            )
        } / square;
        (direction, direction * relative.dot(&direction) - relative)
    };
    HalfPlane {
        point: velocity + change * f64::from(share),
        direction,
    }
}

/// Adds to `planes` the velocities with which a disc at `position` touches no wall and no
/// obstacle of the layout for `horizon_secs`; what it cannot reach within that time at
/// `max_speed` is left out.
///
/// Each wall and each obstacle, being convex, gives one half-plane, tangent to the velocity
/// obstacle where its boundary is nearest to standing still: only the speed towards the nearest
/// point is bounded, so that the disc may slide along, and that zero is permitted to a disc that
/// overlaps nothing. One that does is to be out of it after `horizon_secs`.
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
            let most = f64::from(gap / horizon_secs);
            planes.push(HalfPlane::from_normal(outward.cast(), -most));
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

/// Signed distance from an obstacle's outline to a point, metres, negative inside; and the unit
/// vector along which it grows.
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
    let turned = obstacle.to_world(outward) - obstacle.position;
    (distance, turned)
}

/// Distance and direction from one point to another; `otherwise` is the direction where they are
/// the same.
fn away_from(
    point: Vector2<f32>,
    from: Vector2<f32>,
    otherwise: Vector2<f32>,
) -> (f32, Vector2<f32>) {
    let offset = point - from;
    let distance = offset.norm();
    if distance > 0.0 {
        (distance, offset / distance)
    } else {
        (0.0, otherwise)
    }
}

/// Likewise from a convex polygon, corners counter-clockwise.
fn polygon(vertices: &[Vector2<f32>], point: Vector2<f32>) -> (f32, Vector2<f32>) {
    let mut inside = (f32::NEG_INFINITY, Vector2::x());
    let mut outside = (f32::INFINITY, Vector2::x());
    for (corner, next) in vertices.iter().zip(vertices.iter().cycle().skip(1)) {
        let edge = next - corner;
        let offset = point - corner;
        let normal = Vector2::new(edge.y, -edge.x) / edge.norm();
        let beyond = normal.dot(&offset);
        if beyond > inside.0 {
            inside = (beyond, normal);
        }
        let share = (offset.dot(&edge) / edge.norm_squared()).clamp(0.0, 1.0);
        let found = away_from(point, corner + edge * share, normal);
        if found.0 < outside.0 {
            outside = found;
        }
    }
    if inside.0 <= 0.0 { inside } else { outside }
}

/// The velocity nearest to `preferred` that is no faster than `max_speed` and lies in every
/// half-plane (a linear programme in two dimensions, solved incrementally).
///
/// Where there is none it is the one that least leaves the half-planes after the first `fixed`,
/// while it obeys those (a linear programme in three dimensions; section 5.3 of the paper). Put
/// what can stand no compromise first: walls before pedestrians. Where even those have nothing in
/// common, all are alike.
///
/// # Panics
/// If `fixed` is more than there are half-planes.
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

/// What is sought within the half-planes.
#[derive(Clone, Copy)]
enum Objective {
    /// The velocity nearest to this one.
    Nearest(Vec2),
    /// The velocity farthest along this unit vector.
    Farthest(Vec2),
}

/// The half-planes before `at` have `velocity` in common, and with the next have nothing.
struct Infeasible {
    at: usize,
    velocity: Vec2,
}

/// The best velocity in all half-planes and the disc of `max_speed`, from the best in the disc.
fn optimum(
    planes: &[HalfPlane],
    max_speed: f64,
    start: Vec2,
    aim: Objective,
) -> Result<Vec2, Infeasible> {
    let mut velocity = start;
    for (at, plane) in planes.iter().enumerate() {
        if plane.excess_of(velocity) > 0.0 {
            // The optimum moves onto the line of the first half-plane that it is not in.
            velocity = optimum_on_line(plane, &planes[..at], max_speed, aim)
                .ok_or(Infeasible { at, velocity })?;
        }
    }
    Ok(velocity)
}

/// The best velocity on a line, in the half-planes and the disc, if there is any.
fn optimum_on_line(
    line: &HalfPlane,
    planes: &[HalfPlane],
    max_speed: f64,
    aim: Objective,
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
        let inside = -plane.excess_of(line.point);
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
    let at = match aim {
        Objective::Farthest(way) if way.dot(&line.direction) > 0.0 => high,
        Objective::Farthest(_) => low,
        Objective::Nearest(velocity) => line
            .direction
            .dot(&(velocity - line.point))
            .clamp(low, high),
    };
    Some(line.point + line.direction * at)
}

/// The velocity that leaves the half-planes from `fixed` on by as little as can be; `velocity` is
/// in all those before `begin`.
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
        if plane.excess_of(velocity) <= excess {
            continue;
        }
        // Velocities that leave this plane more than each before it: half-planes again, bounded
        // by the lines on which two are left by the same.
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
        let way = Vec2::new(-plane.direction.y, plane.direction.x);
        // Only rounding can leave nothing here: the velocity found so far is in all of them.
        if let Ok(better) = optimum(
            &projected,
            max_speed,
            way * max_speed,
            Objective::Farthest(way),
        ) {
            velocity = better;
        }
        excess = plane.excess_of(velocity);
    }
    velocity
}
