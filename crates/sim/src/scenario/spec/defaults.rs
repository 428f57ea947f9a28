//! Default values that several parts of the scenario file share.

use crate::scenario::Quantity;

/// The origin, metres.
pub(super) fn zero_point() -> [Quantity; 2] {
    [Quantity::Fixed(0.0); 2]
}

/// 0.
pub(super) fn zero() -> Quantity {
    Quantity::Fixed(0.0)
}

/// Any angle, radians.
pub(super) fn any_yaw() -> Quantity {
    Quantity::Range {
        uniform: [0.0, std::f64::consts::TAU],
    }
}
