//! The cells that the keys of a YAML file make of an image, and notes on keys that read the image in
//! another way than it looks.

use super::super::error::MapError;
use super::super::grid::{Cell, OccupancyGrid};
use super::super::grid_summary::CellDecision;
use super::super::image::GreyImage;
use super::MapMetadata;
use crate::scenario::spec::UnknownCells;

impl MapMetadata {
    /// The occupancy grid of an image.
    pub(in crate::scenario::map) fn grid(
        &self,
        image: &GreyImage,
        unknown: UnknownCells,
    ) -> OccupancyGrid {
        // The first row of the image is at the top, that of the grid at the bottom.
        let rows = image.values.len() / image.columns;
        let pixels = (0..rows).rev().flat_map(|row| {
            let first = row * image.columns;
            first..first + image.columns
        });
        OccupancyGrid {
            columns: image.columns,
            cells: pixels
                .map(|pixel| self.classify(image.occupancy(pixel, self.negate)))
                .collect(),
            unknown,
            cell_m: self.resolution,
            origin_m: [self.origin[0], self.origin[1]],
            yaw_rad: self.origin[2],
        }
    }

    /// What a cell is that is occupied with a probability.
    fn classify(&self, occupied: f64) -> Cell {
        if occupied > self.occupied_thresh {
            Cell::Occupied
        } else if occupied < self.free_thresh {
            Cell::Free
        } else {
            Cell::Unknown
        }
    }

    /// What decides about the cells of an image.
    pub(in crate::scenario::map) fn decision(&self, image: &GreyImage) -> CellDecision {
        CellDecision {
            occupied_thresh: self.occupied_thresh,
            free_thresh: self.free_thresh,
            negate: self.negate,
            has_alpha: image.alpha.is_some(),
        }
    }

    /// Notes on thresholds and an alpha channel that read the image in another way than it looks.
    pub(in crate::scenario::map) fn notes(&self, image: &GreyImage) -> Vec<MapError> {
        let notes = [
            self.saved_unknown_note(image),
            self.alpha_note(image),
            self.no_wall_note(image),
        ];
        notes.into_iter().flatten().collect()
    }

    /// Map savers write grey 205 of 255 for unknown cells. Some thresholds make it free or occupied.
    fn saved_unknown_note(&self, image: &GreyImage) -> Option<MapError> {
        let grey = if self.negate { 50 } else { 205 };
        let is_saved = |value: &&u32| u64::from(**value) * 255 == grey * u64::from(image.white);
        let count = image.values.iter().filter(is_saved).count();
        if count == 0 {
            return None;
        }
        let all = image.values.len();
        let (reading, key, span, threshold) = match self.classify(50.0 / 255.0) {
            Cell::Unknown => return None,
            Cell::Free => (
                "free",
                "free_thresh",
                &self.spans.free_thresh,
                self.free_thresh,
            ),
            Cell::Occupied => (
                "occupied",
                "occupied_thresh",
                &self.spans.occupied_thresh,
                self.occupied_thresh,
            ),
        };
        let message = format!(
            "{count} of {all} cells have grey {grey}, which map savers write for unknown cells; \
             {key} {threshold} makes them {reading}"
        );
        let help = "write 'free_thresh: 0.196' and 'occupied_thresh: 0.65' to keep them unknown";
        Some(MapError::new(span.clone(), message, help))
    }

    /// The alpha channel counts like a colour, so that opaque black is not fully black.
    fn alpha_note(&self, image: &GreyImage) -> Option<MapError> {
        let mut changes = [[0_usize; 3]; 3];
        for pixel in 0..image.values.len() {
            let colour = self.classify(image.colour_occupancy(pixel, self.negate)?);
            let reading = self.classify(image.occupancy(pixel, self.negate));
            changes[colour as usize][reading as usize] += 1;
        }
        let names = ["free", "occupied", "unknown"];
        let all = image.values.len();
        let mut texts = Vec::new();
        for (colour, row) in changes.iter().enumerate() {
            for (reading, count) in row.iter().enumerate() {
                if colour != reading && *count > 0 {
                    let (colour, reading) = (names[colour], names[reading]);
                    texts.push(format!(
                        "{count} of {all} cells {reading} that would be {colour}"
                    ));
                }
            }
        }
        if texts.is_empty() {
            return None;
        }
        let message = format!(
            "the image's alpha channel counts as a further colour, as in map_server: it makes {} \
             without it",
            texts.join(", ")
        );
        let help = "save the image without an alpha channel";
        Some(MapError::new(self.spans.image.clone(), message, help))
    }

    fn no_wall_note(&self, image: &GreyImage) -> Option<MapError> {
        let pixels = 0..image.values.len();
        let shades = pixels.map(|pixel| image.occupancy(pixel, self.negate));
        let most = shades.fold(0.0, f64::max);
        if most > self.occupied_thresh {
            return None;
        }
        let message = format!(
            "no cell is occupied: the most occupied one has {most:.3}, occupied_thresh is {}",
            self.occupied_thresh
        );
        let help = "a map with walls needs a smaller occupied_thresh, or a darker image";
        Some(MapError::new(
            self.spans.occupied_thresh.clone(),
            message,
            help,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::scenario::map::image::Alpha;

    /// The keys of a map, with some lines of others.
    fn keys(thresholds: &str) -> String {
        format!("image: m.png\nresolution: 0.5\norigin: [0, 0, 0]\n{thresholds}")
    }

    const ROS: &str = "negate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n";

    fn grey(values: &[u32]) -> GreyImage {
        GreyImage {
            columns: values.len(),
            values: values.to_vec(),
            white: 255,
            alpha: None,
        }
    }

    /// An image of grey and alpha values.
    fn with_alpha(pixels: &[[u32; 2]]) -> GreyImage {
        GreyImage {
            columns: pixels.len(),
            values: pixels
                .iter()
                .map(|[grey, alpha]| 3 * grey + alpha)
                .collect(),
            white: 4 * 255,
            alpha: Some(Alpha {
                values: pixels.iter().map(|[_, alpha]| *alpha as u16).collect(),
                opaque: 255,
            }),
        }
    }

    /// The place in the file and the message of each note.
    fn notes(thresholds: &str, image: &GreyImage) -> Vec<(String, String)> {
        let text = keys(thresholds);
        let map = parse(&text).unwrap();
        let notes = map.notes(image).into_iter();
        notes
            .map(|note| (text[note.span].to_owned(), note.message))
            .collect()
    }

    #[test]
    fn cells_are_those_of_map_server() {
        use Cell::{Free, Occupied, Unknown};
        let map = parse(&keys(ROS)).unwrap();
        let cells = |image: &GreyImage| map.grid(image, UnknownCells::Occupied).cells;
        let image = grey(&[255, 206, 205, 90, 89, 0]);
        assert_eq!(
            cells(&image),
            [Free, Free, Unknown, Unknown, Occupied, Occupied]
        );
        let negated = parse(&keys(&ROS.replace("negate: 0", "negate: 1"))).unwrap();
        let image = grey(&[0, 49, 50, 165, 166, 255]);
        assert_eq!(
            negated.grid(&image, UnknownCells::Occupied).cells,
            [Free, Free, Unknown, Unknown, Occupied, Occupied]
        );
        // The first row of the image is the last of the grid.
        let rows = GreyImage {
            columns: 1,
            ..grey(&[255, 0])
        };
        assert_eq!(cells(&rows), [Occupied, Free]);
        let image = with_alpha(&[[255, 255], [0, 255], [255, 0], [0, 0]]);
        assert_eq!(cells(&image), [Free, Occupied, Unknown, Occupied]);
    }

    #[test]
    fn thresholds_that_take_unknown_cells_for_others_are_noted() {
        let image = grey(&[254, 205, 205, 0]);
        assert!(notes(ROS, &image).is_empty());
        let nav2 = ROS.replace("0.196", "0.25");
        let message = "2 of 4 cells have grey 205, which map savers write for unknown cells; ";
        assert_eq!(
            notes(&nav2, &image),
            [(
                "0.25".into(),
                format!("{message}free_thresh 0.25 makes them free")
            )]
        );
        let strict = ROS.replace("0.65", "0.19").replace("0.196", "0.1");
        assert_eq!(
            notes(&strict, &image),
            [(
                "0.19".into(),
                format!("{message}occupied_thresh 0.19 makes them occupied")
            )]
        );
        let wide = GreyImage {
            values: vec![65535, 205 * 257, 205 * 257, 0],
            white: 65535,
            ..image
        };
        assert_eq!(notes(&nav2, &wide).len(), 1);
        assert!(notes(&nav2, &grey(&[254, 204, 206, 0])).is_empty());
        let negated = nav2.replace("negate: 0", "negate: 1");
        assert_eq!(
            notes(&negated, &grey(&[1, 50, 255]))[0].1,
            "1 of 3 cells have grey 50, which map savers write for unknown cells; \
             free_thresh 0.25 makes them free"
        );
    }

    #[test]
    fn an_alpha_channel_that_decides_is_noted() {
        let note =
            "the image's alpha channel counts as a further colour, as in map_server: it makes ";
        let floor = with_alpha(&[[255, 0], [255, 0], [0, 255]]);
        assert_eq!(
            notes(ROS, &floor),
            [(
                "m.png".into(),
                format!("{note}2 of 3 cells unknown that would be free without it")
            )]
        );
        let opaque = with_alpha(&[[255, 255], [0, 255]]);
        assert!(notes(ROS, &opaque).is_empty());
        let high = ROS.replace("0.65", "0.9");
        assert_eq!(
            notes(&high, &opaque),
            [
                (
                    "m.png".into(),
                    format!("{note}1 of 2 cells unknown that would be occupied without it")
                ),
                (
                    "0.9".into(),
                    "no cell is occupied: the most occupied one has 0.750, occupied_thresh is 0.9"
                        .into()
                )
            ]
        );
    }

    #[test]
    fn a_map_without_walls_is_noted() {
        let image = grey(&[254, 254]);
        let no_wall =
            "no cell is occupied: the most occupied one has 0.004, occupied_thresh is 0.65";
        assert_eq!(notes(ROS, &image), [("0.65".into(), no_wall.into())]);
        assert!(notes(ROS, &grey(&[254, 0])).is_empty());
    }
}
