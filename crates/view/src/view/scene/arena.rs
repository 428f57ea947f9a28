//! The room: floor, metres, walls, what stands in it, goals and the shortest ways to them.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Align2, Color32, FontId, Pos2, Rect, Stroke, pos2, vec2};
use nalgebra::{Point2, Vector2};

use super::canvas::{SceneCanvas, circle};
use crate::view::theme::faded;
use evenkeel_sim::scenario::{
    AlternativeGoal, Layout, Obstacle, RobotPlacement, Shape, format_number, nice_length,
};

/// How tall things are taken to be, metres: it is what their shadows tell.
const OBSTACLE_HEIGHT_M: f32 = 0.09;
/// A wall without thickness is drawn as wide as this, metres.
const SEGMENT_M: f32 = 0.05;
/// Metres; never less than some pixels.
const WALL_M: f32 = 0.12;
/// Upper part of a pane that has no metres, pixels.
const TOP: f32 = 34.0;
/// Grid lines are at least this far apart, pixels.
const GRID: f32 = 34.0;

impl SceneCanvas<'_> {
    /// A rectangle of the world on the screen.
    fn rect(&self, min: Point2<f32>, max: Point2<f32>) -> Rect {
        Rect::from_two_pos(self.view.at(min), self.view.at(max))
    }

    /// The inside of the walls on the screen.
    pub(super) fn room(&self, layout: &Layout) -> Rect {
        self.rect(layout.arena.min, layout.arena.max)
    }

    pub(super) fn floor(&self, layout: &Layout) {
        let palette = self.palette;
        let room = self.room(layout);
        self.painter.rect_filled(room, 0, palette.floor);
        for axis in 0..2 {
            for line in self.grid_lines(layout, axis) {
                let color = if line.strong {
                    palette.grid_five
                } else {
                    palette.grid
                };
                let stroke = Stroke::new(1.0, color);
                if axis == 0 {
                    self.painter.vline(line.at, room.y_range(), stroke);
                } else {
                    self.painter.hline(room.x_range(), line.at, stroke);
                }
            }
        }
    }

    /// What the walls throw on the floor, along the two that stand towards the light.
    pub(super) fn wall_shadows(&self, layout: &Layout) {
        let room = self.room(layout);
        let depth = self.px(2.0 * OBSTACLE_HEIGHT_M).clamp(3.0, 24.0);
        let dark = faded(self.palette.shadow, 0.8);
        let mut mesh = Mesh::default();
        let corners = [
            (room.left_bottom(), dark),
            (room.left_top(), dark),
            (room.right_top(), dark),
            (room.right_top() + vec2(0.0, depth), Color32::TRANSPARENT),
            (room.left_top() + vec2(depth, depth), Color32::TRANSPARENT),
            (room.left_bottom() + vec2(depth, 0.0), Color32::TRANSPARENT),
        ];
        for (at, color) in corners {
            mesh.colored_vertex(at, color);
        }
        for [a, b, c] in [[0, 1, 4], [0, 4, 5], [1, 2, 3], [1, 3, 4]] {
            mesh.add_triangle(a, b, c);
        }
        self.painter.add(mesh);
    }

    pub(super) fn walls(&self, layout: &Layout) {
        let room = self.room(layout);
        let width = self.px(WALL_M).clamp(4.0, 24.0);
        let outer = room.expand(width);
        let color = self.palette.wall;
        for side in [
            Rect::from_min_max(outer.min, pos2(outer.max.x, room.min.y)),
            Rect::from_min_max(pos2(outer.min.x, room.max.y), outer.max),
            Rect::from_min_max(pos2(outer.min.x, room.min.y), room.left_bottom()),
            Rect::from_min_max(room.right_top(), pos2(outer.max.x, room.max.y)),
        ] {
            self.painter.rect_filled(side, 0, color);
        }
    }

    pub(super) fn obstacle_shadows(&self, layout: &Layout) {
        for obstacle in layout.all_obstacles() {
            self.shadow(&self.outline(obstacle), OBSTACLE_HEIGHT_M);
        }
    }

    /// Everything that stands. All edges lie below all tops, so that what overlaps looks like one
    /// thing.
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

    /// The convex outline of an obstacle on the screen. Whatever shapes there are, they are told
    /// apart here and nowhere else in the drawing.
    fn outline(&self, obstacle: &Obstacle) -> Vec<Pos2> {
        let world = |local: Vector2<f32>| obstacle.to_world(local);
        let rectangle = |x: Vector2<f32>, y: Vector2<f32>| {
            let corners = [-x - y, x - y, x + y, y - x];
            self.points(corners.map(world))
        };
        match &obstacle.shape {
            Shape::Disc { radius } => circle(self.view.at(obstacle.position), self.px(*radius)),
            Shape::Box { half_extents } => rectangle(
                Vector2::new(half_extents.x, 0.0),
                Vector2::new(0.0, half_extents.y),
            ),
            Shape::Polygon { vertices } => self.points(vertices.iter().copied().map(world)),
            Shape::Segment { half } => {
                let width = SEGMENT_M.max(3.0 / self.view.scale);
                let along = half.normalize();
                rectangle(*half, Vector2::new(-along.y, along.x) * (width / 2.0))
            }
        }
    }

    pub(super) fn shortest_path(&self, points: &[Point2<f32>]) {
        let points = self.points(points.iter().copied());
        self.line(points.clone(), 5.0, faded(self.palette.floor, 0.8));
        self.dashed(&points, 2.0, self.palette.path, [8.0, 6.0]);
    }

    /// The circle that is to be reached, and its middle.
    pub(super) fn goal(&self, robot: &RobotPlacement) {
        let color = self.palette.goal;
        let radius = self.px(robot.goal_radius).max(5.0);
        let at = self.view.at(robot.goal);
        let stroke = Stroke::new(2.0, color);
        self.painter.circle(at, radius, faded(color, 0.2), stroke);
        self.painter
            .circle_filled(at, (radius / 4.0).max(2.0), color);
    }

    pub(super) fn decoy(&self, alternative_goal: &AlternativeGoal) {
        let mut ring = circle(
            self.view.at(alternative_goal.position),
            self.px(alternative_goal.radius).max(5.0),
        );
        ring.push(ring[0]);
        self.dashed(&ring, 2.0, self.palette.goal, [4.0, 5.0]);
    }

    /// The metres along the lower and the left wall; where those are out of sight, along the
    /// pane's edge.
    pub(super) fn metres(&self, layout: &Layout) {
        let pane = self.view.pane;
        let room = self.room(layout);
        let wall = self.px(WALL_M).clamp(4.0, 24.0);
        let below = (room.max.y + wall + 4.0).min(pane.max.y - 17.0);
        let left = (room.min.x - wall - 6.0).max(pane.min.x + 30.0);
        for axis in 0..2 {
            for line in self.grid_lines(layout, axis) {
                let (at, anchor) = if axis == 0 {
                    (pos2(line.at, below), Align2::CENTER_TOP)
                } else {
                    (pos2(left, line.at), Align2::RIGHT_CENTER)
                };
                // The corner belongs to neither axis, the top to names and ends.
                let in_corner = if axis == 0 {
                    at.x < left + 10.0
                } else {
                    at.y > below - 8.0
                };
                let seen = pane.shrink(6.0).contains(at) && at.y > pane.min.y + TOP;
                if seen && !in_corner {
                    self.number(at, anchor, &line.label, room.contains(at));
                }
            }
        }
    }

    fn number(&self, at: Pos2, anchor: Align2, text: &str, over_the_floor: bool) {
        let (font, color) = (FontId::proportional(12.0), self.palette.soft);
        let galley = self.painter.layout_no_wrap(text.to_owned(), font, color);
        let place = anchor.anchor_size(at, galley.size());
        if over_the_floor {
            let plate = place.expand2(vec2(4.0, 1.0));
            self.painter
                .rect_filled(plate, 3, faded(self.palette.page, 0.85));
        }
        self.painter.galley(place.min, galley, color);
    }

    fn grid_lines(&self, layout: &Layout, axis: usize) -> Vec<GridLine> {
        let step = nice_length(GRID / self.view.scale);
        // Steps of 5, 0.5, … are grouped in twos, others in fives.
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
                let at = self.view.at(point);
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
    /// Pixels along its axis.
    at: f32,
    strong: bool,
    label: String,
}
