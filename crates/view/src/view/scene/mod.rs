//! The scene, drawn from the floor up: pictures of one room, and all that is in it.

mod arena;
mod canvas;
mod moving;
mod robot;

use bevy_egui::egui::{Color32, Painter, Pos2};

use super::camera::PaneTransform;
use super::episode_view::{EpisodeView, InterpolatedWorld};
use super::theme::Palette;
use canvas::SceneCanvas;
pub(super) use moving::ARROW_SECS;

/// How far beside a robot a click is still on it, pixels.
const BESIDE: f32 = 6.0;

/// What of a scene is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each layer is there or not")]
pub struct SceneLayers {
    /// What the lidars see.
    pub rays: bool,
    /// The shortest ways to the goals.
    pub shortest_paths: bool,
    /// Where the robots have been.
    pub trails: bool,
    /// The metres along the walls.
    pub metres: bool,
    /// Which of several robots is looked at: its rays are shown, and it is ringed.
    pub selected_robot: usize,
}

impl Default for SceneLayers {
    fn default() -> Self {
        Self {
            rays: true,
            shortest_paths: true,
            trails: true,
            metres: true,
            selected_robot: 0,
        }
    }
}

impl SceneLayers {
    /// Looks at a robot of so many; beyond the last, at the first again.
    pub(super) fn select_robot(&mut self, robot: usize, robots: usize) {
        self.selected_robot = if robot < robots { robot } else { 0 };
    }
}

/// One of the episodes in a scene: what it is, the moment that is shown, and its colour.
pub(super) struct SceneEpisode<'a> {
    pub(super) picture: &'a EpisodeView,
    pub(super) moment: InterpolatedWorld,
    pub(super) arm: Color32,
}

/// Draws episodes that share their room; the room is the first one's.
pub(super) fn draw(
    painter: &Painter,
    view: PaneTransform,
    palette: &Palette,
    episodes: &[SceneEpisode],
    layers: SceneLayers,
) {
    let Some(first) = episodes.first() else {
        return;
    };
    let painter = painter.with_clip_rect(view.pane);
    let canvas = SceneCanvas {
        painter: &painter,
        view,
        palette,
    };
    let layout = &first.picture.layout;
    // What stands may reach through the walls, but is nothing there.
    let painter_inside = painter.with_clip_rect(view.pane.intersect(canvas.room(layout)));
    let inside = SceneCanvas {
        painter: &painter_inside,
        ..canvas
    };
    canvas.floor(layout);
    inside.wall_shadows(layout);
    inside.obstacle_shadows(layout);
    for actor in episodes {
        actor.shadows(&inside);
    }
    for alternative_goal in &layout.alternative_goals {
        canvas.decoy(alternative_goal);
    }
    for robot in &layout.robots {
        canvas.goal(robot);
    }
    if layers.shortest_paths {
        for way in first.picture.shortest_paths.iter().flatten() {
            canvas.shortest_path(&way.points);
        }
    }
    for actor in episodes {
        actor.traces(&canvas, layers);
    }
    inside.obstacles(layout);
    canvas.walls(layout);
    for actor in episodes {
        actor.bodies(&canvas, layers, episodes.len() > 1);
    }
    if layers.metres {
        canvas.metres(layout);
    }
}

impl SceneEpisode<'_> {
    /// The robot at a place on the screen, or just beside it.
    pub(super) fn robot_at(&self, view: &PaneTransform, pixel: Pos2) -> Option<usize> {
        let robots = self.moment.robots.iter().zip(&self.picture.layout.robots);
        let distances = robots.map(|(robot, body)| {
            let radius = (body.radius * view.scale).max(robot::LEAST);
            (view.at(robot.position) - pixel).length() - radius
        });
        let near = distances.enumerate().filter(|(_, off)| *off <= BESIDE);
        near.min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(robot, _)| robot)
    }

    fn shadows(&self, canvas: &SceneCanvas) {
        for mover in &self.moment.movers {
            canvas.mover_shadow(mover);
        }
        for (robot, body) in self.moment.robots.iter().zip(&self.picture.layout.robots) {
            canvas.robot_shadow(robot, body);
        }
    }

    fn traces(&self, canvas: &SceneCanvas, layers: SceneLayers) {
        let robots = self.moment.robots.iter().zip(&self.picture.layout.robots);
        for (index, ((robot, body), trail)) in robots.zip(&self.picture.trails).enumerate() {
            if layers.rays && index == layers.selected_robot {
                canvas.rays(robot, body.lidar_range);
            }
            if layers.trails {
                canvas.trail(trail, robot.position, body.drive.max_speed(), self.arm);
            }
        }
    }

    fn bodies(&self, canvas: &SceneCanvas, layers: SceneLayers, ghost: bool) {
        for mover in &self.moment.movers {
            canvas.mover(mover);
        }
        let robots = self.moment.robots.iter().zip(&self.picture.layout.robots);
        for (index, (robot, body)) in robots.enumerate() {
            let chosen = index == layers.selected_robot;
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
        let picture = EpisodeView::of_env(&env, "planner:nobody", 1);
        let actor = SceneEpisode {
            moment: picture.interpolate(1.0),
            picture: &picture,
            arm: Color32::BLUE,
        };
        let pane = Rect::from_min_size(pos2(10.0, 20.0), vec2(800.0, 600.0));
        let view = PaneTransform::fitted(pane, &picture.layout.arena, vec2(9.0, 9.0));
        for (number, robot) in actor.moment.robots.iter().enumerate() {
            let at = view.at(robot.position);
            let radius = picture.layout.robots[number].radius * view.scale;
            for (off, found) in [(0.0, true), (radius + 5.0, true), (radius + 8.0, false)] {
                let hit = actor.robot_at(&view, at + vec2(off, 0.0));
                assert_eq!(hit, found.then_some(number), "{off} pixels beside {number}");
            }
        }
        let mut layers = SceneLayers::default();
        let seen: Vec<usize> = (0..8)
            .map(|_| {
                layers.select_robot(layers.selected_robot + 1, 6);
                layers.selected_robot
            })
            .collect();
        assert_eq!(seen, [1, 2, 3, 4, 5, 0, 1, 2]);
    }
}
