//! The shapes of a map that a sensor may see, by its position and direction.
//!
//! The map is divided into square cells, and the directions into sectors. For a cell and a sector
//! only a few shapes can be the first that a beam hits. They are found when a sensor first looks
//! from the cell (see [`strips`](super::strips)), and beams are then tested against them alone. A
//! shape is left out only if others hide it from every point of the cell, or if it is out of range,
//! so each reading is the same as with all shapes.

use std::f64::consts::SQRT_2;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use nalgebra::{Point2, Vector2};

use super::strips::{MapStrips, SLACK};
use crate::scenario::{Map, Obstacle, Shape};
use crate::sim::blocks::{BoxBlock, DiscBlock, F32x8, LANES};

/// Smallest side of a cell, metres.
const MIN_CELL_SIDE_M: f64 = 0.25;
/// Largest number of cells. Their lists take some kilobytes each.
const MAX_CELLS: f64 = 16_384.0;
/// Once the lists of a map take more than this many bytes, no more are built, and sensors in the
/// remaining cells test all shapes.
const MAX_BYTES: usize = 512 << 20;
/// The cells extend beyond the map by this much, metres.
const BORDER_M: f32 = 1.5;
/// Sectors per octant, which is the set of directions between an axis and a diagonal.
const SECTORS_PER_OCTANT: usize = 8;
/// Ranges for which lists are built, metres. A sensor uses the first that is not below its range.
const RANGE_CLASSES: [f32; 4] = [6.0, 12.0, 30.0, f32::INFINITY];

/// The visible shapes of a map, by cell and direction.
#[derive(Debug)]
pub(crate) struct VisibleSet {
    /// Lower left corner of the cells, and their side, metres.
    origin: [f64; 2],
    side: f64,
    /// Number of cells along x and y.
    count: [usize; 2],
    strips: MapStrips,
    /// `[range classes][cells]`, cells row by row, each built when it is first used.
    views: [OnceLock<Vec<OnceLock<Box<CellView>>>>; RANGE_CLASSES.len()],
    /// Memory of `views`, bytes.
    bytes: AtomicUsize,
    /// All shapes, for sensors outside the cells.
    all_shapes: CellView,
}

/// The shapes that matter to a sensor in one cell.
#[derive(Debug, Default)]
pub(crate) struct CellView {
    /// Shapes that may be the nearest one.
    pub(crate) nearest_boxes: Vec<BoxBlock>,
    pub(crate) nearest_discs: Vec<DiscBlock>,
    pub(crate) aligned_boxes: ShapesBySector<AlignedBoxBlock>,
    pub(crate) rotated_boxes: ShapesBySector<BoxBlock>,
    pub(crate) discs: ShapesBySector<DiscBlock>,
}

/// The shapes of one kind that are visible from a cell, in blocks, and the blocks of each sector.
#[derive(Debug)]
pub(crate) struct ShapesBySector<B> {
    pub(crate) blocks: Vec<B>,
    /// `[blocks]`: lower bounds of the distances from the cell, metres.
    pub(crate) min_distance_m: Vec<f32>,
    /// `[8 · SECTORS_PER_OCTANT]`, as [`sectors_of`] numbers them: the blocks that a beam in it may hit.
    pub(crate) sectors: Vec<SectorBlocks>,
}

/// The range of blocks that a beam in a sector may hit, nearest first; at least one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectorBlocks {
    pub(crate) first: u32,
    pub(crate) end: u32,
    /// Lower bound of the distance of the second block, metres; infinite without one.
    pub(crate) min_distance_m: f32,
}

impl<B> Default for ShapesBySector<B> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            min_distance_m: Vec::new(),
            sectors: Vec::new(),
        }
    }
}

impl<B: Clone> ShapesBySector<B> {
    /// Memory of the lists, bytes.
    fn bytes(&self) -> usize {
        let blocks = size_of_val(&*self.blocks) + size_of_val(&*self.min_distance_m);
        blocks + size_of_val(&*self.sectors)
    }

    /// Drops the sectors if all are empty.
    fn finish(&mut self) {
        if self
            .min_distance_m
            .iter()
            .all(|min_distance_m| min_distance_m.is_infinite())
        {
            *self = Self::default();
        }
    }

    /// Adds `sectors` sectors in which `shapes` are visible, nearest first, each with a lower bound
    /// of its distance. `put` puts a shape into a lane of a block.
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
        let sector = SectorBlocks {
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

/// Eight axis-aligned boxes, for beams of one quadrant of directions.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct AlignedBoxBlock {
    /// By axis: coordinate of the side where beams enter, metres.
    pub(crate) enter: [F32x8; 2],
    /// By axis: coordinate of the side where beams leave, metres.
    pub(crate) leave: [F32x8; 2],
}

/// The sectors of eight directions (x, y), of which the reciprocals are given too.
#[allow(clippy::inline_always, reason = "its caller may use wider lanes")]
#[inline(always)]
pub(crate) fn sectors_of([x, y]: [&F32x8; 2], [inv_x, inv_y]: [&F32x8; 2]) -> [u32; LANES] {
    /// 2²³: a number plus this is rounded to an integer, which is in the low bits of the sum.
    const TWO_POW_23: f32 = 8_388_608.0;
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
        let max = SECTORS_PER_OCTANT as f32 - 1.0;
        let within = if within < max { within } else { max };
        let signs = (x[i].to_bits() >> 31) + 2 * (y[i].to_bits() >> 31);
        let octant = signs + if is_along_x { 0 } else { 4 };
        sectors[i] =
            octant * SECTORS_PER_OCTANT as u32 + ((within + TWO_POW_23).to_bits() & 0x007f_ffff);
    }
    sectors
}

/// An eighth of all directions, as [`sectors_of`] numbers them.
#[derive(Clone, Copy)]
struct Octant {
    /// Index of the nearer axis.
    axis: usize,
    /// Signs of x and y, 1 or -1.
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
    /// A set whose lists are built when they are first used.
    pub(super) fn new(map: &Map) -> Self {
        let mut bounds = map.bounds();
        let border = Vector2::repeat(BORDER_M);
        (bounds.min, bounds.max) = (bounds.min - border, bounds.max + border);
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

    /// The shapes that are visible from a point up to `range` metres. `map` must be the map of
    /// [`Self::new`].
    #[inline]
    pub(crate) fn view(&self, map: &Map, x: f32, y: f32, range: f32) -> &CellView {
        let cell = [0, 1].map(|axis| (f64::from([x, y][axis]) - self.origin[axis]) / self.side);
        let is_in = (0..2).all(|axis| cell[axis] >= 0.0 && cell[axis] < self.count[axis] as f64);
        let class = RANGE_CLASSES.iter().position(|&class| range <= class);
        let (true, Some(class)) = (is_in, class) else {
            return &self.all_shapes;
        };
        let [x, y] = cell.map(|index| index as usize);
        let cells = self.count[0] * self.count[1];
        let views = self.views[class].get_or_init(|| (0..cells).map(|_| OnceLock::new()).collect());
        let slot = &views[y * self.count[0] + x];
        if let Some(view) = slot.get() {
            return view;
        }
        if self.bytes.load(Ordering::Relaxed) > MAX_BYTES {
            return &self.all_shapes;
        }
        slot.get_or_init(|| {
            let view = self.compute_view(map, [x, y], f64::from(RANGE_CLASSES[class]));
            self.bytes.fetch_add(view.bytes(), Ordering::Relaxed);
            Box::new(view)
        })
    }

    /// Finds the shapes that are visible from a cell up to `range` metres.
    fn compute_view(&self, map: &Map, cell: [usize; 2], range: f64) -> CellView {
        let [x, y] = self.strips.center(cell).map(|center| center as f32);
        let center = Point2::new(x, y);
        let diagonal = (self.side * SQRT_2 + SLACK) as f32;
        let mut view = CellView::default();
        view.put_nearest(nearest(map, center, diagonal).into_iter());
        for octant in Octant::all() {
            let (axis, signs) = (octant.axis, octant.signs.map(f64::from));
            let visible = (0..SECTORS_PER_OCTANT).map(|sector| {
                let slope =
                    |border: usize| signs[1 - axis] * border as f64 / SECTORS_PER_OCTANT as f64;
                let (a, b) = (slope(sector), slope(sector + 1));
                self.strips
                    .visible_shapes(cell, (axis, signs[axis]), [a.min(b), a.max(b)], range)
            });
            for (shapes, sectors) in merge_sectors(visible) {
                let with_bound = |shape: u32| {
                    let obstacle = &map.obstacles()[shape as usize];
                    (obstacle.signed_distance(center) - diagonal / 2.0, obstacle)
                };
                let mut shapes: Vec<(f32, &Obstacle)> =
                    shapes.into_iter().map(with_bound).collect();
                shapes.sort_by(|a, b| a.0.total_cmp(&b.0));
                view.put(octant, sectors, &shapes);
            }
        }
        view.finish();
        view
    }
}

/// Packs shapes of one kind into blocks.
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

/// The shapes that may be the nearest one to some point within `diameter / 2` of `center`, metres.
fn nearest(map: &Map, center: Point2<f32>, diameter: f32) -> Vec<&Obstacle> {
    let mut reach = diameter;
    loop {
        let near = map.obstacles_near(center, reach + diameter);
        let near: Vec<(f32, &Obstacle)> = near
            .map(|obstacle| (obstacle.signed_distance(center), obstacle))
            .collect();
        let distances = near.iter().map(|(distance, _)| *distance);
        let nearest = distances.fold(f32::INFINITY, f32::min);
        if nearest <= reach || near.len() == map.obstacles().len() {
            let candidates = near.into_iter();
            return candidates
                .filter(|(distance, _)| *distance <= nearest + diameter)
                .map(|(_, obstacle)| obstacle)
                .collect();
        }
        reach *= 2.0;
    }
}

/// Merges neighbouring sectors if their shapes together fill no more blocks than each has alone.
/// Returns the shapes of each group of sectors, and the number of sectors in it.
fn merge_sectors(sectors: impl Iterator<Item = Vec<u32>>) -> Vec<(Vec<u32>, usize)> {
    let mut merged: Vec<(Vec<u32>, usize)> = Vec::new();
    let mut blocks = 0;
    for shapes in sectors {
        let own_blocks = shapes.len().div_ceil(LANES);
        if let Some((previous, sectors)) = merged.last_mut() {
            let missing = shapes.iter().filter(|shape| !previous.contains(shape));
            let missing: Vec<u32> = missing.copied().collect();
            let merged_blocks = (previous.len() + missing.len()).div_ceil(LANES);
            if merged_blocks <= blocks.min(own_blocks) {
                previous.extend(missing);
                *sectors += 1;
                continue;
            }
        }
        blocks = own_blocks;
        merged.push((shapes, 1));
    }
    merged
}

impl CellView {
    fn put_nearest<'a>(&mut self, shapes: impl Iterator<Item = &'a Obstacle>) {
        let is_disc = |obstacle: &&Obstacle| matches!(obstacle.shape, Shape::Disc { .. });
        let (discs, boxes): (Vec<&Obstacle>, Vec<&Obstacle>) = shapes.partition(is_disc);
        self.nearest_boxes = pack_blocks(&boxes, &BoxBlock::EMPTY, BoxBlock::put_obstacle);
        self.nearest_discs = pack_blocks(&discs, &DiscBlock::EMPTY, DiscBlock::put_obstacle);
    }

    /// Memory of the lists, bytes.
    fn bytes(&self) -> usize {
        let nearest = size_of_val(&*self.nearest_boxes) + size_of_val(&*self.nearest_discs);
        nearest + self.aligned_boxes.bytes() + self.rotated_boxes.bytes() + self.discs.bytes()
    }

    fn finish(&mut self) {
        self.aligned_boxes.finish();
        self.rotated_boxes.finish();
        self.discs.finish();
    }

    /// Adds `sectors` sectors of an octant in which `shapes` are visible, nearest first, each with
    /// a lower bound of its distance.
    fn put(&mut self, octant: Octant, sectors: usize, shapes: &[(f32, &Obstacle)]) {
        let is_disc = |obstacle: &Obstacle| matches!(obstacle.shape, Shape::Disc { .. });
        let is_aligned = |obstacle: &Obstacle| obstacle.axis == Vector2::x();
        let pick = |kind: &dyn Fn(&Obstacle) -> bool| -> Vec<(f32, &Obstacle)> {
            shapes
                .iter()
                .copied()
                .filter(|(_, obstacle)| kind(obstacle))
                .collect()
        };
        let aligned_boxes = pick(&|shape| !is_disc(shape) && is_aligned(shape));
        self.aligned_boxes.push(
            sectors,
            &AlignedBoxBlock::EMPTY,
            &aligned_boxes,
            |block, lane, shape| block.put(lane, shape, octant.signs),
        );
        let rotated_boxes = pick(&|shape| !is_disc(shape) && !is_aligned(shape));
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
    /// Boxes that no beam hits.
    const EMPTY: Self = Self {
        enter: [[f32::INFINITY; LANES]; 2],
        leave: [[f32::INFINITY; LANES]; 2],
    };

    /// Puts a box, for beams whose directions have these signs.
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
