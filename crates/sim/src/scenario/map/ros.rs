//! The YAML file of ROS's `map_server`, and what its numbers make of an image. A pixel of grey g
//! (0 black, 1 white; the mean of a colour's channels, alpha included) is occupied with p = 1 − g,
//! or p = g where `negate` is set; above `occupied_thresh` the cell is occupied, below
//! `free_thresh` free, and unknown between them. The third number of `origin` turns the map about
//! its lower left corner.

use std::ops::Range;

use super::MapError;
use super::grid::{MAX_COORDINATE_M, OccupancyGrid};
use super::image::GreyImage;
use super::yaml::{self, YamlEntry};
use crate::scenario::spec::UnknownCells;

/// What the YAML file says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MapMetadata {
    /// Path of the image, relative to the YAML file.
    pub(super) image: String,
    /// Side of a cell, metres.
    resolution: f64,
    /// The lower left corner, metres, and by how much the map is turned about it, radians.
    origin: [f64; 3],
    negate: bool,
    occupied_thresh: f64,
    free_thresh: f64,
}

/// Reads the YAML file.
pub(super) fn parse(text: &str) -> Result<MapMetadata, MapError> {
    let table = YamlTable {
        entries: yaml::parse(text)?,
        end: text.len(),
    };
    let one = |key: &str| -> Result<(f64, Range<usize>), MapError> {
        let (values, span) = table.numbers(key, 1)?;
        Ok((values[0], span))
    };
    let image = match table.entry("image")? {
        YamlEntry { values, span, .. } if values.len() == 1 && !values[0].is_empty() => {
            values[0].clone()
        }
        YamlEntry { span, .. } => {
            return Err(MapError::new(
                span.clone(),
                "image is no path",
                "write 'image: map.pgm'",
            ));
        }
    };
    let (resolution, span) = one("resolution")?;
    if !(1e-3..=100.0).contains(&resolution) {
        let message = format!("resolution is {resolution}");
        return Err(MapError::new(
            span,
            message,
            "write 0.001 to 100 metres a cell",
        ));
    }
    let (origin, span) = table.numbers("origin", 3)?;
    if let Some(far) = origin.iter().find(|value| value.abs() > MAX_COORDINATE_M) {
        let message = format!("the origin is at {far}");
        let help = format!("write [x, y, yaw], at most {MAX_COORDINATE_M} metres");
        return Err(MapError::new(span, message, help));
    }
    let negate = match table.entry("negate")?.values.first().map(String::as_str) {
        Some("0" | "false") => false,
        Some("1" | "true") => true,
        _ => {
            let span = table.entry("negate")?.span.clone();
            return Err(MapError::new(
                span,
                "negate is neither 0 nor 1",
                "write 'negate: 0'",
            ));
        }
    };
    let (occupied_thresh, span) = one("occupied_thresh")?;
    let (free_thresh, _) = one("free_thresh")?;
    if !(0.0 <= free_thresh && free_thresh <= occupied_thresh && occupied_thresh <= 1.0) {
        let message = format!("occupied_thresh is {occupied_thresh}, free_thresh {free_thresh}");
        let help = "write probabilities, the latter the smaller, such as 0.65 and 0.196";
        return Err(MapError::new(span, message, help));
    }
    let mode = table.entries.iter().find(|entry| entry.key == "mode");
    if let Some(YamlEntry { values, span, .. }) = mode
        && values.as_slice() != ["trinary"]
    {
        let message = format!("mode is '{}'", values.join(", "));
        let help = "only 'trinary' is read: cells are free, occupied or unknown";
        return Err(MapError::new(span.clone(), message, help));
    }
    Ok(MapMetadata {
        image,
        resolution,
        origin: [origin[0], origin[1], origin[2]],
        negate,
        occupied_thresh,
        free_thresh,
    })
}

impl MapMetadata {
    /// Which cells of the image are solid.
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
        // The image begins at the top, the grid at the bottom.
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

struct YamlTable {
    entries: Vec<YamlEntry>,
    end: usize,
}

impl YamlTable {
    fn entry(&self, key: &str) -> Result<&YamlEntry, MapError> {
        self.entries.iter().find(|entry| entry.key == key).ok_or_else(|| {
            let help = "map_server needs image, resolution, origin, negate, occupied_thresh and free_thresh";
            MapError::new(self.end..self.end, format!("missing key '{key}'"), help)
        })
    }

    fn numbers(&self, key: &str, count: usize) -> Result<(Vec<f64>, Range<usize>), MapError> {
        let YamlEntry { values, span, .. } = self.entry(key)?;
        let numbers: Option<Vec<f64>> = values
            .iter()
            .map(|value| value.parse().ok().filter(|number: &f64| number.is_finite()))
            .collect();
        match numbers {
            Some(numbers) if numbers.len() == count => Ok((numbers, span.clone())),
            _ => {
                let message = format!("{key} is '{}'", values.join(", "));
                let help = match count {
                    1 => "write a number".to_owned(),
                    _ => format!("write {count} numbers in [ ]"),
                };
                Err(MapError::new(span.clone(), message, help))
            }
        }
    }
}
