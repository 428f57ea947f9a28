//! Checks of movers: the ranges of their numbers, and positions in the room.

use super::{Bound, CheckResult, Checker};
use crate::scenario::Quantity;
use crate::scenario::spec::{
    CrowdModel, CrowdSpec, LinearSpec, MoverSpec, OrcaSpec, SocialForceSpec, WaypointsSpec,
};
use nalgebra::Vector2;

impl Checker<'_> {
    pub(super) fn mover(&self, index: usize, mover: &MoverSpec) -> CheckResult {
        let base = |kind: &str| format!("movers.{index}.{kind}");
        match mover {
            MoverSpec::Bouncing(discs) => {
                let base = base("bouncing");
                self.discs(&base, discs.count, discs.radius_m, discs.speed_mps)
            }
            MoverSpec::Linear(linear) => self.linear(&base("linear"), linear),
            MoverSpec::Waypoints(waypoints) => self.waypoints(&base("waypoints"), waypoints),
            MoverSpec::Crowd(crowd) => self.crowd(&base("crowd"), crowd),
        }
    }

    fn discs(&self, base: &str, count: u32, radius: Quantity, speed: Quantity) -> CheckResult {
        self.count(&format!("{base}.count"), count)?;
        let path = format!("{base}.radius_m");
        self.quantity(&path, radius, Bound::Positive)?;
        self.fits(&path, "mover", radius)?;
        self.quantity(&format!("{base}.speed_mps"), speed, Bound::NotNegative)
    }

    fn linear(&self, base: &str, linear: &LinearSpec) -> CheckResult {
        self.discs(base, linear.count, linear.radius_m, linear.speed_mps)?;
        self.position(
            &format!("{base}.start"),
            "the start",
            &linear.start,
            linear.radius_m,
        )?;
        self.quantity(
            &format!("{base}.heading_rad"),
            linear.heading_rad,
            Bound::Any,
        )
    }

    fn waypoints(&self, base: &str, waypoints: &WaypointsSpec) -> CheckResult {
        let (radius, speed) = (waypoints.radius_m, waypoints.speed_mps);
        self.discs(base, waypoints.count, radius, speed)?;
        let path = format!("{base}.points_m");
        let points = &waypoints.points_m;
        if points.len() < 2 {
            let message = format!("a path of {} points", points.len());
            return self.reject(&path, &message, "write at least two");
        }
        for (index, point) in points.iter().enumerate() {
            let path = format!("{path}.{index}");
            for (axis, value) in point.iter().enumerate() {
                self.number(&format!("{path}.{axis}"), *value, Bound::Any)?;
            }
            let point = Vector2::from(*point);
            self.in_room(&path, "the point", point, point)?;
        }
        Ok(())
    }

    fn crowd(&self, base: &str, crowd: &CrowdSpec) -> CheckResult {
        self.discs(base, crowd.count, crowd.radius_m, crowd.speed_mps)?;
        let settings: Vec<(&str, f64, Bound)> = match crowd.model {
            CrowdModel::Orca(OrcaSpec {
                horizon_secs,
                wall_horizon_secs,
                neighbour_distance_m,
            }) => vec![
                ("orca.horizon_secs", horizon_secs, Bound::Positive),
                ("orca.wall_horizon_secs", wall_horizon_secs, Bound::Positive),
                (
                    "orca.neighbour_distance_m",
                    neighbour_distance_m,
                    Bound::Positive,
                ),
            ],
            CrowdModel::SocialForce(SocialForceSpec {
                relaxation_secs,
                repulsion_m2ps2,
                range_m,
                stride_secs,
                wall_repulsion_m2ps2,
                wall_range_m,
                view_deg,
                out_of_view_weight,
            }) => vec![
                (
                    "social_force.relaxation_secs",
                    relaxation_secs,
                    Bound::Positive,
                ),
                (
                    "social_force.repulsion_m2ps2",
                    repulsion_m2ps2,
                    Bound::NotNegative,
                ),
                ("social_force.range_m", range_m, Bound::Positive),
                ("social_force.stride_secs", stride_secs, Bound::NotNegative),
                (
                    "social_force.wall_repulsion_m2ps2",
                    wall_repulsion_m2ps2,
                    Bound::NotNegative,
                ),
                ("social_force.wall_range_m", wall_range_m, Bound::Positive),
                ("social_force.view_deg", view_deg, Bound::NotNegative),
                (
                    "social_force.out_of_view_weight",
                    out_of_view_weight,
                    Bound::NotNegative,
                ),
            ],
        };
        for (key, value, bound) in settings {
            self.number(&format!("{base}.model.{key}"), value, bound)?;
        }
        if let CrowdModel::SocialForce(forces) = crowd.model {
            for (key, value, max) in [
                ("view_deg", forces.view_deg, 360.0),
                ("out_of_view_weight", forces.out_of_view_weight, 1.0),
            ] {
                if value > max {
                    let path = format!("{base}.model.social_force.{key}");
                    let help = format!("write 0 to {max}");
                    return self.reject(&path, &format!("{key} is {value}"), &help);
                }
            }
        }
        Ok(())
    }
}
