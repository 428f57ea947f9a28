//! What of a map a sensor may see, by where it is and which way it looks.
//!
//! The room is cut into square cells, and all directions into sectors. Of a cell and a sector, the
//! shapes that some beam may meet first are few, and found once, when a sensor first looks from the
//! cell (see [`strips`](super::strips)): a beam is then tried at those alone. A shape is left out only
//! where others hide it from every point of the cell, or it is out of reach, so that each reading is
//! what it would be with all of them.

use std::f64::consts::SQRT_2;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nalgebra::{Point2, Vector2};

use super::strips::{MapStrips, SLACK};
use crate::scenario::{Map, Obstacle, Shape};
use crate::sim::scene::{BoxBlock, DiscBlock, F32x8, LANES};

/// Cells are no smaller than this, metres,
const MIN_CELL_SIDE_M: f64 = 0.25;
/// and no more than so many: their lists, some kilobytes each, are to fit into memory.
const MAX_CELLS: f64 = 16_384.0;
/// When the lists of a map take more than this, bytes, no more are made: who looks from a cell without
/// them tries all shapes.
const MAX_BYTES: usize = 512 << 20;
/// Whoever is about a map by no more than this is in a cell, too, metres.
const BORDER_M: f32 = 1.5;
/// Sectors of an eighth of all directions: of those between an axis and a diagonal.
const SECTORS_PER_OCTANT: usize = 8;
/// Sensors see as far as one of these, metres, or without end.
const RANGE_CLASSES: [f32; 4] = [6.0, 12.0, 30.0, f32::INFINITY];

/// What may be seen from where.
#[derive(Debug)]
pub(crate) struct VisibleSet {
    /// The lower left corner of the cells, metres, and their side.
    origin: [f64; 2],
    side: f64,
    /// Cells along x and y.
    count: [usize; 2],
    strips: MapStrips,
    /// By reach: by cell, rows along x.
    views: [OnceLock<Vec<OnceLock<Box<CellView>>>>; RANGE_CLASSES.len()],
    /// What they take, bytes.
    bytes: AtomicUsize,
    /// From anywhere.
    all_shapes: CellView,
}

/// What a sensor in one cell may see.
#[derive(Debug, Default)]
pub(crate) struct CellView {
    /// What may be nearest to it.
    pub(crate) nearest_boxes: Vec<BoxBlock>,
    pub(crate) nearest_discs: Vec<DiscBlock>,
    pub(crate) aligned_boxes: VisibleShapes<AlignedBoxBlock>,
    pub(crate) rotated_boxes: VisibleShapes<BoxBlock>,
    pub(crate) discs: VisibleShapes<DiscBlock>,
}

/// Shapes of one kind that may be seen from a cell.
#[derive(Debug)]
pub(crate) struct VisibleShapes<B> {
    pub(crate) blocks: Vec<B>,
    /// How near each block may be at least, metres.
    pub(crate) min_distance_m: Vec<f32>,
    /// `[8 · SECTORS_PER_OCTANT]`, as [`sectors_of`] counts them: what a beam may meet.
    pub(crate) sectors: Vec<SectorRange>,
}

/// The blocks that a beam may meet, nearest first; at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectorRange {
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// How near the second one may be at least, metres: infinite without one.
    pub(crate) min_distance_m: f32,
}

impl<B> Default for VisibleShapes<B> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            min_distance_m: Vec::new(),
            sectors: Vec::new(),
        }
    }
}

impl<B: Clone> VisibleShapes<B> {
    fn bytes(&self) -> usize {
        let blocks = size_of_val(&*self.blocks) + size_of_val(&*self.min_distance_m);
        blocks + size_of_val(&*self.sectors)
    }

    /// Forgets the sectors where nothing is in any of them.
    fn finish(&mut self) {
        if self
            .min_distance_m
            .iter()
            .all(|min_distance_m| min_distance_m.is_infinite())
        {
            *self = Self::default();
        }
    }

    /// Adds so many sectors in which the same shapes are seen, given nearest first by how near they
    /// are at least, and by how they are put into a block.
    fn push(
        &mut self,
        sectors: usize,
        empty: &B,
        shapes: &[(f32, &Obstacle)],
        put: impl Fn(&mut B, usize, &Obstacle),
    ) {
        let first = self.blocks.len() as u32;
        let (min_distance_m, shapes): (Vec<f32>, Vec<&Obstacle>) = shapes.iter().copied().unzip();
        self.blocks.extend(pack_blocks(&shapes, empty, put));
        self.min_distance_m
            .extend(min_distance_m.iter().step_by(LANES));
        if shapes.is_empty() {
            self.blocks.push(empty.clone());
            self.min_distance_m.push(f32::INFINITY);
        }
        let sector = SectorRange {
            first,
            end: self.blocks.len() as u32,
            min_distance_m: *self
                .min_distance_m
                .get(first as usize + 1)
                .unwrap_or(&f32::INFINITY),
        };
        self.sectors.extend(std::iter::repeat_n(sector, sectors));
    }
}

/// Eight boxes with sides along the axes, as beams meet them that go one way along each axis.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct AlignedBoxBlock {
    /// By axis: where the side is that beams enter by, metres, and the one that they leave by.
    pub(crate) enter: [F32x8; 2],
    pub(crate) leave: [F32x8; 2],
}

/// The sectors of directions, of which one over their parts is given, too.
#[allow(clippy::inline_always, reason = "its caller may use wider lanes")]
#[inline(always)]
pub(crate) fn sectors_of([x, y]: [&F32x8; 2], [inv_x, inv_y]: [&F32x8; 2]) -> [u32; LANES] {
    /// From here on numbers are whole, and their last bits a number.
    const WHOLE: f32 = 8_388_608.0;
    let mut sectors = [0; LANES];
    for i in 0..LANES {
        let is_along_x = x[i].abs() >= y[i].abs();
        let slope = if is_along_x {
            y[i] * inv_x[i]
        } else {
            x[i] * inv_y[i]
        };
        let within = slope.abs() * SECTORS_PER_OCTANT as f32 - 0.5;
        let within = if within > 0.0 { within } else { 0.0 };
        let most = SECTORS_PER_OCTANT as f32 - 1.0;
        let within = if within < most { within } else { most };
        let ways = (x[i].to_bits() >> 31) + 2 * (y[i].to_bits() >> 31);
        let octant = ways + if is_along_x { 0 } else { 4 };
        sectors[i] =
            octant * SECTORS_PER_OCTANT as u32 + ((within + WHOLE).to_bits() & 0x007f_ffff);
    }
    sectors
}

/// An eighth of all directions, as [`sectors_of`] counts them.
#[derive(Clone, Copy)]
struct Octant {
    /// The axis that is nearer.
    axis: usize,
    /// 1 where x and y go up, or -1.
    signs: [f32; 2],
}

impl Octant {
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|octant| Self {
            axis: octant / 4,
            signs: [1, 2].map(|bit| if octant & bit == 0 { 1.0 } else { -1.0 }),
        })
    }
}

impl VisibleSet {
    /// Of a map's shapes.
    pub(super) fn new(map: &Map) -> Self {
        let mut bounds = map.bounds();
        let about = Vector2::repeat(BORDER_M);
        (bounds.min, bounds.max) = (bounds.min - about, bounds.max + about);
        let size = bounds.size().map(f64::from);
        let side = (size.x * size.y / MAX_CELLS).sqrt().max(MIN_CELL_SIDE_M);
        let count = [size.x, size.y].map(|length| (length / side).ceil().max(1.0) as usize);
        let origin = [bounds.min.x, bounds.min.y].map(f64::from);
        let mut all_shapes = CellView::default();
        let all = map.obstacles().iter().zip(map.hidden());
        let all = all.filter(|(_, hidden)| !**hidden);
        let all: Vec<(f32, &Obstacle)> = all.map(|(obstacle, _)| (0.0, obstacle)).collect();
        for octant in Octant::all() {
            all_shapes.put(octant, SECTORS_PER_OCTANT, &all);
        }
        all_shapes.finish();
        all_shapes.put_nearest(map.obstacles().iter());
        Self {
            origin,
            side,
            count,
            strips: MapStrips::new(map, origin, side, count),
            views: std::array::from_fn(|_| OnceLock::new()),
            bytes: AtomicUsize::new(0),
            all_shapes,
        }
    }

    /// What may be seen from a point, as far as `range`, metres.
    #[inline]
    pub(crate) fn view(&self, map: &Map, x: f32, y: f32, range: f32) -> &CellView {
        let cell = [0, 1].map(|axis| (f64::from([x, y][axis]) - self.origin[axis]) / self.side);
        let is_in = (0..2).all(|axis| cell[axis] >= 0.0 && cell[axis] < self.count[axis] as f64);
        let reach = RANGE_CLASSES.iter().position(|&reach| range <= reach);
        let (true, Some(reach)) = (is_in, reach) else {
            return &self.all_shapes;
        };
        let [x, y] = cell.map(|place| place as usize);
        let cells = self.count[0] * self.count[1];
        let views = self.views[reach].get_or_init(|| (0..cells).map(|_| OnceLock::new()).collect());
        let slot = &views[y * self.count[0] + x];
        if let Some(view) = slot.get() {
            return view;
        }
        if self.bytes.load(Ordering::Relaxed) > MAX_BYTES {
            return &self.all_shapes;
        }
        slot.get_or_init(|| {
            let view = self.compute_view(map, [x, y], f64::from(RANGE_CLASSES[reach]));
            self.bytes.fetch_add(view.bytes(), Ordering::Relaxed);
            Box::new(view)
        })
    }

    /// Finds what may be seen from a cell.
    fn compute_view(&self, map: &Map, cell: [usize; 2], reach: f64) -> CellView {
        let [x, y] = self.strips.center(cell).map(|center| center as f32);
        let center = Point2::new(x, y);
        let across = (self.side * SQRT_2 + SLACK) as f32;
        let mut view = CellView::default();
        view.put_nearest(nearest(map, center, across).into_iter());
        for octant in Octant::all() {
            let (axis, signs) = (octant.axis, octant.signs.map(f64::from));
            let seen = (0..SECTORS_PER_OCTANT).map(|sector| {
                let slope =
                    |border: usize| signs[1 - axis] * border as f64 / SECTORS_PER_OCTANT as f64;
                let (a, b) = (slope(sector), slope(sector + 1));
                self.strips
                    .visible_shapes(cell, (axis, signs[axis]), [a.min(b), a.max(b)], reach)
            });
            for (shapes, sectors) in merge_sectors(seen) {
                let near = |shape: u32| {
                    let obstacle = &map.obstacles()[shape as usize];
                    (obstacle.signed_distance(center) - across / 2.0, obstacle)
                };
                let mut shapes: Vec<(f32, &Obstacle)> = shapes.into_iter().map(near).collect();
                shapes.sort_by(|a, b| a.0.total_cmp(&b.0));
                view.put(octant, sectors, &shapes);
            }
        }
        view.finish();
        view
    }
}

/// Shapes of one kind in blocks.
fn pack_blocks<B: Clone>(
    shapes: &[&Obstacle],
    empty: &B,
    put: impl Fn(&mut B, usize, &Obstacle),
) -> Vec<B> {
    let block = |shapes: &[&Obstacle]| {
        let mut block = empty.clone();
        for (lane, shape) in shapes.iter().enumerate() {
            put(&mut block, lane, shape);
        }
        block
    };
    shapes.chunks(LANES).map(block).collect()
}

/// The shapes that may be nearest to a point that is no farther than half of `across` from another,
/// metres.
fn nearest(map: &Map, center: Point2<f32>, across: f32) -> Vec<&Obstacle> {
    let mut reach = across;
    loop {
        let near = map.obstacles_near(center, reach + across);
        let near: Vec<(f32, &Obstacle)> = near.map(|of| (of.signed_distance(center), of)).collect();
        let nearest = near.iter().map(|of| of.0).fold(f32::INFINITY, f32::min);
        if nearest <= reach || near.len() == map.obstacles().len() {
            let may_be = near.into_iter().filter(|of| of.0 <= nearest + across);
            return may_be.map(|(_, obstacle)| obstacle).collect();
        }
        reach *= 2.0;
    }
}

/// Neighbouring sectors that can do with the same shapes, for they fill no more blocks together, and
/// how many they are.
fn merge_sectors(sectors: impl Iterator<Item = Vec<u32>>) -> Vec<(Vec<u32>, usize)> {
    let mut shared: Vec<(Vec<u32>, usize)> = Vec::new();
    let mut blocks = 0;
    for shapes in sectors {
        let of_these = shapes.len().div_ceil(LANES);
        if let Some((known, sectors)) = shared.last_mut() {
            let missing = shapes.iter().filter(|shape| !known.contains(shape));
            let missing: Vec<u32> = missing.copied().collect();
            let of_both = (known.len() + missing.len()).div_ceil(LANES);
            if of_both <= blocks.min(of_these) {
                known.extend(missing);
                *sectors += 1;
                continue;
            }
        }
        blocks = of_these;
        shared.push((shapes, 1));
    }
    shared
}

impl CellView {
    fn put_nearest<'a>(&mut self, shapes: impl Iterator<Item = &'a Obstacle>) {
        let is_disc = |obstacle: &&Obstacle| matches!(obstacle.shape, Shape::Disc { .. });
        let (discs, boxes): (Vec<&Obstacle>, Vec<&Obstacle>) = shapes.partition(is_disc);
        self.nearest_boxes = pack_blocks(&boxes, &BoxBlock::EMPTY, BoxBlock::put_obstacle);
        self.nearest_discs = pack_blocks(&discs, &DiscBlock::EMPTY, DiscBlock::put_obstacle);
    }

    /// What its lists take.
    fn bytes(&self) -> usize {
        let nearest = size_of_val(&*self.nearest_boxes) + size_of_val(&*self.nearest_discs);
        nearest + self.aligned_boxes.bytes() + self.rotated_boxes.bytes() + self.discs.bytes()
    }

    fn finish(&mut self) {
        self.aligned_boxes.finish();
        self.rotated_boxes.finish();
        self.discs.finish();
    }

    /// Adds so many sectors of an octant in which these shapes are seen, nearest first.
    fn put(&mut self, octant: Octant, sectors: usize, shapes: &[(f32, &Obstacle)]) {
        let is_disc = |obstacle: &Obstacle| matches!(obstacle.shape, Shape::Disc { .. });
        let is_upright = |obstacle: &Obstacle| obstacle.axis == Vector2::x();
        let pick = |kind: &dyn Fn(&Obstacle) -> bool| -> Vec<(f32, &Obstacle)> {
            shapes
                .iter()
                .copied()
                .filter(|(_, obstacle)| kind(obstacle))
                .collect()
        };
        let aligned_boxes = pick(&|of| !is_disc(of) && is_upright(of));
        self.aligned_boxes.push(
            sectors,
            &AlignedBoxBlock::EMPTY,
            &aligned_boxes,
            |block, lane, of| block.put(lane, of, octant.signs),
        );
        let rotated_boxes = pick(&|of| !is_disc(of) && !is_upright(of));
        self.rotated_boxes.push(
            sectors,
            &BoxBlock::EMPTY,
            &rotated_boxes,
            BoxBlock::put_obstacle,
        );
        let discs = pick(&is_disc);
        self.discs
            .push(sectors, &DiscBlock::EMPTY, &discs, DiscBlock::put_obstacle);
    }
}

impl AlignedBoxBlock {
    /// No beam enters before it leaves.
    const EMPTY: Self = Self {
        enter: [[f32::INFINITY; LANES]; 2],
        leave: [[f32::INFINITY; LANES]; 2],
    };

    /// Puts a box, for beams that go up or down along x and y by these signs.
    fn put(&mut self, lane: usize, obstacle: &Obstacle, signs: [f32; 2]) {
        if let Shape::Box { half_extents } = obstacle.shape {
            for axis in 0..2 {
                let (center, half) = (obstacle.position[axis], signs[axis] * half_extents[axis]);
                self.enter[axis][lane] = center - half;
                self.leave[axis][lane] = center + half;
            }
        }
    }
}
