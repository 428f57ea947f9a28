//! The YAML file of ROS's `map_server`, and the grid that it makes of an image. A pixel of grey g
//! (0 black, 1 white; the mean of a colour's channels, alpha included) is occupied with probability
//! p = 1 − g, or p = g if `negate` is set. A cell is occupied if p is above `occupied_thresh`, free
//! if p is below `free_thresh`, and unknown between them. The third number of `origin` rotates the
//! map about its lower left corner.

use std::ops::Range;

use super::error::MapError;
use super::grid::{MAX_COORDINATE_M, OccupancyGrid};
use super::image::GreyImage;
use super::yaml::{self, YamlEntry, YamlNode, YamlValue};
use crate::scenario::spec::UnknownCells;

/// The key that holds a node's parameters in a ROS 2 parameter file.
const ROS_PARAMETERS: &str = "ros__parameters";

const REQUIRED_KEYS: &str =
    "map_server needs image, resolution, origin, negate, occupied_thresh and free_thresh";

/// The contents of the YAML file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MapMetadata {
    /// Path of the image, relative to the YAML file.
    pub(super) image: String,
    /// Side of a cell, metres.
    resolution: f64,
    /// The lower left corner, metres, and the map's rotation about it, radians.
    origin: [f64; 3],
    negate: bool,
    occupied_thresh: f64,
    free_thresh: f64,
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
    let (free_thresh, _) = table.number("free_thresh")?;
    if !(0.0 <= free_thresh && free_thresh <= occupied_thresh && occupied_thresh <= 1.0) {
        let message = format!("occupied_thresh is {occupied_thresh}, free_thresh {free_thresh}");
        let help = "write probabilities, free_thresh the smaller, such as 0.65 and 0.196";
        return Err(MapError::new(span, message, help));
    }
    if let Some(YamlEntry { node, .. }) = table.node.entry("mode")
        && node.as_str() != Some("trinary")
    {
        let message = format!("mode is {}", node.summary());
        let help = "only 'trinary' is supported: cells are free, occupied or unknown";
        return Err(MapError::new(node.span.clone(), message, help));
    }
    Ok(MapMetadata {
        image: path.to_owned(),
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
    /// The occupancy grid of an image. `unknown` says whether unknown cells are solid.
    pub(super) fn grid(&self, image: &GreyImage, unknown: UnknownCells) -> OccupancyGrid {
        let is_solid = |value: f64| {
            let dark = if self.negate {
                value
            } else {
                image.white - value
            };
            let occupied = dark / image.white;
            match unknown {
                UnknownCells::Free => occupied > self.occupied_thresh,
                UnknownCells::Occupied => occupied >= self.free_thresh,
            }
        };
        // The first row of the image is at the top, that of the grid at the bottom.
        let rows = image.values.chunks_exact(image.columns).rev();
        OccupancyGrid {
            columns: image.columns,
            solid: rows.flatten().map(|value| is_solid(*value)).collect(),
            cell_m: self.resolution,
            origin_m: [self.origin[0], self.origin[1]],
            yaw_rad: self.origin[2],
        }
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
mod tests {
    use super::*;

    const MAP: &str = "image: house.pgm
resolution: 0.05
origin: [-3.5, 1.25, 0.5]
negate: 0
occupied_thresh: 0.65
free_thresh: 0.196
";

    fn house() -> MapMetadata {
        MapMetadata {
            image: "house.pgm".into(),
            resolution: 0.05,
            origin: [-3.5, 1.25, 0.5],
            negate: false,
            occupied_thresh: 0.65,
            free_thresh: 0.196,
        }
    }

    /// Moves every line of a file to the right.
    fn indented(text: &str) -> String {
        text.split_inclusive('\n')
            .flat_map(|line| ["    ", line])
            .collect()
    }

    #[test]
    fn styles_of_yaml_mean_the_same_map() {
        let flow = "{image: house.pgm, resolution: 5.0e-2, origin: [-3.5, 1.25, 0.5], \
                    negate: 0, occupied_thresh: .65, free_thresh: 0.196}";
        let python = MAP
            .replace("house.pgm", "\"\\x68ouse.pgm\"")
            .replace("[-3.5, 1.25, 0.5]", "\n- -3.5\n- 1.25\n- 0.5");
        for text in [
            MAP,
            &MAP.replace('\n', "\r\n"),
            &format!("\u{feff}{MAP}"),
            &format!("%YAML 1.1\n---\n{MAP}...\n"),
            &format!("{MAP}mode: trinary # as always\n"),
            &format!("{MAP}site:\n  image: other.pgm\n  origin: [0, 0, 0]\n"),
            &format!("doors:\n- image: door.pgm\n  resolution: 9\n{MAP}"),
            flow,
            &python,
        ] {
            assert_eq!(parse(text).unwrap(), house(), "{text}");
        }
    }

    #[test]
    fn parameter_files_of_ros_2_are_read() {
        let keys = indented(MAP);
        let planner = "planner:\n  ros__parameters:\n    rate: 5\n";
        for text in [
            format!("/**:\n  ros__parameters:\n{keys}"),
            format!("map_server:\n  ros__parameters:\n{keys}"),
            format!("{planner}map_server:\n  ros__parameters:\n{keys}"),
            format!("ros__parameters:\n{keys}"),
            format!("/home:\n map_server:\n  ros__parameters:\n{keys}"),
        ] {
            assert_eq!(parse(&text).unwrap(), house(), "{text}");
        }
        let twice = format!("a:\n  ros__parameters:\n{keys}b:\n  ros__parameters:\n{keys}");
        assert_eq!(
            parse(&twice).unwrap_err().message,
            "a second map in the file"
        );
        let empty = parse("/**:\n  ros__parameters:\n    rate: 5\n").unwrap_err();
        assert_eq!(empty.message, "missing key 'image'");
    }

    #[test]
    fn booleans_of_yaml_1_1_are_read() {
        let negate = |word: &str| {
            let text = MAP.replace("negate: 0", &format!("negate: {word}"));
            parse(&text)
                .map(|map| map.negate)
                .map_err(|error| error.message)
        };
        for word in [
            "0", "false", "False", "FALSE", "no", "No", "off", "n", "'0'",
        ] {
            assert_eq!(negate(word), Ok(false), "{word}");
        }
        for word in ["1", "true", "True", "YES", "on", "Y"] {
            assert_eq!(negate(word), Ok(true), "{word}");
        }
        assert_eq!(negate("2"), Err("negate is '2'".into()));
        assert_eq!(negate("[1]"), Err("negate is a list".into()));
        assert_eq!(negate("~"), Err("'negate' has no value".into()));
    }

    #[test]
    fn mistakes_name_their_place() {
        let check = |from: &str, to: &str, place: &str, message: &str| {
            let text = MAP.replacen(from, to, 1);
            let error = parse(&text).unwrap_err();
            assert_eq!(
                (&text[error.span], error.message.as_str()),
                (place, message),
                "{text}"
            );
        };
        check(
            "free_thresh: 0.196",
            "origin: [0, 0, 0]",
            "origin",
            "the key 'origin' is given twice",
        );
        check("0.05", "fine", "fine", "resolution is 'fine'");
        check("0.05", "", "resolution", "'resolution' has no value");
        check("0.05", ".inf", ".inf", "resolution is '.inf'");
        check("0.05", "{x: 1}", "{x: 1}", "resolution is a table");
        check("1.25", "north", "north", "origin has 'north' in it");
        check(", 0.5]", "]", "[-3.5, 1.25]", "origin is a list of 2");
        check("[-3.5, 1.25, 0.5]", "7", "7", "origin is '7'");
        check("house.pgm", "''", "''", "image is ''");
        check("house.pgm", "[a, b]", "[a, b]", "image is a list");
        check("image: house.pgm\n", "", "", "missing key 'image'");
        check("negate: 0", "mode: raw\nnegate: 0", "raw", "mode is 'raw'");
        let list = parse("- image: house.pgm\n").unwrap_err();
        assert_eq!(list.message, "the file is a list");
    }
}
