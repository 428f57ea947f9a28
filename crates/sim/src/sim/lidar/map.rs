//! Casts beams at the hundreds of shapes of a map: each beam only at the shapes that are visible
//! from its cell in its direction, eight at a time. Distances are bit-identical to those of the
//! same shapes as obstacles. Readings of aligned boxes, whose sides are precomputed, differ by the
//! rounding of a side.

use super::{F32x8, LANES, Pose2, Scan, inverse_in, lanes_below, larger, smaller, smallest};
use crate::sim::blocks::{BoxBlock, DiscBlock};
use crate::sim::map_index::{AlignedBoxBlock, MapIndex, ShapesBySector, sectors_of};

impl Scan<'_> {
    /// Casts the beams at a map. Returns the signed distance to its nearest shape, or `fixed` if
    /// that is less.
    #[inline(always)]
    pub(super) fn cast_map(&mut self, map_index: &MapIndex, fixed: f32) -> f32 {
        let Pose2 { x, y, cos, sin } = self.pose;
        let view = map_index.visible_set.view(&map_index.map, x, y, self.range);
        let mut nearest = [fixed; LANES];
        for block in &view.nearest_boxes {
            self.nearest_of_boxes(block, &mut nearest);
        }
        for block in &view.nearest_discs {
            self.nearest_of_discs(block, &mut nearest);
        }
        let beams = self.beams;
        for ((out, bx), by) in self.out.iter_mut().zip(&beams.x).zip(&beams.y) {
            let (mut dx, mut dy) = ([0.0; LANES], [0.0; LANES]);
            for i in 0..LANES {
                dx[i] = bx[i] * cos - by[i] * sin;
                dy[i] = by[i] * cos + bx[i] * sin;
            }
            let (mut inv_x, mut inv_y) = ([0.0; LANES], [0.0; LANES]);
            for i in 0..LANES {
                inv_x[i] = 1.0 / dx[i];
                inv_y[i] = 1.0 / dy[i];
            }
            let sectors = sectors_of([&dx, &dy], [&inv_x, &inv_y]);
            let beams = BeamGroup {
                pose: self.pose,
                x: bx,
                y: by,
                inverse: [&inv_x, &inv_y],
                sectors: &sectors,
            };
            beams.intersect(&view.aligned_boxes, out);
            beams.intersect(&view.rotated_boxes, out);
            beams.intersect(&view.discs, out);
        }
        smallest(&nearest)
    }

    #[inline(always)]
    fn nearest_of_boxes(&self, block: &BoxBlock, nearest: &mut F32x8) {
        for i in 0..LANES {
            let (dx, dy) = (self.pose.x - block.x[i], self.pose.y - block.y[i]);
            let ox = dx * block.axis_x[i] + dy * block.axis_y[i];
            let oy = dy * block.axis_x[i] - dx * block.axis_y[i];
            let (qx, qy) = (ox.abs() - block.half_x[i], oy.abs() - block.half_y[i]);
            let (px, py) = (larger(qx, 0.0), larger(qy, 0.0));
            let distance = (px * px + py * py).sqrt() + smaller(larger(qx, qy), 0.0);
            nearest[i] = smaller(distance, nearest[i]);
        }
    }

    #[inline(always)]
    fn nearest_of_discs(&self, block: &DiscBlock, nearest: &mut F32x8) {
        let (lx, ly) = self.to_sensor(&block.x, &block.y);
        for i in 0..LANES {
            let distance = (lx[i] * lx[i] + ly[i] * ly[i]).sqrt() - block.radius[i];
            nearest[i] = smaller(distance, nearest[i]);
        }
    }
}

/// Eight neighbouring beams of a scan, and the sectors that they are in.
struct BeamGroup<'a> {
    pose: Pose2,
    /// Directions in the sensor's frame.
    x: &'a F32x8,
    y: &'a F32x8,
    /// Reciprocals of the directions in the world frame.
    inverse: [&'a F32x8; 2],
    sectors: &'a [u32; LANES],
}

/// One of the beams of a [`BeamGroup`].
#[derive(Clone, Copy)]
struct Beam {
    pose: Pose2,
    /// Direction in the sensor's frame.
    x: f32,
    y: f32,
    /// Reciprocals of the direction in the world frame.
    inverse: [f32; 2],
}

impl BeamGroup<'_> {
    /// Shortens the readings of the beams that hit a shape.
    #[inline(always)]
    fn intersect<B: BeamTargetBlock>(&self, shapes: &ShapesBySector<B>, out: &mut F32x8) {
        if shapes.blocks.is_empty() {
            return;
        }
        let beam = |i: usize| Beam {
            pose: self.pose,
            x: self.x[i],
            y: self.y[i],
            inverse: self.inverse.map(|inverse| inverse[i]),
        };
        // First the nearest block of each beam, which needs no branches.
        let (mut readings, mut next) = ([[0; LANES]; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let sector = &shapes.sectors[self.sectors[i] as usize];
            next[i] = sector.min_distance_m;
            readings[i] = [out[i].to_bits(); LANES];
            shapes.blocks[sector.first as usize].intersect(beam(i), &mut readings[i]);
        }
        let mut nearer = [0.0; LANES];
        for i in 0..LANES {
            out[i] = shortest(&readings[i]);
            nearer[i] = next[i] - out[i];
        }
        let mut more = lanes_below(&nearer, 0.0);
        while more != 0 {
            let i = more.trailing_zeros() as usize;
            more &= more - 1;
            let sector = &shapes.sectors[self.sectors[i] as usize];
            let mut readings = readings[i];
            let mut index = sector.first as usize + 1;
            loop {
                shapes.blocks[index].intersect(beam(i), &mut readings);
                index += 1;
                if index == sector.end as usize
                    || shapes.min_distance_m[index] >= shortest(&readings)
                {
                    break;
                }
            }
            out[i] = shortest(&readings);
        }
    }
}

/// Eight shapes that a beam may hit.
trait BeamTargetBlock {
    /// Shortens each lane of `readings` to the distance of its shape, if the beam hits it.
    fn intersect(&self, beam: Beam, readings: &mut ReadingBits);
}

impl BeamTargetBlock for AlignedBoxBlock {
    #[inline(always)]
    fn intersect(&self, Beam { pose, inverse, .. }: Beam, readings: &mut ReadingBits) {
        for i in 0..LANES {
            let [x1, y1] = [self.enter[0][i] - pose.x, self.enter[1][i] - pose.y];
            let [x2, y2] = [self.leave[0][i] - pose.x, self.leave[1][i] - pose.y];
            let enter = larger(x1 * inverse[0], y1 * inverse[1]);
            let leave = smaller(x2 * inverse[0], y2 * inverse[1]);
            shorten(&mut readings[i], enter, enter <= leave);
        }
    }
}

impl BeamTargetBlock for BoxBlock {
    #[inline(always)]
    fn intersect(&self, Beam { pose, x, y, .. }: Beam, readings: &mut ReadingBits) {
        for i in 0..LANES {
            let (axis_x, axis_y) = (self.axis_x[i], self.axis_y[i]);
            let ax = axis_x * pose.cos + axis_y * pose.sin;
            let ay = axis_y * pose.cos - axis_x * pose.sin;
            let [inv_x, inv_y] = inverse_in(ax, ay, x, y);
            let (dx, dy) = (pose.x - self.x[i], pose.y - self.y[i]);
            let (ox, oy) = (dx * axis_x + dy * axis_y, dy * axis_x - dx * axis_y);
            let (hx, hy) = (self.half_x[i], self.half_y[i]);
            let (x1, x2) = ((-hx - ox) * inv_x, (hx - ox) * inv_x);
            let (y1, y2) = ((-hy - oy) * inv_y, (hy - oy) * inv_y);
            let enter = larger(smaller(x1, x2), smaller(y1, y2));
            let leave = smaller(larger(x1, x2), larger(y1, y2));
            shorten(&mut readings[i], enter, enter <= leave);
        }
    }
}

impl BeamTargetBlock for DiscBlock {
    #[inline(always)]
    fn intersect(&self, Beam { pose, x, y, .. }: Beam, readings: &mut ReadingBits) {
        for i in 0..LANES {
            let (dx, dy) = (self.x[i] - pose.x, self.y[i] - pose.y);
            let lx = dx * pose.cos + dy * pose.sin;
            let ly = dy * pose.cos - dx * pose.sin;
            let radius = self.radius[i];
            let along = x * lx + y * ly;
            let across = x * ly - y * lx;
            let chord = radius * radius - across * across;
            let t = along - larger(chord, 0.0).sqrt();
            shorten(&mut readings[i], t, chord >= 0.0);
        }
    }
}

/// Bits of eight readings. The bits of non-negative numbers are ordered as the numbers, and are
/// below the bits of negative numbers.
type ReadingBits = [u32; LANES];

/// Shortens a reading to `distance` if the beam hits. A negative distance, behind the sensor, has
/// no effect.
#[inline(always)]
fn shorten(reading: &mut u32, distance: f32, hits: bool) {
    let misses = if hits { 0 } else { u32::MAX };
    // Adding 0 turns -0, of a sensor on a surface, into 0.
    *reading = (*reading).min((distance + 0.0).to_bits() | misses);
}

#[inline(always)]
fn shortest(readings: &ReadingBits) -> f32 {
    f32::from_bits(
        readings
            .iter()
            .fold(u32::MAX, |smallest, bits| smallest.min(*bits)),
    )
}

#[cfg(test)]
mod tests;
