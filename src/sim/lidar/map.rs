//! Beams against the hundreds of shapes of a map. Groups of eight neighbours are met nearest first,
//! and by those beams alone that may see them: what is hidden costs no more than a look at its
//! bounds. The arithmetic of a beam and a shape is that of a room's shapes, and so are the bits.

use nalgebra::Point2;

use super::{
    LANES, Lane, Scan, SensedBox, SensorPose, cast_at_disc, inverse_in, lanes_below, larger,
    largest, smaller, smallest,
};
use crate::sim::scene::BoxBlock;
use crate::sim::terrain::{Block, Groups, Rim, Terrain};

/// What is hidden, or farther than something else, by less than this is looked at all the same,
/// metres: no rounding can then tell a scan that leaves things out from one that does not.
const SLACK: f32 = 1e-3;

/// After as many groups it is asked anew how far the longest beam still sees.
const GROUPS_BETWEEN: usize = 4;

/// What a scan of a map works with.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Groups that may be seen, nearest first: the bits of the distance, then the index.
    order: Vec<u64>,
    /// `[groups of beams]`: one over the beams' directions in the world's frame.
    inverse: Vec<[Lane; 2]>,
}

impl Scan<'_> {
    /// Casts every beam at a map, and returns the signed distance to the nearest of it and of what
    /// is at `fixed`. Whatever is farther away than the longest reading is left out, unless it
    /// might be the nearest, so that the figures are those of looking at all.
    #[inline(always)]
    pub(super) fn terrain(
        &mut self,
        terrain: &Terrain,
        mut fixed: f32,
        Work { order, inverse }: &mut Work,
    ) -> f32 {
        self.invert(inverse);
        fixed = self.inside(&terrain.hidden, fixed);
        let terrain = &terrain.seen;
        let mut horizon = self.horizon();
        let bound = larger(horizon, fixed) + SLACK;
        order.clear();
        for (index, block) in terrain.bounds.iter().enumerate() {
            let distance = block.distances(self.pose.x, self.pose.y);
            let mut near = lanes_below(&distance, bound);
            while near != 0 {
                let k = near.trailing_zeros() as usize;
                near &= near - 1;
                let group = (index * LANES + k) as u64;
                order.push(u64::from(distance[k].to_bits()) << 32 | group);
            }
        }
        order.sort_unstable();
        for (count, &entry) in order.iter().enumerate() {
            let (distance, group) = (f32::from_bits((entry >> 32) as u32), entry as u32 as usize);
            if count % GROUPS_BETWEEN == GROUPS_BETWEEN - 1 {
                horizon = self.horizon();
            }
            if distance >= larger(horizon, fixed) + SLACK {
                break;
            }
            let (rim, might_be_nearest) =
                (&terrain.rims[group], distance < larger(fixed, 0.0) + SLACK);
            match terrain.block(group) {
                Block::Boxes(block) => {
                    if might_be_nearest {
                        fixed = fixed.min(self.distance_to_boxes(block));
                    }
                    self.boxes_of_map(block, rim, inverse);
                }
                Block::Discs(block) => {
                    let (lx, ly) = self.to_sensor(&block.x, &block.y);
                    if might_be_nearest {
                        let mut distance = [0.0; LANES];
                        for i in 0..LANES {
                            let center = (lx[i] * lx[i] + ly[i] * ly[i]).sqrt();
                            distance[i] = center - block.radius[i];
                        }
                        fixed = fixed.min(smallest(&distance));
                    }
                    let circles = [lx, ly, block.radius];
                    self.each_seen(rim, inverse, &circles, |k, bx, by, _, out| {
                        cast_at_disc(lx[k], ly[k], block.radius[k], bx, by, out);
                    });
                }
            }
        }
        fixed
    }

    /// The signed distance to the nearest of what is at `fixed` and of those boxes that the sensor is
    /// within.
    #[inline(always)]
    fn inside(&self, groups: &Groups, mut fixed: f32) -> f32 {
        for block in groups.groups_near(Point2::new(self.pose.x, self.pose.y), SLACK) {
            if let Block::Boxes(block) = block {
                fixed = fixed.min(self.distance_to_boxes(block));
            }
        }
        fixed
    }

    /// One over the beams' directions in the world's frame.
    #[inline(always)]
    fn invert(&self, inverse: &mut Vec<[Lane; 2]>) {
        let (cos, sin) = (self.pose.cos, self.pose.sin);
        inverse.clear();
        for (bx, by) in self.beams.x.iter().zip(&self.beams.y) {
            let mut of = [[0.0; LANES]; 2];
            for i in 0..LANES {
                // As for an upright box.
                [of[0][i], of[1][i]] = inverse_in(cos, -sin, bx[i], by[i]);
            }
            inverse.push(of);
        }
    }

    /// The longest reading.
    #[inline(always)]
    fn horizon(&self) -> f32 {
        let mut longest = [f32::NEG_INFINITY; LANES];
        for out in self.out.iter() {
            for i in 0..LANES {
                longest[i] = larger(longest[i], out[i]);
            }
        }
        largest(&longest)
    }

    #[inline(always)]
    fn distance_to_boxes(&self, block: &BoxBlock) -> f32 {
        let mut distance = [0.0; LANES];
        for i in 0..LANES {
            let (dx, dy) = (self.pose.x - block.x[i], self.pose.y - block.y[i]);
            let ox = dx * block.axis_x[i] + dy * block.axis_y[i];
            let oy = dy * block.axis_x[i] - dx * block.axis_y[i];
            let (qx, qy) = (ox.abs() - block.half_x[i], oy.abs() - block.half_y[i]);
            let (px, py) = (larger(qx, 0.0), larger(qy, 0.0));
            distance[i] = (px * px + py * py).sqrt() + smaller(larger(qx, qy), 0.0);
        }
        smallest(&distance)
    }

    #[inline(always)]
    fn boxes_of_map(&mut self, block: &BoxBlock, rim: &Rim, inverse: &[[Lane; 2]]) {
        let (lx, ly) = self.to_sensor(&block.x, &block.y);
        let circles = [lx, ly, block.bound];
        let SensorPose { x, y, cos, sin } = self.pose;
        if rim.is_upright {
            self.each_seen(rim, inverse, &circles, |k, _, _, [inv_x, inv_y], out| {
                let of = SensedBox {
                    ox: x - block.x[k],
                    oy: y - block.y[k],
                    hx: block.half_x[k],
                    hy: block.half_y[k],
                };
                of.cast(|i| [inv_x[i], inv_y[i]], out);
            });
        } else {
            self.each_seen(rim, inverse, &circles, |k, bx, by, _, out| {
                let (axis_x, axis_y) = (block.axis_x[k], block.axis_y[k]);
                let (ax, ay) = (axis_x * cos + axis_y * sin, axis_y * cos - axis_x * sin);
                let (dx, dy) = (x - block.x[k], y - block.y[k]);
                let of = SensedBox {
                    ox: dx * axis_x + dy * axis_y,
                    oy: dy * axis_x - dx * axis_y,
                    hx: block.half_x[k],
                    hy: block.half_y[k],
                };
                of.cast(|i| inverse_in(ax, ay, bx[i], by[i]), out);
            });
        }
    }

    /// Calls `cast` with each shape of a group and the groups of beams that may see it: those that
    /// meet the bounds of the shapes before anything nearer, and touch the shape's own circle.
    #[inline(always)]
    fn each_seen(
        &mut self,
        rim: &Rim,
        inverse: &[[Lane; 2]],
        [lx, ly, radius]: &[Lane; 3],
        cast: impl Fn(usize, &Lane, &Lane, &[Lane; 2], &mut Lane),
    ) {
        let (cos, sin) = (self.pose.cos, self.pose.sin);
        let (dx, dy) = (rim.center[0] - self.pose.x, rim.center[1] - self.pose.y);
        // The bounds are upright in the world, and turned as seen from the sensor.
        let (x, y) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let [half_x, half_y] = rim.half.map(|half| half + SLACK);
        for (block, wedges) in self.beams.wedges.iter().enumerate() {
            let mut touched = wedges.touched(x, y, rim.radius + SLACK);
            while touched != 0 {
                let lane = touched.trailing_zeros() as usize;
                touched &= touched - 1;
                let group = block * LANES + lane;
                let out = &mut self.out[group];
                let [inv_x, inv_y] = &inverse[group];
                let mut beyond = [0.0; LANES];
                for i in 0..LANES {
                    let (x1, x2) = ((dx - half_x) * inv_x[i], (dx + half_x) * inv_x[i]);
                    let (y1, y2) = ((dy - half_y) * inv_y[i], (dy + half_y) * inv_y[i]);
                    let enter = larger(smaller(x1, x2), smaller(y1, y2));
                    let leave = smaller(larger(x1, x2), larger(y1, y2));
                    // Positive where the bounds are missed, behind, or hidden.
                    beyond[i] = larger(larger(enter - leave, -leave), enter - out[i]);
                }
                if lanes_below(&beyond, SLACK) == 0 {
                    continue;
                }
                let mut seen = wedges.touched_by(lane, lx, ly, radius);
                while seen != 0 {
                    let k = seen.trailing_zeros() as usize;
                    seen &= seen - 1;
                    let (bx, by) = (&self.beams.x[group], &self.beams.y[group]);
                    cast(k, bx, by, &inverse[group], out);
                }
            }
        }
    }
}
