//! Maps: the obstacles that stand in a room in every episode, and the readers of map files. All
//! layouts of a scenario share one map. Its shapes are in groups of neighbours, so that a query
//! about one point looks at few of them.

mod cover;
mod error;
mod grid;
mod grid_summary;
mod group;
mod hidden;
mod image;
mod imported;
mod moving_ai;
mod pgm;
mod png;
mod ros;
mod sdf;
mod yaml;

use std::path::{Path, PathBuf};

use nalgebra::{Point2, Vector2};

use super::geometry::{Obstacle, Rect, Shape};
use super::spec::{MapSpec, ShapesSpec, UnknownCells};
use crate::config::{Diagnostic, read_bytes, read_text};
use error::MapError;
use group::{GROUP_SIZE, ShapeGroup};
use image::GreyImage;

pub use grid_summary::{CellDecision, GridSummary};
pub use imported::ImportedMap;

/// A shape is large if its size is more than this many times the median.
const LARGE_SHAPE_RATIO: f32 = 4.0;

/// The obstacles of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    obstacles: Vec<Obstacle>,
    groups: Vec<ShapeGroup>,
    hidden: Vec<bool>,
}

impl Map {
    /// Makes a map of shapes.
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

    /// Makes a map of boxes and discs.
    pub(crate) fn from_obstacles(shapes: impl Iterator<Item = Obstacle>) -> Self {
        let is_box = |obstacle: &Obstacle| matches!(obstacle.shape, Shape::Box { .. });
        let (mut boxes, mut discs): (Vec<_>, Vec<_>) = shapes.partition(is_box);
        let mut map = Self::default();
        map.add_by_size(&mut boxes);
        map.add_by_size(&mut discs);
        map.hidden = hidden::hidden(&map.obstacles, &map.groups);
        map
    }

    /// Adds shapes, large ones apart from small ones: one large shape makes a group's rectangle large.
    fn add_by_size(&mut self, shapes: &mut [Obstacle]) {
        let size = |obstacle: &Obstacle| {
            let half_extents = half_extents_of(obstacle);
            half_extents.x.max(half_extents.y)
        };
        shapes.sort_by(|a, b| size(a).total_cmp(&size(b)));
        let Some(median) = shapes.get(shapes.len() / 2).map(size) else {
            return;
        };
        let small = shapes.partition_point(|obstacle| size(obstacle) <= LARGE_SHAPE_RATIO * median);
        let (small, large) = shapes.split_at_mut(small);
        self.add(small);
        self.add(large);
    }

    /// Adds shapes. Halves them across their longer side until each part fits into one group.
    fn add(&mut self, shapes: &mut [Obstacle]) {
        if shapes.len() > GROUP_SIZE {
            let bounds = bounds_of(shapes);
            let axis = usize::from(bounds.size().y > bounds.size().x);
            // The left half is made of full groups, so that only the last group is not full.
            let half = (shapes.len().div_ceil(GROUP_SIZE) / 2) * GROUP_SIZE;
            shapes.select_nth_unstable_by(half, |a, b| {
                let along =
                    |obstacle: &Obstacle| (obstacle.position[axis], obstacle.position[1 - axis]);
                let (a, b) = (along(a), along(b));
                a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            let (left, right) = shapes.split_at_mut(half);
            self.add(left);
            self.add(right);
        } else if !shapes.is_empty() {
            let first = self.obstacles.len();
            self.obstacles.extend_from_slice(shapes);
            self.groups.push(ShapeGroup {
                bounds: bounds_of(shapes),
                members: first..self.obstacles.len(),
            });
        }
    }

    /// All shapes, group by group.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }

    /// `[obstacles]`: whether other shapes cover the whole outline of a shape. From outside all shapes
    /// a hidden shape cannot be seen or touched; a point inside it is inside of an obstacle.
    pub(crate) fn hidden(&self) -> &[bool] {
        &self.hidden
    }

    /// The smallest upright rectangle around all shapes. A point if there are none.
    pub(crate) fn bounds(&self) -> Rect {
        if self.obstacles.is_empty() {
            return Rect::default();
        }
        bounds_of(&self.obstacles)
    }

    pub(crate) fn groups(&self) -> &[ShapeGroup] {
        &self.groups
    }

    /// Shapes that may be nearer to a point than `distance`, metres. Contains all that are.
    pub fn obstacles_near(
        &self,
        point: Point2<f32>,
        distance: f32,
    ) -> impl Iterator<Item = &Obstacle> {
        self.indices_near(point, distance)
            .map(|index| &self.obstacles[index])
    }

    /// The indices of [`Self::obstacles_near`].
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

/// The smallest upright rectangle around some shapes.
fn bounds_of(obstacles: &[Obstacle]) -> Rect {
    let far = Vector2::repeat(f32::INFINITY);
    let (mut min, mut max) = (far, -far);
    for obstacle in obstacles {
        let half_extents = half_extents_of(obstacle);
        min = min.inf(&(obstacle.position.coords - half_extents));
        max = max.sup(&(obstacle.position.coords + half_extents));
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

impl MapSpec {
    /// Whether the map is a grid of cells. There is nothing beyond a grid.
    pub fn is_grid(&self) -> bool {
        matches!(self, Self::MovingAi(_) | Self::Ros(_))
    }

    /// The files that [`Self::read`] reads: the map's file and, if there is one, its image. Their
    /// paths are relative to `folder`.
    pub fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let file = match self {
            Self::MovingAi(spec) => &spec.file,
            Self::Ros(spec) => &spec.file,
            Self::Sdf(spec) => &spec.file,
            Self::Shapes(_) => return Vec::new(),
        };
        let path = folder.join(file);
        let image = match self {
            Self::Ros(_) => read_text(&path).ok().and_then(|text| {
                let image = ros::parse(&text).ok()?.image;
                Some(path.parent().unwrap_or(Path::new("")).join(image))
            }),
            _ => None,
        };
        [path].into_iter().chain(image).collect()
    }

    /// Reads the map's file. Its path is relative to `folder`. `None` if the shapes are given.
    ///
    /// # Errors
    /// If the file cannot be read, with the line or the byte and the correct form.
    pub fn read(&self, folder: &Path) -> Result<Option<ImportedMap>, Diagnostic> {
        match self {
            Self::MovingAi(spec) => {
                let path = folder.join(&spec.file);
                let text = read_text(&path)?;
                let grid = moving_ai::parse(&text, spec.cell_m).and_then(|grid| grid.to_map());
                grid.map_err(|fault| fault.into_diagnostic(&path, &text))
            }
            Self::Ros(spec) => read_ros(&folder.join(&spec.file), spec.unknown),
            Self::Sdf(spec) => {
                let path = folder.join(&spec.file);
                let text = read_text(&path)?;
                let read = sdf::parse(&text, spec.height_m);
                let (map, notes) = read.map_err(|fault| fault.into_diagnostic(&path, &text))?;
                let notes = notes
                    .into_iter()
                    .map(|note| note.into_diagnostic(&path, &text));
                Ok(ImportedMap {
                    notes: notes.collect(),
                    ..map
                })
            }
            Self::Shapes(_) => return Ok(None),
        }
        .map(Some)
    }
}

/// Reads a map of ROS's `map_server`: the YAML file at `path` and its image.
fn read_ros(path: &Path, unknown: UnknownCells) -> Result<ImportedMap, Diagnostic> {
    let text = read_text(path)?;
    let in_yaml = |fault: MapError| fault.into_diagnostic(path, &text);
    let map = ros::parse(&text).map_err(in_yaml)?;
    let image_path = map.image_path(path.parent().unwrap_or(Path::new("")));
    let bytes = read_bytes(&image_path).map_err(|error| {
        let help = "write the image's path, relative to this file";
        in_yaml(map.image_error(&text, format!("image {error}"), help))
    })?;
    let image = parse_image(&bytes).map_err(|fault| fault.into_byte_diagnostic(&image_path))?;
    let grid = map.grid(&image, unknown);
    let notes: Vec<Diagnostic> = map.notes(&image).into_iter().map(in_yaml).collect();
    let room = grid.to_map().map_err(|fault| {
        // What reads the cells in an unexpected way is why none is free.
        let reasons = notes.iter().map(|note| format!("; {}", note.text()));
        let help = fault.help + &reasons.collect::<String>();
        in_yaml(map.image_error(&text, fault.message, &help))
    })?;
    Ok(ImportedMap {
        grid: room.grid.map(|summary| GridSummary {
            decision: Some(map.decision(&image)),
            ..summary
        }),
        notes,
        ..room
    })
}

/// Reads a PNG or PGM image. Its first bytes say which it is.
fn parse_image(bytes: &[u8]) -> Result<GreyImage, MapError> {
    if bytes.starts_with(png::SIGNATURE) {
        png::parse(bytes)
    } else if bytes.starts_with(b"P5") || bytes.starts_with(b"P2") {
        pgm::parse(bytes)
    } else {
        let start = &bytes[..bytes.len().min(8)];
        let found = format!("'{}' at the start", start.escape_ascii());
        let help = "the image must be a PNG file, or a PGM file that starts with P5 or P2";
        Err(MapError::new(0..start.len(), found, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_at_the_start_of_a_map_file_is_ignored() {
        let folder = std::env::temp_dir().join(format!("evenkeel_maps_{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let yaml = "image: m.pgm\nresolution: 0.5\norigin: [0, 0, 0]\nnegate: 0\n\
                    occupied_thresh: 0.65\nfree_thresh: 0.196\n";
        let world = "<sdf version='1.6'><world name='w'><model name='m'><link name='l'>\
                     <collision name='c'><geometry><box><size>1 1 1</size></box></geometry>\
                     </collision></link></model></world></sdf>";
        let map = "type octile\nheight 2\nwidth 2\nmap\n.@\n..\n";
        std::fs::write(folder.join("m.pgm"), "P2 2 2 255 254 0 254 254").unwrap();
        for (file, text) in [("m.yaml", yaml), ("m.sdf", world), ("m.map", map)] {
            let read = |text: String| {
                std::fs::write(folder.join(file), text).unwrap();
                let path = folder.join(file);
                ImportedMap::of_file(&path).unwrap()
            };
            assert_eq!(
                read(format!("\u{feff}{text}")),
                read(text.to_owned()),
                "{file}"
            );
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
