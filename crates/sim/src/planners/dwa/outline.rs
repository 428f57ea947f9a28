//! The robot's outline as the dynamic window takes it: discs that hold it.

use nalgebra::Vector2;

use super::arc::FootprintDisc;
use crate::scenario::spec::FootprintSpec;

/// Discs along a box.
const DISCS: u32 = 3;

/// Discs that hold a robot of this footprint with a margin, metres, around it; the largest where
/// the scenario draws its size. A box is held by three in a row along its longer side, which come
/// nearer to its flanks than one about all of it would; any other outline by the one.
pub(super) fn outline(footprint: &FootprintSpec, margin: f32) -> Vec<FootprintDisc> {
    let FootprintSpec::Box(spec) = footprint else {
        return vec![FootprintDisc {
            centre: Vector2::zeros(),
            radius: footprint.radius().max() as f32 + margin,
        }];
    };
    let most = |pair: &[crate::scenario::Quantity; 2]| {
        Vector2::new(pair[0].max() as f32, pair[1].max() as f32)
    };
    let half = most(&spec.half_extents_m);
    let middle = Vector2::new(
        f64::midpoint(spec.center_m[0].min(), spec.center_m[0].max()) as f32,
        f64::midpoint(spec.center_m[1].min(), spec.center_m[1].max()) as f32,
    );
    let (axis, long, short) = if half.x >= half.y {
        (Vector2::x(), half.x, half.y)
    } else {
        (Vector2::y(), half.y, half.x)
    };
    // Each disc holds a piece of the box, from flank to flank.
    let piece = long / DISCS as f32;
    (0..DISCS)
        .map(|index| FootprintDisc {
            centre: middle + axis * (piece * (2 * index + 1) as f32 - long),
            radius: piece.hypot(short) + margin,
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
        fn a_box_is_held_at_every_point_of_it(
            half in (0.05..1.0_f64, 0.05..1.0_f64),
            middle in (-0.5..0.5_f64, -0.5..0.5_f64),
            at in (-1.0..1.0_f32, -1.0..1.0_f32),
        ) {
            let pair = |(x, y)| [Quantity::Fixed(x), Quantity::Fixed(y)];
            let discs = outline(
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
