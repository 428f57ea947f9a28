//! Checks of the robot: its footprint, drive, lidar, start and goal.

use std::f64::consts::PI;

use nalgebra::Vector2;

use super::{Bound, CheckResult, Checker, range_corners, round_to_millimetre};
use crate::scenario::free_space::POSITION_MARGIN;
use crate::scenario::place_robots::min_neighbour_distance;
use crate::scenario::spec::{
    ArrangementSpec, CircleSwapSpec, DriveSpec, FootprintSpec, LidarSpec, OdometrySpec,
    PositionSpec, RobotSpec,
};
use crate::scenario::{MAX_CORNERS, Quantity};

/// The largest number of robots in a world.
const MAX_ROBOTS: u32 = 64;

/// The largest distance of a lidar from the circle that contains the footprint, metres.
const MAX_OVERHANG: f64 = 1.0;

/// The largest number of alternative goals. Each is drawn and tested for a path at every reset.
const MAX_GOAL_ALTERNATIVES: usize = 64;

/// The range of delays and periods, seconds.
const DELAY_BOUND: Bound = Bound::Within(0.0, 10.0);

/// The range of the largest steering angle, radians: less than a right angle.
const STEERING_BOUND: Bound = Bound::Within(0.001, 1.5);

impl Checker<'_> {
    pub(super) fn robots(&self) -> CheckResult {
        let count = self.spec.robot.len();
        if count != 1 {
            let path = if count == 0 { "robot" } else { "robot.1" };
            let message = format!("{count} kinds of robot, but this version reads one");
            let help = "write one [[robot]], with count = 2 for two robots";
            return self.reject(path, &message, help);
        }
        let robot = &self.spec.robot[0];
        self.robot(robot)?;
        if !(1..=MAX_ROBOTS).contains(&robot.count) {
            let message = format!("count is {}", robot.count);
            let help = format!("write 1 to {MAX_ROBOTS}");
            return self.reject("robot.0.count", &message, &help);
        }
        match &robot.arrangement {
            Some(ArrangementSpec::CircleSwap(circle)) => self.circle_swap(robot, circle),
            None => Ok(()),
        }
    }

    fn circle_swap(&self, robot: &RobotSpec, circle: &CircleSwapSpec) -> CheckResult {
        for (key, position) in [("start", &robot.start), ("goal", &robot.goal)] {
            if *position != PositionSpec::Anywhere {
                let message = format!("the {key} is given, but the arrangement places the robots");
                let path = format!("robot.0.{key}");
                return self.reject(&path, &message, "leave one of the two out");
            }
        }
        let path = "robot.0.arrangement.circle_swap.radius_m";
        self.quantity(path, circle.radius_m, Bound::Positive)?;
        let radius = robot.footprint.radius().max();
        let [width, height] = self.spec.arena.size().map(|side| side.min());
        let max = width.min(height) / 2.0 - radius - f64::from(POSITION_MARGIN);
        if circle.radius_m.max() > max {
            let message = format!(
                "a circle with a radius of {} m leaves no room for the robots in an arena of \
                 {width} × {height} m",
                circle.radius_m.max()
            );
            let help = format!("write at most {}", round_to_millimetre(max));
            return self.reject(path, &message, &help);
        }
        let distance = min_neighbour_distance(radius, self.spec.task.goal_radius_m.max());
        // The chord between two neighbours must be at least this distance.
        let min = distance / (2.0 * libm::sin(PI / f64::from(robot.count.max(2))));
        if circle.radius_m.min() < min {
            let message = format!(
                "{} robots and their goals have no room on a circle with a radius of {} m",
                robot.count,
                circle.radius_m.min()
            );
            let help = format!("write at least {}", libm::ceil(min * 1e3) / 1e3);
            return self.reject(path, &message, &help);
        }
        Ok(())
    }

    fn robot(&self, robot: &RobotSpec) -> CheckResult {
        self.footprint(&robot.footprint)?;
        if let Some(passage) = robot.passage_radius_m {
            // Rounded up to the millimetre, as messages show the radius.
            let max = libm::ceil(robot.footprint.radius().max() * 1e3) / 1e3;
            let bound = Bound::Within(0.001, max);
            self.quantity("robot.0.passage_radius_m", passage, bound)?;
        }
        self.quantity("robot.0.mass_kg", robot.mass_kg, Bound::Positive)?;
        self.drive(&robot.drive)?;
        self.numbers(
            "robot.0.actuation",
            &[
                ("delay_secs", robot.actuation.delay_secs, DELAY_BOUND),
                ("slip", robot.actuation.slip, Bound::Within(-0.9, 0.9)),
                (
                    "slip_std",
                    robot.actuation.slip_std,
                    Bound::Within(0.0, 0.5),
                ),
            ],
        )?;
        self.lidar(&robot.lidar)?;
        if let Some(odometry) = &robot.odometry {
            self.odometry(odometry)?;
        }
        self.quantity(
            "robot.0.start_heading_rad",
            robot.start_heading_rad,
            Bound::Any,
        )?;
        for (key, position) in [("start", &robot.start), ("goal", &robot.goal)] {
            let (base, what) = (format!("robot.0.{key}"), format!("the {key}"));
            self.position(&base, &what, position, robot.footprint.radius())?;
        }
        Ok(())
    }

    /// Checks several quantities of one table.
    fn numbers(&self, base: &str, numbers: &[(&str, Quantity, Bound)]) -> CheckResult {
        for (key, quantity, bound) in numbers {
            self.quantity(&format!("{base}.{key}"), *quantity, *bound)?;
        }
        Ok(())
    }

    fn footprint(&self, footprint: &FootprintSpec) -> CheckResult {
        let path = match footprint {
            FootprintSpec::Disc(disc) => {
                let path = "robot.0.footprint.disc.radius_m";
                self.half_width(path, disc.radius_m)?;
                path
            }
            FootprintSpec::Box(spec) => {
                let path = "robot.0.footprint.box.half_extents_m";
                self.pair(path, &spec.half_extents_m, Bound::Within(0.001, 100.0))?;
                self.pair("robot.0.footprint.box.center_m", &spec.center_m, Bound::Any)?;
                path
            }
            FootprintSpec::Polygon(polygon) => {
                let path = "robot.0.footprint.polygon.vertices_m";
                let corners = self.convex_polygon(path, &polygon.vertices_m, MAX_CORNERS)?;
                self.corners_distinct(path, &corners)?;
                let scale = "robot.0.footprint.polygon.scale";
                self.quantity(scale, polygon.scale, Bound::Within(0.1, 10.0))?;
                self.wide_enough(path, &corners, polygon.scale.min())?;
                path
            }
        };
        self.fits(path, "robot", footprint.radius())
    }

    /// Checks that corners and sides are large enough for the physics engine in single precision.
    fn corners_distinct(&self, path: &str, corners: &[Vector2<f64>]) -> CheckResult {
        let n = corners.len();
        for (index, corner) in corners.iter().enumerate() {
            let (before, after) = (
                corner - corners[(index + n - 1) % n],
                corners[(index + 1) % n] - corner,
            );
            let turn = libm::atan2(before.perp(&after), before.dot(&after));
            let at = format!("{path}.{index}");
            if turn.abs() < 0.01 {
                return self.reject(
                    &at,
                    "this corner turns by less than 0.01 radians",
                    "leave it out",
                );
            }
            if after.norm() < 0.001 {
                let message = "this corner and the next are less than a millimetre apart";
                return self.reject(&at, message, "leave one out");
            }
        }
        Ok(())
    }

    fn drive(&self, drive: &DriveSpec) -> CheckResult {
        match drive {
            DriveSpec::Differential(drive) => {
                let base = "robot.0.drive.differential";
                self.numbers(
                    base,
                    &[
                        ("max_speed_mps", drive.max_speed_mps, Bound::Positive),
                        ("max_reverse_mps", drive.max_reverse_mps, Bound::NotNegative),
                        (
                            "max_turn_rate_radps",
                            drive.max_turn_rate_radps,
                            Bound::Positive,
                        ),
                        ("max_accel_mps2", drive.max_accel_mps2, Bound::Positive),
                        (
                            "max_turn_accel_radps2",
                            drive.max_turn_accel_radps2,
                            Bound::Positive,
                        ),
                    ],
                )?;
                self.optional(base, "max_jerk_mps3", drive.max_jerk_mps3)?;
                self.optional(base, "max_turn_jerk_radps3", drive.max_turn_jerk_radps3)
            }
            DriveSpec::Omni(drive) => {
                let base = "robot.0.drive.omni";
                self.numbers(
                    base,
                    &[
                        ("max_speed_mps", drive.max_speed_mps, Bound::Positive),
                        (
                            "max_turn_rate_radps",
                            drive.max_turn_rate_radps,
                            Bound::Positive,
                        ),
                        ("max_accel_mps2", drive.max_accel_mps2, Bound::Positive),
                        (
                            "max_turn_accel_radps2",
                            drive.max_turn_accel_radps2,
                            Bound::Positive,
                        ),
                    ],
                )?;
                self.optional(base, "max_jerk_mps3", drive.max_jerk_mps3)?;
                self.optional(base, "max_turn_jerk_radps3", drive.max_turn_jerk_radps3)
            }
            DriveSpec::Ackermann(drive) => {
                let base = "robot.0.drive.ackermann";
                self.numbers(
                    base,
                    &[
                        ("wheelbase_m", drive.wheelbase_m, Bound::Positive),
                        ("max_steering_rad", drive.max_steering_rad, STEERING_BOUND),
                        (
                            "max_steering_rate_radps",
                            drive.max_steering_rate_radps,
                            Bound::Positive,
                        ),
                        ("max_speed_mps", drive.max_speed_mps, Bound::Positive),
                        ("max_reverse_mps", drive.max_reverse_mps, Bound::NotNegative),
                        ("max_accel_mps2", drive.max_accel_mps2, Bound::Positive),
                    ],
                )?;
                self.optional(base, "max_jerk_mps3", drive.max_jerk_mps3)
            }
        }
    }

    /// Checks an optional quantity, which must be positive.
    fn optional(&self, base: &str, key: &str, quantity: Option<Quantity>) -> CheckResult {
        quantity.map_or(Ok(()), |quantity| {
            self.quantity(&format!("{base}.{key}"), quantity, Bound::Positive)
        })
    }

    fn lidar(&self, lidar: &LidarSpec) -> CheckResult {
        if !(1..=4096).contains(&lidar.beams) {
            let message = format!("beams is {}", lidar.beams);
            return self.reject("robot.0.lidar.beams", &message, "write 1 to 4096");
        }
        self.quantity("robot.0.lidar.range_m", lidar.range_m, Bound::Positive)?;
        let angle = lidar.field_of_view_deg;
        if !(angle > 0.0 && angle <= 360.0) {
            let message = format!("field_of_view_deg is {angle}");
            let help = "write more than 0 and at most 360 degrees";
            return self.reject("robot.0.lidar.field_of_view_deg", &message, help);
        }
        self.mount(lidar)?;
        self.numbers(
            "robot.0.lidar",
            &[
                ("yaw_rad", lidar.yaw_rad, Bound::Any),
                ("range_noise_m", lidar.range_noise_m, Bound::NotNegative),
                (
                    "bearing_noise_rad",
                    lidar.bearing_noise_rad,
                    Bound::Within(0.0, 0.2),
                ),
                ("dropout", lidar.dropout, Bound::Within(0.0, 1.0)),
                ("resolution_m", lidar.resolution_m, Bound::NotNegative),
                ("latency_secs", lidar.latency_secs, DELAY_BOUND),
                ("period_secs", lidar.period_secs, DELAY_BOUND),
            ],
        )
    }

    /// Checks that the lidar is on the robot.
    fn mount(&self, lidar: &LidarSpec) -> CheckResult {
        let path = "robot.0.lidar.position_m";
        self.pair(path, &lidar.position_m, Bound::Any)?;
        let [x, y] = lidar
            .position_m
            .map(|entry| entry.min().abs().max(entry.max().abs()));
        let (distance, radius) = (libm::hypot(x, y), self.spec.robot[0].footprint.radius());
        let most = radius.min() + MAX_OVERHANG;
        if distance <= most {
            return Ok(());
        }
        let message = format!(
            "the lidar is {} m from the robot's origin, but the robot has a radius of {} m",
            round_to_millimetre(distance),
            round_to_millimetre(radius.min())
        );
        let help = format!("write at most {}", libm::floor(most * 1e3) / 1e3);
        self.reject(path, &message, &help)
    }

    fn odometry(&self, odometry: &OdometrySpec) -> CheckResult {
        let scale = Bound::Within(0.5, 2.0);
        self.numbers(
            "robot.0.odometry",
            &[
                (
                    "distance_noise_m",
                    odometry.distance_noise_m,
                    Bound::NotNegative,
                ),
                (
                    "heading_noise_rad_per_m",
                    odometry.heading_noise_rad_per_m,
                    Bound::NotNegative,
                ),
                (
                    "heading_noise_rad_per_rad",
                    odometry.heading_noise_rad_per_rad,
                    Bound::NotNegative,
                ),
                ("distance_scale", odometry.distance_scale, scale),
                ("turn_scale", odometry.turn_scale, scale),
            ],
        )
    }

    /// Checks a position for a disc of a radius. `what` names it in messages.
    pub(super) fn position(
        &self,
        base: &str,
        what: &str,
        position: &PositionSpec,
        radius: Quantity,
    ) -> CheckResult {
        match position {
            PositionSpec::Anywhere => Ok(()),
            PositionSpec::OneOf(alternatives) => {
                self.one_of(&format!("{base}.one_of"), what, alternatives, radius)
            }
            PositionSpec::At(point) => {
                let path = format!("{base}.at.position_m");
                self.pair(&path, &point.position_m, Bound::Any)?;
                let (low, high) = range_corners(&point.position_m);
                self.reachable(&path, what, low, high, radius)
            }
            PositionSpec::Region(region) => {
                let path = format!("{base}.region");
                for axis in 0..2 {
                    let (min, max) = (region.min_m[axis], region.max_m[axis]);
                    self.number(&format!("{path}.min_m.{axis}"), min, Bound::Any)?;
                    self.number(&format!("{path}.max_m.{axis}"), max, Bound::Any)?;
                    if min > max {
                        let message = format!("max_m is {max}, less than min_m's {min}");
                        let help = "min_m is the lower left corner";
                        return self.reject(&format!("{path}.max_m.{axis}"), &message, help);
                    }
                }
                let (low, high) = (region.min_m.into(), region.max_m.into());
                self.reachable(&path, what, low, high, radius)
            }
        }
    }

    fn one_of(
        &self,
        path: &str,
        what: &str,
        alternatives: &[PositionSpec],
        radius: Quantity,
    ) -> CheckResult {
        let count = alternatives.len();
        if !(2..=MAX_GOAL_ALTERNATIVES).contains(&count) {
            let message = format!("{what} is one of {count}");
            return self.reject(
                path,
                &message,
                &format!("write 2 to {MAX_GOAL_ALTERNATIVES} positions"),
            );
        }
        for (index, position) in alternatives.iter().enumerate() {
            let path = format!("{path}.{index}");
            if matches!(position, PositionSpec::OneOf(_)) {
                return self.reject(
                    &path,
                    "one_of within one_of",
                    "write all positions in one list",
                );
            }
            self.position(&path, what, position, radius)?;
        }
        Ok(())
    }

    /// Checks that a disc somewhere in a rectangle is clear of the walls of the widest room.
    fn reachable(
        &self,
        path: &str,
        what: &str,
        low: Vector2<f64>,
        high: Vector2<f64>,
        radius: Quantity,
    ) -> CheckResult {
        self.in_room(path, what, low, high)?;
        let (room_min, room_max) = self.widest_room();
        let margin = radius.min();
        let too_close = (0..2).any(|axis| {
            high[axis] < room_min[axis] + margin || low[axis] > room_max[axis] - margin
        });
        if !too_close {
            return Ok(());
        }
        let message = format!("{what} is closer to a wall than the robot's radius");
        let margin = round_to_millimetre(margin);
        self.reject(path, &message, &format!("keep {margin} m away"))
    }
}
