//! Finds the hidden shapes of a map: those whose outline other shapes cover, so that they cannot be
//! seen from outside. The walls of a grid are small boxes at the edge, which hide the few large boxes
//! inside.

use nalgebra::Vector2;

use super::group::ShapeGroup;
use crate::scenario::geometry::{Obstacle, Rect, Shape};

/// Outlines closer than this count as equal, metres.
const TOLERANCE_M: f32 = 1e-5;

/// `[obstacles]`: whether an obstacle is hidden. Only upright boxes hide others or are hidden. `groups`
/// are those of the obstacles.
pub(super) fn hidden(obstacles: &[Obstacle], groups: &[ShapeGroup]) -> Vec<bool> {
    let outlines: Vec<Option<Rect>> = obstacles.iter().map(upright).collect();
    let boxes = outlines.iter().enumerate();
    let mut boxes: Vec<(usize, Rect)> = boxes
        .filter_map(|(index, outline)| Some((index, (*outline)?)))
        .collect();
    // Largest first: of two boxes that cover each other, the smaller one stays visible.
    let area = |bounds: &Rect| bounds.size().x * bounds.size().y;
    boxes.sort_by(|(_, a), (_, b)| area(b).total_cmp(&area(a)));
    let mut hidden = vec![false; outlines.len()];
    for (index, bounds) in boxes {
        let near = groups.iter();
        let near = near.filter(|group| overlaps(&group.bounds, &bounds));
        let others: Vec<Rect> = near
            .flat_map(|group| group.members.clone())
            .filter(|&other| other != index && !hidden[other])
            .filter_map(|other| outlines[other])
            .filter(|other| overlaps(other, &bounds))
            .collect();
        hidden[index] = (0..2).all(|axis| {
            let ends = [bounds.min[axis], bounds.max[axis]];
            ends.iter()
                .all(|&end| is_covered(&bounds, axis, end, &others))
        });
    }
    hidden
}

/// The outline of an upright box.
fn upright(obstacle: &Obstacle) -> Option<Rect> {
    match &obstacle.shape {
        Shape::Box { half_extents } if obstacle.axis == Vector2::x() => Some(Rect {
            min: obstacle.position - half_extents,
            max: obstacle.position + half_extents,
        }),
        _ => None,
    }
}

fn overlaps(a: &Rect, b: &Rect) -> bool {
    (0..2).all(|axis| {
        a.min[axis] <= b.max[axis] + TOLERANCE_M && b.min[axis] <= a.max[axis] + TOLERANCE_M
    })
}

/// Whether other boxes cover the side of a box at coordinate `at` of `axis`.
fn is_covered(bounds: &Rect, axis: usize, at: f32, others: &[Rect]) -> bool {
    let along = 1 - axis;
    let mut covers: Vec<[f32; 2]> = others
        .iter()
        .filter(|other| other.min[axis] <= at + TOLERANCE_M && other.max[axis] >= at - TOLERANCE_M)
        .map(|other| [other.min[along], other.max[along]])
        .collect();
    covers.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut reached = bounds.min[along];
    for [from, to] in covers {
        if from <= reached + TOLERANCE_M {
            reached = reached.max(to);
        }
    }
    reached >= bounds.max[along] - TOLERANCE_M
}

#[cfg(test)]
mod tests {
    use nalgebra::Point2;

    use super::*;
    use crate::scenario::map::Map;

    /// A box from its left, bottom, right and top.
    fn obstacle(&[left, bottom, right, top]: &[f32; 4]) -> Obstacle {
        Obstacle {
            shape: Shape::Box {
                half_extents: Vector2::new(right - left, top - bottom) / 2.0,
            },
            position: Point2::new(left + right, bottom + top) / 2.0,
            axis: Vector2::x(),
        }
    }

    /// Whether each box is hidden, in the order given. A map has its own order.
    fn hidden_boxes(rectangles: &[[f32; 4]]) -> Vec<bool> {
        let map = Map::from_obstacles(rectangles.iter().map(obstacle));
        let hidden = map.hidden();
        let is_hidden = |rectangle| {
            let mut obstacles = map.obstacles().iter();
            let index = obstacles.position(|other| *other == obstacle(rectangle));
            hidden[index.expect("the map has this box")]
        };
        rectangles.iter().map(is_hidden).collect()
    }

    #[test]
    fn a_box_is_hidden_if_others_cover_all_its_sides() {
        let walls = [
            [0.0, 0.0, 3.0, 0.1],
            [0.0, 2.9, 3.0, 3.0],
            [0.0, 0.1, 0.1, 2.9],
            [2.9, 0.1, 3.0, 2.9],
        ];
        let inside = |box_m| {
            let all: Vec<_> = walls.into_iter().chain([box_m]).collect();
            let hidden = hidden_boxes(&all);
            assert!(!hidden[..4].contains(&true));
            hidden[4]
        };
        assert!(inside([0.05, 0.05, 2.95, 2.95]), "over the walls");
        assert!(inside([0.0, 0.0, 3.0, 3.0]), "as far as the walls");
        assert!(!inside([0.5, 0.5, 2.5, 2.5]), "a gap around it");
        assert!(!inside([0.05, 0.05, 2.95, 3.2]), "beyond one of them");
    }

    #[test]
    fn one_of_two_equal_boxes_stays_visible() {
        let boxes = [[0.0, 0.0, 1.0, 1.0]; 2];
        let map = Map::from_obstacles(boxes.iter().map(obstacle));
        assert_eq!(map.hidden().iter().filter(|hidden| **hidden).count(), 1);
    }
}
