//! The scene, drawn from the floor up: pictures of one room, and all that is in it.

mod canvas;
mod moving;
mod robot;
mod room;

use bevy_egui::egui::{Color32, Painter, Pos2};

use super::eye::View;
use super::picture::{Moment, Picture};
use super::theme::Palette;
use canvas::Canvas;
pub(super) use moving::ARROW_SECS;

/// How far beside a robot a click is still on it, pixels.
const BESIDE: f32 = 6.0;

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
    /// Which of several robots is looked at: its rays are shown, and it is ringed.
    pub robot: usize,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            rays: true,
            ways: true,
            trails: true,
            metres: true,
            robot: 0,
        }
    }
}

impl Layers {
    /// Looks at a robot of so many; beyond the last, at the first again.
    pub(super) fn choose(&mut self, robot: usize, robots: usize) {
        self.robot = if robot < robots { robot } else { 0 };
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
    /// The robot at a place on the screen, or just beside it.
    pub(super) fn robot_at(&self, view: &View, pixel: Pos2) -> Option<usize> {
        let robots = self.moment.robots.iter().zip(&self.picture.layout.robots);
        let distances = robots.map(|(robot, body)| {
            let radius = (body.radius * view.scale).max(robot::LEAST);
            (view.at(robot.position) - pixel).length() - radius
        });
        let near = distances.enumerate().filter(|(_, off)| *off <= BESIDE);
        near.min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(robot, _)| robot)
    }

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
        for (index, ((robot, body), trail)) in robots.zip(&self.picture.trails).enumerate() {
            if layers.rays && index == layers.robot {
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
        let robots = self.moment.robots.iter().zip(&self.picture.layout.robots);
        for (index, (robot, body)) in robots.enumerate() {
            let chosen = index == layers.robot;
            if layers.rays && chosen {
                canvas.hits(robot, body.lidar_range);
            }
            if robot.flash > 0.0 {
                canvas.flash(robot, body, robot.flash);
            }
            canvas.robot(robot, body, self.arm, ghost);
            if chosen && self.moment.robots.len() > 1 {
                canvas.ring(robot, body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bevy_egui::egui::{Rect, pos2, vec2};

    use super::*;
    use evenkeel_sim::env::NavEnv;
    use evenkeel_sim::seed::Split;

    #[test]
    fn a_click_finds_the_robot_that_it_is_on() {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("swap", &[]).unwrap());
        let env = NavEnv::new(scenario, 1, Split::Eval, 0).unwrap();
        let picture = Picture::begin(&env, "driver:nobody", 1);
        let actor = Actor {
            moment: picture.moment(1.0),
            picture: &picture,
            arm: Color32::BLUE,
        };
        let pane = Rect::from_min_size(pos2(10.0, 20.0), vec2(800.0, 600.0));
        let view = View::fitted(pane, &picture.layout.arena, vec2(9.0, 9.0));
        for (number, robot) in actor.moment.robots.iter().enumerate() {
            let at = view.at(robot.position);
            let radius = picture.layout.robots[number].radius * view.scale;
            for (off, found) in [(0.0, true), (radius + 5.0, true), (radius + 8.0, false)] {
                let hit = actor.robot_at(&view, at + vec2(off, 0.0));
                assert_eq!(hit, found.then_some(number), "{off} pixels beside {number}");
            }
        }
        let mut layers = Layers::default();
        let seen: Vec<usize> = (0..8)
            .map(|_| {
                layers.choose(layers.robot + 1, 6);
                layers.robot
            })
            .collect();
        assert_eq!(seen, [1, 2, 3, 4, 5, 0, 1, 2]);
    }
}
