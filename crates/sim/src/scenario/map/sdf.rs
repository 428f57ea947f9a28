//! Gazebo worlds (`SDFormat`): the collision shapes, seen from above. Boxes, cylinders and spheres
//! become boxes and discs. Planes are the ground. All other shapes are refused. Models that could be
//! pushed are static. Poses are those of the models; `state` elements are ignored.

use roxmltree::{Document, Node};

use super::error::MapError;
use super::grid::{MAX_COORDINATE_M, round_to_nanometre};
use super::imported::ImportedMap;
use crate::scenario::spec::ShapesSpec;

/// Free space around all shapes, metres: a world has no walls.
const MARGIN: f64 = 1.0;

/// The deepest nesting of models that is read.
const MAX_MODEL_DEPTH: usize = 16;

/// Smaller roll and pitch angles count as 0, radians.
const TILT_TOLERANCE: f64 = 1e-6;

/// Reads a world. A shape is an obstacle if it reaches between the two heights, metres.
pub(super) fn parse(text: &str, height_m: [f64; 2]) -> Result<ImportedMap, MapError> {
    let document = Document::parse(text).map_err(|error| {
        let at = offset(text, error.pos());
        let help = "a world is an XML file that starts with <sdf>";
        MapError::new(at..at + 1, format!("not valid XML: {error}"), help)
    })?;
    let root = document.root_element();
    if !root.has_tag_name("sdf") {
        let message = format!("<{}> where <sdf> should be", root.tag_name().name());
        return Err(error_at(
            root,
            message,
            "a world starts with <sdf version='…'>",
        ));
    }
    let mut reader = SdfReader {
        height_m,
        shapes: ShapesSpec::default(),
    };
    let mut worlds = children(root, "world");
    if let Some(world) = worlds.next() {
        if let Some(second) = worlds.next() {
            return Err(error_at(second, "a second world", "leave one in the file"));
        }
        reader.models(world, UprightPose::default(), 0)?;
    } else {
        reader.models(root, UprightPose::default(), 0)?;
    }
    let shapes = reader.shapes;
    let discs = shapes
        .discs_m
        .iter()
        .map(|&[x, y, radius]| (x, y, radius, radius));
    let boxes = shapes.boxes_m.iter().map(|&[x, y, half_x, half_y, yaw]| {
        let (sin, cos) = libm::sincos(yaw);
        let reach = |a: f64, b: f64| a.abs() * half_x + b.abs() * half_y;
        (x, y, reach(cos, sin), reach(sin, cos))
    });
    let (mut min, mut max) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for (x, y, reach_x, reach_y) in discs.chain(boxes) {
        min = [min[0].min(x - reach_x), min[1].min(y - reach_y)];
        max = [max[0].max(x + reach_x), max[1].max(y + reach_y)];
    }
    if min[0] > max[0] {
        let help = format!(
            "obstacles are boxes, cylinders and spheres that reach between {} m and {} m",
            height_m[0], height_m[1]
        );
        return Err(error_at(root, "this world has no obstacles", help));
    }
    Ok(ImportedMap {
        origin_m: min.map(|low| round_to_nanometre(low - MARGIN)),
        size_m: [0, 1].map(|axis| round_to_nanometre(max[axis] - min[axis] + 2.0 * MARGIN)),
        shapes,
    })
}

/// The byte of a row and a column, both counted from 1.
fn offset(text: &str, at: roxmltree::TextPos) -> usize {
    let lines = text.split_inclusive('\n');
    let before: usize = lines
        .take(at.row.saturating_sub(1) as usize)
        .map(str::len)
        .sum();
    let column = at.col.saturating_sub(1) as usize;
    let within = text[before..].char_indices().nth(column);
    within.map_or(text.len(), |(byte, _)| before + byte)
}

/// An error at an element.
fn error_at(node: Node, message: impl Into<String>, help: impl Into<String>) -> MapError {
    MapError::new(node.range(), message, help)
}

fn children<'a>(node: Node<'a, 'a>, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children()
        .filter(move |child| child.has_tag_name(name))
}

fn child<'a>(node: Node<'a, 'a>, name: &'a str) -> Result<Node<'a, 'a>, MapError> {
    children(node, name).next().ok_or_else(|| {
        let message = format!("<{}> without <{name}>", node.tag_name().name());
        error_at(node, message, format!("write <{name}> in it"))
    })
}

/// Reads exactly `N` finite numbers, separated by whitespace.
fn numbers<const N: usize>(node: Node) -> Result<[f64; N], MapError> {
    let text = node.text().unwrap_or_default();
    let found: Vec<f64> = text
        .split_whitespace()
        .map_while(|word| {
            word.parse()
                .ok()
                .filter(|number: &f64| number.abs() <= MAX_COORDINATE_M)
        })
        .collect();
    let complete = text.split_whitespace().count() == N;
    found.try_into().ok().filter(|_| complete).ok_or_else(|| {
        let short: String = text.trim().chars().take(60).collect();
        let message = format!(
            "<{}> is '{}'",
            node.tag_name().name(),
            short.escape_default()
        );
        let help = if N == 1 {
            format!("write a number, at most {MAX_COORDINATE_M}")
        } else {
            format!("write {N} numbers, at most {MAX_COORDINATE_M}, separated by spaces")
        };
        error_at(node, message, help)
    })
}

/// Reads `N` positive sizes, metres.
fn sizes<const N: usize>(node: Node) -> Result<[f64; N], MapError> {
    let sizes: [f64; N] = numbers(node)?;
    match sizes.iter().find(|size| **size <= 0.0) {
        None => Ok(sizes),
        Some(size) => {
            let message = format!("<{}> has {size}", node.tag_name().name());
            Err(error_at(node, message, "write a size above 0"))
        }
    }
}

/// A pose without roll and pitch: metres, and yaw in radians.
#[derive(Clone, Copy, Debug, Default)]
struct UprightPose {
    x: f64,
    y: f64,
    z: f64,
    yaw: f64,
}

impl UprightPose {
    /// Composes this pose with the pose of an element inside it.
    fn compose(self, node: Node) -> Result<Self, MapError> {
        let Some(pose) = children(node, "pose").next() else {
            return Ok(self);
        };
        for attribute in ["frame", "relative_to"] {
            if let Some(other) = pose.attribute(attribute).filter(|name| !name.is_empty()) {
                let message = format!("the pose is relative to '{}'", other.escape_default());
                let help = "write it relative to the enclosing element";
                return Err(error_at(pose, message, help));
            }
        }
        let [x, y, z, roll, pitch, yaw] = numbers(pose)?;
        let unit = match pose.attribute("degrees") {
            Some("true" | "1") => f64::to_radians(1.0),
            _ => 1.0,
        };
        let [roll, pitch, yaw] = [roll, pitch, yaw].map(|angle| angle * unit);
        if roll.abs() > TILT_TOLERANCE || pitch.abs() > TILT_TOLERANCE {
            let message = format!("tilted by {roll} and {pitch} rad");
            return Err(error_at(
                pose,
                message,
                "only upright shapes are read: write roll and pitch as 0",
            ));
        }
        let (sin, cos) = libm::sincos(self.yaw);
        Ok(Self {
            x: self.x + cos * x - sin * y,
            y: self.y + sin * x + cos * y,
            z: self.z + z,
            yaw: self.yaw + yaw,
        })
    }
}

struct SdfReader {
    height_m: [f64; 2],
    shapes: ShapesSpec,
}

impl SdfReader {
    fn models(&mut self, parent: Node, pose: UprightPose, depth: usize) -> Result<(), MapError> {
        if depth > MAX_MODEL_DEPTH {
            let help = format!("nest at most {MAX_MODEL_DEPTH} models");
            return Err(error_at(parent, "models are nested too deeply", help));
        }
        for include in children(parent, "include") {
            let uri = child(include, "uri")?
                .text()
                .unwrap_or_default()
                .trim()
                .to_owned();
            if !["model://sun", "model://ground_plane"].contains(&uri.as_str()) {
                let message = format!("'{}' is in another file", uri.escape_default());
                return Err(error_at(
                    include,
                    message,
                    "save the world with its models in it",
                ));
            }
        }
        for model in children(parent, "model") {
            let pose = pose.compose(model)?;
            for link in children(model, "link") {
                let pose = pose.compose(link)?;
                for collision in children(link, "collision") {
                    self.collision(collision, pose.compose(collision)?)?;
                }
            }
            self.models(model, pose, depth + 1)?;
        }
        Ok(())
    }

    fn collision(&mut self, collision: Node, pose: UprightPose) -> Result<(), MapError> {
        let geometry = child(collision, "geometry")?;
        let Some(shape) = geometry.children().find(Node::is_element) else {
            let help = "write <box>, <cylinder>, <sphere> or <plane> in it";
            return Err(error_at(geometry, "<geometry> without a shape", help));
        };
        match shape.tag_name().name() {
            "plane" | "empty" => {}
            "box" => {
                let [width, depth, height] = sizes(child(shape, "size")?)?;
                if self.overlaps_height(pose.z, height / 2.0) {
                    let sides = [pose.x, pose.y, width / 2.0, depth / 2.0, pose.yaw];
                    self.shapes.boxes_m.push(sides.map(round_to_nanometre));
                }
            }
            "cylinder" => {
                let [radius] = sizes(child(shape, "radius")?)?;
                let [length] = sizes(child(shape, "length")?)?;
                if self.overlaps_height(pose.z, length / 2.0) {
                    self.shapes
                        .discs_m
                        .push([pose.x, pose.y, radius].map(round_to_nanometre));
                }
            }
            "sphere" => {
                let [radius] = sizes(child(shape, "radius")?)?;
                if self.overlaps_height(pose.z, radius) {
                    self.shapes
                        .discs_m
                        .push([pose.x, pose.y, radius].map(round_to_nanometre));
                }
            }
            other => {
                let message = format!("the shape <{}> is not supported", other.escape_default());
                let help = "write <box>, <cylinder>, <sphere> or <plane>";
                return Err(error_at(shape, message, help));
            }
        }
        Ok(())
    }

    /// Whether a shape with its middle at height `z` reaches between the two heights.
    fn overlaps_height(&self, z: f64, half: f64) -> bool {
        z + half > self.height_m[0] && z - half < self.height_m[1]
    }
}
