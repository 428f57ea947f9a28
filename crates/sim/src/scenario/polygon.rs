//! Distances between convex polygons. A polygon is a slice of corners, counter-clockwise, metres.

use nalgebra::Vector2;

/// Twice the signed area; positive if the corners are counter-clockwise.
pub(super) fn doubled_area(corners: &[Vector2<f32>]) -> f32 {
    edges(corners).map(|(from, to)| from.perp(&to)).sum()
}

/// The edges as pairs of corners.
pub(super) fn edges(
    corners: &[Vector2<f32>],
) -> impl Iterator<Item = (Vector2<f32>, Vector2<f32>)> {
    (0..corners.len()).map(|i| (corners[i], corners[(i + 1) % corners.len()]))
}

/// Distance between two convex polygons. Two corners make a segment. If the polygons overlap, the
/// result is minus the smallest overlap along an edge normal.
pub(super) fn convex_distance(one: &[Vector2<f32>], other: &[Vector2<f32>]) -> f32 {
    let gap = separation(one, other).max(separation(other, one));
    if gap <= 0.0 {
        return gap;
    }
    // The nearest points of two separate convex polygons include a corner of one of them.
    let nearest = |corners: &[Vector2<f32>], of: &[Vector2<f32>]| {
        let squares = corners
            .iter()
            .flat_map(|&corner| edges(of).map(move |edge| square_to_edge(corner, edge)));
        squares.fold(f32::INFINITY, f32::min)
    };
    nearest(one, other).min(nearest(other, one)).sqrt()
}

/// The largest gap between two convex polygons along an edge normal of the first. The polygons are
/// separate if and only if the gap is positive for one of them (the separating axis theorem).
fn separation(one: &[Vector2<f32>], other: &[Vector2<f32>]) -> f32 {
    let gap = |(from, to): (Vector2<f32>, Vector2<f32>)| {
        let edge = to - from;
        let normal = Vector2::new(edge.y, -edge.x) / edge.norm();
        let projections = other.iter().map(|corner| normal.dot(&(corner - from)));
        projections.fold(f32::INFINITY, f32::min)
    };
    edges(one).map(gap).fold(f32::NEG_INFINITY, f32::max)
}

/// Squared distance from a point to an edge.
fn square_to_edge(p: Vector2<f32>, (from, to): (Vector2<f32>, Vector2<f32>)) -> f32 {
    let (edge, offset) = (to - from, p - from);
    let share = (offset.dot(&edge) / edge.norm_squared()).clamp(0.0, 1.0);
    (offset - edge * share).norm_squared()
}

/// Signed distance from a point to a convex polygon; negative inside.
pub(super) fn polygon_distance(corners: &[Vector2<f32>], p: Vector2<f32>) -> f32 {
    let mut inside = f32::NEG_INFINITY;
    let mut outside = f32::INFINITY;
    for (from, to) in edges(corners) {
        let (edge, offset) = (to - from, p - from);
        inside = inside.max((edge.y * offset.x - edge.x * offset.y) / edge.norm());
        outside = outside.min(square_to_edge(p, (from, to)));
    }
    if inside <= 0.0 {
        inside
    } else {
        outside.sqrt()
    }
}
