//! The world as the lidar and the clearance see it: primitives in blocks of eight lanes (a
//! struct of arrays), laid out so that the compiler turns each loop over lanes into a few vector
//! instructions. The property tests hold it to rapier's query pipeline, beam by beam.

use std::sync::Arc;

use nalgebra::{Point2, Vector2};

use super::map_index::MapIndex;
use crate::scenario::{Layout, Obstacle, Rect, RobotPlacement, Shape};

/// Lanes of one block.
pub(crate) const LANES: usize = 8;

/// Eight numbers, worked on together.
pub(crate) type F32x8 = [f32; LANES];

/// Where unused lanes are put: beyond any range.
const FAR: f32 = 1.0e6;

/// Eight discs.
#[derive(Clone, Debug)]
pub(crate) struct DiscBlock {
    pub(crate) x: F32x8,
    pub(crate) y: F32x8,
    pub(crate) radius: F32x8,
}

impl DiscBlock {
    pub(crate) const EMPTY: Self = Self {
        x: [FAR; LANES],
        y: [FAR; LANES],
        radius: [0.0; LANES],
    };

    pub(crate) fn put(&mut self, lane: usize, center: Point2<f32>, radius: f32) {
        self.x[lane] = center.x;
        self.y[lane] = center.y;
        self.radius[lane] = radius;
    }

    /// Puts an obstacle that is a disc.
    pub(crate) fn put_obstacle(&mut self, lane: usize, obstacle: &Obstacle) {
        if let Shape::Disc { radius } = obstacle.shape {
            self.put(lane, obstacle.position, radius);
        }
    }
}

/// Eight boxes; a segment is a box without height.
#[derive(Clone, Debug)]
pub(crate) struct BoxBlock {
    pub(crate) x: F32x8,
    pub(crate) y: F32x8,
    /// Cosine and sine of the yaw.
    pub(crate) axis_x: F32x8,
    pub(crate) axis_y: F32x8,
    pub(crate) half_x: F32x8,
    pub(crate) half_y: F32x8,
    /// Radius of the circle about it.
    pub(crate) bound: F32x8,
}

impl BoxBlock {
    pub(crate) const EMPTY: Self = Self {
        x: [FAR; LANES],
        y: [FAR; LANES],
        axis_x: [1.0; LANES],
        axis_y: [0.0; LANES],
        half_x: [0.0; LANES],
        half_y: [0.0; LANES],
        bound: [0.0; LANES],
    };

    pub(crate) fn put(
        &mut self,
        lane: usize,
        center: Point2<f32>,
        axis: Vector2<f32>,
        half: Vector2<f32>,
    ) {
        self.x[lane] = center.x;
        self.y[lane] = center.y;
        self.axis_x[lane] = axis.x;
        self.axis_y[lane] = axis.y;
        self.half_x[lane] = half.x;
        self.half_y[lane] = half.y;
        self.bound[lane] = half.norm();
    }

    /// Puts an obstacle that is a box.
    pub(crate) fn put_obstacle(&mut self, lane: usize, obstacle: &Obstacle) {
        if let Shape::Box { half_extents } = obstacle.shape {
            self.put(lane, obstacle.position, obstacle.axis, half_extents);
        }
    }
}

/// A convex polygon as the half-planes `normal · p <= offset` of its edges.
#[derive(Clone, Debug)]
pub(crate) struct Polygon {
    pub(crate) obstacle: Obstacle,
    /// Radius of the circle about it.
    pub(crate) bound: f32,
    /// Corners, counter-clockwise, world.
    pub(crate) vertices: Vec<Point2<f32>>,
    /// Outward unit normal of the edge that starts at the corner of the same index.
    pub(crate) normals: Vec<Vector2<f32>>,
}

impl Polygon {
    /// An obstacle that is a polygon.
    fn new(obstacle: Obstacle) -> Self {
        let corners = corners(&obstacle.shape).iter();
        let mut this = Self {
            bound: corners.map(Vector2::norm).fold(0.0, f32::max),
            vertices: Vec::new(),
            normals: Vec::new(),
            obstacle,
        };
        this.place();
        this
    }

    /// Works out corners and normals where the obstacle is now.
    fn place(&mut self) {
        let Self {
            obstacle,
            vertices,
            normals,
            ..
        } = self;
        vertices.clear();
        let local = corners(&obstacle.shape).iter();
        vertices.extend(local.map(|v| obstacle.to_world(*v)));
        normals.clear();
        normals.extend((0..vertices.len()).map(|i| {
            let edge = vertices[(i + 1) % vertices.len()] - vertices[i];
            Vector2::new(edge.y, -edge.x) / edge.norm()
        }));
    }
}

fn corners(shape: &Shape) -> &[Vector2<f32>] {
    match shape {
        Shape::Polygon { vertices } => vertices,
        _ => &[],
    }
}

/// Everything that a beam can hit: the fast caster behind every robot's lidar.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub(crate) arena: Rect,
    pub(crate) discs: Vec<DiscBlock>,
    pub(crate) boxes: Vec<BoxBlock>,
    /// What stands, and from `static_polygons` on the robots that are not round.
    pub(crate) polygons: Vec<Polygon>,
    /// Discs that move, see [`Scene::move_mover`], and from block `mover_blocks` on the robots that are
    /// round. Robots are here where there are several: see [`Scene::put_robot`].
    pub(crate) movers: Vec<DiscBlock>,
    /// The map's shapes.
    pub(crate) map_index: Option<Arc<MapIndex>>,
    pub(crate) static_polygons: usize,
    pub(crate) mover_blocks: usize,
    disc_count: usize,
    box_count: usize,
}

impl Scene {
    /// Takes over a layout, keeping its own memory.
    pub fn load(&mut self, layout: &Layout) {
        self.arena = layout.arena;
        MapIndex::update(&mut self.map_index, layout);
        self.discs.clear();
        self.boxes.clear();
        self.polygons.clear();
        self.movers.clear();
        self.disc_count = 0;
        self.box_count = 0;
        for obstacle in &layout.obstacles {
            self.add(obstacle);
        }
        for (index, mover) in layout.movers.iter().enumerate() {
            let (block, lane) = lane_of(&mut self.movers, index, DiscBlock::EMPTY);
            block.put(lane, mover.position, mover.radius);
        }
        (self.mover_blocks, self.static_polygons) = (self.movers.len(), self.polygons.len());
        if layout.robots.len() > 1 {
            for (index, robot) in layout.robots.iter().enumerate() {
                self.add_robot(index, robot);
            }
        }
    }

    fn add_robot(&mut self, index: usize, robot: &RobotPlacement) {
        let Some(footprint) = &robot.footprint else {
            if index.is_multiple_of(LANES) {
                self.movers.push(DiscBlock::EMPTY);
            }
            let block = &mut self.movers[self.mover_blocks + index / LANES];
            block.put(index % LANES, robot.start, robot.radius);
            return;
        };
        let outline = Obstacle {
            shape: Shape::Polygon {
                vertices: footprint.corners().to_vec(),
            },
            position: robot.start,
            axis: Vector2::x(),
        };
        self.polygons.push(Polygon::new(outline));
    }

    /// Says where a robot is and which way it heads, by its place in the layout, which has several
    /// of one kind.
    ///
    /// # Panics
    /// If the layout has no such robot, or it is alone.
    pub fn put_robot(&mut self, robot: usize, position: Point2<f32>, heading: Vector2<f32>) {
        if let Some(polygon) = self.polygons.get_mut(self.static_polygons + robot) {
            polygon.obstacle.axis = heading;
            polygon.obstacle.position = position;
            polygon.place();
            return;
        }
        let block = &mut self.movers[self.mover_blocks + robot / LANES];
        block.x[robot % LANES] = position.x;
        block.y[robot % LANES] = position.y;
    }

    /// Takes a robot out until it is put somewhere again: it does not see itself.
    ///
    /// # Panics
    /// As [`Self::put_robot`].
    pub fn remove_robot(&mut self, robot: usize) {
        let nowhere = Point2::new(FAR, FAR);
        if let Some(polygon) = self.polygons.get_mut(self.static_polygons + robot) {
            polygon.obstacle.position = nowhere;
        } else {
            self.put_robot(robot, nowhere, Vector2::x());
        }
    }

    /// Moves a mover, by its place in the layout.
    ///
    /// # Panics
    /// If the layout has no such mover.
    pub fn move_mover(&mut self, mover: usize, position: Point2<f32>) {
        let block = &mut self.movers[mover / LANES];
        block.x[mover % LANES] = position.x;
        block.y[mover % LANES] = position.y;
    }

    fn add(&mut self, obstacle: &Obstacle) {
        match &obstacle.shape {
            Shape::Disc { radius } => {
                let (block, lane) = lane_of(&mut self.discs, self.disc_count, DiscBlock::EMPTY);
                self.disc_count += 1;
                block.put(lane, obstacle.position, *radius);
            }
            Shape::Box { half_extents } => {
                self.add_box(obstacle.position, obstacle.axis, *half_extents);
            }
            Shape::Segment { half } => {
                let length = half.norm();
                let direction = obstacle.to_world(*half) - obstacle.position;
                self.add_box(
                    obstacle.position,
                    direction / length,
                    Vector2::new(length, 0.0),
                );
            }
            Shape::Polygon { .. } => self.polygons.push(Polygon::new(obstacle.clone())),
        }
    }

    fn add_box(&mut self, center: Point2<f32>, axis: Vector2<f32>, half: Vector2<f32>) {
        let (block, lane) = lane_of(&mut self.boxes, self.box_count, BoxBlock::EMPTY);
        self.box_count += 1;
        block.put(lane, center, axis, half);
    }
}

/// The block and the lane for the element of this index; makes a new block where one begins.
fn lane_of<B>(blocks: &mut Vec<B>, index: usize, empty: B) -> (&mut B, usize) {
    if index.is_multiple_of(LANES) {
        blocks.push(empty);
    }
    (&mut blocks[index / LANES], index % LANES)
}
