//! Checks of generators: the ranges of their numbers, and passages that are wide enough for the robot.

use nalgebra::Vector2;

use super::{Bound, CheckResult, Checker};
use crate::scenario::Quantity;
use crate::scenario::flood::PASSAGE_MARGIN;
use crate::scenario::generate::MAX_COLUMNS;
use crate::scenario::spec::{CellsSpec, CorridorSpec, GeneratorSpec, MazeSpec, RoomsSpec};

/// The largest number of cells along one side of a maze.
const MAX_MAZE_CELLS: u32 = 100;
/// The largest number of rows of a field of cells.
const MAX_ROWS: u32 = 1_000;
const MAX_SMOOTHING: f64 = 100.0;
const MAX_BENDS: f64 = 20.0;
const MAX_LAY_BYS: f64 = 100.0;

impl Checker<'_> {
    pub(super) fn generator(&self, index: usize, generator: &GeneratorSpec) -> CheckResult {
        let base = |kind: &str| format!("generate.{index}.{kind}");
        match generator {
            GeneratorSpec::Discs(discs) => {
                let base = base("discs");
                self.count(&format!("{base}.count"), discs.count)?;
                self.quantity(&format!("{base}.radius_m"), discs.radius_m, Bound::Positive)
            }
            GeneratorSpec::Boxes(boxes) => {
                let base = base("boxes");
                self.count(&format!("{base}.count"), boxes.count)?;
                let half = format!("{base}.half_extents_m");
                self.pair(&half, &boxes.half_extents_m, Bound::Positive)?;
                self.quantity(&format!("{base}.yaw_rad"), boxes.yaw_rad, Bound::Any)
            }
            GeneratorSpec::Cells(cells) => self.cells(&base("cells"), cells),
            GeneratorSpec::Maze(maze) => self.maze(&base("maze"), maze),
            GeneratorSpec::Rooms(rooms) => self.rooms(&base("rooms"), rooms),
            GeneratorSpec::Corridor(corridor) => self.corridor(&base("corridor"), corridor),
        }
    }

    fn cells(&self, base: &str, cells: &CellsSpec) -> CheckResult {
        self.share(&format!("{base}.fill"), cells.fill)?;
        self.whole(&format!("{base}.smoothing"), cells.smoothing, MAX_SMOOTHING)?;
        self.within(&format!("{base}.columns"), cells.columns, 3, MAX_COLUMNS)?;
        self.within(&format!("{base}.rows"), cells.rows, 1, MAX_ROWS)?;
        self.within(&format!("{base}.lead_rows"), cells.lead_rows, 0, MAX_ROWS)?;
        self.quantity(&format!("{base}.cell_m"), cells.cell_m, Bound::Positive)?;
        self.pair(&format!("{base}.corner_m"), &cells.corner_m, Bound::Any)?;
        let size = [cells.columns, cells.rows + cells.lead_rows]
            .map(|count| f64::from(count) * cells.cell_m.max());
        let (low, high) = super::range_corners(&cells.corner_m);
        let high = high + Vector2::from(size);
        let (room_min, room_max) = self.widest_room();
        // A small excess is rounding.
        let inside = (0..2)
            .all(|axis| low[axis] >= room_min[axis] - 1e-6 && high[axis] <= room_max[axis] + 1e-6);
        if inside {
            return Ok(());
        }
        let message = format!(
            "the field reaches from ({}, {}) to ({:.2}, {:.2}), beyond the room",
            low.x, low.y, high.x, high.y
        );
        let help = format!(
            "the room reaches from ({}, {}) to ({}, {})",
            room_min.x, room_min.y, room_max.x, room_max.y
        );
        self.reject(&format!("{base}.corner_m"), &message, &help)
    }

    fn maze(&self, base: &str, maze: &MazeSpec) -> CheckResult {
        self.within(&format!("{base}.columns"), maze.columns, 1, MAX_MAZE_CELLS)?;
        self.within(&format!("{base}.rows"), maze.rows, 1, MAX_MAZE_CELLS)?;
        self.share(&format!("{base}.braid"), maze.braid)?;
        let wall = format!("{base}.wall_m");
        self.quantity(&wall, maze.wall_m, Bound::Positive)?;
        let [width, height] = self.spec.arena.size().map(|side| side.min());
        for (key, side, count) in [
            ("columns", width, maze.columns),
            ("rows", height, maze.rows),
        ] {
            // Inner cells lose one wall thickness, the outermost only half. The stricter bound is used.
            let passage = side / f64::from(count) - maze.wall_m.max();
            self.passable(
                &format!("{base}.{key}"),
                "the passages of the maze are",
                passage,
            )?;
        }
        Ok(())
    }

    fn rooms(&self, base: &str, rooms: &RoomsSpec) -> CheckResult {
        self.quantity(
            &format!("{base}.min_side_m"),
            rooms.min_side_m,
            Bound::Positive,
        )?;
        self.quantity(&format!("{base}.door_m"), rooms.door_m, Bound::Positive)?;
        self.share(&format!("{base}.second_doors"), rooms.second_doors)?;
        self.quantity(&format!("{base}.wall_m"), rooms.wall_m, Bound::Positive)?;
        let min_side = rooms.min_side_m.min();
        self.passable(
            &format!("{base}.min_side_m"),
            "the smallest rooms are",
            min_side,
        )?;
        self.passable(
            &format!("{base}.door_m"),
            "the doors are",
            rooms.door_m.min(),
        )
    }

    fn corridor(&self, base: &str, corridor: &CorridorSpec) -> CheckResult {
        let width = format!("{base}.width_m");
        self.quantity(&width, corridor.width_m, Bound::Positive)?;
        self.whole(&format!("{base}.bends"), corridor.bends, MAX_BENDS)?;
        self.whole(&format!("{base}.lay_bys"), corridor.lay_bys, MAX_LAY_BYS)?;
        self.pair(
            &format!("{base}.lay_by_m"),
            &corridor.lay_by_m,
            Bound::Positive,
        )?;
        self.passable(&width, "the corridor is", corridor.width_m.min())
    }

    /// Checks that a share is from 0 to 1.
    fn share(&self, path: &str, share: Quantity) -> CheckResult {
        self.quantity(path, share, Bound::NotNegative)?;
        if share.max() <= 1.0 {
            return Ok(());
        }
        let message = format!("{} is {}", super::last_key(path), share.max());
        self.reject(path, &message, "write 0 to 1")
    }

    /// Checks that a count is a whole number from 0 to `most`.
    fn whole(&self, path: &str, count: Quantity, max: f64) -> CheckResult {
        for end in [count.min(), count.max()] {
            if !(0.0..=max).contains(&end) || end.fract() != 0.0 {
                let message = format!("{} is {end}", super::last_key(path));
                let help = format!("write a whole number, 0 to {max}");
                return self.reject(path, &message, &help);
            }
        }
        Ok(())
    }

    fn within(&self, path: &str, value: u32, min: u32, max: u32) -> CheckResult {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        let message = format!("{} is {value}", super::last_key(path));
        self.reject(path, &message, &format!("write {min} to {max}"))
    }

    /// Checks that a passage is wide enough for the flood fill to find it for the robot.
    fn passable(&self, path: &str, what: &str, width: f64) -> CheckResult {
        let needed = 2.0 * self.spec.robot[0].passage_radius().max() + f64::from(PASSAGE_MARGIN);
        if width >= needed - 1e-6 {
            return Ok(());
        }
        let message = format!("{what} {width:.2} m wide");
        let help =
            format!("the robot needs {needed:.2} m: its own width and {PASSAGE_MARGIN} m more");
        self.reject(path, &message, &help)
    }
}
