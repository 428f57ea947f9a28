//! The robot: its body, drive and lidar, and where it starts and goes.

use nalgebra::Vector2;

use super::{Bound, Check, Checker, ends};
use crate::scenario::Quantity;
use crate::scenario::spec::{DriveSpec, FootprintSpec, PlaceSpec, RobotSpec};

/// Each is drawn, and a way to it found, at every reset.
const MOST_PLACES: usize = 64;

impl Checker<'_> {
    pub(super) fn robots(&self) -> Check {
        let count = self.spec.robot.len();
        if count != 1 {
            let path = if count == 0 { "robot" } else { "robot.1" };
            let message = format!("{count} robots, but this version drives exactly one");
            return self.refuse(path, &message, "write one [[robot]]");
        }
        self.robot(&self.spec.robot[0])
    }

    fn robot(&self, robot: &RobotSpec) -> Check {
        let FootprintSpec::Disc(footprint) = &robot.footprint;
        let radius = "robot.0.footprint.disc.radius_m";
        self.quantity(radius, footprint.radius_m, Bound::Positive)?;
        self.fits(radius, "robot", footprint.radius_m)?;
        self.quantity("robot.0.mass_kg", robot.mass_kg, Bound::Positive)?;
        let DriveSpec::Differential(drive) = &robot.drive;
        for (key, quantity, bound) in [
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
        ] {
            self.quantity(
                &format!("robot.0.drive.differential.{key}"),
                quantity,
                bound,
            )?;
        }
        let lidar = &robot.lidar;
        if !(1..=4096).contains(&lidar.beams) {
            let message = format!("beams is {}", lidar.beams);
            return self.refuse("robot.0.lidar.beams", &message, "write 1 to 4096");
        }
        self.quantity("robot.0.lidar.range_m", lidar.range_m, Bound::Positive)?;
        let angle = lidar.field_of_view_deg;
        if !(angle > 0.0 && angle <= 360.0) {
            let message = format!("field_of_view_deg is {angle}");
            let help = "write more than 0 and at most 360 degrees";
            return self.refuse("robot.0.lidar.field_of_view_deg", &message, help);
        }
        self.quantity(
            "robot.0.start_heading_rad",
            robot.start_heading_rad,
            Bound::Any,
        )?;
        for (key, place) in [("start", &robot.start), ("goal", &robot.goal)] {
            let (base, what) = (format!("robot.0.{key}"), format!("the {key}"));
            self.place(&base, &what, place, footprint.radius_m)?;
        }
        Ok(())
    }

    fn place(&self, base: &str, what: &str, place: &PlaceSpec, radius: Quantity) -> Check {
        match place {
            PlaceSpec::Anywhere => Ok(()),
            PlaceSpec::OneOf(places) => {
                self.one_of(&format!("{base}.one_of"), what, places, radius)
            }
            PlaceSpec::At(point) => {
                let path = format!("{base}.at.position_m");
                self.pair(&path, &point.position_m, Bound::Any)?;
                let (low, high) = ends(&point.position_m);
                self.reachable(&path, what, low, high, radius)
            }
            PlaceSpec::Region(region) => {
                let path = format!("{base}.region");
                for axis in 0..2 {
                    let (min, max) = (region.min_m[axis], region.max_m[axis]);
                    self.number(&format!("{path}.min_m.{axis}"), min, Bound::Any)?;
                    self.number(&format!("{path}.max_m.{axis}"), max, Bound::Any)?;
                    if min > max {
                        let message = format!("max_m is {max}, less than min_m's {min}");
                        let help = "min_m is the lower left corner";
                        return self.refuse(&format!("{path}.max_m.{axis}"), &message, help);
                    }
                }
                let (low, high) = (region.min_m.into(), region.max_m.into());
                self.reachable(&path, what, low, high, radius)
            }
        }
    }

    fn one_of(&self, path: &str, what: &str, places: &[PlaceSpec], radius: Quantity) -> Check {
        let count = places.len();
        if !(2..=MOST_PLACES).contains(&count) {
            let message = format!("{what} is one of {count}");
            return self.refuse(path, &message, &format!("write 2 to {MOST_PLACES} places"));
        }
        for (index, place) in places.iter().enumerate() {
            let path = format!("{path}.{index}");
            if matches!(place, PlaceSpec::OneOf(_)) {
                return self.refuse(
                    &path,
                    "one_of within one_of",
                    "write all places in one list",
                );
            }
            self.place(&path, what, place, radius)?;
        }
        Ok(())
    }

    /// Whether some part of a rectangle keeps the robot off the walls of the widest room.
    fn reachable(
        &self,
        path: &str,
        what: &str,
        low: Vector2<f64>,
        high: Vector2<f64>,
        radius: Quantity,
    ) -> Check {
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
        self.refuse(path, &message, &format!("keep {margin} m away"))
    }
}
