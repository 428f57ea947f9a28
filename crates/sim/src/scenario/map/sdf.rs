//! Gazebo worlds (`SDFormat`): the collision shapes, seen from above, as boxes and discs. A plane
//! that faces up is the ground. What would be an obstacle and cannot be one here is refused. What
//! the reader does not know gets a note, unless it is in the lists of `elements.rs`. Models that
//! could be pushed are static. Poses are those of the models, not of a saved state.

mod elements;
mod pose;
mod read;
mod state;

use roxmltree::{Document, Node};

use elements::{ShippedModel, is_harmless_plugin, shipped_model};
use pose::{Pose, TILT_TOLERANCE};
use read::{child, children, error_at, label, name_of, numbers, only_child, sizes, text_of};

use super::error::MapError;
use super::grid::round_to_nanometre;
use super::imported::ImportedMap;
use crate::scenario::spec::ShapesSpec;

/// Free space around all shapes, metres: a world has no walls.
const MARGIN: f64 = 1.0;

/// The deepest nesting of models that is read.
const MAX_MODEL_DEPTH: usize = 16;

/// The help of a note on an element that is not read.
const NOT_READ: &str = "the map is without it";

/// Reads a world: its map, and notes on what the map does not have. A shape is an obstacle if it
/// reaches between the two heights, metres.
///
/// # Errors
/// If the file is no world, or has an obstacle that cannot be represented.
pub(super) fn parse(
    text: &str,
    height_m: [f64; 2],
) -> Result<(ImportedMap, Vec<MapError>), MapError> {
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
        notes: Vec::new(),
    };
    reader.root(root)?;
    let SdfReader { shapes, notes, .. } = reader;
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
            "obstacles are boxes, cylinders, spheres, capsules and cones that reach between {} m \
             and {} m",
            height_m[0], height_m[1]
        );
        return Err(error_at(root, "this world has no obstacles", help));
    }
    let map = ImportedMap {
        origin_m: min.map(|low| round_to_nanometre(low - MARGIN)),
        size_m: [0, 1].map(|axis| round_to_nanometre(max[axis] - min[axis] + 2.0 * MARGIN)),
        shapes,
        ..ImportedMap::default()
    };
    Ok((map, notes))
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

struct SdfReader {
    height_m: [f64; 2],
    shapes: ShapesSpec,
    notes: Vec<MapError>,
}

impl SdfReader {
    fn root<'a>(&mut self, root: Node<'a, 'a>) -> Result<(), MapError> {
        let Some(world) = children(root, "world").next() else {
            return self.models(root, "world", Pose::default(), 0);
        };
        for other in root.children().filter(Node::is_element) {
            if other.has_tag_name("world") && other != world {
                return Err(error_at(other, "a second world", "leave one in the file"));
            }
            if other != world && !other.has_tag_name("light") {
                let message = format!("<{}> beside the world is not read", name_of(other));
                self.note(other, message, "write it into the world");
            }
        }
        let models: Vec<_> = children(world, "model").collect();
        for state in children(world, "state") {
            self.notes.extend(state::differences(state, &models)?);
        }
        self.models(world, "world", Pose::default(), 0)
    }

    fn note(&mut self, node: Node, message: impl Into<String>, help: impl Into<String>) {
        self.notes.push(error_at(node, message, help));
    }

    /// Reads the models in a world, a file or a model. `own_frame` is the frame of their poses.
    fn models<'a>(
        &mut self,
        parent: Node<'a, 'a>,
        own_frame: &str,
        pose: Pose<'a>,
        depth: usize,
    ) -> Result<(), MapError> {
        if depth > MAX_MODEL_DEPTH {
            let help = format!("nest at most {MAX_MODEL_DEPTH} models");
            return Err(error_at(parent, "models are nested too deeply", help));
        }
        let (read, harmless) = if parent.has_tag_name("model") {
            (elements::MODEL_READ, elements::MODEL_HARMLESS)
        } else {
            (elements::WORLD_READ, elements::WORLD_HARMLESS)
        };
        self.note_unknown(parent, read, harmless);
        self.note_plugins(parent);
        if let Some(population) = children(parent, "population").next() {
            let message = format!("population '{}' makes copies of a model", label(population));
            let help = "save the world with these models in it";
            return Err(error_at(population, message, help));
        }
        for actor in children(parent, "actor") {
            let message = format!("actor '{}' is not read", label(actor));
            self.note(actor, message, "add it to the scenario as a mover");
        }
        for include in children(parent, "include") {
            self.include(include, pose.compose(include, own_frame)?)?;
        }
        for model in children(parent, "model") {
            let frame = model.attribute("placement_frame").unwrap_or_default();
            if !["", "__model__"].contains(&frame) {
                let message = format!(
                    "model '{}' is placed by its frame '{}'",
                    label(model),
                    frame.escape_default()
                );
                let help = "write the pose of the model itself, without placement_frame";
                return Err(error_at(model, message, help));
            }
            let pose = pose.compose(model, own_frame)?;
            for link in children(model, "link") {
                let pose = pose.compose(link, "__model__")?;
                self.note_unknown(link, elements::LINK_READ, elements::LINK_HARMLESS);
                let own_frame = link.attribute("name").unwrap_or_default();
                for collision in children(link, "collision") {
                    self.collision(collision, pose.compose(collision, own_frame)?)?;
                }
            }
            self.models(model, "__model__", pose, depth + 1)?;
        }
        Ok(())
    }

    /// Notes the elements that are in neither list. Elements of another namespace are a program's
    /// own.
    fn note_unknown(&mut self, parent: Node, read: &[&str], harmless: &[&str]) {
        let namespace = parent.tag_name().namespace();
        for node in parent.children().filter(Node::is_element) {
            let name = node.tag_name();
            let is_known = [read, harmless]
                .iter()
                .any(|list| list.contains(&name.name()));
            if !is_known && name.namespace() == namespace {
                let parent = parent.tag_name().name();
                let message = format!("<{}> in <{parent}> is not read", name.name());
                self.note(node, message, NOT_READ);
            }
        }
    }

    fn note_plugins<'a>(&mut self, parent: Node<'a, 'a>) {
        for plugin in children(parent, "plugin").filter(|plugin| !is_harmless_plugin(*plugin)) {
            let file = plugin.attribute("filename").unwrap_or_default();
            let what = match parent.tag_name().name() {
                "model" => format!("model '{}'", label(parent)),
                other => format!("the {other}"),
            };
            let message = format!(
                "plugin '{}' ({}) of {what} is not run",
                label(plugin),
                file.escape_default()
            );
            self.note(plugin, message, "everything stands where the file puts it");
        }
    }

    /// A model in another file: the sun, or the ground.
    fn include<'a>(&mut self, include: Node<'a, 'a>, pose: Pose<'a>) -> Result<(), MapError> {
        let uri = text_of(child(include, "uri")?);
        let uri = uri.trim();
        match shipped_model(uri) {
            Some(ShippedModel::Sun) => Ok(()),
            Some(ShippedModel::GroundPlane) => self.plane(include, [0.0, 0.0, 1.0], pose),
            None => {
                let message = format!("'{}' is in another file", uri.escape_default());
                let help = "save the world with its models in it";
                Err(error_at(include, message, help))
            }
        }
    }

    fn collision<'a>(&mut self, collision: Node<'a, 'a>, pose: Pose<'a>) -> Result<(), MapError> {
        let (read, harmless) = (elements::COLLISION_READ, elements::COLLISION_HARMLESS);
        self.note_unknown(collision, read, harmless);
        let geometry = child(collision, "geometry")?;
        let mut shapes = geometry.children().filter(Node::is_element);
        let Some(shape) = shapes.next() else {
            let help = "write <box>, <cylinder>, <sphere> or <plane> in it";
            return Err(error_at(geometry, "<geometry> without a shape", help));
        };
        let before = self.shapes.boxes_m.len() + self.shapes.discs_m.len();
        self.shape(shape, pose)?;
        if let Some(second) = shapes.next() {
            let message = format!("<{}> is a second shape", name_of(second));
            return Err(error_at(second, message, "write one shape per <collision>"));
        }
        if self.shapes.boxes_m.len() + self.shapes.discs_m.len() > before {
            self.note_bodiless(collision);
        }
        Ok(())
    }

    /// Notes a collision with which nothing collides.
    fn note_bodiless<'a>(&mut self, collision: Node<'a, 'a>) {
        let surface = children(collision, "surface");
        let contact = surface.flat_map(|surface| children(surface, "contact"));
        for contact in contact {
            let is = |name, words: &[&str]| {
                children(contact, name).any(|node| words.contains(&text_of(node).trim()))
            };
            let passes = is("collide_bitmask", &["0", "0x0", "0x00", "0x0000"])
                || is("collide_without_contact", &["true", "1"]);
            if passes {
                let message = format!("nothing collides with '{}' in Gazebo", label(collision));
                self.note(contact, message, "it is an obstacle here");
            }
        }
    }

    fn shape<'a>(&mut self, shape: Node<'a, 'a>, pose: Pose<'a>) -> Result<(), MapError> {
        match name_of(shape) {
            "empty" => {}
            "plane" => {
                let normal = match only_child(shape, "normal")? {
                    Some(normal) => numbers(normal)?,
                    None => [0.0, 0.0, 1.0],
                };
                return self.plane(shape, normal, pose);
            }
            "box" => {
                let sides = sizes(child(shape, "size")?)?;
                return self.add_box(shape, sides, pose);
            }
            name @ ("cylinder" | "capsule") => {
                let [radius] = sizes(child(shape, "radius")?)?;
                let [length] = sizes(child(shape, "length")?)?;
                let round_end = if name == "capsule" { radius } else { 0.0 };
                match steepness(&pose) {
                    Steepness::Upright => self.add_disc(pose, radius, length / 2.0 + round_end),
                    Steepness::Lying => {
                        self.add_box(shape, [2.0 * radius, 2.0 * radius, length], pose)?;
                        if round_end > 0.0 {
                            let end = pose.direction([0.0, 0.0, length / 2.0]);
                            for side in [-1.0, 1.0] {
                                let (x, y) = (pose.x + side * end.x, pose.y + side * end.y);
                                self.add_disc(Pose { x, y, ..pose }, radius, radius);
                            }
                        }
                    }
                    Steepness::Tilted => return Err(pose.tilt_error(shape)),
                }
            }
            "cone" => {
                let [radius] = sizes(child(shape, "radius")?)?;
                let [length] = sizes(child(shape, "length")?)?;
                if !matches!(steepness(&pose), Steepness::Upright) {
                    return Err(pose.tilt_error(shape));
                }
                self.add_disc(pose, radius, length / 2.0);
            }
            "sphere" => {
                let [radius] = sizes(child(shape, "radius")?)?;
                self.add_disc(pose, radius, radius);
            }
            other => {
                let message = format!("the shape <{}> is not supported", other.escape_default());
                let help = "<box>, <cylinder>, <sphere>, <capsule>, <cone> and <plane> are read";
                return Err(error_at(shape, message, help));
            }
        }
        Ok(())
    }

    /// A plane is solid behind its face. One that faces up is the ground.
    fn plane(&mut self, node: Node, normal: [f64; 3], pose: Pose) -> Result<(), MapError> {
        let normal = pose.direction(normal);
        let length = normal.norm();
        if length <= 0.0 {
            return Err(error_at(node, "the plane's normal is 0", "write 0 0 1"));
        }
        let [low, high] = self.height_m;
        let z = pose.z;
        if normal.xy().norm() > TILT_TOLERANCE * length {
            let message = "a plane that does not lie flat is a wall without end";
            return Err(error_at(node, message, "write a <box>"));
        }
        if normal.z < 0.0 && z < high {
            let message = format!("a plane at {z} m that faces down fills everything above it");
            return Err(error_at(node, message, "write a <box>"));
        }
        if normal.z > 0.0 && z >= high {
            let message = format!("the ground is at {z} m, above all that is read");
            let help = "write height_m for the heights that the robot meets";
            return Err(error_at(node, message, help));
        }
        if normal.z > 0.0 && z > low {
            let message = format!("the ground is at {z} m");
            let help = format!("shapes that reach between {low} m and {high} m are read");
            self.note(node, message, help);
        }
        Ok(())
    }

    /// Adds a box with one pair of sides upright. `sides` are along its own axes, metres.
    fn add_box(&mut self, shape: Node, sides: [f64; 3], pose: Pose) -> Result<(), MapError> {
        let mut footprint = [sides[0] / 2.0, sides[1] / 2.0, pose.yaw];
        let mut height = sides[2];
        if pose.tilt.is_some() {
            let unit = |axis: usize| {
                let mut unit = [0.0; 3];
                unit[axis] = 1.0;
                pose.direction(unit)
            };
            let up = (0..3).find(|axis| unit(*axis).xy().norm() <= TILT_TOLERANCE);
            let Some(up) = up else {
                return Err(pose.tilt_error(shape));
            };
            let [along, across] = [[1, 2], [0, 2], [0, 1]][up];
            let direction = unit(along);
            let yaw = libm::atan2(direction.y, direction.x);
            footprint = [sides[along] / 2.0, sides[across] / 2.0, yaw];
            height = sides[up];
        }
        if self.overlaps_height(pose.z, height / 2.0) {
            let [half_x, half_y, yaw] = footprint;
            let sides = [pose.x, pose.y, half_x, half_y, yaw];
            self.shapes.boxes_m.push(sides.map(round_to_nanometre));
        }
        Ok(())
    }

    /// Adds a shape that is round from above. `half_height` is in metres.
    fn add_disc(&mut self, pose: Pose, radius: f64, half_height: f64) {
        if self.overlaps_height(pose.z, half_height) {
            let disc = [pose.x, pose.y, radius];
            self.shapes.discs_m.push(disc.map(round_to_nanometre));
        }
    }

    /// Whether a shape with its middle at height `z` reaches between the two heights.
    fn overlaps_height(&self, z: f64, half: f64) -> bool {
        z + half > self.height_m[0] && z - half < self.height_m[1]
    }
}

/// The direction of the long axis of a cylinder.
enum Steepness {
    Upright,
    Lying,
    Tilted,
}

fn steepness(pose: &Pose) -> Steepness {
    if pose.tilt.is_none() {
        return Steepness::Upright;
    }
    let axis = pose.direction([0.0, 0.0, 1.0]);
    if axis.xy().norm() <= TILT_TOLERANCE {
        Steepness::Upright
    } else if axis.z.abs() <= TILT_TOLERANCE {
        Steepness::Lying
    } else {
        Steepness::Tilted
    }
}

#[cfg(test)]
mod tests;
