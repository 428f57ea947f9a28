//! Checks of obstacles: valid shapes in the room.

use nalgebra::Vector2;

use super::{Bound, CheckResult, Checker, MIN_WIDTH, range_corners};
use crate::config::Diagnostic;
use crate::scenario::Quantity;
use crate::scenario::spec::{
    BoxSpec, DiscSpec, ObstacleSpec, PolygonSpec, SegmentSpec, ShapesSpec,
};

impl Checker<'_> {
    pub(super) fn obstacle(&self, index: usize, obstacle: &ObstacleSpec) -> CheckResult {
        let base = format!("obstacles.{index}");
        match obstacle {
            ObstacleSpec::Disc(disc) => self.disc(&format!("{base}.disc"), disc),
            ObstacleSpec::Box(spec) => self.box_(&format!("{base}.box"), spec),
            ObstacleSpec::Polygon(polygon) => self.polygon(&format!("{base}.polygon"), polygon),
            ObstacleSpec::Segment(segment) => self.segment(&format!("{base}.segment"), segment),
        }
    }

    /// Checks the shapes of a map. Shapes outside the room are allowed.
    pub(super) fn shapes(&self, shapes: &ShapesSpec) -> CheckResult {
        let base = "arena.map.shapes";
        for (index, [x, y, half_x, half_y, yaw]) in shapes.boxes_m.iter().enumerate() {
            for (entry, value) in [(0, x), (1, y), (4, yaw)] {
                self.number(
                    &format!("{base}.boxes_m.{index}.{entry}"),
                    *value,
                    Bound::Any,
                )?;
            }
            for (entry, value) in [(2, half_x), (3, half_y)] {
                let path = format!("{base}.boxes_m.{index}.{entry}");
                self.half_width(&path, Quantity::Fixed(*value))?;
            }
        }
        for (index, [x, y, radius]) in shapes.discs_m.iter().enumerate() {
            for (entry, value) in [(0, x), (1, y)] {
                let path = format!("{base}.discs_m.{index}.{entry}");
                self.number(&path, *value, Bound::Any)?;
            }
            let path = format!("{base}.discs_m.{index}.2");
            self.half_width(&path, Quantity::Fixed(*radius))?;
        }
        Ok(())
    }

    fn disc(&self, base: &str, disc: &DiscSpec) -> CheckResult {
        self.pair(&format!("{base}.center_m"), &disc.center_m, Bound::Any)?;
        self.half_width(&format!("{base}.radius_m"), disc.radius_m)?;
        let reach = Vector2::repeat(disc.radius_m.max());
        let (low, high) = range_corners(&disc.center_m);
        self.in_room(
            &format!("{base}.center_m"),
            "the disc",
            low - reach,
            high + reach,
        )
    }

    fn box_(&self, base: &str, spec: &BoxSpec) -> CheckResult {
        self.pair(&format!("{base}.center_m"), &spec.center_m, Bound::Any)?;
        for (axis, half_extent) in spec.half_extents_m.iter().enumerate() {
            self.half_width(&format!("{base}.half_extents_m.{axis}"), *half_extent)?;
        }
        self.quantity(&format!("{base}.yaw_rad"), spec.yaw_rad, Bound::Any)?;
        let reach = if spec.yaw_rad == Quantity::Fixed(0.0) {
            range_corners(&spec.half_extents_m).1
        } else {
            Vector2::repeat(range_corners(&spec.half_extents_m).1.norm())
        };
        let (low, high) = range_corners(&spec.center_m);
        self.in_room(
            &format!("{base}.center_m"),
            "the box",
            low - reach,
            high + reach,
        )
    }

    fn polygon(&self, base: &str, polygon: &PolygonSpec) -> CheckResult {
        let path = format!("{base}.vertices_m");
        let corners = self.convex_polygon(&path, &polygon.vertices_m, 64)?;
        self.pair(&format!("{base}.offset_m"), &polygon.offset_m, Bound::Any)?;
        self.quantity(&format!("{base}.yaw_rad"), polygon.yaw_rad, Bound::Any)?;
        let middle = corners.iter().sum::<Vector2<f64>>() / corners.len() as f64;
        let reach = corners
            .iter()
            .map(|corner| (corner - middle).norm())
            .fold(0.0, f64::max);
        let (low, high) = range_corners(&polygon.offset_m);
        let reach = Vector2::repeat(reach);
        self.in_room(
            &path,
            "the polygon",
            middle + low - reach,
            middle + high + reach,
        )
    }

    /// Checks half the width of a shape.
    pub(super) fn half_width(&self, path: &str, half_width: Quantity) -> CheckResult {
        self.quantity(path, half_width, Bound::Positive)?;
        if half_width.min() >= MIN_WIDTH / 2.0 {
            return Ok(());
        }
        let message = format!(
            "{} makes a shape thinner than a millimetre",
            half_width.min()
        );
        self.reject(path, &message, "write 0.0005 or more")
    }

    /// Checks that a polygon is convex with 3 to `most` corners, wide enough, and has no corner that
    /// would be lost in single precision. Returns the corners.
    pub(super) fn convex_polygon(
        &self,
        path: &str,
        vertices: &[[f64; 2]],
        max: usize,
    ) -> Result<Vec<Vector2<f64>>, Diagnostic> {
        let corners: Vec<_> = vertices.iter().map(|&[x, y]| Vector2::new(x, y)).collect();
        let message = format!("a polygon of {} corners", corners.len());
        if corners.len() < 3 {
            self.reject(path, &message, "write at least three")?;
        }
        if corners.len() > max {
            self.reject(path, &message, &format!("write at most {max}"))?;
        }
        for (index, corner) in corners.iter().enumerate() {
            for axis in 0..2 {
                self.number(&format!("{path}.{index}.{axis}"), corner[axis], Bound::Any)?;
            }
        }
        self.convex(path, &corners)?;
        self.wide_enough(path, &corners, 1.0)?;
        Ok(corners)
    }

    /// Checks that a convex polygon, enlarged by a factor, is at least a millimetre wide.
    pub(super) fn wide_enough(
        &self,
        path: &str,
        corners: &[Vector2<f64>],
        scale: f64,
    ) -> CheckResult {
        let width_along = |i: usize| {
            let edge = (corners[(i + 1) % corners.len()] - corners[i]).normalize();
            let heights = corners
                .iter()
                .map(|corner| edge.perp(&(corner - corners[i])).abs());
            heights.fold(0.0, f64::max)
        };
        let widths = (0..corners.len()).map(width_along);
        let width = scale * widths.fold(f64::INFINITY, f64::min);
        if width >= MIN_WIDTH {
            return Ok(());
        }
        let message = format!("the polygon is only {:.3} mm wide", 1e3 * width);
        let help = "make it at least a millimetre wide; a segment is a wall without thickness";
        self.reject(path, &message, help)
    }

    /// Checks that a polygon is convex: all its turns have the same direction and sum to one circle.
    fn convex(&self, path: &str, corners: &[Vector2<f64>]) -> CheckResult {
        let n = corners.len();
        let mut total_turn = 0.0;
        let mut sign = 0.0;
        for i in 0..n {
            let before = corners[i] - corners[(i + n - 1) % n];
            let after = corners[(i + 1) % n] - corners[i];
            let at = format!("{path}.{i}");
            if after.norm() < 1e-6 {
                return self.reject(
                    &at,
                    "this corner and the next are the same",
                    "leave one out",
                );
            }
            if after.norm() < MIN_WIDTH {
                let message = "this corner and the next are less than a millimetre apart";
                return self.reject(&at, message, "leave one out");
            }
            let turn = before.perp(&after);
            let chord = (before + after).norm();
            // Single precision resolves 0.06 micrometres in a metre.
            let coordinate = corners[i].amax();
            if turn.abs() <= chord * f64::max(1e-5, 2.5e-7 * coordinate) {
                return self.reject(&at, "this corner lies on a straight line", "leave it out");
            }
            if turn * sign < 0.0 {
                let help = "write a concave polygon as several convex ones";
                return self.reject(&at, "the polygon is not convex at this corner", help);
            }
            sign = turn.signum();
            total_turn += libm::atan2(turn, before.dot(&after));
        }
        if total_turn.abs() > 1.5 * std::f64::consts::TAU {
            return self.reject(
                path,
                "the sides of the polygon cross",
                "list corners in order",
            );
        }
        Ok(())
    }

    fn segment(&self, base: &str, segment: &SegmentSpec) -> CheckResult {
        self.pair(&format!("{base}.from_m"), &segment.from_m, Bound::Any)?;
        self.pair(&format!("{base}.to_m"), &segment.to_m, Bound::Any)?;
        let fixed = segment
            .from_m
            .iter()
            .chain(&segment.to_m)
            .all(|end| !end.is_random());
        if fixed
            && (range_corners(&segment.from_m).0 - range_corners(&segment.to_m).0).norm()
                < MIN_WIDTH
        {
            return self.reject(base, "both ends of the segment are the same point", "");
        }
        let (from, to) = (range_corners(&segment.from_m), range_corners(&segment.to_m));
        self.in_room(base, "the segment", from.0.inf(&to.0), from.1.sup(&to.1))
    }
}
