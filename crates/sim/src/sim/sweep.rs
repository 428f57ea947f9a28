//! Keeps robots out of walls and static obstacles where the engine's solver let them in: in steps
//! longer than the solver's prediction, in corners, and under turns of long footprints. The check
//! uses the shapes of the layout, which lidar and clearance use too. It does not resolve contacts:
//! the engine does, and nearly always well enough that nothing is changed here.

use nalgebra::{Point2, Vector2};

use super::physics::BodyState;
use crate::scenario::{Footprint, Layout, RobotParameters};

/// The largest depth of a robot's outline in a wall or a static obstacle after a step, metres. The
/// engine lets bodies sink in by a millimetre, and by up to half as much again at an impact or in a
/// corner, which is left as it is.
pub(super) const MAX_PENETRATION: f32 = 3e-3;

#[cfg(test)]
thread_local! {
    /// Corrections of this thread so far.
    pub(crate) static CORRECTIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// A robot that is this deep in a shape on its way, as a share of its half width, has not brushed
/// it but crosses it.
const CROSSING_SHARE: f32 = 0.4;

/// Attempts to move a robot out of the shapes that it has sunk into.
const PUSHES: u32 = 4;

/// Halvings of the interval in which a robot meets a shape.
const BISECTIONS: u32 = 16;

/// Distance from a footprint to the nearest wall or static obstacle, metres; negative inside. `at`
/// is the position of the robot's origin and `radius` that of the circle around it that contains
/// the footprint.
pub(super) fn footprint_clearance(
    footprint: &Footprint,
    at: Point2<f32>,
    radius: f32,
    layout: &Layout,
) -> f32 {
    let mut nearest = footprint.distance_to_walls(&layout.arena);
    for obstacle in layout.all_obstacles_near(at, nearest + radius) {
        // The footprint is no nearer than its enclosing circle.
        if obstacle.signed_distance(at) - radius < nearest {
            nearest = nearest.min(footprint.distance(obstacle));
        }
    }
    nearest
}

/// The motion of a robot in a step of the engine.
struct Motion<'a> {
    layout: &'a Layout,
    robot: &'a RobotParameters,
    from: &'a BodyState,
    to: &'a BodyState,
    /// Angle turned in the step, radians.
    turn: f32,
}

impl Motion<'_> {
    /// Position and heading after a share of the motion.
    fn pose(&self, share: f32) -> (Point2<f32>, Vector2<f32>) {
        if share >= 1.0 {
            return (self.to.position, self.to.heading);
        }
        let (sin, cos) = libm::sincosf(self.turn * share);
        let heading = self.from.heading;
        (
            self.from.position + (self.to.position - self.from.position) * share,
            Vector2::new(
                heading.x * cos - heading.y * sin,
                heading.y * cos + heading.x * sin,
            ),
        )
    }

    /// Distance from the outline to the nearest wall or static obstacle after a share of the
    /// motion, metres; negative inside.
    fn clearance(&self, share: f32) -> f32 {
        let (at, heading) = self.pose(share);
        self.clearance_at(at, heading)
    }

    /// Distance from the outline at a pose, metres.
    fn clearance_at(&self, at: Point2<f32>, heading: Vector2<f32>) -> f32 {
        let (layout, radius) = (self.layout, self.robot.radius);
        if let Some(footprint) = &self.robot.footprint {
            return footprint_clearance(&footprint.placed(at, heading), at, radius, layout);
        }
        let (low, high) = (at - layout.arena.min, layout.arena.max - at);
        let mut nearest = low.inf(&high).min() - radius;
        for obstacle in layout.all_obstacles_near(at, nearest + radius) {
            nearest = nearest.min(obstacle.signed_distance(at) - radius);
        }
        nearest
    }

    /// The first share at which the robot crosses a shape, or ends in one; `None` if it does
    /// neither. Looks at poses at most half a width apart, and no nearer than `spacing` metres.
    fn first_hit(&self, travel: f32, half_width: f32) -> Option<f32> {
        let poses = (travel / half_width).ceil().max(1.0);
        let mut pose = 0.0;
        while pose + 1.0 < poses {
            let clearance = self.clearance(pose / poses);
            if clearance < -CROSSING_SHARE * half_width {
                return Some(pose / poses);
            }
            // No point of the outline moves farther than `half_width` from one pose to the next.
            pose += (clearance / half_width).floor().max(1.0);
        }
        (self.clearance(1.0) < -MAX_PENETRATION).then_some(1.0)
    }

    /// The end of the motion, moved out of the shapes that the robot has sunk into there. `None` if
    /// there is no room for it.
    fn pushed_out(&self) -> Option<BodyState> {
        const H: f32 = 1e-3;
        let mut state = *self.to;
        for _ in 0..PUSHES {
            let clearance = |at| self.clearance_at(at, state.heading);
            let depth = -clearance(state.position);
            if depth <= MAX_PENETRATION {
                return Some(state);
            }
            let along = |step| clearance(state.position + step) - clearance(state.position - step);
            let slope = Vector2::new(along(Vector2::new(H, 0.0)), along(Vector2::new(0.0, H)));
            let outward = slope.try_normalize(1e-9)?;
            state.position += outward * depth;
            state.velocity -= outward * state.velocity.dot(&outward).min(0.0);
        }
        (self.clearance_at(state.position, state.heading) >= -MAX_PENETRATION).then_some(state)
    }
}

/// Checks the last step of the engine, from `from` to `to`, for a robot. Returns the state that the
/// robot is left in if it entered or crossed a wall or a static obstacle: beside a shape that it has
/// sunk into, or where it was last clear of a shape that it has crossed. Returns `None` if nothing
/// is to be changed.
pub(super) fn stop_at_static(
    layout: &Layout,
    robot: &RobotParameters,
    from: &BodyState,
    to: &BodyState,
    dt_secs: f32,
) -> Option<BodyState> {
    let is_finite = to.position.iter().chain(&to.heading).all(|v| v.is_finite());
    if !is_finite {
        return None;
    }
    let motion = Motion {
        layout,
        robot,
        from,
        to,
        turn: turned(to.turn_rate, dt_secs),
    };
    let path = (to.position - from.position).norm();
    let (travel, half_width) = match &robot.footprint {
        None => (path, robot.radius),
        Some(footprint) => (
            path + motion.turn.abs() * robot.radius,
            footprint.middle().1,
        ),
    };
    let hit = motion.first_hit(travel, half_width)?;
    let depth = -motion.clearance(1.0);
    if hit >= 1.0
        && depth < CROSSING_SHARE * half_width
        && let Some(state) = motion.pushed_out()
    {
        return Some(state);
    }
    let start = motion.clearance(0.0);
    if start < -MAX_PENETRATION && hit >= 1.0 && -depth >= start {
        // It was inside already and gets out.
        return None;
    }
    let (mut clear, mut inside) = (0.0, hit);
    for _ in 0..BISECTIONS {
        let middle = f32::midpoint(clear, inside);
        if motion.clearance(middle) >= -MAX_PENETRATION {
            clear = middle;
        } else {
            inside = middle;
        }
    }
    let (position, heading) = motion.pose(clear);
    Some(BodyState {
        position,
        heading,
        velocity: (position - from.position) / dt_secs,
        turn_rate: to.turn_rate * clear,
    })
}

/// Angle by which the engine turns a body in a step, radians. It turns in four substeps, each by
/// the arc tangent of the angle.
fn turned(turn_rate: f32, dt_secs: f32) -> f32 {
    const SUBSTEPS: f32 = 4.0;
    SUBSTEPS * libm::atanf(turn_rate * dt_secs / SUBSTEPS)
}
