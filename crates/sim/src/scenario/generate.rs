//! Generators of obstacles, one kind per file. A generator adds obstacles to a layout. It does not test
//! whether a path exists: the sampler does, and draws another layout if there is none.

mod cells;
mod corridor;
mod draw;
mod maze;
mod rooms;
mod scatter;
mod walls;

use super::Layout;
use super::spec::GeneratorSpec;
use crate::seed::Rng;

pub(super) use cells::MAX_COLUMNS;

/// Adds the obstacles of a generator to a layout whose arena is set.
///
/// The generator's own parameters are drawn from `difficulty_rng`, which is the same in every try of
/// an episode; everything else is drawn from `rng`. A layout without a path is therefore replaced by
/// one of the same difficulty, not by an easier one. `width` is the width of the robot, metres.
pub(super) fn generate(
    generator: &GeneratorSpec,
    width: f32,
    layout: &mut Layout,
    difficulty_rng: &mut Rng,
    rng: &mut Rng,
) {
    let Layout {
        arena, obstacles, ..
    } = layout;
    match generator {
        GeneratorSpec::Discs(discs) => scatter::discs(discs, arena, obstacles, rng),
        GeneratorSpec::Boxes(boxes) => scatter::boxes(boxes, arena, obstacles, rng),
        GeneratorSpec::Cells(cells) => cells::grow(cells, width, obstacles, difficulty_rng, rng),
        GeneratorSpec::Maze(maze) => maze::build(maze, arena, obstacles, difficulty_rng, rng),
        GeneratorSpec::Rooms(rooms) => rooms::build(rooms, arena, obstacles, difficulty_rng, rng),
        GeneratorSpec::Corridor(corridor) => {
            corridor::build(corridor, arena, obstacles, difficulty_rng, rng);
        }
    }
}

#[cfg(test)]
mod tests;
