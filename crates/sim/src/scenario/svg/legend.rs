//! The legend of a drawing: every symbol in it, and a scale bar.

use nalgebra::Point2;

use super::robots::{path_lengths, view_text};
use super::{ARROW_SECS, Canvas, RIGHT, ROBOT_COLORS, format_number, nice_length};
use crate::scenario::GeodesicPath;

/// Height of a line of the legend, pixels.
pub(super) const LEGEND_LINE: f32 = 28.0;

/// A symbol with its text.
pub(super) struct LegendEntry {
    symbol: Symbol,
    text: String,
}

#[derive(Clone, Copy)]
enum Symbol {
    Robot,
    Goal,
    AlternativeGoal,
    Path,
    Mover,
    View,
}

impl Symbol {
    /// Width from its centre to the text, pixels.
    fn reach(self) -> f32 {
        match self {
            Self::Path => 31.0,
            Self::Mover => 29.0,
            Self::Robot | Self::Goal | Self::AlternativeGoal | Self::View => 17.0,
        }
    }
}

impl LegendEntry {
    /// Distance to the next symbol, pixels. An estimate: the width of a text depends on the font.
    fn width(&self) -> f32 {
        self.symbol.reach() + 6.6 * self.text.chars().count() as f32 + 32.0
    }
}

impl Canvas<'_> {
    /// The colours of several robots, as rules of the style sheet.
    pub(super) fn robot_colors(&self) -> String {
        if !self.has_several_robots() {
            return String::new();
        }
        let rules = |theme: usize| {
            let rule = |(index, colors): (usize, &[&str; 2])| {
                let (who, color) = (format!(".who{index}"), colors[theme]);
                format!(
                    "\n{who} .robot,{who} .goal,{who} .bull,{who} .name,{who} .tip{{fill:{color}}}\
                     {who} .path,{who} .goal{{stroke:{color}}}"
                )
            };
            ROBOT_COLORS
                .iter()
                .enumerate()
                .map(rule)
                .collect::<String>()
        };
        let (light, dark) = (rules(0), rules(1));
        format!("{light}\n@media (prefers-color-scheme:dark){{{dark}}}")
    }

    /// The entries, in lines that fit the drawing. The last line leaves space for the scale bar.
    pub(super) fn legend_entries(&self, paths: &[Option<GeodesicPath>]) -> Vec<Vec<LegendEntry>> {
        let several = self.has_several_robots();
        let mut entries = Vec::new();
        let mut add = |symbol: Symbol, text: String| entries.push(LegendEntry { symbol, text });
        if !self.layout.robots.is_empty() {
            let (robot, goal) = if several {
                ("robot, with its number", "its goal, of the same colour")
            } else {
                ("robot", "goal")
            };
            add(Symbol::Robot, robot.to_owned());
            add(Symbol::Goal, goal.to_owned());
        }
        if !self.layout.alternative_goals.is_empty() {
            add(Symbol::AlternativeGoal, "goal in other episodes".to_owned());
        }
        if let Some(lengths) = path_lengths(paths) {
            let paths = if several { "paths" } else { "path" };
            add(Symbol::Path, format!("shortest {paths} {lengths}"));
        }
        if !self.layout.movers.is_empty() {
            add(Symbol::Mover, format!("mover and its next {ARROW_SECS} s"));
        }
        if let Some(robot) = self.seeing_robot() {
            add(
                Symbol::View,
                view_text(robot, self.field_of_view_rad, several),
            );
        }
        let mut lines: Vec<Vec<LegendEntry>> = vec![Vec::new()];
        let mut used = 0.0;
        let space = self.width - RIGHT - self.corner.x;
        for entry in entries {
            let width = entry.width();
            if used + width > space && used > 0.0 {
                lines.push(Vec::new());
                used = 0.0;
            }
            used += width;
            lines.last_mut().expect("there is a line").push(entry);
        }
        let bar = self.scale_bar().0 + 20.0;
        if used + bar > space {
            lines.push(Vec::new());
        }
        lines
    }

    /// Draws the symbols with their texts, and a scale bar.
    pub(super) fn legend(&mut self, lines: &[Vec<LegendEntry>]) {
        let mut y = self.corner.y + self.room.y + 56.0;
        for (index, line) in lines.iter().enumerate() {
            let mut x = self.corner.x + 9.0;
            for entry in line {
                self.symbol(entry.symbol, Point2::new(x, y));
                self.write_line(format_args!(
                    "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                    x + entry.symbol.reach(),
                    y + 4.5,
                    entry.text
                ));
                x += entry.width();
            }
            if index + 1 < lines.len() {
                y += LEGEND_LINE;
            }
        }
        let (pixels, text) = self.scale_bar();
        let left = self.width - RIGHT - pixels;
        self.write_line(format_args!(
            "<path class=\"bar\" d=\"M{left:.1} {:.1}v10M{left:.1} {y:.1}h{pixels:.1}m0 -5v10\"/>",
            y - 5.0
        ));
        let middle = left + pixels / 2.0;
        self.write_line(format_args!(
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            y + 20.0
        ));
    }

    /// Length of the scale bar, pixels, and its text.
    fn scale_bar(&self) -> (f32, String) {
        let length = nice_length(60.0 / self.scale);
        (length * self.scale, format!("{} m", format_number(length)))
    }

    fn symbol(&mut self, symbol: Symbol, at: Point2<f32>) {
        let (x, y) = (at.x, at.y);
        let mut circle = |class: &str, radius: f32| {
            self.write_line(format_args!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
            ));
        };
        match symbol {
            Symbol::Robot => {
                circle("robot", 9.0);
                self.heading_arrow(at, 9.0, 0.0);
            }
            Symbol::Goal => {
                circle("goal", 9.0);
                circle("bull", 2.5);
            }
            Symbol::AlternativeGoal => circle("alternative", 9.0),
            Symbol::View => circle("view", 9.0),
            Symbol::Mover => {
                circle("mover", 9.0);
                self.arrow(at, Point2::new(x + 20.0, y));
            }
            Symbol::Path => self.write_line(format_args!(
                "<path class=\"path\" d=\"M{:.1} {y:.1}h30\"/>",
                x - 9.0
            )),
        }
    }
}
