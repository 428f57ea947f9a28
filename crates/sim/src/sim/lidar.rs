//! Lidar and clearance, both from one pass over a [`Scene`]. Beams are constant in the robot's
//! frame, so the primitives are transformed to that frame. A primitive is tested only against the
//! groups of eight beams whose wedge its bounding circle overlaps.

// Every function here is inlined into its two callers, one of which may use AVX2. Conditions are
// evaluated for all lanes, because a branch would prevent vector instructions.
#![allow(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    clippy::needless_range_loop
)]

mod beams;
mod map;

use nalgebra::Point2;

use super::blocks::{BoxBlock, DiscBlock, F32x8, LANES};
use super::scene::{Polygon, Scene};

pub use beams::Beams;

/// Position and heading of a sensor or a robot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pose2 {
    /// Metres.
    pub x: f32,
    /// Metres.
    pub y: f32,
    /// Cosine of the heading.
    pub cos: f32,
    /// Sine of the heading.
    pub sin: f32,
}

/// Signed distances from a point or a footprint to the nearest of what it can touch, metres; negative
/// inside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Clearances {
    /// To the nearest wall or static obstacle.
    pub fixed: f32,
    /// To the nearest mover, and for a robot's footprint also to the nearest other robot;
    /// infinite without any.
    pub mover: f32,
}

/// The readings of one scan.
#[derive(Clone, Debug)]
pub struct ScanReadings {
    lanes: Vec<F32x8>,
    count: usize,
}

impl ScanReadings {
    /// Readings for one scan of these beams, all 0.
    pub fn new(beams: &Beams) -> Self {
        Self {
            lanes: vec![[0.0; LANES]; beams.x.len()],
            count: beams.count,
        }
    }

    /// Readings, metres, `[beams]`.
    pub fn readings(&self) -> &[f32] {
        &self.lanes.as_flattened()[..self.count]
    }
}

impl Scene {
    /// Casts all beams from `pose` into `out`, and measures the clearances of its position. A beam
    /// reads at most `range` metres, and 0 inside a shape or outside the arena.
    ///
    /// # Panics
    /// If `out` was made for fewer beams.
    pub fn sense(
        &self,
        beams: &Beams,
        pose: Pose2,
        range: f32,
        out: &mut ScanReadings,
    ) -> Clearances {
        assert!(
            out.lanes.len() >= beams.x.len(),
            "readings for {} beams",
            out.count
        );
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            #[allow(unsafe_code)]
            // SAFETY: the processor has AVX2, which is all that the function requires.
            return unsafe { sense_avx2(self, beams, pose, range, out) };
        }
        sense_generic(self, beams, pose, range, out)
    }
}

/// The same operations, without fused multiply-add, so that the results are bit-identical. Only
/// more lanes are processed at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sense_avx2(
    scene: &Scene,
    beams: &Beams,
    pose: Pose2,
    range: f32,
    out: &mut ScanReadings,
) -> Clearances {
    sense_generic(scene, beams, pose, range, out)
}

#[inline(always)]
fn sense_generic(
    scene: &Scene,
    beams: &Beams,
    pose: Pose2,
    range: f32,
    out: &mut ScanReadings,
) -> Clearances {
    let out = &mut out.lanes;
    let mut fixed = cast_walls(scene, beams, pose, range, out);
    let mut scan = Scan {
        beams,
        pose,
        range,
        out,
    };
    for block in &scene.discs {
        fixed = fixed.min(scan.discs(block));
    }
    for block in &scene.boxes {
        fixed = fixed.min(scan.boxes(block));
    }
    // Not part of the distances: the world measures the gaps between robots itself.
    let mut robot = f32::INFINITY;
    for (index, polygon) in scene.polygons.iter().enumerate() {
        let distance = scan.polygon(polygon);
        let nearest = if index < scene.static_polygons {
            &mut fixed
        } else {
            &mut robot
        };
        *nearest = nearest.min(distance);
    }
    let mut mover = f32::INFINITY;
    for (index, block) in scene.movers.iter().enumerate() {
        let distance = scan.discs(block);
        let nearest = if index < scene.mover_blocks {
            &mut mover
        } else {
            &mut robot
        };
        *nearest = nearest.min(distance);
    }
    if let Some(map_index) = &scene.map_index {
        fixed = scan.cast_map(map_index, fixed);
    }
    if fixed <= 0.0 || mover <= 0.0 || robot <= 0.0 {
        out.fill([0.0; LANES]);
    }
    Clearances { fixed, mover }
}

/// Casts the beams at the walls of the arena. Returns the signed distance to the nearest wall.
#[inline(always)]
fn cast_walls(scene: &Scene, beams: &Beams, pose: Pose2, range: f32, out: &mut [F32x8]) -> f32 {
    let (min, max) = (scene.arena.min, scene.arena.max);
    let (left, right) = (min.x - pose.x, max.x - pose.x);
    let (below, above) = (min.y - pose.y, max.y - pose.y);
    for ((out, bx), by) in out.iter_mut().zip(&beams.x).zip(&beams.y) {
        for i in 0..LANES {
            let dx = pose.cos * bx[i] - pose.sin * by[i];
            let dy = pose.sin * bx[i] + pose.cos * by[i];
            // A beam parallel to a wall gives infinities of both signs; the positive one is taken.
            let tx = larger(right / dx, left / dx);
            let ty = larger(above / dy, below / dy);
            out[i] = larger(smaller(smaller(tx, ty), range), 0.0);
        }
    }
    (-left).min(right).min(-below).min(above)
}

/// A scan in progress.
struct Scan<'a> {
    beams: &'a Beams,
    pose: Pose2,
    range: f32,
    out: &'a mut [F32x8],
}

impl Scan<'_> {
    /// Casts the beams at eight discs. Returns the signed distance to the nearest.
    #[inline(always)]
    fn discs(&mut self, block: &DiscBlock) -> f32 {
        let (lx, ly) = self.to_sensor(&block.x, &block.y);
        let mut distance = [0.0; LANES];
        for i in 0..LANES {
            distance[i] = (lx[i] * lx[i] + ly[i] * ly[i]).sqrt() - block.radius[i];
        }
        let mut near = lanes_below(&distance, self.range);
        while near != 0 {
            let k = near.trailing_zeros() as usize;
            near &= near - 1;
            let (x, y, radius) = (lx[k], ly[k], block.radius[k]);
            self.each_overlapping_group(x, y, radius, |bx, by, out| {
                cast_at_disc(x, y, radius, bx, by, out);
            });
        }
        smallest(&distance)
    }

    /// Casts the beams at eight boxes (slab method). Returns the signed distance to the nearest.
    #[inline(always)]
    fn boxes(&mut self, block: &BoxBlock) -> f32 {
        let (lx, ly) = self.to_sensor(&block.x, &block.y);
        let (cos, sin) = (self.pose.cos, self.pose.sin);
        // The axis of the box in the sensor's frame, and the sensor in the frame of the box.
        let (mut ax, mut ay) = ([0.0; LANES], [0.0; LANES]);
        let (mut ox, mut oy) = ([0.0; LANES], [0.0; LANES]);
        let mut distance = [0.0; LANES];
        for i in 0..LANES {
            ax[i] = block.axis_x[i] * cos + block.axis_y[i] * sin;
            ay[i] = block.axis_y[i] * cos - block.axis_x[i] * sin;
            let (dx, dy) = (self.pose.x - block.x[i], self.pose.y - block.y[i]);
            ox[i] = dx * block.axis_x[i] + dy * block.axis_y[i];
            oy[i] = dy * block.axis_x[i] - dx * block.axis_y[i];
            let (qx, qy) = (ox[i].abs() - block.half_x[i], oy[i].abs() - block.half_y[i]);
            let (px, py) = (larger(qx, 0.0), larger(qy, 0.0));
            distance[i] = (px * px + py * py).sqrt() + smaller(larger(qx, qy), 0.0);
        }
        let mut near = lanes_below(&distance, self.range);
        while near != 0 {
            let k = near.trailing_zeros() as usize;
            near &= near - 1;
            let (ax, ay) = (ax[k], ay[k]);
            let target = SensorFrameBox {
                ox: ox[k],
                oy: oy[k],
                hx: block.half_x[k],
                hy: block.half_y[k],
            };
            self.each_overlapping_group(lx[k], ly[k], block.bound[k], |bx, by, out| {
                target.cast(|i| inverse_in(ax, ay, bx[i], by[i]), out);
            });
        }
        smallest(&distance)
    }

    /// Casts the beams at a convex polygon (clipping by its half-planes). Returns its signed
    /// distance.
    #[inline(always)]
    fn polygon(&mut self, polygon: &Polygon) -> f32 {
        let Pose2 { x, y, cos, sin } = self.pose;
        let distance = polygon.obstacle.signed_distance(Point2::new(x, y));
        if distance >= self.range {
            return distance;
        }
        let to_sensor = |wx: f32, wy: f32| (wx * cos + wy * sin, wy * cos - wx * sin);
        let (cx, cy) = to_sensor(
            polygon.obstacle.position.x - x,
            polygon.obstacle.position.y - y,
        );
        self.each_overlapping_group(cx, cy, polygon.bound, |bx, by, out| {
            let mut enter = [f32::NEG_INFINITY; LANES];
            let mut leave = [f32::INFINITY; LANES];
            for (vertex, normal) in polygon.vertices.iter().zip(&polygon.normals) {
                let (nx, ny) = to_sensor(normal.x, normal.y);
                let depth = normal.x * (vertex.x - x) + normal.y * (vertex.y - y);
                for i in 0..LANES {
                    let speed = nx * bx[i] + ny * by[i];
                    let t = depth / speed;
                    let enters = speed < 0.0;
                    let leaves = speed > 0.0;
                    let outside = (speed == 0.0) & (depth < 0.0);
                    enter[i] = if enters {
                        larger(enter[i], t)
                    } else {
                        enter[i]
                    };
                    leave[i] = if leaves {
                        smaller(leave[i], t)
                    } else {
                        leave[i]
                    };
                    leave[i] = if outside { f32::NEG_INFINITY } else { leave[i] };
                }
            }
            for i in 0..LANES {
                let hit = (enter[i] <= leave[i]) & (enter[i] >= 0.0) & (enter[i] < out[i]);
                out[i] = if hit { enter[i] } else { out[i] };
            }
        });
        distance
    }

    /// Transforms points from the world frame to the sensor's frame.
    #[inline(always)]
    fn to_sensor(&self, x: &F32x8, y: &F32x8) -> (F32x8, F32x8) {
        let pose = self.pose;
        let (mut lx, mut ly) = ([0.0; LANES], [0.0; LANES]);
        for i in 0..LANES {
            let (dx, dy) = (x[i] - pose.x, y[i] - pose.y);
            lx[i] = dx * pose.cos + dy * pose.sin;
            ly[i] = dy * pose.cos - dx * pose.sin;
        }
        (lx, ly)
    }

    /// Calls `cast` for each group of beams that may hit a circle.
    #[inline(always)]
    fn each_overlapping_group(
        &mut self,
        x: f32,
        y: f32,
        radius: f32,
        mut cast: impl FnMut(&F32x8, &F32x8, &mut F32x8),
    ) {
        // `cast` is called in one place only, or the compiler would not inline it. So the loop is
        // over the sectors, or once over all blocks if there are no sectors.
        let beams = self.beams;
        for index in 0..beams.sectors.len().max(1) {
            let mut blocks = match beams.sectors.get(index) {
                Some(sectors) => sectors.overlapping(x, y, radius),
                None => (1 << beams.wedges.len()) - 1,
            };
            while blocks != 0 {
                let block = index * LANES + blocks.trailing_zeros() as usize;
                blocks &= blocks - 1;
                let mut groups = beams.wedges[block].overlapping(x, y, radius);
                while groups != 0 {
                    let group = block * LANES + groups.trailing_zeros() as usize;
                    groups &= groups - 1;
                    cast(&beams.x[group], &beams.y[group], &mut self.out[group]);
                }
            }
        }
    }
}

/// A box relative to the sensor.
#[derive(Clone, Copy)]
struct SensorFrameBox {
    /// The sensor's position in the frame of the box.
    ox: f32,
    oy: f32,
    /// Half extents.
    hx: f32,
    hy: f32,
}

impl SensorFrameBox {
    /// Shortens the beams that hit the box (slab method). `inverse` returns the reciprocals of a
    /// beam's direction in the frame of the box.
    #[inline(always)]
    fn cast(self, inverse: impl Fn(usize) -> [f32; 2], out: &mut F32x8) {
        let Self { ox, oy, hx, hy } = self;
        for i in 0..LANES {
            let [inv_x, inv_y] = inverse(i);
            let (x1, x2) = ((-hx - ox) * inv_x, (hx - ox) * inv_x);
            let (y1, y2) = ((-hy - oy) * inv_y, (hy - oy) * inv_y);
            let enter = larger(smaller(x1, x2), smaller(y1, y2));
            let leave = smaller(larger(x1, x2), larger(y1, y2));
            let hit = (enter <= leave) & (enter >= 0.0) & (enter < out[i]);
            out[i] = if hit { enter } else { out[i] };
        }
    }
}

/// Reciprocals of a beam's direction in the frame with axis (ax, ay).
#[inline(always)]
fn inverse_in(ax: f32, ay: f32, bx: f32, by: f32) -> [f32; 2] {
    [1.0 / (bx * ax + by * ay), 1.0 / (by * ax - bx * ay)]
}

/// Shortens the beams that hit a disc at (x, y) in the sensor's frame.
#[inline(always)]
fn cast_at_disc(x: f32, y: f32, radius: f32, bx: &F32x8, by: &F32x8, out: &mut F32x8) {
    let square = radius * radius;
    for i in 0..LANES {
        let along = bx[i] * x + by[i] * y;
        let across = bx[i] * y - by[i] * x;
        let chord = square - across * across;
        let t = along - larger(chord, 0.0).sqrt();
        let hit = (chord >= 0.0) & (t >= 0.0) & (t < out[i]);
        out[i] = if hit { t } else { out[i] };
    }
}

/// Bit mask of the lanes below a bound.
#[inline(always)]
fn lanes_below(lanes: &F32x8, bound: f32) -> u32 {
    let mut bits = 0;
    for (i, lane) in lanes.iter().enumerate() {
        bits |= u32::from(*lane < bound) << i;
    }
    bits
}

#[inline(always)]
fn smallest(lanes: &F32x8) -> f32 {
    let four: [f32; 4] = std::array::from_fn(|i| smaller(lanes[i], lanes[i + 4]));
    smaller(smaller(four[0], four[1]), smaller(four[2], four[3]))
}

/// The processor's minimum, which differs from `f32::min`: returns `b` if one of the two is NaN.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// The processor's maximum: returns `b` if one of the two is NaN.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
