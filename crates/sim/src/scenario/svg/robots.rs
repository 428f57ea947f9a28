//! The robots of a drawing: footprints, goals, shortest paths and the field of view. Several robots
//! have a number and a colour each, which their goals and paths have too.

use std::f32::consts::PI;

use nalgebra::{Point2, Vector2};

use super::{Canvas, format_number};
use crate::scenario::spec::is_full_circle;
use crate::scenario::{AlternativeGoal, GeodesicPath, RobotParameters};

/// Number of colours for robots; more robots repeat them.
const COLORS: usize = 6;
/// Distance from the path of a robot to the line that is drawn, pixels, to the right: robots that
/// swap places have the same path.
const PATH_OFFSET: f32 = 4.0;

impl Canvas<'_> {
    /// Begins what belongs to a robot.
    pub(super) fn begin_robot(&mut self, index: usize) {
        if self.has_several_robots() {
            self.write_line(format_args!("<g class=\"who{}\">", index % COLORS));
        } else {
            self.write_line(format_args!("<g>"));
        }
    }

    pub(super) fn has_several_robots(&self) -> bool {
        self.layout.robots.len() > 1
    }

    /// The robot whose field of view is drawn: the first, unless it sees the whole room at once.
    pub(super) fn seeing_robot(&self) -> Option<&RobotParameters> {
        let robot = self.layout.robots.first()?;
        let (arena, sensor) = (&self.layout.arena, sensor_position(robot));
        let corners = [arena.min, arena.max].map(|corner| (corner - sensor).abs());
        let farthest = corners[0].sup(&corners[1]).norm();
        let sees_all = is_full_circle(self.field_of_view_rad) && robot.lidar.range >= farthest;
        (self.field_of_view_rad > 0.0 && !sees_all).then_some(robot)
    }

    /// Draws what the first robot's lidar could read without obstacles.
    pub(super) fn field_of_view(&mut self) {
        let Some(robot) = self.seeing_robot() else {
            return;
        };
        let (sensor, view) = (sensor_position(robot), self.field_of_view_rad);
        let (range, direction) = (robot.lidar.range, robot.heading_rad + robot.lidar.yaw_rad);
        if is_full_circle(view) {
            return self.circle("view", sensor, range * self.scale);
        }
        let end = |angle: f32| {
            let (sin, cos) = libm::sincosf(direction + angle);
            sensor + Vector2::new(cos, sin) * range
        };
        let (from, to) = (self.at(end(-view / 2.0)), self.at(end(view / 2.0)));
        let (at, radius) = (self.at(sensor), range * self.scale);
        let large = u8::from(view > PI);
        self.write_line(format_args!(
            "<path class=\"view\" d=\"M{:.1} {:.1}L{:.1} {:.1}A{radius:.1} {radius:.1} 0 {large} 0 \
             {:.1} {:.1}Z\"/>",
            at.x, at.y, from.x, from.y, to.x, to.y
        ));
    }

    /// Draws the shortest path of a robot. Of several robots it is drawn beside itself, with an
    /// arrowhead.
    pub(super) fn path(&mut self, path: &GeodesicPath) {
        let points: Vec<Point2<f32>> = path.points.iter().map(|point| self.at(*point)).collect();
        let points = if self.has_several_robots() {
            beside(&points)
        } else {
            points
        };
        let text: Vec<String> = points
            .iter()
            .map(|point| format!("{:.1},{:.1}", point.x, point.y))
            .collect();
        let text = text.join(" ");
        self.write_line(format_args!("<polyline class=\"halo\" points=\"{text}\"/>"));
        self.write_line(format_args!("<polyline class=\"path\" points=\"{text}\"/>"));
        if let (true, [.., from, to]) = (self.has_several_robots(), &points[..]) {
            let along = to - from;
            let direction = along / along.norm().max(1e-3);
            let side = Vector2::new(-direction.y, direction.x) * 5.0;
            let (left, right) = (to - direction * 10.0 + side, to - direction * 10.0 - side);
            self.write_line(format_args!(
                "<polygon class=\"tip\" points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\"/>",
                to.x, to.y, left.x, left.y, right.x, right.y
            ));
        }
    }

    pub(super) fn alternative_goal(&mut self, alternative_goal: &AlternativeGoal) {
        let radius = (alternative_goal.radius * self.scale).max(5.0);
        self.circle("alternative", alternative_goal.position, radius);
    }

    /// Draws a goal; of several robots with the robot's number below.
    pub(super) fn goal(&mut self, index: usize, robot: &RobotParameters) {
        let radius = (robot.goal_radius * self.scale).max(5.0);
        self.circle("goal", robot.goal, radius);
        self.circle("bull", robot.goal, (radius / 4.0).max(2.0));
        if self.has_several_robots() {
            let at = self.at(robot.goal);
            self.write_line(format_args!(
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">goal {}</text>",
                at.x,
                at.y + radius + 14.0,
                index
            ));
        }
    }

    /// Draws a robot; of several, with its number above.
    pub(super) fn robot(&mut self, index: usize, robot: &RobotParameters) {
        let radius = (robot.radius * self.scale).max(4.0);
        if let Some(footprint) = &robot.footprint {
            let (sin, cos) = libm::sincosf(robot.heading_rad);
            let placed = footprint.placed(robot.start, Vector2::new(cos, sin));
            let points = self.points(placed.corners().iter().map(|corner| Point2::from(*corner)));
            self.write_line(format_args!(
                "<polygon class=\"robot\" points=\"{points}\"/>"
            ));
            let (middle, inner) = placed.middle();
            self.heading_arrow(self.at(middle), inner * self.scale, robot.heading_rad);
        } else {
            self.circle("robot", robot.start, radius);
            self.heading_arrow(self.at(robot.start), radius, robot.heading_rad);
        }
        if self.has_several_robots() {
            let at = self.at(robot.start);
            self.write_line(format_args!(
                "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                at.x,
                at.y - radius - 6.0,
                index
            ));
        }
    }

    /// Draws the arrowhead that shows the heading of a robot.
    pub(super) fn heading_arrow(&mut self, at: Point2<f32>, radius: f32, heading_rad: f32) {
        let corner = |angle: f32, reach: f32| {
            let (sin, cos) = libm::sincosf(heading_rad + angle);
            format!(
                "{:.1},{:.1}",
                at.x + reach * radius * cos,
                at.y - reach * radius * sin
            )
        };
        let corners = [
            corner(0.0, 0.86),
            corner(2.5, 0.72),
            corner(0.0, -0.36),
            corner(-2.5, 0.72),
        ];
        self.write_line(format_args!(
            "<polygon class=\"nose\" points=\"{}\"/>",
            corners.join(" ")
        ));
    }
}

/// The lengths of the shortest paths, as in `4.56 m` or `3.10 to 4.56 m`.
pub(super) fn path_lengths(paths: &[Option<GeodesicPath>]) -> Option<String> {
    let lengths = paths.iter().flatten().map(|path| path.length_m);
    let range = lengths.fold(None, |range: Option<[f64; 2]>, length| {
        let [least, most] = range.unwrap_or([length; 2]);
        Some([least.min(length), most.max(length)])
    });
    range.map(|[least, most]| {
        if most - least < 0.005 {
            format!("{most:.2} m")
        } else {
            format!("{least:.2} to {most:.2} m")
        }
    })
}

/// The text of the legend for the field of view.
pub(super) fn view_text(robot: &RobotParameters, view_rad: f32, several: bool) -> String {
    let of = if several { " of robot 0" } else { "" };
    let range = format_number(robot.lidar.range);
    let degrees = format_number(libm::roundf(view_rad.to_degrees()));
    format!("field of view{of}: {degrees}°, {range} m")
}

/// Where a robot's lidar is.
fn sensor_position(robot: &RobotParameters) -> Point2<f32> {
    let (sin, cos) = libm::sincosf(robot.heading_rad);
    let mount = robot.lidar.position;
    robot.start + Vector2::new(cos * mount.x - sin * mount.y, sin * mount.x + cos * mount.y)
}

/// A line beside another, on its right.
fn beside(points: &[Point2<f32>]) -> Vec<Point2<f32>> {
    let last = points.len().saturating_sub(1);
    let at = |index: usize| {
        let along = points[(index + 1).min(last)] - points[index.saturating_sub(1)];
        let length = along.norm().max(1e-3);
        points[index] + Vector2::new(-along.y, along.x) * (PATH_OFFSET / length)
    };
    (0..points.len()).map(at).collect()
}
