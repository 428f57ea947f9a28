//! Rooms and doorways: a binary space partition of the arena. Each wall that splits a room has a door,
//! so that every room is reachable from every other.

use nalgebra::Point2;

use crate::scenario::spec::RoomsSpec;
use crate::scenario::{Obstacle, Rect};
use crate::seed::Rng;

use super::draw::{random_bool, uniform_between};
use super::walls::wall;

/// Positions that are tried for a wall. If none is possible, the room is not split.
const TRIES: u32 = 8;

pub(super) fn build(
    spec: &RoomsSpec,
    arena: &Rect,
    obstacles: &mut Vec<Obstacle>,
    difficulty_rng: &mut Rng,
    rng: &mut Rng,
) {
    let mut builder = Builder {
        min_side: spec.min_side_m.sample(difficulty_rng) as f32,
        door: spec.door_m.sample(difficulty_rng) as f32,
        thickness: spec.wall_m.sample(difficulty_rng) as f32,
        second_doors: spec.second_doors.sample(difficulty_rng) as f32,
        doors: Vec::new(),
        obstacles,
    };
    builder.halve(*arena, rng);
}

/// An opening in a wall.
struct Door {
    /// Axis of the wall: 0 is x, 1 is y.
    axis: usize,
    /// Coordinate of the wall on the other axis, metres.
    at: f32,
    from: f32,
    to: f32,
}

struct Builder<'a> {
    min_side: f32,
    door: f32,
    thickness: f32,
    second_doors: f32,
    doors: Vec<Door>,
    obstacles: &'a mut Vec<Obstacle>,
}

impl Builder<'_> {
    /// Splits a room by a wall, and the halves again, as long as they are large enough.
    fn halve(&mut self, room: Rect, rng: &mut Rng) {
        let size = room.size();
        // The new wall is parallel to the shorter side; in a square the direction is drawn.
        let axis = match size.x - size.y {
            0.0 => usize::from(random_bool(0.5, rng)),
            wider if wider > 0.0 => 1,
            _ => 0,
        };
        let across = 1 - axis;
        let (low, high) = (
            room.min[across] + self.min_side + self.thickness / 2.0,
            room.max[across] - self.min_side - self.thickness / 2.0,
        );
        // A wall without a door would separate the rooms.
        if low > high || size[axis] < self.door + 2.0 * self.thickness {
            return;
        }
        let position = (0..TRIES)
            .map(|_| uniform_between(low, high, rng))
            .find(|&at| !self.blocks_a_door(&room, across, at));
        let Some(at) = position else { return };
        self.put_wall(&room, axis, at, rng);
        let (mut first, mut second) = (room, room);
        first.max[across] = at;
        second.min[across] = at;
        self.halve(first, rng);
        self.halve(second, rng);
    }

    /// Whether a wall that meets the room's sides at `at` would block one of their doors.
    fn blocks_a_door(&self, room: &Rect, across: usize, at: f32) -> bool {
        let near = self.thickness / 2.0 + 1e-3;
        self.doors.iter().any(|door| {
            let side = |edge: &Point2<f32>| (edge[1 - across] - door.at).abs() < 1e-4;
            door.axis == across
                && (side(&room.min) || side(&room.max))
                && (door.from - near..=door.to + near).contains(&at)
        })
    }

    /// Adds a wall with one or two doors across a room.
    fn put_wall(&mut self, room: &Rect, axis: usize, at: f32, rng: &mut Rng) {
        let (start, end) = (room.min[axis], room.max[axis]);
        let two = random_bool(self.second_doors, rng)
            && end - start > 2.0 * self.door + 3.0 * self.thickness;
        let count = if two { 2 } else { 1 };
        // Each door is somewhere in its share of the wall, clear of the walls at both ends.
        let share = (end - start) / count as f32;
        let mut from = start;
        for index in 0..count {
            let first = start + share * index as f32 + self.thickness / 2.0;
            let last = start + share * (index + 1) as f32 - self.thickness / 2.0 - self.door;
            let open = uniform_between(first, last, rng);
            self.obstacles
                .push(wall(axis, at, from, open, self.thickness));
            from = open + self.door;
            self.doors.push(Door {
                axis,
                at,
                from: open,
                to: from,
            });
        }
        self.obstacles
            .push(wall(axis, at, from, end, self.thickness));
    }
}
