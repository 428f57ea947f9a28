//! Grids of the `MovingAI` benchmarks (Sturtevant, Benchmarks for Grid-Based Pathfinding, 2012):
//! four header lines, then one line of characters per row, top row first.

use super::error::MapError;
use super::grid::{Cell, MAX_CELLS, OccupancyGrid, TOO_MANY_CELLS};
use crate::scenario::spec::UnknownCells;

const HEADER: &str = "the file starts with the lines 'type octile', 'height N', 'width N', 'map'";

/// Reads a `.map` file.
pub(super) fn parse(text: &str, cell_m: f64) -> Result<OccupancyGrid, MapError> {
    let mut lines = LineReader { text, at: 0 };
    let mut sides = [None; 2];
    lines.expect_word("type")?;
    for _ in 0..2 {
        let line = lines.next(HEADER)?;
        let (key, count) = line.text.split_once([' ', '\t']).unwrap_or((line.text, ""));
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
        if side.is_some() {
            let other = if key == "height" { "width" } else { "height" };
            let message = format!("{key} is given twice, {other} not at all");
            return Err(line.error_at(message, HEADER));
        }
        let count = count.trim().parse().ok().filter(|count| *count > 0);
        *side = Some(count.ok_or_else(|| {
            line.error_at(
                format!("'{}' has no number of cells", short(line.text)),
                format!("write '{key} N' with the number of cells"),
            )
        })?);
    }
    let [rows, columns] = sides.map(Option::unwrap_or_default);
    lines.expect_word("map")?;
    if usize::checked_mul(rows, columns).is_none_or(|cells| cells > MAX_CELLS) {
        let message = format!("{columns} × {rows} cells are too many");
        return Err(MapError::new(0..0, message, TOO_MANY_CELLS));
    }
    let mut cells = vec![Cell::Free; rows * columns];
    for row in (0..rows).rev() {
        let line = lines.next(&format!(
            "{} of {rows} rows of the map are missing",
            row + 1
        ))?;
        let line = line.without_trailing_blanks();
        let found = line.text.chars().count();
        if found != columns {
            let message = match found {
                1 => "1 cell in this row".to_owned(),
                found => format!("{found} cells in this row"),
            };
            return Err(line.error_at(message, format!("the header says {columns}")));
        }
        for (column, (at, cell)) in line.text.char_indices().enumerate() {
            cells[row * columns + column] = match cell {
                '.' | 'G' | 'S' => Cell::Free,
                '@' | 'O' | 'T' | 'W' => Cell::Occupied,
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
    lines.expect_end(rows)?;
    Ok(OccupancyGrid {
        columns,
        cells,
        unknown: UnknownCells::default(),
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

impl<'a> SourceLine<'a> {
    /// The line without blanks at its end, which nobody sees.
    fn without_trailing_blanks(&self) -> Self {
        let text: &'a str = self.text.trim_end_matches([' ', '\t', '\r']);
        Self { text, ..*self }
    }

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
        self.at = (start + length + 1).min(self.text.len());
        let text = rest[..length].trim_end_matches('\r');
        Ok(SourceLine { text, start })
    }

    /// Checks that nothing but blank lines follows the last of `rows` rows.
    fn expect_end(&mut self, rows: usize) -> Result<(), MapError> {
        while self.at < self.text.len() {
            let line = self.next("")?;
            if !line.without_trailing_blanks().text.is_empty() {
                let message = format!("'{}' after the last of {rows} rows", short(line.text));
                return Err(line.error_at(message, format!("the header says height {rows}")));
            }
        }
        Ok(())
    }

    /// Reads a line whose first word is `word`.
    fn expect_word(&mut self, word: &str) -> Result<(), MapError> {
        let line = self.next(HEADER)?;
        if line.text.split_whitespace().next() == Some(word) {
            return Ok(());
        }
        let message = format!("'{}' where '{word}' should be", short(line.text));
        Err(line.error_at(message, HEADER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(text: &str) -> Result<Vec<bool>, String> {
        let grid = parse(text, 1.0).map_err(|error| error.message)?;
        Ok(grid.cells.iter().map(|cell| *cell == Cell::Free).collect())
    }

    #[test]
    fn blanks_that_nobody_sees_change_nothing() {
        for text in [
            "type octile\nheight 2\nwidth 3\nmap\n.@.\n...",
            "type octile\nwidth 3\nheight 2\nmap\n.@.\n...\n\n \n\t\r\n",
            "type  octile\t\r\nheight\t2 \r\nwidth  3\r\nmap \r\n.@. \r\n...\t\r\n",
        ] {
            let expected = [true, true, true, true, false, true];
            assert_eq!(free(text).as_deref(), Ok(&expected[..]), "{text:?}");
        }
    }

    #[test]
    fn rows_that_the_header_does_not_announce_are_refused() {
        let message = |text: &str| {
            let text = format!("type octile\n{text}");
            let error = parse(&text, 1.0).unwrap_err();
            let line = text[..error.span.start].matches('\n').count() + 1;
            format!("{line}: {}", error.message)
        };
        let check = |text: &str, expected: &str| assert_eq!(message(text), expected, "{text:?}");
        check(
            "height 1\nwidth 2\nmap\n..\n@.\n",
            "6: '@.' after the last of 1 rows",
        );
        check(
            "height 1\nwidth 2\nmap\n..\n\n\n..",
            "8: '..' after the last of 1 rows",
        );
        check("height 2\nwidth 2\nmap\n..", "5: the file ends here");
        check("height 2\nwidth 2\nmap\n..\n\n..", "6: 0 cells in this row");
        check("height 1\nwidth 2\nmap\n. .\n", "5: 3 cells in this row");
        check("height 1\nwidth 3\nmap\n. .\n", "5: unknown cell ' '");
        check("height 1\nwidth 2\nmap\n.\n", "5: 1 cell in this row");
        check(
            "height 1 2\nwidth 2\nmap\n..",
            "2: 'height 1 2' has no number of cells",
        );
        check(
            "height 1\nheight 2\nmap\n..",
            "3: height is given twice, width not at all",
        );
        check(
            "height 0\nwidth 2\nmap\n",
            "2: 'height 0' has no number of cells",
        );
        check(
            "height 1\nwidth -2\nmap\n..",
            "3: 'width -2' has no number of cells",
        );
        check("height 1\nwidth 2\n..\n", "4: '..' where 'map' should be");
    }
}
