//! Beams against the hundreds of shapes of a map: each at those alone that its cell and direction
//! leave, eight at a time. Distances are those of a room's shapes to the bit; readings of upright boxes,
//! whose sides are worked out beforehand, to the rounding of a side.

use super::{F32x8, LANES, Scan, SensorPose, inverse_in, lanes_below, larger, smaller, smallest};
use crate::sim::map_index::{AlignedBoxBlock, MapIndex, VisibleShapes, sectors_of};
use crate::sim::scene::{BoxBlock, DiscBlock};

impl Scan<'_> {
    /// Casts every beam at a map, and returns the signed distance to the nearest of it and of what
    /// is at `fixed`.
    #[inline(always)]
    pub(super) fn terrain(&mut self, map_index: &MapIndex, fixed: f32) -> f32 {
        let SensorPose { x, y, cos, sin } = self.pose;
        let view = map_index.view(x, y, self.range);
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

/// Eight beams.
struct BeamGroup<'a> {
    pose: SensorPose,
    x: &'a F32x8,
    y: &'a F32x8,
    inverse: [&'a F32x8; 2],
    sectors: &'a [u32; LANES],
}

/// One beam.
#[derive(Clone, Copy)]
struct Beam {
    pose: SensorPose,
    /// Its direction in the sensor's frame, and one over that in the world's.
    x: f32,
    y: f32,
    inverse: [f32; 2],
}

impl BeamGroup<'_> {
    /// Shortens the readings by what the beams meet.
    #[inline(always)]
    fn intersect<B: BeamTarget>(&self, seen: &VisibleShapes<B>, out: &mut F32x8) {
        if seen.blocks.is_empty() {
            return;
        }
        let beam = |i: usize| Beam {
            pose: self.pose,
            x: self.x[i],
            y: self.y[i],
            inverse: self.inverse.map(|inverse| inverse[i]),
        };
        // The nearest blocks first, of all beams: what comes next depends on nothing else.
        let (mut readings, mut next) = ([[0; LANES]; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let sector = &seen.sectors[self.sectors[i] as usize];
            next[i] = sector.min_distance_m;
            readings[i] = [out[i].to_bits(); LANES];
            seen.blocks[sector.first as usize].intersect(beam(i), &mut readings[i]);
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
            let sector = &seen.sectors[self.sectors[i] as usize];
            let mut readings = readings[i];
            let mut index = sector.first as usize + 1;
            loop {
                seen.blocks[index].intersect(beam(i), &mut readings);
                index += 1;
                if index == sector.end as usize || seen.min_distance_m[index] >= shortest(&readings)
                {
                    break;
                }
            }
            out[i] = shortest(&readings);
        }
    }
}

/// Eight shapes that a beam may meet.
trait BeamTarget {
    /// Shortens a reading each by how far they are ahead.
    fn intersect(&self, beam: Beam, readings: &mut ReadingBits);
}

impl BeamTarget for AlignedBoxBlock {
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

impl BeamTarget for BoxBlock {
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

impl BeamTarget for DiscBlock {
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

/// Eight readings as their bits: those of numbers from 0 on are ordered as the numbers are, and before
/// those of negative ones.
type ReadingBits = [u32; LANES];

/// Shortens a reading by what a beam meets so far ahead, if it does. What is behind it does not count.
#[inline(always)]
fn shorten(reading: &mut u32, ahead: f32, meets: bool) {
    let misses = if meets { 0 } else { u32::MAX };
    // With 0 added, -0 is 0, where the sensor is at the surface.
    *reading = (*reading).min((ahead + 0.0).to_bits() | misses);
}

#[inline(always)]
fn shortest(readings: &ReadingBits) -> f32 {
    f32::from_bits(
        readings
            .iter()
            .fold(u32::MAX, |least, bits| least.min(*bits)),
    )
}
