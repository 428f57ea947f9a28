//! Rooms and doorways: the arena is halved again and again (a binary space partition) by walls
//! with a door in each, until the rooms are small enough. Whatever is drawn, every room can be
//! reached from every other.

use nalgebra::Point2;

use crate::scenario::spec::RoomsSpec;
use crate::scenario::{Obstacle, Rect};
use crate::seed::Rng;

use super::{random_bool, uniform_between, wall};

/// Places for one wall that are tried before the room is left whole.
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
    /// Along which axis the wall goes, and where on the other it stands.
    axis: usize,
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
    fn halve(&mut self, room: Rect, rng: &mut Rng) {
        let size = room.size();
        // The new wall goes along the shorter side; in a square either way.
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
        // A wall without a door would part the rooms.
        if low > high || size[axis] < self.door + 2.0 * self.thickness {
            return;
        }
        let place = (0..TRIES)
            .map(|_| uniform_between(low, high, rng))
            .find(|&at| !self.blocks_a_door(&room, across, at));
        let Some(at) = place else { return };
        self.put_wall(&room, axis, at, rng);
        let (mut first, mut second) = (room, room);
        first.max[across] = at;
        second.min[across] = at;
        self.halve(first, rng);
        self.halve(second, rng);
    }

    /// Whether a wall that meets the room's sides at `at` would stand in a door of theirs.
    fn blocks_a_door(&self, room: &Rect, across: usize, at: f32) -> bool {
        let near = self.thickness / 2.0 + 1e-3;
        self.doors.iter().any(|door| {
            let side = |edge: &Point2<f32>| (edge[1 - across] - door.at).abs() < 1e-4;
            door.axis == across
                && (side(&room.min) || side(&room.max))
                && (door.from - near..=door.to + near).contains(&at)
        })
    }

    fn put_wall(&mut self, room: &Rect, axis: usize, at: f32, rng: &mut Rng) {
        let (begin, end) = (room.min[axis], room.max[axis]);
        let two = random_bool(self.second_doors, rng)
            && end - begin > 2.0 * self.door + 3.0 * self.thickness;
        let count = if two { 2 } else { 1 };
        // Each door somewhere in its share of the wall, clear of the walls that this one meets.
        let share = (end - begin) / count as f32;
        let mut from = begin;
        for index in 0..count {
            let first = begin + share * index as f32 + self.thickness / 2.0;
            let last = begin + share * (index + 1) as f32 - self.thickness / 2.0 - self.door;
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
