//! Directions of a lidar's beams, and the wedges that tell which groups of beams a shape can meet.

use std::f32::consts::PI;

use super::lanes_below;
use crate::scenario::spec::{LidarSpec, is_full_circle};
use crate::sim::blocks::{F32x8, LANES};

/// Up to so many blocks of wedges are tested one by one, without sectors.
const MAX_BLOCKS_WITHOUT_SECTORS: usize = 3;

/// A circle that misses a wedge by less than this counts as overlapping, metres.
const WEDGE_TOLERANCE: f32 = 1e-4;

/// Directions of a lidar's beams in the robot's frame, in groups of eight neighbours.
#[derive(Clone, Debug)]
pub struct Beams {
    pub(super) count: usize,
    field_of_view_rad: f32,
    /// `[groups]`: cosines and sines. Lanes beyond `count` repeat the last beam.
    pub(super) x: Vec<F32x8>,
    pub(super) y: Vec<F32x8>,
    /// One wedge per group of beams.
    pub(super) wedges: Vec<WedgeBlock>,
    /// One wedge per block of `wedges`, to skip whole blocks. Empty if there are too few blocks for
    /// the extra test to pay.
    pub(super) sectors: Vec<WedgeBlock>,
}

/// Eight wedges with their apexes at the sensor.
#[derive(Clone, Debug)]
pub(super) struct WedgeBlock {
    /// Unit vector of the bisector.
    x: F32x8,
    y: F32x8,
    /// Sine and cosine of half the opening angle.
    sin: F32x8,
    cos: F32x8,
    /// Added to every distance: 0, or infinite if the lane has no group of beams.
    offset: F32x8,
}

impl WedgeBlock {
    /// Bit mask of the wedges that may overlap a circle.
    #[inline(always)]
    pub(super) fn overlapping(&self, x: f32, y: f32, radius: f32) -> u32 {
        // Distance from the centre of the circle to the nearer edge of each wedge.
        let mut distance = [0.0; LANES];
        for i in 0..LANES {
            let along = x * self.x[i] + y * self.y[i];
            let across = (x * self.y[i] - y * self.x[i]).abs();
            distance[i] = across * self.cos[i] - along * self.sin[i] + self.offset[i];
        }
        lanes_below(&distance, radius + WEDGE_TOLERANCE)
    }
}

impl Beams {
    /// `count` beams over `field_of_view_rad` radians, centred on the heading. The first beam of a
    /// full circle points straight ahead; that of a smaller field of view points along its
    /// clockwise edge, and the last along the other edge.
    ///
    /// # Panics
    /// If `count` is 0.
    pub fn new(count: usize, field_of_view_rad: f32) -> Self {
        assert!(count > 0, "a lidar has at least one beam");
        Self::build(count, field_of_view_rad, 0.0)
    }

    /// The beams of a lidar. All users of beam directions take them from here, or from the
    /// [`LidarSpec`] itself.
    pub fn of(lidar: &LidarSpec) -> Self {
        Self::new(lidar.beams as usize, lidar.field_of_view_rad())
    }

    /// Zero beams, with which [`Scene::sense`] measures distances only.
    pub(in crate::sim) fn none() -> Self {
        Self {
            count: 0,
            field_of_view_rad: 0.0,
            x: Vec::new(),
            y: Vec::new(),
            wedges: Vec::new(),
            sectors: Vec::new(),
        }
    }

    /// The same beams, in wedges that hold them when each is rotated by up to `slack_rad` radians.
    pub(in crate::sim) fn with_slack(&self, slack_rad: f32) -> Self {
        Self::build(self.count, self.field_of_view_rad, slack_rad)
    }

    /// Sets each beam to that of `from`, rotated by the angle whose cosine and sine `turn` returns.
    pub(in crate::sim) fn rotate_each(&mut self, from: &Self, mut turn: impl FnMut() -> [f32; 2]) {
        for beam in 0..self.count {
            let ([cos, sin], [x, y]) = (turn(), from.direction(beam));
            self.x[beam / LANES][beam % LANES] = x * cos - y * sin;
            self.y[beam / LANES][beam % LANES] = x * sin + y * cos;
        }
    }

    /// Bearing of the first beam, angle from one beam to the next, radians, and whether the beams
    /// cover a full circle.
    pub fn spacing(&self) -> (f32, f32, bool) {
        spacing(self.count, self.field_of_view_rad)
    }

    /// Beams in wedges that are wider by `slack_rad` radians on either side.
    fn build(count: usize, field_of_view_rad: f32, slack_rad: f32) -> Self {
        let (first, step, _) = spacing(count, field_of_view_rad);
        let angle = |beam: usize| first + step * beam.min(count - 1) as f32;
        let groups = count.div_ceil(LANES);
        let lanes = |f: fn(f32) -> f32| -> Vec<F32x8> {
            (0..groups)
                .map(|group| std::array::from_fn(|lane| f(angle(group * LANES + lane))))
                .collect()
        };
        let wedge = |first: usize, beams: usize| {
            let (low, high) = (angle(first), angle(first + beams - 1));
            let (middle, half) = (
                f32::midpoint(low, high),
                (high - low) / 2.0 + slack_rad + 1e-3,
            );
            if first >= groups * LANES {
                [0.0, 0.0, 0.0, 0.0, f32::INFINITY]
            } else if half > 1.5 {
                // Too wide for the test of the edges: overlaps everything.
                [0.0; 5]
            } else {
                [
                    libm::cosf(middle),
                    libm::sinf(middle),
                    libm::sinf(half),
                    libm::cosf(half),
                    0.0,
                ]
            }
        };
        let wedges_of = |beams: usize| -> Vec<WedgeBlock> {
            let block = |block: usize| {
                let wedges: [[f32; 5]; LANES] =
                    std::array::from_fn(|lane| wedge((block * LANES + lane) * beams, beams));
                let part = |k: usize| wedges.map(|wedge| wedge[k]);
                WedgeBlock {
                    x: part(0),
                    y: part(1),
                    sin: part(2),
                    cos: part(3),
                    offset: part(4),
                }
            };
            (0..(groups * LANES).div_ceil(beams * LANES))
                .map(block)
                .collect()
        };
        let wedges = wedges_of(LANES);
        let sectors = if wedges.len() > MAX_BLOCKS_WITHOUT_SECTORS {
            wedges_of(LANES * LANES)
        } else {
            Vec::new()
        };
        Self {
            count,
            field_of_view_rad,
            x: lanes(libm::cosf),
            y: lanes(libm::sinf),
            wedges,
            sectors,
        }
    }

    /// Number of beams.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Unit vector of a beam in the robot's frame.
    pub fn direction(&self, beam: usize) -> [f32; 2] {
        [
            self.x[beam / LANES][beam % LANES],
            self.y[beam / LANES][beam % LANES],
        ]
    }
}

fn spacing(count: usize, field_of_view_rad: f32) -> (f32, f32, bool) {
    match (is_full_circle(field_of_view_rad), count) {
        (true, _) => (0.0, 2.0 * PI / count as f32, true),
        (false, 1) => (0.0, 0.0, false),
        (false, _) => (
            -field_of_view_rad / 2.0,
            field_of_view_rad / (count - 1) as f32,
            false,
        ),
    }
}
