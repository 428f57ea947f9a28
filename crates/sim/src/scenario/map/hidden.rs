//! Which shapes of a map nobody sees, wherever outside of them all they look from: those whose
//! outlines others cover. A grid's walls are made of a few large boxes within and many small ones at
//! the edge, and the large ones show nowhere.

use nalgebra::Vector2;

use super::{Map, Obstacle, Rect, Shape};

/// Outlines that are so near to one another are the same, metres.
const TOLERANCE_M: f32 = 1e-5;

/// Which of a map's obstacles show nowhere. Only upright boxes are looked at, and covered by others.
pub(super) fn hidden(map: &Map) -> Vec<bool> {
    let outlines: Vec<Option<Rect>> = map.obstacles().iter().map(upright).collect();
    let boxes = outlines.iter().enumerate();
    let mut boxes: Vec<(usize, Rect)> = boxes
        .filter_map(|(index, outline)| Some((index, (*outline)?)))
        .collect();
    // Large ones first: of two that cover one another the smaller one stays.
    let area = |bounds: &Rect| bounds.size().x * bounds.size().y;
    boxes.sort_by(|(_, a), (_, b)| area(b).total_cmp(&area(a)));
    let mut hidden = vec![false; outlines.len()];
    for (index, bounds) in boxes {
        let near = map.groups().iter();
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

/// Whether others cover the side of a box that is at `at` along `axis`.
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

    /// The box from left and bottom to right and top.
    fn obstacle(&[left, bottom, right, top]: &[f32; 4]) -> Obstacle {
        Obstacle {
            shape: Shape::Box {
                half_extents: Vector2::new(right - left, top - bottom) / 2.0,
            },
            position: Point2::new(left + right, bottom + top) / 2.0,
            axis: Vector2::x(),
        }
    }

    /// Which of some boxes are hidden, in their order: a map has one of its own.
    fn boxes(rectangles: &[[f32; 4]]) -> Vec<bool> {
        let map = Map::from_obstacles(rectangles.iter().map(obstacle));
        let hidden = map.hidden();
        let found = |rectangle| {
            let mut all = map.obstacles().iter();
            let place = all.position(|other| *other == obstacle(rectangle));
            hidden[place.expect("it was put there")]
        };
        rectangles.iter().map(found).collect()
    }

    #[test]
    fn what_is_walled_in_is_hidden_and_what_is_not_is_seen() {
        let walls = [
            [0.0, 0.0, 3.0, 0.1],
            [0.0, 2.9, 3.0, 3.0],
            [0.0, 0.1, 0.1, 2.9],
            [2.9, 0.1, 3.0, 2.9],
        ];
        let inside = |box_m| {
            let all: Vec<_> = walls.into_iter().chain([box_m]).collect();
            assert!(!boxes(&all)[..4].contains(&true));
            boxes(&all)[4]
        };
        assert!(inside([0.05, 0.05, 2.95, 2.95]), "over the walls");
        assert!(inside([0.0, 0.0, 3.0, 3.0]), "as far as the walls");
        assert!(!inside([0.5, 0.5, 2.5, 2.5]), "a gap about it");
        assert!(!inside([0.05, 0.05, 2.95, 3.2]), "beyond one of them");
    }

    #[test]
    fn of_two_alike_one_is_seen() {
        let alike = [[0.0, 0.0, 1.0, 1.0]; 2];
        let map = Map::from_obstacles(alike.iter().map(obstacle));
        assert_eq!(map.hidden().iter().filter(|hidden| **hidden).count(), 1);
    }
}
