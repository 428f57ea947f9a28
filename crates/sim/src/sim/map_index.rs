//! An index of a map's shapes for the lidar. It is built once and shared by all worlds with the
//! map, so that it adds nothing to the cost of a reset, and caches hold one copy.

mod strips;
mod visible_set;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use nalgebra::Point2;

use super::blocks::{BoxBlock, DiscBlock, F32x8, LANES};
use crate::scenario::{Layout, Map, Shape};

pub(crate) use visible_set::{AlignedBoxBlock, ShapesBySector, VisibleSet, sectors_of};

/// The index of one map.
#[derive(Debug)]
pub(crate) struct MapIndex {
    pub(crate) map: Arc<Map>,
    pub(crate) visible_set: VisibleSet,
    pub(crate) groups: ShapeGroups,
}

/// The shapes that are not hidden inside others, in groups of neighbours.
#[derive(Debug, Default)]
pub(crate) struct ShapeGroups {
    /// Bounds of the groups, eight to a block.
    bounds: Vec<BoundsBlock>,
    /// The groups, one per block, those of boxes first.
    boxes: Vec<BoxBlock>,
    discs: Vec<DiscBlock>,
}

/// Eight axis-aligned rectangles.
#[derive(Clone, Debug)]
struct BoundsBlock {
    min_x: F32x8,
    min_y: F32x8,
    max_x: F32x8,
    max_y: F32x8,
}

impl BoundsBlock {
    /// Infinitely far from everything.
    const EMPTY: Self = Self {
        min_x: [f32::INFINITY; LANES],
        min_y: [f32::INFINITY; LANES],
        max_x: [f32::INFINITY; LANES],
        max_y: [f32::INFINITY; LANES],
    };

    /// Distances to a point, metres; 0 inside.
    #[inline]
    fn distances(&self, x: f32, y: f32) -> F32x8 {
        std::array::from_fn(|i| {
            let dx = (self.min_x[i] - x).max(x - self.max_x[i]).max(0.0);
            let dy = (self.min_y[i] - y).max(y - self.max_y[i]).max(0.0);
            (dx * dx + dy * dy).sqrt()
        })
    }
}

/// The shapes of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ShapeBlock<'a> {
    Boxes(&'a BoxBlock),
    Discs(&'a DiscBlock),
}

/// The indices in use.
static CACHE: Mutex<Vec<Weak<MapIndex>>> = Mutex::new(Vec::new());

impl MapIndex {
    /// Puts the index of a layout's map into `slot`, unless it is there already.
    pub(crate) fn update(slot: &mut Option<Arc<Self>>, layout: &Layout) {
        let is_current = match (slot.as_ref(), &layout.map) {
            (Some(map_index), Some(map)) => Arc::ptr_eq(&map_index.map, map),
            (map_index, map) => map_index.is_none() && map.is_none(),
        };
        if !is_current {
            *slot = layout.map.as_ref().map(Self::of);
        }
    }

    /// The index from the cache, or a new one.
    fn of(map: &Arc<Map>) -> Arc<Self> {
        let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|map_index| map_index.strong_count() > 0);
        let mut alive = cache.iter().filter_map(Weak::upgrade);
        if let Some(map_index) = alive.find(|map_index| Arc::ptr_eq(&map_index.map, map)) {
            return map_index;
        }
        let map_index = Arc::new(Self::new(map));
        cache.push(Arc::downgrade(&map_index));
        map_index
    }

    fn new(map: &Arc<Map>) -> Self {
        Self {
            visible_set: VisibleSet::new(map),
            groups: ShapeGroups::new(map),
            map: map.clone(),
        }
    }
}

impl ShapeGroups {
    /// The shapes of a group.
    #[inline]
    fn block(&self, group: usize) -> ShapeBlock<'_> {
        match self.boxes.get(group) {
            Some(boxes) => ShapeBlock::Boxes(boxes),
            None => ShapeBlock::Discs(&self.discs[group - self.boxes.len()]),
        }
    }

    /// The groups whose bounds are nearer than `reach` metres to a point.
    pub(crate) fn groups_near(
        &self,
        point: Point2<f32>,
        reach: f32,
    ) -> impl Iterator<Item = ShapeBlock<'_>> {
        let blocks = self.bounds.iter().enumerate();
        blocks.flat_map(move |(index, block)| {
            let distances = block.distances(point.x, point.y);
            (0..LANES)
                .filter(move |&lane| distances[lane] < reach)
                .map(move |lane| self.block(index * LANES + lane))
        })
    }

    fn new(map: &Map) -> Self {
        let mut groups = Self::default();
        for (index, group) in map.groups().iter().enumerate() {
            if index.is_multiple_of(LANES) {
                groups.bounds.push(BoundsBlock::EMPTY);
            }
            let (block, lane) = (&mut groups.bounds[index / LANES], index % LANES);
            block.min_x[lane] = group.bounds.min.x;
            block.min_y[lane] = group.bounds.min.y;
            block.max_x[lane] = group.bounds.max.x;
            block.max_y[lane] = group.bounds.max.y;
            let members = &map.obstacles()[group.members.clone()];
            let (mut boxes, mut discs) = (BoxBlock::EMPTY, DiscBlock::EMPTY);
            let hidden = &map.hidden()[group.members.clone()];
            let shown = members.iter().zip(hidden).filter(|(_, hidden)| !**hidden);
            for (lane, (obstacle, _)) in shown.enumerate() {
                match obstacle.shape {
                    Shape::Disc { .. } => discs.put_obstacle(lane, obstacle),
                    _ => boxes.put_obstacle(lane, obstacle),
                }
            }
            match members[0].shape {
                Shape::Disc { .. } => groups.discs.push(discs),
                _ => groups.boxes.push(boxes),
            }
        }
        groups
    }
}
