//! Draws what does not move: floor, axis labels, walls, obstacles, goals and the shortest paths.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Align2, Color32, FontId, Pos2, Rect, Stroke, pos2, vec2};
use nalgebra::{Point2, Vector2};

use super::canvas::{SceneCanvas, circle};
use crate::view::theme::faded;
use evenkeel_sim::scenario::{
    AlternativeGoal, Layout, Obstacle, RobotParameters, Shape, format_number, nice_length,
};

/// Height of obstacles for their shadows, metres.
const OBSTACLE_HEIGHT_M: f32 = 0.09;
/// Width at which a segment is drawn, metres.
const SEGMENT_WIDTH_M: f32 = 0.05;
/// Width of the arena's walls, metres.
const WALL_WIDTH_M: f32 = 0.12;
/// Height of the upper part of a pane that has no axis labels, pixels.
const UNLABELLED_TOP: f32 = 34.0;
/// Least radius of a goal that has a number, pixels.
const MIN_NUMBERED_RADIUS: f32 = 9.0;
/// Least distance between grid lines, pixels.
const MIN_GRID_PITCH: f32 = 34.0;

impl SceneCanvas<'_> {
    /// A rectangle of the world on the screen.
    fn rect(&self, min: Point2<f32>, max: Point2<f32>) -> Rect {
        Rect::from_two_pos(self.transform.to_screen(min), self.transform.to_screen(max))
    }

    /// The arena on the screen, without its walls.
    pub(super) fn arena(&self, layout: &Layout) -> Rect {
        self.rect(layout.arena.min, layout.arena.max)
    }

    /// Draws the floor and the grid.
    pub(super) fn floor(&self, layout: &Layout) {
        let palette = self.palette;
        let arena = self.arena(layout);
        self.painter.rect_filled(arena, 0, palette.floor);
        for axis in 0..2 {
            for line in self.grid_lines(layout, axis) {
                let color = if line.strong {
                    palette.grid_strong
                } else {
                    palette.grid
                };
                let stroke = Stroke::new(1.0, color);
                if axis == 0 {
                    self.painter.vline(line.at, arena.y_range(), stroke);
                } else {
                    self.painter.hline(arena.x_range(), line.at, stroke);
                }
            }
        }
    }

    /// Draws the shadows of the left and the upper wall; the light comes from the upper left.
    pub(super) fn wall_shadows(&self, layout: &Layout) {
        let arena = self.arena(layout);
        let depth = self.px(2.0 * OBSTACLE_HEIGHT_M).clamp(3.0, 24.0);
        let dark = faded(self.palette.shadow, 0.8);
        let mut mesh = Mesh::default();
        let corners = [
            (arena.left_bottom(), dark),
            (arena.left_top(), dark),
            (arena.right_top(), dark),
            (arena.right_top() + vec2(0.0, depth), Color32::TRANSPARENT),
            (arena.left_top() + vec2(depth, depth), Color32::TRANSPARENT),
            (arena.left_bottom() + vec2(depth, 0.0), Color32::TRANSPARENT),
        ];
        for (at, color) in corners {
            mesh.colored_vertex(at, color);
        }
        for [a, b, c] in [[0, 1, 4], [0, 4, 5], [1, 2, 3], [1, 3, 4]] {
            mesh.add_triangle(a, b, c);
        }
        self.painter.add(mesh);
    }

    /// Draws the four walls around the arena.
    pub(super) fn walls(&self, layout: &Layout) {
        let arena = self.arena(layout);
        let width = self.px(WALL_WIDTH_M).clamp(4.0, 24.0);
        let outer = arena.expand(width);
        let color = self.palette.wall;
        for side in [
            Rect::from_min_max(outer.min, pos2(outer.max.x, arena.min.y)),
            Rect::from_min_max(pos2(outer.min.x, arena.max.y), outer.max),
            Rect::from_min_max(pos2(outer.min.x, arena.min.y), arena.left_bottom()),
            Rect::from_min_max(arena.right_top(), pos2(outer.max.x, arena.max.y)),
        ] {
            self.painter.rect_filled(side, 0, color);
        }
    }

    pub(super) fn obstacle_shadows(&self, layout: &Layout) {
        for obstacle in layout.all_obstacles() {
            self.shadow(&self.outline(obstacle), OBSTACLE_HEIGHT_M);
        }
    }

    /// Draws the obstacles. All edges are drawn before all tops, so that overlapping obstacles look
    /// like one.
    pub(super) fn obstacles(&self, layout: &Layout) {
        let palette = self.palette;
        let edge = self.px(0.03).clamp(1.5, 5.0);
        let outlines: Vec<_> = layout.all_obstacles().map(|o| self.outline(o)).collect();
        let lift = vec2(-0.35, -0.35) * edge;
        for outline in &outlines {
            let rim = Stroke::new(edge, palette.rim);
            self.polygon(outline.clone(), palette.rim, rim);
        }
        for (shift, color) in [(lift * 1.6, palette.lit), (-lift * 0.2, palette.obstacle)] {
            for outline in &outlines {
                let moved = outline.iter().map(|&p| p + shift).collect();
                self.polygon(moved, color, Stroke::NONE);
            }
        }
    }

    /// The convex outline of an obstacle on the screen. This is the only place in the drawing that
    /// distinguishes shapes.
    fn outline(&self, obstacle: &Obstacle) -> Vec<Pos2> {
        let world = |local: Vector2<f32>| obstacle.to_world(local);
        let rectangle = |x: Vector2<f32>, y: Vector2<f32>| {
            let corners = [-x - y, x - y, x + y, y - x];
            self.points(corners.map(world))
        };
        match &obstacle.shape {
            Shape::Disc { radius } => circle(
                self.transform.to_screen(obstacle.position),
                self.px(*radius),
            ),
            Shape::Box { half_extents } => rectangle(
                Vector2::new(half_extents.x, 0.0),
                Vector2::new(0.0, half_extents.y),
            ),
            Shape::Polygon { vertices } => self.points(vertices.iter().copied().map(world)),
            Shape::Segment { half } => {
                let width = SEGMENT_WIDTH_M.max(3.0 / self.transform.scale);
                let along = half.normalize();
                rectangle(*half, Vector2::new(-along.y, along.x) * (width / 2.0))
            }
        }
    }

    /// Draws a robot's shortest path to its goal.
    pub(super) fn shortest_path(&self, points: &[Point2<f32>]) {
        let points = self.points(points.iter().copied());
        self.line(points.clone(), 5.0, faded(self.palette.floor, 0.8));
        self.dashed(&points, 2.0, self.palette.path, [8.0, 6.0]);
    }

    /// Draws a robot's goal: the circle to reach, and its centre.
    pub(super) fn goal(&self, robot: &RobotParameters) {
        let color = self.palette.goal;
        let radius = self.px(robot.goal_radius).max(5.0);
        let at = self.transform.to_screen(robot.goal);
        let stroke = Stroke::new(2.0, color);
        self.painter.circle(at, radius, faded(color, 0.2), stroke);
        self.painter
            .circle_filled(at, (radius / 4.0).max(2.0), color);
    }

    /// Draws the number of a goal's robot outside of the circle: another robot may stand in it.
    pub(super) fn goal_number(&self, robot: &RobotParameters, number: usize) {
        let radius = self.px(robot.goal_radius);
        if radius >= MIN_NUMBERED_RADIUS {
            let at = self.transform.to_screen(robot.goal) + vec2(0.0, radius + 9.0);
            self.halo_text(at, &format!("goal {number}"), self.palette.goal);
        }
    }

    /// Draws a place that is the goal in other episodes.
    pub(super) fn alternative_goal(&self, goal: &AlternativeGoal) {
        let mut ring = circle(
            self.transform.to_screen(goal.position),
            self.px(goal.radius).max(5.0),
        );
        ring.push(ring[0]);
        self.dashed(&ring, 2.0, self.palette.goal, [4.0, 5.0]);
    }

    /// Draws axis labels along the lower and the left wall, metres. If a wall lies outside the pane,
    /// its labels lie along the pane's edge.
    pub(super) fn axis_labels(&self, layout: &Layout) {
        let pane = self.transform.pane;
        let arena = self.arena(layout);
        let wall = self.px(WALL_WIDTH_M).clamp(4.0, 24.0);
        let below = (arena.max.y + wall + 4.0).min(pane.max.y - 17.0);
        let left = (arena.min.x - wall - 6.0).max(pane.min.x + 30.0);
        for axis in 0..2 {
            for line in self.grid_lines(layout, axis) {
                let (at, anchor) = if axis == 0 {
                    (pos2(line.at, below), Align2::CENTER_TOP)
                } else {
                    (pos2(left, line.at), Align2::RIGHT_CENTER)
                };
                // The corner has no labels; the top of the pane has names and outcomes.
                let in_corner = if axis == 0 {
                    at.x < left + 10.0
                } else {
                    at.y > below - 8.0
                };
                let visible = pane.shrink(6.0).contains(at) && at.y > pane.min.y + UNLABELLED_TOP;
                if visible && !in_corner {
                    self.axis_label(at, anchor, &line.label, arena.contains(at));
                }
            }
        }
    }

    /// Draws an axis label; on a background of its own if it lies on the floor.
    fn axis_label(&self, at: Pos2, anchor: Align2, text: &str, on_floor: bool) {
        let (font, color) = (FontId::proportional(12.0), self.palette.soft);
        let galley = self.painter.layout_no_wrap(text.to_owned(), font, color);
        let rect = anchor.anchor_size(at, galley.size());
        if on_floor {
            let background = rect.expand2(vec2(4.0, 1.0));
            self.painter
                .rect_filled(background, 3, faded(self.palette.page, 0.85));
        }
        self.painter.galley(rect.min, galley, color);
    }

    /// The grid lines across an axis, 0 for x and 1 for y, in ascending order.
    fn grid_lines(&self, layout: &Layout, axis: usize) -> Vec<GridLine> {
        let step = nice_length(MIN_GRID_PITCH / self.transform.scale);
        // Every fifth line is strong; every second where the step is 5, 0.5, …
        let leading = step / 10f32.powf(step.log10().floor());
        let group = if leading > 4.0 { 2 } else { 5 };
        let arena = &layout.arena;
        let first = (arena.min[axis] / step - 1e-3).ceil() as i32;
        let last = (arena.max[axis] / step + 1e-3).floor() as i32;
        (first..=last)
            .map(|line| {
                let metres = line as f32 * step;
                let mut point = arena.min;
                point[axis] = metres;
                let at = self.transform.to_screen(point);
                let unit = if line == last { " m" } else { "" };
                GridLine {
                    at: if axis == 0 { at.x } else { at.y },
                    strong: line.rem_euclid(group) == 0,
                    label: format!("{}{unit}", format_number(metres)),
                }
            })
            .collect()
    }
}

/// A line of the grid.
struct GridLine {
    /// Position along the axis, pixels.
    at: f32,
    /// Whether it is drawn in the stronger colour.
    strong: bool,
    /// Position along the axis as text, metres.
    label: String,
}
