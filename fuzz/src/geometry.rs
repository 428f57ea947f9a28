//! Slow, obvious geometry in double precision, with which the simulation is compared. It shares no code
//! with it.

use evenkeel::scenario::{Footprint, Layout, Obstacle, Shape};
use evenkeel::sim::WorldSnapshot;

/// A point or a vector, metres.
pub(crate) type Point = [f64; 2];

/// A shape in world coordinates, metres.
#[derive(Clone, Debug)]
pub(crate) enum ReferenceShape {
    /// A filled circle.
    Disc { center: Point, radius: f64 },
    /// A filled convex polygon, counter-clockwise. Two corners are a line segment.
    Convex { corners: Vec<Point> },
}

/// A ray from a point in the direction of a unit vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ray {
    pub(crate) origin: Point,
    pub(crate) direction: Point,
}

fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1]
}

fn cross(a: Point, b: Point) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

fn norm(a: Point) -> f64 {
    dot(a, a).sqrt()
}

/// The point at `local` in a frame at `origin` whose x axis is `axis`.
pub(crate) fn placed(origin: Point, axis: Point, local: Point) -> Point {
    [
        origin[0] + axis[0] * local[0] - axis[1] * local[1],
        origin[1] + axis[1] * local[0] + axis[0] * local[1],
    ]
}

/// Pairs of neighbouring corners.
fn edges(corners: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    (0..corners.len()).map(|i| (corners[i], corners[(i + 1) % corners.len()]))
}

/// Distance from a point to a line segment.
fn distance_to_segment(point: Point, (from, to): (Point, Point)) -> f64 {
    let (line, offset) = (minus(to, from), minus(point, from));
    let square = dot(line, line);
    let share = if square > 0.0 {
        (dot(offset, line) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    norm([offset[0] - share * line[0], offset[1] - share * line[1]])
}

/// Whether two line segments cross, away from their ends.
fn cross_each_other(one: (Point, Point), other: (Point, Point)) -> bool {
    let sides = |(from, to): (Point, Point), (a, b): (Point, Point)| {
        let line = minus(to, from);
        cross(line, minus(a, from)) * cross(line, minus(b, from)) < 0.0
    };
    sides(one, other) && sides(other, one)
}

/// The largest distance by which a point is beyond an edge of a convex polygon: negative inside.
fn beyond_edges(corners: &[Point], point: Point) -> f64 {
    edges(corners)
        .filter(|(from, to)| norm(minus(*to, *from)) > 0.0)
        .map(|(from, to)| {
            let edge = minus(to, from);
            -cross(edge, minus(point, from)) / norm(edge)
        })
        .fold(f64::NEG_INFINITY, f64::max)
}

impl ReferenceShape {
    /// The shape of a static obstacle.
    pub(crate) fn of(obstacle: &Obstacle) -> Self {
        let origin = [obstacle.position.x, obstacle.position.y].map(f64::from);
        let axis = [obstacle.axis.x, obstacle.axis.y].map(f64::from);
        let corner = |x: f32, y: f32| placed(origin, axis, [x, y].map(f64::from));
        let corners = match &obstacle.shape {
            Shape::Disc { radius } => {
                return Self::Disc {
                    center: origin,
                    radius: f64::from(*radius),
                };
            }
            Shape::Box { half_extents: h } => vec![
                corner(-h.x, -h.y),
                corner(h.x, -h.y),
                corner(h.x, h.y),
                corner(-h.x, h.y),
            ],
            Shape::Polygon { vertices } => vertices.iter().map(|v| corner(v.x, v.y)).collect(),
            Shape::Segment { half } => vec![corner(-half.x, -half.y), corner(half.x, half.y)],
        };
        Self::Convex { corners }
    }

    /// A robot's outline at a pose.
    pub(crate) fn of_robot(
        footprint: Option<&Footprint>,
        radius: f32,
        position: [f32; 2],
        heading_rad: f32,
    ) -> Self {
        let center = position.map(f64::from);
        let Some(footprint) = footprint else {
            return Self::Disc {
                center,
                radius: f64::from(radius),
            };
        };
        let (sin, cos) = f64::from(heading_rad).sin_cos();
        let corners = footprint.corners().iter();
        Self::Convex {
            corners: corners
                .map(|c| placed(center, [cos, sin], [c.x, c.y].map(f64::from)))
                .collect(),
        }
    }

    /// Signed distance from a point, metres; negative inside.
    pub(crate) fn distance(&self, point: Point) -> f64 {
        match self {
            Self::Disc { center, radius } => norm(minus(point, *center)) - radius,
            Self::Convex { corners } => {
                let outline = edges(corners).map(|edge| distance_to_segment(point, edge));
                let outline = outline.fold(f64::INFINITY, f64::min);
                let is_inside = corners.len() > 2 && beyond_edges(corners, point) < 0.0;
                if is_inside { -outline } else { outline }
            }
        }
    }

    /// Distance to another shape, metres; 0 if they overlap.
    pub(crate) fn gap(&self, other: &Self) -> f64 {
        match (self, other) {
            (Self::Disc { center, radius }, shape) | (shape, Self::Disc { center, radius }) => {
                (shape.distance(*center) - radius).max(0.0)
            }
            (Self::Convex { corners: one }, Self::Convex { corners: two }) => {
                let crosses = edges(one).any(|a| edges(two).any(|b| cross_each_other(a, b)));
                let near = |of: &[Point], shape: &Self| {
                    let distances = of.iter().map(|&corner| shape.distance(corner));
                    distances.fold(f64::INFINITY, f64::min)
                };
                if crosses {
                    return 0.0;
                }
                near(one, other).min(near(two, self)).max(0.0)
            }
        }
    }

    /// Distance along a ray to the shape when it is `growth` metres larger on every side, or smaller if
    /// that is negative; 0 inside. `None` if the ray misses it. A polygon thinner than it is to lose
    /// keeps half of its thickness.
    pub(crate) fn cast(&self, ray: Ray, growth: f64) -> Option<f64> {
        match self {
            Self::Disc { center, radius } => {
                let radius = radius + growth;
                if radius <= 0.0 {
                    return None;
                }
                let offset = minus(ray.origin, *center);
                let outside = dot(offset, offset) - radius * radius;
                if outside <= 0.0 {
                    return Some(0.0);
                }
                let along = dot(offset, ray.direction);
                let root = (along * along - outside).sqrt();
                (-along - root >= 0.0).then_some(-along - root)
            }
            Self::Convex { corners } => cast_at_polygon(corners, ray, growth),
        }
    }
}

/// [`ReferenceShape::cast`] at a polygon: the ray is cut by the half-plane of each edge.
fn cast_at_polygon(corners: &[Point], ray: Ray, growth: f64) -> Option<f64> {
    let count = corners.len() as f64;
    let middle = [0, 1].map(|axis| corners.iter().map(|c| c[axis]).sum::<f64>() / count);
    let thickness = -beyond_edges(corners, middle);
    let growth_of_sides = growth.max(-0.5 * thickness.max(0.0));
    // Ends move along the longest line through the middle, which half-planes of a thin shape do not.
    let shrunk: Vec<Point> = corners
        .iter()
        .map(|&corner| {
            let outward = minus(corner, middle);
            let share = (1.0 + growth.min(0.0) / norm(outward).max(1e-12)).max(0.5);
            placed(middle, [share, 0.0], outward)
        })
        .collect();
    let (mut enter, mut leave) = (0.0_f64, f64::INFINITY);
    let mut cut = |normal: Point, offset: f64| {
        let speed = dot(normal, ray.direction);
        let distance = offset - dot(normal, ray.origin);
        if speed < 0.0 {
            enter = enter.max(distance / speed);
        } else if speed > 0.0 {
            leave = leave.min(distance / speed);
        } else if distance < 0.0 {
            leave = f64::NEG_INFINITY;
        }
    };
    for (from, to) in edges(&shrunk).filter(|(from, to)| norm(minus(*to, *from)) > 0.0) {
        let edge = minus(to, from);
        let length = norm(edge);
        let normal = [edge[1] / length, -edge[0] / length];
        cut(normal, dot(normal, from) + growth_of_sides);
        if shrunk.len() == 2 {
            // The ends of a line segment.
            let along = [edge[0] / length, edge[1] / length];
            cut(along, dot(along, to) + growth_of_sides);
        }
    }
    (enter <= leave).then_some(enter)
}

/// The static obstacles of a layout, those of its map first.
pub(crate) fn static_shapes(layout: &Layout) -> Vec<ReferenceShape> {
    layout.all_obstacles().map(ReferenceShape::of).collect()
}

/// The movers and the robots of a snapshot.
pub(crate) fn moving_shapes(layout: &Layout, snapshot: &WorldSnapshot) -> [Vec<ReferenceShape>; 2] {
    let movers = snapshot.movers.iter().map(|mover| ReferenceShape::Disc {
        center: mover.position.map(f64::from),
        radius: f64::from(mover.radius_m),
    });
    let robots = snapshot.robots.iter().zip(&layout.robots);
    let robots = robots.map(|(robot, parameters)| {
        let footprint = parameters.footprint.as_ref();
        let (position, heading) = (robot.position, robot.heading_rad);
        ReferenceShape::of_robot(footprint, parameters.radius, position, heading)
    });
    [movers.collect(), robots.collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ray(x: f64, y: f64, angle: f64) -> Ray {
        Ray {
            origin: [x, y],
            direction: [angle.cos(), angle.sin()],
        }
    }

    fn square() -> ReferenceShape {
        ReferenceShape::Convex {
            corners: vec![[1.0, -1.0], [3.0, -1.0], [3.0, 1.0], [1.0, 1.0]],
        }
    }

    fn near(actual: Option<f64>, expected: f64) {
        assert!(
            actual.is_some_and(|actual| (actual - expected).abs() < 1e-9),
            "{actual:?} instead of {expected}"
        );
    }

    #[test]
    fn rays_meet_shapes() {
        near(square().cast(ray(0.0, 0.0, 0.0), 0.0), 1.0);
        near(square().cast(ray(0.0, 0.0, 0.0), 0.25), 0.75);
        near(square().cast(ray(2.0, 0.5, 1.0), 0.0), 0.0);
        assert_eq!(square().cast(ray(0.0, 0.0, 3.0), 0.0), None);
        assert_eq!(square().cast(ray(0.0, 1.001, 0.0), 0.0), None);
        let disc = ReferenceShape::Disc {
            center: [2.0, 0.0],
            radius: 0.5,
        };
        near(disc.cast(ray(0.0, 0.0, 0.0), -0.25), 1.75);
        assert_eq!(disc.cast(ray(4.0, 0.0, 0.0), 0.0), None);
        let wall = ReferenceShape::Convex {
            corners: vec![[2.0, -1.0], [2.0, 1.0]],
        };
        near(wall.cast(ray(0.0, 0.0, 0.0), 0.0), 2.0);
        near(wall.cast(ray(0.0, 0.999, 0.0), 0.0), 2.0);
        assert_eq!(
            wall.cast(ray(0.0, 0.999, 0.0), -0.01),
            None,
            "a shorter wall"
        );
        near(wall.cast(ray(0.0, 0.9, 0.0), -0.01), 2.0);
    }

    #[test]
    fn gaps_are_those_of_the_outlines() {
        let other = ReferenceShape::Convex {
            corners: vec![[0.0, 0.0], [0.5, 0.0], [0.5, 0.2]],
        };
        assert!((square().gap(&other) - 0.5).abs() < 1e-12);
        let plus = ReferenceShape::Convex {
            corners: vec![[1.5, -2.0], [2.0, -2.0], [2.0, 2.0], [1.5, 2.0]],
        };
        assert!(
            square().gap(&plus).abs() < f64::EPSILON,
            "no corner is inside"
        );
        let inside = ReferenceShape::Disc {
            center: [2.0, 0.0],
            radius: 0.1,
        };
        assert!(square().gap(&inside).abs() < f64::EPSILON);
    }
}
