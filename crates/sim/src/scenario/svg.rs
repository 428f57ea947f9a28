//! Draws a layout as SVG: the room with a scale in metres, obstacles, movers, robots, goals and the
//! shortest paths. Colours are those of Okabe & Ito, which colour-blind readers can distinguish, in a
//! light and a dark set. Shapes differ wherever colours differ.

mod format;
mod legend;
mod robots;

use std::fmt::Write as _;

use nalgebra::{Point2, Vector2};

use super::{GeodesicPath, Layout, MoverPlacement, Obstacle, Shape};

use format::escape;
pub use format::{format_number, nice_length};
use legend::{LEGEND_LINE, LegendEntry};

/// Largest size of the room, pixels.
const ROOM: Vector2<f32> = Vector2::new(860.0, 720.0);
/// Margins around the room, pixels.
const LEFT: f32 = 54.0;
const RIGHT: f32 = 24.0;
const TOP: f32 = 76.0;
const BOTTOM: f32 = 86.0;
/// Smallest width of the drawing, pixels: captions need space.
const MIN_WIDTH: f32 = 640.0;
/// Thickness of the walls, pixels.
const WALL: f32 = 6.0;
/// Length of a mover's arrow as driving time, seconds.
const ARROW_SECS: f32 = 2.0;

const STYLE: &str = include_str!("svg/style.css").trim_ascii_end();

/// The colours of several robots, on light and on dark. Numbers tell them apart as well.
const ROBOT_COLORS: [[&str; 2]; 6] = [
    ["#0072b2", "#56b4e9"],
    ["#d55e00", "#ff8a3d"],
    ["#009e73", "#2bc79b"],
    ["#9a6a00", "#f0b53c"],
    ["#8a4fbf", "#c39bf0"],
    ["#5c6874", "#c3ccd6"],
];

/// What a drawing says beside the layout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SvgOptions {
    /// The scenario's title.
    pub title: String,
    /// A line about the layout, such as its seed and episode.
    pub subtitle: String,
    /// Field of view of the robots' lidars, radians; 0: it is not drawn.
    pub field_of_view_rad: f32,
}

/// Draws a layout as an SVG document. `paths[i]` is the shortest path of robot i, if known.
pub fn draw(layout: &Layout, paths: &[Option<GeodesicPath>], options: &SvgOptions) -> String {
    let size = layout.arena.size();
    let scale = (ROOM.x / size.x).min(ROOM.y / size.y);
    let room = size * scale;
    let width = (LEFT + room.x + RIGHT).max(MIN_WIDTH);
    let mut canvas = Canvas {
        out: String::new(),
        layout,
        field_of_view_rad: options.field_of_view_rad,
        scale,
        room,
        corner: Point2::new(((width - room.x) / 2.0).max(LEFT), TOP),
        width,
        height: 0.0,
    };
    let lines = canvas.legend_entries(paths);
    canvas.height = TOP + room.y + BOTTOM + LEGEND_LINE * (lines.len().saturating_sub(1)) as f32;
    canvas.document(paths, &lines, options)
}

/// Draws the inside of the walls of a layout as an SVG document, without captions or a legend.
pub fn draw_room(layout: &Layout) -> String {
    let size = layout.arena.size();
    let scale = (ROOM.x / size.x).min(ROOM.y / size.y);
    let room = size * scale;
    let mut canvas = Canvas {
        out: String::new(),
        layout,
        field_of_view_rad: 0.0,
        scale,
        room,
        corner: Point2::new(WALL, WALL),
        width: room.x + 2.0 * WALL,
        height: room.y + 2.0 * WALL,
    };
    canvas.header();
    canvas.style();
    canvas.floor();
    canvas.contents(&[]);
    canvas.walls();
    canvas.write_line(format_args!("</svg>"));
    canvas.out
}

struct Canvas<'a> {
    out: String,
    layout: &'a Layout,
    field_of_view_rad: f32,
    /// Pixels per metre.
    scale: f32,
    /// Size of the room, pixels.
    room: Vector2<f32>,
    /// Upper left corner of the room, pixels.
    corner: Point2<f32>,
    width: f32,
    height: f32,
}

impl Canvas<'_> {
    /// Writes one line. Writing to a string cannot fail.
    fn write_line(&mut self, line: std::fmt::Arguments<'_>) {
        self.out.write_fmt(line).ok();
        self.out.push('\n');
    }

    /// Converts a point from metres, y up, to pixels, y down.
    fn at(&self, point: Point2<f32>) -> Point2<f32> {
        let offset = (point - self.layout.arena.min) * self.scale;
        Point2::new(
            self.corner.x + offset.x,
            self.corner.y + self.room.y - offset.y,
        )
    }

    fn points(&self, points: impl IntoIterator<Item = Point2<f32>>) -> String {
        let mut text = String::new();
        for point in points {
            let point = self.at(point);
            write!(text, "{:.1},{:.1} ", point.x, point.y).ok();
        }
        text.trim_end().to_owned()
    }

    /// Opens the document.
    fn header(&mut self) {
        let (width, height) = (self.width, self.height);
        self.write_line(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" style=\"max-width:100%;height:auto\">"
        ));
    }

    fn style(&mut self) {
        let colors = self.robot_colors();
        self.write_line(format_args!("<style>\n{STYLE}{colors}\n</style>"));
    }

    fn document(
        mut self,
        paths: &[Option<GeodesicPath>],
        legend: &[Vec<LegendEntry>],
        options: &SvgOptions,
    ) -> String {
        let title = escape(&options.title);
        let subtitle = escape(&options.subtitle);
        self.header();
        self.write_line(format_args!(
            "<title>{title}</title>\n<desc>{subtitle}</desc>"
        ));
        self.style();
        self.write_line(format_args!(
            "<rect class=\"page\" width=\"100%\" height=\"100%\"/>"
        ));
        let x = self.corner.x;
        self.write_line(format_args!(
            "<text class=\"title\" x=\"{x:.1}\" y=\"34\">{title}</text>"
        ));
        self.write_line(format_args!(
            "<text x=\"{x:.1}\" y=\"56\">{subtitle}</text>"
        ));
        self.floor();
        self.contents(paths);
        self.walls();
        self.legend(legend);
        self.write_line(format_args!("</svg>"));
        self.out
    }

    /// Draws everything in the room.
    fn contents(&mut self, paths: &[Option<GeodesicPath>]) {
        let (Point2 { coords: corner }, room) = (self.corner, self.room);
        self.write_line(format_args!(
            "<clipPath id=\"room\"><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>",
            corner.x, corner.y, room.x, room.y
        ));
        self.write_line(format_args!("<g clip-path=\"url(#room)\">"));
        let layout = self.layout;
        self.field_of_view();
        // All outlines are below all fills, so that overlapping obstacles look like one.
        self.write_line(format_args!("<g class=\"rim\">"));
        for obstacle in layout.all_obstacles() {
            self.obstacle(obstacle);
        }
        self.write_line(format_args!("</g>\n<g class=\"obstacle\">"));
        for obstacle in layout.all_obstacles() {
            self.obstacle(obstacle);
        }
        self.write_line(format_args!("</g>"));
        for (index, path) in paths.iter().enumerate() {
            if let Some(path) = path {
                self.begin_robot(index);
                self.path(path);
                self.write_line(format_args!("</g>"));
            }
        }
        for alternative_goal in &layout.alternative_goals {
            self.alternative_goal(alternative_goal);
        }
        for (index, robot) in layout.robots.iter().enumerate() {
            self.begin_robot(index);
            self.goal(index, robot);
            self.write_line(format_args!("</g>"));
        }
        for mover in &layout.movers {
            self.mover(mover);
        }
        for (index, robot) in layout.robots.iter().enumerate() {
            self.begin_robot(index);
            self.robot(index, robot);
            self.write_line(format_args!("</g>"));
        }
        self.write_line(format_args!("</g>"));
    }

    /// Draws the floor with grid lines and their coordinates.
    fn floor(&mut self) {
        let (corner, room, arena) = (self.corner, self.room, self.layout.arena);
        self.write_line(format_args!(
            "<rect class=\"floor\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            corner.x, corner.y, room.x, room.y
        ));
        let step = nice_length(44.0 / self.scale);
        // Every second line is bold for steps of 5, 0.5, …, every fifth for other steps.
        let group = if (nice_length(step * 1.5) / step - 2.0).abs() < 0.1
            && (nice_length(step * 2.5) / step - 4.0).abs() < 0.1
        {
            2
        } else {
            5
        };
        self.write_line(format_args!("<g class=\"grid\">"));
        let mut labels = String::new();
        for axis in 0..2 {
            let first = (arena.min[axis] / step - 1e-3).ceil() as i32;
            let last = (arena.max[axis] / step + 1e-3).floor() as i32;
            for line in first..=last {
                let mut point = arena.min;
                point[axis] = line as f32 * step;
                let at = self.at(point);
                let class = if line % group == 0 {
                    " class=\"five\""
                } else {
                    ""
                };
                let unit = if line == last { " m" } else { "" };
                let number = format!("{}{unit}", format_number(point[axis]));
                if axis == 0 {
                    let (x, top, bottom) = (at.x, corner.y, corner.y + room.y);
                    self.write_line(format_args!(
                        "<path{class} d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"
                    ));
                    writeln!(
                        labels,
                        "<text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{number}</text>",
                        bottom + 22.0
                    )
                    .ok();
                } else {
                    let (y, left, right) = (at.y, corner.x, corner.x + room.x);
                    self.write_line(format_args!(
                        "<path{class} d=\"M{left:.1} {y:.1}H{right:.1}\"/>"
                    ));
                    writeln!(
                        labels,
                        "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{number}</text>",
                        left - 13.0,
                        y + 4.0
                    )
                    .ok();
                }
            }
        }
        self.write_line(format_args!("</g>"));
        self.out.push_str(&labels);
    }

    fn walls(&mut self) {
        let (Point2 { coords: inner }, room) = (self.corner, self.room);
        let (x, y) = (inner.x - WALL, inner.y - WALL);
        let (w, h) = (room.x + 2.0 * WALL, room.y + 2.0 * WALL);
        self.write_line(format_args!(
            "<path class=\"wall\" fill-rule=\"evenodd\" d=\"M{x:.1} {y:.1}h{w:.1}v{h:.1}h-{w:.1}z\
             M{:.1} {:.1}h{:.1}v{:.1}h-{:.1}z\"/>",
            inner.x, inner.y, room.x, room.y, room.x
        ));
    }

    /// Writes the shape of an obstacle. The group around it has the style.
    fn obstacle(&mut self, obstacle: &Obstacle) {
        let world = |local: &Vector2<f32>| obstacle.to_world(*local);
        let corners: Vec<Point2<f32>> = match &obstacle.shape {
            Shape::Disc { radius } => {
                let (at, radius) = (self.at(obstacle.position), radius * self.scale);
                return self.write_line(format_args!(
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"/>",
                    at.x, at.y
                ));
            }
            Shape::Box { half_extents: half } => {
                [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]
                    .map(|(x, y)| world(&Vector2::new(x * half.x, y * half.y)))
                    .to_vec()
            }
            Shape::Polygon { vertices } => vertices.iter().map(world).collect(),
            Shape::Segment { half } => vec![world(&-half), world(half)],
        };
        let points = self.points(corners);
        self.write_line(format_args!("<polygon points=\"{points}\"/>"));
    }

    fn circle(&mut self, class: &str, center: Point2<f32>, radius: f32) {
        let at = self.at(center);
        self.write_line(format_args!(
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"/>",
            at.x, at.y
        ));
    }

    fn mover(&mut self, mover: &MoverPlacement) {
        self.circle(
            "mover",
            mover.position,
            (mover.radius * self.scale).max(3.0),
        );
        let from = self.at(mover.position);
        let to = self.at(mover.position + mover.velocity * ARROW_SECS);
        self.arrow(from, to);
    }

    fn arrow(&mut self, from: Point2<f32>, to: Point2<f32>) {
        let along = to - from;
        let length = along.norm();
        if length < 1.0 {
            return;
        }
        let head = along / length * (length / 2.0).min(8.0);
        let side = Vector2::new(-head.y, head.x) * 0.6;
        let (left, right) = (to - head + side, to - head - side);
        self.write_line(format_args!(
            "<path class=\"arrow\" d=\"M{:.1} {:.1}L{:.1} {:.1}M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}\"/>",
            from.x, from.y, to.x, to.y, left.x, left.y, to.x, to.y, right.x, right.y
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{AlternativeGoal, Rect};

    #[test]
    fn alternative_goals_are_drawn_and_in_the_legend() {
        let alternative_goals = vec![AlternativeGoal {
            position: Point2::new(1.0, 1.0),
            radius: 0.5,
        }];
        let mut layout = Layout {
            arena: Rect {
                min: Point2::origin(),
                max: Point2::new(4.0, 2.0),
            },
            ..Layout::default()
        };
        assert!(!draw(&layout, &[], &SvgOptions::default()).contains("class=\"alternative\""));
        layout.alternative_goals = alternative_goals;
        let drawing = draw(&layout, &[], &SvgOptions::default());
        // 860 pixels for 4 m are 215 per metre. The room's corner is at (54, 76).
        let circle = "<circle class=\"alternative\" cx=\"269.0\" cy=\"291.0\" r=\"107.5\"/>";
        assert!(drawing.contains(circle), "{drawing}");
        assert!(
            drawing.contains("goal in other episodes"),
            "it is in the legend"
        );
    }

    #[test]
    fn text_cannot_break_out_of_the_drawing() {
        let arena = Rect {
            min: Point2::origin(),
            max: Point2::new(4.0, 2.0),
        };
        let layout = Layout {
            arena,
            ..Layout::default()
        };
        let options = SvgOptions {
            title: "<script>&".into(),
            subtitle: "\u{1b}[31m".into(),
            ..SvgOptions::default()
        };
        let drawing = draw(&layout, &[], &options);
        assert!(drawing.contains("&lt;script&gt;&amp;"));
        assert!(!drawing.contains("<script") && !drawing.contains('\u{1b}'));
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
    }

    /// The drawing of a shipped scenario's first held-out episode.
    fn drawing_of(name: &str, overrides: &[&str]) -> String {
        let overrides: Vec<_> = overrides
            .iter()
            .map(|flag| crate::config::Override::parse(flag).unwrap())
            .collect();
        let scenario = crate::scenario::resolve(name, &overrides).unwrap();
        let key = crate::scenario::EpisodeKey {
            root: 0,
            split: crate::seed::Split::Eval,
            env: 0,
            episode: 0,
        };
        let mut layout = Layout::default();
        crate::scenario::LayoutSampler::default()
            .sample(&scenario, key, &mut layout)
            .unwrap();
        let paths: Vec<_> = layout
            .robots
            .iter()
            .map(|robot| {
                crate::scenario::Geodesic::new(&layout, robot.passage_radius)
                    .path(robot.start, robot.goal)
            })
            .collect();
        let options = SvgOptions {
            field_of_view_rad: scenario.spec.robot[0].lidar.field_of_view_rad(),
            ..SvgOptions::default()
        };
        draw(&layout, &paths, &options)
    }

    #[test]
    fn several_robots_have_numbers_and_colours() {
        let drawing = drawing_of("swap", &[]);
        for robot in 0..6 {
            assert!(drawing.contains(&format!(">{robot}</text>")), "{robot}");
            assert!(
                drawing.contains(&format!(">goal {robot}</text>")),
                "{robot}"
            );
            // Its path, its goal and itself.
            let group = format!("<g class=\"who{robot}\">");
            assert_eq!(drawing.matches(&group).count(), 3, "{robot}");
        }
        assert!(drawing.contains("its goal, of the same colour"));
        let one = drawing_of("movers", &[]);
        assert!(!one.contains("class=\"who") && !one.contains(">goal 0<"));
    }

    #[test]
    fn the_field_of_view_and_the_outline_are_those_of_the_robot() {
        let half_circle = [
            "robot.lidar.field_of_view_deg=180",
            "robot.lidar.range_m=3.0",
        ];
        let drawing = drawing_of("reference", &half_circle);
        assert!(drawing.contains("<path class=\"view\"") && drawing.contains("180°, 3 m"));
        let circle = drawing_of("reference", &["robot.lidar.range_m=3.0"]);
        assert!(circle.contains("<circle class=\"view\"") && circle.contains("360°, 3 m"));
        let all = drawing_of("reference", &["robot.lidar.range_m=40.0"]);
        assert!(!all.contains("class=\"view\""), "it sees the whole room");
        let boxed = ["robot.footprint={ box = { half_extents_m = [0.3, 0.15] } }"];
        let drawing = drawing_of("reference", &boxed);
        assert!(drawing.contains("<polygon class=\"robot\""));
    }
}
