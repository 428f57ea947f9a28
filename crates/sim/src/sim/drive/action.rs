//! Actions, and what their entries mean to all drives.

/// Length of the longest action of any drive.
pub const MAX_ACTIONS: usize = 3;

/// An action, each entry in [-1, 1]. Entries that the drive does not have are ignored.
pub type Action = [f32; MAX_ACTIONS];

/// The speed that an entry of an action commands, metres per second: -1 is full reverse, which is 0
/// for a drive that cannot reverse.
#[inline]
pub(super) fn speed_command(entry: f32, max_speed: f32, max_reverse_speed: f32) -> f32 {
    let span = max_speed + max_reverse_speed;
    0.5 * (entry + 1.0) * span - max_reverse_speed
}
