//! The scene, drawn from the floor up: pictures of one room, and all that is in it.

mod canvas;
mod moving;
mod robot;
mod room;

use bevy_egui::egui::{Color32, Painter};

use super::eye::View;
use super::picture::{Moment, Picture};
use super::theme::Palette;
use canvas::Canvas;
pub(super) use moving::ARROW_SECS;

/// What of a scene is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each layer is there or not")]
pub struct Layers {
    /// What the lidars see.
    pub rays: bool,
    /// The shortest ways to the goals.
    pub ways: bool,
    /// Where the robots have been.
    pub trails: bool,
    /// The metres along the walls.
    pub metres: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            rays: true,
            ways: true,
            trails: true,
            metres: true,
        }
    }
}

/// One of the episodes in a scene: what it is, the moment that is shown, and its colour.
pub(super) struct Actor<'a> {
    pub(super) picture: &'a Picture,
    pub(super) moment: Moment,
    pub(super) arm: Color32,
}

/// Draws episodes that share their room; the room is the first one's.
pub(super) fn draw(
    painter: &Painter,
    view: View,
    palette: &Palette,
    actors: &[Actor],
    layers: Layers,
) {
    let Some(first) = actors.first() else {
        return;
    };
    let painter = painter.with_clip_rect(view.pane);
    let canvas = Canvas {
        painter: &painter,
        view,
        palette,
    };
    let layout = &first.picture.layout;
    // What stands may reach through the walls, but is nothing there.
    let painter_inside = painter.with_clip_rect(view.pane.intersect(canvas.room(layout)));
    let inside = Canvas {
        painter: &painter_inside,
        ..canvas
    };
    canvas.floor(layout);
    inside.wall_shadows(layout);
    inside.obstacle_shadows(layout);
    for actor in actors {
        actor.shadows(&inside);
    }
    for decoy in &layout.decoys {
        canvas.decoy(decoy);
    }
    for robot in &layout.robots {
        canvas.goal(robot);
    }
    if layers.ways {
        for way in first.picture.ways.iter().flatten() {
            canvas.way(&way.points);
        }
    }
    for actor in actors {
        actor.traces(&canvas, layers);
    }
    inside.obstacles(layout);
    canvas.walls(layout);
    for actor in actors {
        actor.bodies(&canvas, layers, actors.len() > 1);
    }
    if layers.metres {
        canvas.metres(layout);
    }
}

impl Actor<'_> {
    fn shadows(&self, canvas: &Canvas) {
        for mover in &self.moment.movers {
            canvas.mover_shadow(mover);
        }
        for (robot, body) in self.moment.robots.iter().zip(&self.picture.layout.robots) {
            canvas.robot_shadow(robot, body);
        }
    }

    fn traces(&self, canvas: &Canvas, layers: Layers) {
        let robots = self.moment.robots.iter().zip(&self.picture.layout.robots);
        for ((robot, body), trail) in robots.zip(&self.picture.trails) {
            if layers.rays {
                canvas.rays(robot, body.lidar_range);
            }
            if layers.trails {
                canvas.trail(trail, robot.position, body.drive.max_speed(), self.arm);
            }
        }
    }

    fn bodies(&self, canvas: &Canvas, layers: Layers, ghost: bool) {
        for mover in &self.moment.movers {
            canvas.mover(mover);
        }
        for (robot, body) in self.moment.robots.iter().zip(&self.picture.layout.robots) {
            if layers.rays {
                canvas.hits(robot, body.lidar_range);
            }
            if self.moment.flash > 0.0 {
                canvas.flash(robot, body, self.moment.flash);
            }
            canvas.robot(robot, body, self.arm, ghost);
        }
    }
}
