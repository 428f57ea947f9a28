//! The YAML file of ROS's `map_server`, and the grid that it makes of an image. A pixel of grey g
//! (0 black, 1 white; the mean of a colour's channels, alpha included) is occupied with probability
//! p = 1 − g, or p = g if `negate` is set. A cell is occupied if p is above `occupied_thresh`, free
//! if p is below `free_thresh`, and unknown between them. The third number of `origin` rotates the
//! map about its lower left corner.

mod cells;

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::MapError;
use super::grid::MAX_COORDINATE_M;
use super::yaml::{self, YamlEntry, YamlNode, YamlValue};

/// The key that holds a node's parameters in a ROS 2 parameter file.
const ROS_PARAMETERS: &str = "ros__parameters";

const REQUIRED_KEYS: &str =
    "map_server needs image, resolution, origin, negate, occupied_thresh and free_thresh";

/// The contents of the YAML file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MapMetadata {
    /// Path of the image, relative to the YAML file.
    pub(super) image: String,
    /// The bytes of the file at which the keys' values are.
    spans: KeySpans,
    /// Side of a cell, metres.
    resolution: f64,
    /// The lower left corner, metres, and the map's rotation about it, radians.
    origin: [f64; 3],
    negate: bool,
    occupied_thresh: f64,
    free_thresh: f64,
}

/// Where the values of keys are in the file.
#[derive(Clone, Debug, Default, PartialEq)]
struct KeySpans {
    image: Range<usize>,
    occupied_thresh: Range<usize>,
    free_thresh: Range<usize>,
}

/// Reads the YAML file: the keys at its top, or in a `ros__parameters` table. Other keys are
/// ignored.
pub(super) fn parse(text: &str) -> Result<MapMetadata, MapError> {
    let root = yaml::parse(text)?;
    let table = MapTable {
        node: map_table(&root)?,
        end: text.len(),
    };
    let image = table.required("image")?;
    let path = image.node.as_str().filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| {
        let message = format!("image is {}", image.node.summary());
        MapError::new(image.node.span.clone(), message, "write 'image: map.pgm'")
    })?;
    let (resolution, span) = table.number("resolution")?;
    if !(1e-3..=100.0).contains(&resolution) {
        let message = format!("resolution is {resolution}");
        let help = "write 0.001 to 100 metres per cell";
        return Err(MapError::new(span, message, help));
    }
    let (origin, span) = table.numbers("origin")?;
    if let Some(far) = origin.iter().find(|value| value.abs() > MAX_COORDINATE_M) {
        let message = format!("the origin is at {far}");
        let help = format!("write [x, y, yaw], at most {MAX_COORDINATE_M} metres");
        return Err(MapError::new(span, message, help));
    }
    let negate = table.boolean("negate")?;
    let (occupied_thresh, span) = table.number("occupied_thresh")?;
    let (free_thresh, free_span) = table.number("free_thresh")?;
    if !(0.0 <= free_thresh && free_thresh <= occupied_thresh && occupied_thresh <= 1.0) {
        let message = format!("occupied_thresh is {occupied_thresh}, free_thresh {free_thresh}");
        let help = "write probabilities, free_thresh the smaller, such as 0.65 and 0.196";
        return Err(MapError::new(span, message, help));
    }
    let spans = KeySpans {
        image: image.node.span.clone(),
        occupied_thresh: span,
        free_thresh: free_span,
    };
    if let Some(YamlEntry { node, .. }) = table.node.entry("mode")
        && node.as_str() != Some("trinary")
    {
        let message = format!("mode is {}", node.summary());
        let help = "only 'trinary' is supported: cells are free, occupied or unknown";
        return Err(MapError::new(node.span.clone(), message, help));
    }
    Ok(MapMetadata {
        image: path.to_owned(),
        spans,
        resolution,
        origin,
        negate,
        occupied_thresh,
        free_thresh,
    })
}

/// The mapping that holds the map's keys: the root, or the parameters of a node in a ROS 2
/// parameter file.
fn map_table(root: &YamlNode) -> Result<&YamlNode, MapError> {
    if !matches!(root.value, YamlValue::Mapping(_) | YamlValue::Null) {
        let message = format!("the file is {}", root.summary());
        return Err(MapError::new(root.span.clone(), message, REQUIRED_KEYS));
    }
    if root.entry("image").is_some() {
        return Ok(root);
    }
    let mut nodes = Vec::new();
    find_parameters(root, &mut nodes);
    let mut maps = nodes
        .iter()
        .filter(|entry| entry.node.entry("image").is_some());
    match (maps.next(), maps.next()) {
        (Some(_), Some(second)) => {
            let span = second.key.span.clone();
            Err(MapError::new(
                span,
                "a second map in the file",
                "remove one of them",
            ))
        }
        (Some(only), None) => Ok(&only.node),
        (None, _) => Ok(nodes.first().map_or(root, |entry| &entry.node)),
    }
}

/// Collects the `ros__parameters` tables of a parameter file. They are below the node's name,
/// which may be below namespaces.
fn find_parameters<'a>(table: &'a YamlNode, found: &mut Vec<&'a YamlEntry>) {
    for entry in table.entries() {
        if entry.key.as_str() == Some(ROS_PARAMETERS) {
            found.push(entry);
        } else {
            find_parameters(&entry.node, found);
        }
    }
}

impl MapMetadata {
    /// The path of the image, for a YAML file in `folder`. As in Nav2, `~/` is the home folder.
    pub(super) fn image_path(&self, folder: &Path) -> PathBuf {
        match (self.image.strip_prefix("~/"), std::env::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => folder.join(&self.image),
        }
    }

    /// An error at the file's line that names the image. `text` is the file.
    pub(super) fn image_error(&self, text: &str, message: String, help: &str) -> MapError {
        let span = self.spans.image.clone();
        let line = text[span.end..].lines().next().unwrap_or_default();
        let help = if line.trim_start().starts_with('#') {
            "a name with ' #' in it needs quotes: the rest of the line is a comment"
        } else {
            help
        };
        MapError::new(span, message, help)
    }
}

/// The mapping that holds the map's keys.
struct MapTable<'a> {
    node: &'a YamlNode,
    /// Where a missing key is reported: the end of the file.
    end: usize,
}

impl MapTable<'_> {
    /// The entry of a key that is there and has a value.
    fn required(&self, key: &str) -> Result<&YamlEntry, MapError> {
        let entry = self.node.entry(key).ok_or_else(|| {
            let message = format!("missing key '{key}'");
            MapError::new(self.end..self.end, message, REQUIRED_KEYS)
        })?;
        if entry.node.value == YamlValue::Null {
            let message = format!("'{key}' has no value");
            let help = format!("write '{key}: value'");
            return Err(MapError::new(entry.key.span.clone(), message, help));
        }
        Ok(entry)
    }

    fn number(&self, key: &str) -> Result<(f64, Range<usize>), MapError> {
        let node = &self.required(key)?.node;
        if let Some(number) = number(node) {
            return Ok((number, node.span.clone()));
        }
        let message = format!("{key} is {}", node.summary());
        Err(MapError::new(node.span.clone(), message, "write a number"))
    }

    /// A list of exactly `N` numbers.
    fn numbers<const N: usize>(&self, key: &str) -> Result<([f64; N], Range<usize>), MapError> {
        let node = &self.required(key)?.node;
        let list = match &node.value {
            YamlValue::Sequence(nodes) => nodes.as_slice(),
            _ => &[],
        };
        let refuse = |span: &Range<usize>, message| {
            MapError::new(span.clone(), message, format!("write {N} numbers in [ ]"))
        };
        let mut numbers = Vec::with_capacity(N);
        for element in list {
            let number = number(element).ok_or_else(|| {
                let message = format!("{key} has {} in it", element.summary());
                refuse(&element.span, message)
            })?;
            numbers.push(number);
        }
        let count = numbers.len();
        let numbers = <[f64; N]>::try_from(numbers).map_err(|_| {
            let message = match &node.value {
                YamlValue::Sequence(_) => format!("{key} is a list of {count}"),
                _ => format!("{key} is {}", node.summary()),
            };
            refuse(&node.span, message)
        })?;
        Ok((numbers, node.span.clone()))
    }

    /// 0 or 1, or a boolean of YAML 1.1.
    fn boolean(&self, key: &str) -> Result<bool, MapError> {
        let node = &self.required(key)?.node;
        let word = node.as_str().unwrap_or_default();
        match word.to_lowercase().as_str() {
            "0" | "false" | "no" | "off" | "n" => Ok(false),
            "1" | "true" | "yes" | "on" | "y" => Ok(true),
            _ => {
                let message = format!("{key} is {}", node.summary());
                let help = format!("write '{key}: 0' or '{key}: 1'");
                Err(MapError::new(node.span.clone(), message, help))
            }
        }
    }
}

/// The finite number that a scalar is.
fn number(node: &YamlNode) -> Option<f64> {
    let number: f64 = node.as_str()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests;
