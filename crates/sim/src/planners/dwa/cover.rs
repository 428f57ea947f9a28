//! Covers a robot's footprint with discs for the dynamic window.

use nalgebra::Vector2;

use super::arc::FootprintDisc;
use crate::scenario::spec::FootprintSpec;

/// Discs of a box.
const DISCS: u32 = 3;

/// Discs that cover a footprint and a margin around it, metres. If the scenario samples the size,
/// they cover the largest. A box is covered by three discs in a row along its longer side, which
/// exceed its sides by less than a single disc; any other footprint by one disc.
pub(super) fn cover(footprint: &FootprintSpec, margin: f32) -> Vec<FootprintDisc> {
    let FootprintSpec::Box(spec) = footprint else {
        return vec![FootprintDisc {
            centre: Vector2::zeros(),
            radius: footprint.radius().max() as f32 + margin,
        }];
    };
    let max = |pair: &[crate::scenario::Quantity; 2]| {
        Vector2::new(pair[0].max() as f32, pair[1].max() as f32)
    };
    let half = max(&spec.half_extents_m);
    let middle = Vector2::new(
        f64::midpoint(spec.center_m[0].min(), spec.center_m[0].max()) as f32,
        f64::midpoint(spec.center_m[1].min(), spec.center_m[1].max()) as f32,
    );
    let (axis, long, short) = if half.x >= half.y {
        (Vector2::x(), half.x, half.y)
    } else {
        (Vector2::y(), half.y, half.x)
    };
    // Each disc covers a part of the box, over its whole width.
    let part = long / DISCS as f32;
    (0..DISCS)
        .map(|index| FootprintDisc {
            centre: middle + axis * (part * (2 * index + 1) as f32 - long),
            radius: part.hypot(short) + margin,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::Quantity;
    use crate::scenario::spec::BoxFootprintSpec;

    proptest! {
        #[test]
        fn every_point_of_a_box_is_covered(
            half in (0.05..1.0_f64, 0.05..1.0_f64),
            middle in (-0.5..0.5_f64, -0.5..0.5_f64),
            at in (-1.0..1.0_f32, -1.0..1.0_f32),
        ) {
            let pair = |(x, y)| [Quantity::Fixed(x), Quantity::Fixed(y)];
            let discs = cover(
                &FootprintSpec::Box(BoxFootprintSpec {
                    half_extents_m: pair(half),
                    center_m: pair(middle),
                }),
                1e-4,
            );
            let point = Vector2::new(
                middle.0 as f32 + at.0 * half.0 as f32,
                middle.1 as f32 + at.1 * half.1 as f32,
            );
            prop_assert!(discs.iter().any(|disc| (point - disc.centre).norm() <= disc.radius));
        }
    }
}
