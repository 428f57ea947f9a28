//! The shapes of a world, in the form in which the lidar and the clearance use them. Property tests
//! compare its readings with rapier's query pipeline, beam by beam.

use std::sync::Arc;

use nalgebra::{Point2, Vector2};

use super::blocks::{BoxBlock, DiscBlock, FAR, LANES};
use super::map_index::MapIndex;
use crate::scenario::{Layout, Obstacle, Rect, RobotParameters, Shape};

/// A convex polygon as the half-planes `normal · p <= offset` of its edges.
#[derive(Clone, Debug)]
pub(crate) struct Polygon {
    pub(crate) obstacle: Obstacle,
    /// Radius of the enclosing circle.
    pub(crate) bound: f32,
    /// Corners in the world frame, counter-clockwise.
    pub(crate) vertices: Vec<Point2<f32>>,
    /// Outward unit normal of the edge that starts at each corner.
    pub(crate) normals: Vec<Vector2<f32>>,
}

impl Polygon {
    /// From an obstacle that is a polygon.
    fn new(obstacle: Obstacle) -> Self {
        let corners = corners(&obstacle.shape).iter();
        let mut this = Self {
            bound: corners.map(Vector2::norm).fold(0.0, f32::max),
            vertices: Vec::new(),
            normals: Vec::new(),
            obstacle,
        };
        this.update();
        this
    }

    /// Recomputes corners and normals from the pose of the obstacle.
    fn update(&mut self) {
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

/// Everything that a beam can hit.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub(crate) arena: Rect,
    pub(crate) discs: Vec<DiscBlock>,
    pub(crate) boxes: Vec<BoxBlock>,
    /// Obstacles, and from `static_polygons` on the robots that are not round, if there are several
    /// robots.
    pub(crate) polygons: Vec<Polygon>,
    /// Movers, and from block `mover_blocks` on the round robots, if there are several robots.
    pub(crate) movers: Vec<DiscBlock>,
    /// Shapes of the map.
    pub(crate) map_index: Option<Arc<MapIndex>>,
    pub(crate) static_polygons: usize,
    pub(crate) mover_blocks: usize,
    disc_count: usize,
    box_count: usize,
}

impl Scene {
    /// Replaces the shapes by those of a layout. Reuses its memory.
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

    fn add_robot(&mut self, index: usize, robot: &RobotParameters) {
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

    /// Sets position and heading, a unit vector, of a robot, by its index in a layout with several
    /// robots.
    ///
    /// # Panics
    /// If the layout has no such robot, or only one.
    pub fn put_robot(&mut self, robot: usize, position: Point2<f32>, heading: Vector2<f32>) {
        if let Some(polygon) = self.polygons.get_mut(self.static_polygons + robot) {
            polygon.obstacle.axis = heading;
            polygon.obstacle.position = position;
            polygon.update();
            return;
        }
        let block = &mut self.movers[self.mover_blocks + robot / LANES];
        block.x[robot % LANES] = position.x;
        block.y[robot % LANES] = position.y;
    }

    /// Removes a robot until the next [`Self::put_robot`], so that its own lidar does not see it.
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

    /// Sets the position of a mover, by its index in the layout.
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

/// Block and lane of an index. Adds a block if the index is the first beyond the last block.
fn lane_of<B>(blocks: &mut Vec<B>, index: usize, empty: B) -> (&mut B, usize) {
    if index.is_multiple_of(LANES) {
        blocks.push(empty);
    }
    (&mut blocks[index / LANES], index % LANES)
}
