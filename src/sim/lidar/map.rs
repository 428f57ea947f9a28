//! Beams against the hundreds of shapes of a map. Groups of eight neighbours are met nearest first
//! and by those beams alone that may see them, each beam against the eight at once: turned round
//! from how `lidar` casts, where few large shapes are met by many beams. The arithmetic of a beam
//! and a shape is the same, and so are the bits.

use super::{LANES, Lane, Scan, lanes_below, larger, largest, smaller, smallest};
use crate::sim::scene::{BoxBlock, DiscBlock};
use crate::sim::terrain::{Rim, Terrain};

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

/// Eight boxes in the sensor's frame.
struct SensedBoxes<'a> {
    block: &'a BoxBlock,
    /// The boxes' axes.
    ax: Lane,
    ay: Lane,
    /// The sensor in the boxes' own frames.
    ox: Lane,
    oy: Lane,
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
        let mut horizon = self.horizon();
        let bound = larger(horizon, fixed) + SLACK;
        order.clear();
        for (index, block) in terrain.bounds.iter().enumerate() {
            let mut distance = [0.0; LANES];
            for i in 0..LANES {
                let (left, right) = (block.min_x[i] - self.pose.x, self.pose.x - block.max_x[i]);
                let (below, above) = (block.min_y[i] - self.pose.y, self.pose.y - block.max_y[i]);
                let (x, y) = (
                    larger(larger(left, right), 0.0),
                    larger(larger(below, above), 0.0),
                );
                distance[i] = (x * x + y * y).sqrt();
            }
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
            if let Some(block) = terrain.boxes.get(group) {
                if might_be_nearest {
                    fixed = fixed.min(self.distance_to_boxes(block));
                }
                let sensed = self.sensed(block);
                if rim.is_upright {
                    self.each_seeing_beam(rim, inverse, |_, inverse| {
                        boxes_at(&sensed, |_| inverse)
                    });
                } else {
                    self.each_seeing_beam(rim, inverse, |[bx, by], _| {
                        boxes_at(&sensed, |i| {
                            let (ax, ay) = (sensed.ax[i], sensed.ay[i]);
                            [1.0 / (bx * ax + by * ay), 1.0 / (by * ax - bx * ay)]
                        })
                    });
                }
            } else {
                let block = &terrain.discs[group - terrain.boxes.len()];
                let (lx, ly) = self.to_sensor(&block.x, &block.y);
                if might_be_nearest {
                    let mut distance = [0.0; LANES];
                    for i in 0..LANES {
                        let center = (lx[i] * lx[i] + ly[i] * ly[i]).sqrt();
                        distance[i] = center - block.radius[i];
                    }
                    fixed = fixed.min(smallest(&distance));
                }
                self.each_seeing_beam(rim, inverse, |beam, _| discs_at(block, &lx, &ly, beam));
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
                // As for an upright box, whose axis is (cos, -sin) seen from the sensor.
                of[0][i] = 1.0 / (bx[i] * cos + by[i] * -sin);
                of[1][i] = 1.0 / (by[i] * cos - bx[i] * -sin);
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
    fn sensed<'a>(&self, block: &'a BoxBlock) -> SensedBoxes<'a> {
        let (cos, sin) = (self.pose.cos, self.pose.sin);
        let mut sensed = SensedBoxes {
            block,
            ax: [0.0; LANES],
            ay: [0.0; LANES],
            ox: [0.0; LANES],
            oy: [0.0; LANES],
        };
        for i in 0..LANES {
            sensed.ax[i] = block.axis_x[i] * cos + block.axis_y[i] * sin;
            sensed.ay[i] = block.axis_y[i] * cos - block.axis_x[i] * sin;
            let (dx, dy) = (self.pose.x - block.x[i], self.pose.y - block.y[i]);
            sensed.ox[i] = dx * block.axis_x[i] + dy * block.axis_y[i];
            sensed.oy[i] = dy * block.axis_x[i] - dx * block.axis_y[i];
        }
        sensed
    }

    /// Shortens to `cast(direction, inverse)` each beam that meets a group's bounds before anything
    /// nearer.
    #[inline(always)]
    fn each_seeing_beam(
        &mut self,
        rim: &Rim,
        inverse: &[[Lane; 2]],
        cast: impl Fn([f32; 2], [f32; 2]) -> f32,
    ) {
        let (cos, sin) = (self.pose.cos, self.pose.sin);
        let (dx, dy) = (rim.center[0] - self.pose.x, rim.center[1] - self.pose.y);
        // The bounds are upright in the world, and turned as seen from the sensor.
        let (x, y) = (dx * cos + dy * sin, dy * cos - dx * sin);
        let [half_x, half_y] = rim.half.map(|half| half + SLACK);
        for (block, wedges) in self.beams.wedges.iter().enumerate() {
            let mut touched = wedges.touched(x, y, rim.radius + SLACK);
            while touched != 0 {
                let group = block * LANES + touched.trailing_zeros() as usize;
                touched &= touched - 1;
                let (bx, by) = (&self.beams.x[group], &self.beams.y[group]);
                let [inv_x, inv_y] = &inverse[group];
                let out = &mut self.out[group];
                let mut beyond = [0.0; LANES];
                for i in 0..LANES {
                    let (x1, x2) = ((dx - half_x) * inv_x[i], (dx + half_x) * inv_x[i]);
                    let (y1, y2) = ((dy - half_y) * inv_y[i], (dy + half_y) * inv_y[i]);
                    let enter = larger(smaller(x1, x2), smaller(y1, y2));
                    let leave = smaller(larger(x1, x2), larger(y1, y2));
                    // Positive where the bounds are missed, behind, or hidden.
                    beyond[i] = larger(larger(enter - leave, -leave), enter - out[i]);
                }
                let mut seeing = lanes_below(&beyond, SLACK);
                while seeing != 0 {
                    let k = seeing.trailing_zeros() as usize;
                    seeing &= seeing - 1;
                    out[k] = smaller(cast([bx[k], by[k]], [inv_x[k], inv_y[k]]), out[k]);
                }
            }
        }
    }
}

/// Where a beam meets the first of eight boxes (the slab method); infinity where none. `inverse`
/// says one over the beam's direction in the frame of a box.
#[inline(always)]
fn boxes_at(boxes: &SensedBoxes, inverse: impl Fn(usize) -> [f32; 2]) -> f32 {
    let SensedBoxes { block, ox, oy, .. } = boxes;
    let mut met = [0.0; LANES];
    for i in 0..LANES {
        let (hx, hy) = (block.half_x[i], block.half_y[i]);
        let [inv_x, inv_y] = inverse(i);
        let (x1, x2) = ((-hx - ox[i]) * inv_x, (hx - ox[i]) * inv_x);
        let (y1, y2) = ((-hy - oy[i]) * inv_y, (hy - oy[i]) * inv_y);
        let enter = larger(smaller(x1, x2), smaller(y1, y2));
        let leave = smaller(larger(x1, x2), larger(y1, y2));
        let hit = (enter <= leave) & (enter >= 0.0);
        met[i] = if hit { enter } else { f32::INFINITY };
    }
    smallest(&met)
}

/// Where a beam meets the first of eight discs, which are at (lx, ly) in the sensor's frame.
#[inline(always)]
fn discs_at(discs: &DiscBlock, lx: &Lane, ly: &Lane, [bx, by]: [f32; 2]) -> f32 {
    let mut met = [0.0; LANES];
    for i in 0..LANES {
        let square = discs.radius[i] * discs.radius[i];
        let along = bx * lx[i] + by * ly[i];
        let across = bx * ly[i] - by * lx[i];
        let chord = square - across * across;
        let t = along - larger(chord, 0.0).sqrt();
        let hit = (chord >= 0.0) & (t >= 0.0);
        met[i] = if hit { t } else { f32::INFINITY };
    }
    smallest(&met)
}
