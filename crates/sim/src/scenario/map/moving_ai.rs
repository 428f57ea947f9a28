//! Grids of the `MovingAI` benchmarks (Sturtevant, Benchmarks for Grid-Based Pathfinding, 2012):
//! four header lines, then one line of characters per row, top row first.

use super::error::MapError;
use super::grid::{MAX_CELLS, OccupancyGrid};

const HEADER: &str = "the file starts with the lines 'type octile', 'height N', 'width N', 'map'";

/// Reads a `.map` file.
pub(super) fn parse(text: &str, cell_m: f64) -> Result<OccupancyGrid, MapError> {
    let mut lines = LineReader { text, at: 0 };
    let mut sides = [None; 2];
    lines.expect_word("type")?;
    for _ in 0..2 {
        let line = lines.next(HEADER)?;
        let (key, count) = line.text.split_once(' ').unwrap_or((line.text, ""));
        let side = match key {
            "height" => &mut sides[0],
            "width" => &mut sides[1],
            _ => {
                return Err(line.error_at(
                    format!("'{}' is neither height nor width", short(line.text)),
                    HEADER,
                ));
            }
        };
        let count = count.trim().parse().ok().filter(|count| *count > 0);
        *side = Some(count.ok_or_else(|| {
            line.error_at(
                format!("'{}' has no number of cells", short(line.text)),
                format!("write '{key} N' with the number of cells"),
            )
        })?);
    }
    let [Some(rows), Some(columns)] = sides else {
        let line = lines.next(HEADER)?;
        return Err(line.error_at("one of height and width is given twice", HEADER));
    };
    lines.expect_word("map")?;
    if usize::checked_mul(rows, columns).is_none_or(|cells| cells > MAX_CELLS) {
        let message = format!("{columns} × {rows} cells are too many");
        let help = format!("a map has at most {MAX_CELLS} cells");
        return Err(MapError::new(0..0, message, help));
    }
    let mut solid = vec![false; rows * columns];
    for row in (0..rows).rev() {
        let line = lines.next(&format!(
            "{} of {rows} rows of the map are missing",
            row + 1
        ))?;
        let found = line.text.chars().count();
        if found != columns {
            let message = format!("{found} cells in this row");
            return Err(line.error_at(message, format!("the header says {columns}")));
        }
        for (column, (at, cell)) in line.text.char_indices().enumerate() {
            solid[row * columns + column] = match cell {
                '.' | 'G' | 'S' => false,
                '@' | 'O' | 'T' | 'W' => true,
                other => {
                    let at = line.start + at;
                    return Err(MapError::new(
                        at..at + other.len_utf8(),
                        format!("unknown cell '{}'", other.escape_default()),
                        "'.', 'G' and 'S' are free, '@', 'O', 'T' and 'W' are solid",
                    ));
                }
            };
        }
    }
    Ok(OccupancyGrid {
        columns,
        solid,
        cell_m,
        origin_m: [0.0; 2],
        yaw_rad: 0.0,
    })
}

/// The start of a text for a message, with escapes.
fn short(text: &str) -> String {
    text.chars()
        .take(40)
        .collect::<String>()
        .escape_default()
        .to_string()
}

struct LineReader<'a> {
    text: &'a str,
    at: usize,
}

struct SourceLine<'a> {
    text: &'a str,
    start: usize,
}

impl SourceLine<'_> {
    fn error_at(&self, message: impl Into<String>, help: impl Into<String>) -> MapError {
        MapError::new(self.start..self.start + self.text.len(), message, help)
    }
}

impl<'a> LineReader<'a> {
    /// Returns the next line. `help` is the help of the error at the end of the file.
    fn next(&mut self, help: &str) -> Result<SourceLine<'a>, MapError> {
        let start = self.at;
        if start >= self.text.len() {
            return Err(MapError::new(start..start, "the file ends here", help));
        }
        let rest = &self.text[start..];
        let length = rest.find('\n').unwrap_or(rest.len());
        self.at = start + length + 1;
        let text = rest[..length].trim_end_matches('\r');
        Ok(SourceLine { text, start })
    }

    /// Reads a line whose first word is `word`.
    fn expect_word(&mut self, word: &str) -> Result<(), MapError> {
        let line = self.next(HEADER)?;
        if line.text.split(' ').next() == Some(word) {
            return Ok(());
        }
        let message = format!("'{}' where '{word}' should be", short(line.text));
        Err(line.error_at(message, HEADER))
    }
}
