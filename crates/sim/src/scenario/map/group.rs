//! The groups of neighbouring shapes that a map is made of.

use std::ops::Range;

use crate::scenario::geometry::Rect;

/// Shapes in a group: the number that the lidar casts at once.
pub(crate) const GROUP_SIZE: usize = 8;

/// Neighbouring shapes of one kind: boxes or discs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShapeGroup {
    /// The smallest upright rectangle around all members.
    pub(crate) bounds: Rect,
    /// Indices of the obstacles, at most [`GROUP_SIZE`].
    pub(crate) members: Range<usize>,
}
