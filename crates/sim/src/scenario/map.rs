//! What stands in a room in every episode alike: many shapes, in groups of neighbours, so that a
//! question about one place need not ask them all. Shared by all layouts of a scenario.

mod cover;
mod grid;
mod hidden;
mod image;
mod moving_ai;
mod pgm;
mod png;
mod ros;
mod sdf;
mod yaml;

use std::ops::Range;
use std::path::Path;

use nalgebra::{Point2, Vector2};

use super::spec::{MapSpec, ShapesSpec};
use super::{Obstacle, Rect, Shape};
use crate::config::{Diagnostic, read_bytes, read_text};

/// Shapes of one group; as many as the lidar's caster works on together.
pub(crate) const GROUP_SIZE: usize = 8;

/// A shape is large if it is as many times the size of the middle one.
const LARGE_SHAPE_RATIO: f32 = 4.0;

/// The standing shapes of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    obstacles: Vec<Obstacle>,
    groups: Vec<ShapeGroup>,
    hidden: Vec<bool>,
}

/// Neighbours of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ShapeGroup {
    /// A rectangle about them all.
    pub(crate) bounds: Rect,
    /// Which obstacles they are; at most [`GROUP_SIZE`].
    pub(crate) members: Range<usize>,
}

impl Map {
    /// The map of these shapes.
    pub fn new(shapes: &ShapesSpec) -> Self {
        let boxes = shapes.boxes_m.iter().map(|&[x, y, half_x, half_y, yaw]| {
            let (sin, cos) = libm::sincosf(yaw as f32);
            Obstacle {
                shape: Shape::Box {
                    half_extents: Vector2::new(half_x as f32, half_y as f32),
                },
                position: Point2::new(x as f32, y as f32),
                axis: Vector2::new(cos, sin),
            }
        });
        let discs = shapes.discs_m.iter().map(|&[x, y, radius]| Obstacle {
            shape: Shape::Disc {
                radius: radius as f32,
            },
            position: Point2::new(x as f32, y as f32),
            axis: Vector2::x(),
        });
        Self::from_obstacles(boxes.chain(discs))
    }

    /// The map of these boxes and discs.
    pub(crate) fn from_obstacles(shapes: impl Iterator<Item = Obstacle>) -> Self {
        let is_box = |obstacle: &Obstacle| matches!(obstacle.shape, Shape::Box { .. });
        let (mut boxes, mut discs): (Vec<_>, Vec<_>) = shapes.partition(is_box);
        let mut map = Self::default();
        map.add_by_size(&mut boxes);
        map.add_by_size(&mut discs);
        map.hidden = hidden::hidden(&map);
        map
    }

    /// Large shapes apart from small ones, whose groups they would bloat.
    fn add_by_size(&mut self, crowd: &mut [Obstacle]) {
        let size = |obstacle: &Obstacle| {
            let reach = half_extents_of(obstacle);
            reach.x.max(reach.y)
        };
        crowd.sort_by(|a, b| size(a).total_cmp(&size(b)));
        let Some(median) = crowd.get(crowd.len() / 2).map(size) else {
            return;
        };
        let small = crowd.partition_point(|obstacle| size(obstacle) <= LARGE_SHAPE_RATIO * median);
        let (small, large) = crowd.split_at_mut(small);
        self.add(small);
        self.add(large);
    }

    /// Halves a crowd across its longer side until no more than one group is left.
    fn add(&mut self, crowd: &mut [Obstacle]) {
        if crowd.len() > GROUP_SIZE {
            let bounds = bounds_of(crowd);
            let axis = usize::from(bounds.size().y > bounds.size().x);
            // Full groups to the left, so that only the last one has room to spare.
            let half = (crowd.len().div_ceil(GROUP_SIZE) / 2) * GROUP_SIZE;
            crowd.select_nth_unstable_by(half, |a, b| {
                let along =
                    |obstacle: &Obstacle| (obstacle.position[axis], obstacle.position[1 - axis]);
                let (a, b) = (along(a), along(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            let (left, right) = crowd.split_at_mut(half);
            self.add(left);
            self.add(right);
        } else if !crowd.is_empty() {
            let first = self.obstacles.len();
            self.obstacles.extend_from_slice(crowd);
            self.groups.push(ShapeGroup {
                bounds: bounds_of(crowd),
                members: first..self.obstacles.len(),
            });
        }
    }

    /// All shapes, neighbours beside one another.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }

    /// Which of the shapes show nowhere, for others cover their outlines. Who is within one is inside of
    /// something all the same; from outside, the others are all that there is.
    pub(crate) fn hidden(&self) -> &[bool] {
        &self.hidden
    }

    /// The smallest upright rectangle about them all; a point where there are none.
    pub(crate) fn bounds(&self) -> Rect {
        if self.obstacles.is_empty() {
            return Rect::default();
        }
        bounds_of(&self.obstacles)
    }

    pub(crate) fn groups(&self) -> &[ShapeGroup] {
        &self.groups
    }

    /// The shapes that may be nearer to a point than `distance`, metres.
    pub fn obstacles_near(
        &self,
        point: Point2<f32>,
        distance: f32,
    ) -> impl Iterator<Item = &Obstacle> {
        self.indices_near(point, distance)
            .map(|index| &self.obstacles[index])
    }

    /// Which ones they are.
    pub(crate) fn indices_near(
        &self,
        point: Point2<f32>,
        distance: f32,
    ) -> impl Iterator<Item = usize> {
        self.groups
            .iter()
            .filter(move |group| group.bounds.contains(point, -distance))
            .flat_map(|group| group.members.clone())
    }
}

/// The smallest upright rectangle about some shapes.
fn bounds_of(obstacles: &[Obstacle]) -> Rect {
    let far = Vector2::repeat(f32::INFINITY);
    let (mut min, mut max) = (far, -far);
    for obstacle in obstacles {
        let reach = half_extents_of(obstacle);
        min = min.inf(&(obstacle.position.coords - reach));
        max = max.sup(&(obstacle.position.coords + reach));
    }
    Rect {
        min: min.into(),
        max: max.into(),
    }
}

/// How far a shape reaches along x and y from its position.
fn half_extents_of(obstacle: &Obstacle) -> Vector2<f32> {
    match &obstacle.shape {
        Shape::Disc { radius } => Vector2::repeat(*radius),
        Shape::Box { half_extents: half } => {
            let axis = obstacle.axis.abs();
            Vector2::new(
                axis.x * half.x + axis.y * half.y,
                axis.y * half.x + axis.x * half.y,
            )
        }
        Shape::Segment { half } => Vector2::repeat(half.norm()),
        Shape::Polygon { vertices } => {
            Vector2::repeat(vertices.iter().map(Vector2::norm).fold(0.0, f32::max))
        }
    }
}

/// What a map file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportedMap {
    /// The lower left corner of the room about it, metres.
    pub origin_m: [f64; 2],
    /// Width and height of that room, metres.
    pub size_m: [f64; 2],
    /// What stands in it.
    pub shapes: ShapesSpec,
}

impl MapSpec {
    /// Whether it is made of cells, beyond which there is nothing.
    pub fn is_grid(&self) -> bool {
        matches!(self, Self::MovingAi(_) | Self::Ros(_))
    }

    /// Reads the file that it names, from the folder that its path is relative to; nothing where
    /// the shapes are given already.
    ///
    /// # Errors
    /// One message with the file, the line or the byte, what is there, and what would be right.
    pub fn read(&self, folder: &Path) -> Result<Option<ImportedMap>, Diagnostic> {
        match self {
            Self::MovingAi(spec) => {
                let path = folder.join(&spec.file);
                let text = read_text(&path)?;
                let grid = moving_ai::parse(&text, spec.cell_m).and_then(|grid| grid.to_map());
                grid.map_err(|fault| fault.into_diagnostic(&path, &text))
            }
            Self::Ros(spec) => {
                let path = folder.join(&spec.file);
                let text = read_text(&path)?;
                let map = ros::parse(&text).map_err(|fault| fault.into_diagnostic(&path, &text))?;
                let image_path = path.parent().unwrap_or(Path::new("")).join(&map.image);
                let image = image::parse(&read_bytes(&image_path)?)
                    .map_err(|fault| fault.into_byte_diagnostic(&image_path))?;
                map.grid(&image, spec.unknown)
                    .to_map()
                    .map_err(|fault| fault.into_byte_diagnostic(&image_path))
            }
            Self::Sdf(spec) => {
                let path = folder.join(&spec.file);
                let text = read_text(&path)?;
                let room = sdf::parse(&text, spec.height_m);
                room.map_err(|fault| fault.into_diagnostic(&path, &text))
            }
            Self::Shapes(_) => return Ok(None),
        }
        .map(Some)
    }
}

/// What is wrong with a map file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MapError {
    /// The bytes that are meant.
    span: Range<usize>,
    message: String,
    help: String,
}

impl MapError {
    fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: help.into(),
        }
    }

    fn into_diagnostic(self, path: &Path, text: &str) -> Diagnostic {
        let file = path.display().to_string();
        Diagnostic::at_span(&file, text, self.span, &self.message, Some(self.help))
    }

    /// A file that people do not read line by line: its place is a byte.
    fn into_byte_diagnostic(self, path: &Path) -> Diagnostic {
        let file = path.display().to_string();
        let message = format!("byte {}: {}", self.span.start, self.message);
        Diagnostic::without_position(&file, message, Some(self.help))
    }
}
