//! What is read from a map file.

use crate::scenario::spec::ShapesSpec;

/// The contents of a map file, as a room with shapes.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMap {
    /// The lower left corner of the room, metres.
    pub origin_m: [f64; 2],
    /// Width and height of the room, metres.
    pub size_m: [f64; 2],
    /// The obstacles in the room.
    pub shapes: ShapesSpec,
}
