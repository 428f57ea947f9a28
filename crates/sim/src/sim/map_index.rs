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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::Rect;
    use crate::scenario::spec::ShapesSpec;
    use crate::sim::lidar::{Beams, Pose2, ScanReadings};
    use crate::sim::scene::Scene;
    use crate::sim::testing::robot_at;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// A beam reads the same from a map as from its shapes as obstacles: no less than from
        /// shapes that are larger by more than any rounding, and no more than from smaller ones.
        /// The distances are bit-identical.
        #[test]
        fn a_map_reads_as_its_shapes_do_as_obstacles(
            boxes_m in prop::collection::vec(
                (0.0..20.0, 0.0..16.0, 0.01..1.5, 0.01..1.5, prop_oneof![Just(0.0), 0.0..6.3])
                    .prop_map(|(x, y, a, b, yaw)| [x, y, a, b, yaw]), 0..120),
            discs_m in prop::collection::vec(
                (0.0..20.0, 0.0..16.0, 0.02..0.8).prop_map(|(x, y, r)| [x, y, r]), 0..120),
            cells in prop::collection::vec((0..80_u8, 0..64_u8), 0..400),
            other in prop::collection::vec((0.0..20.0_f32, 0.0..16.0_f32, 0.1..0.6_f32), 0..3),
            x in 0.01..19.99_f32, y in 0.01..15.99_f32,
            heading in prop_oneof![Just(0.0_f32), 0.0..6.3_f32],
            range in 0.5..30.0_f32, count in 1..300_usize, view in 0.5..6.3_f32,
        ) {
            let cells = cells.iter().map(|&(x, y)| {
                [0.125 + 0.25 * f64::from(x), 0.125 + 0.25 * f64::from(y), 0.125, 0.125, 0.0]
            });
            let shapes = |grow: f64| ShapesSpec {
                boxes_m: boxes_m.iter().copied().chain(cells.clone())
                    .map(|[x, y, a, b, yaw]| [x, y, a + grow, b + grow, yaw]).collect(),
                discs_m: discs_m.iter().map(|&[x, y, r]| [x, y, r + grow]).collect(),
            };
            let other = other.iter().map(|&(x, y, radius)| crate::scenario::Obstacle {
                shape: Shape::Disc { radius },
                position: Point2::new(x, y),
                axis: nalgebra::Vector2::x(),
            });
            let empty = Layout {
                arena: Rect { min: Point2::origin(), max: Point2::new(20.0, 16.0) },
                obstacles: other.collect(),
                robots: vec![robot_at(Point2::new(x, y))],
                ..Layout::default()
            };
            let mapped = Layout {
                map: Some(Arc::new(Map::new(&shapes(0.0)))),
                ..empty.clone()
            };
            let plain = |grow: f64| {
                let map = Map::new(&shapes(grow));
                let mut layout = empty.clone();
                layout.obstacles.extend_from_slice(map.obstacles());
                layout
            };
            let beams = Beams::new(count, view);
            let (sin, cos) = libm::sincosf(heading);
            let pose = Pose2 { x, y, cos, sin };
            let read = |layout: &Layout| {
                let (mut scene, mut ranges) = (Scene::default(), ScanReadings::new(&beams));
                scene.load(layout);
                let distances = scene.sense(&beams, pose, range, &mut ranges);
                (ranges.readings().to_vec(), distances)
            };
            let (readings, distances) = read(&mapped);
            let (_, of_shapes) = read(&plain(0.0));
            prop_assert_eq!(distances.fixed.to_bits(), of_shapes.fixed.to_bits());
            prop_assert_eq!(distances.mover.to_bits(), of_shapes.mover.to_bits());
            // Close to a surface the sensor is inside the larger shapes.
            prop_assume!(distances.fixed.abs() > 2e-4);
            let (nearer, farther) = (read(&plain(1e-4)).0, read(&plain(-1e-4)).0);
            for beam in 0..count {
                let (low, high) = (nearer[beam] - 1e-4, farther[beam] + 1e-4);
                prop_assert!(
                    (low..=high).contains(&readings[beam]),
                    "beam {beam} reads {} and not {low} to {high}", readings[beam]
                );
            }
        }
    }
}
