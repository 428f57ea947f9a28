//! Draws a scene: the arena, and the robots and movers of the episodes in it, in layers from the
//! floor upwards. It reads an [`EpisodeView`] and changes nothing.

mod arena;
mod canvas;
mod moving;
mod robot;

use bevy_egui::egui::{Color32, Painter, Pos2};

use super::camera::PaneTransform;
use super::episode_view::{EpisodeView, InterpolatedRobot, InterpolatedWorld};
use super::theme::Palette;
use canvas::SceneCanvas;
use evenkeel_sim::scenario::RobotParameters;
pub(super) use moving::ARROW_SECS;

/// Greatest distance between a robot's outline and a click that selects it, pixels.
const CLICK_TOLERANCE: f32 = 6.0;

/// What is drawn in a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each layer is shown or hidden"
)]
pub struct SceneLayers {
    /// Whether the lidar rays of the selected robot are drawn.
    pub rays: bool,
    /// Whether the shortest paths to the goals are drawn.
    pub shortest_paths: bool,
    /// Whether the robots' trails are drawn.
    pub trails: bool,
    /// Whether axis labels are drawn along the walls, metres.
    pub axis_labels: bool,
    /// Index of the selected robot. If there are several robots, it has a ring around it.
    pub selected_robot: usize,
}

impl Default for SceneLayers {
    fn default() -> Self {
        Self {
            rays: true,
            shortest_paths: true,
            trails: true,
            axis_labels: true,
            selected_robot: 0,
        }
    }
}

impl SceneLayers {
    /// Selects a robot; the first if `robot` is not less than the number of robots.
    pub(super) fn select_robot(&mut self, robot: usize, robots: usize) {
        self.selected_robot = if robot < robots { robot } else { 0 };
    }
}

/// One of the episodes in a scene.
pub(super) struct SceneEpisode<'a> {
    pub(super) view: &'a EpisodeView,
    /// The world at the time that is shown.
    pub(super) world: InterpolatedWorld,
    /// The colour of the policy.
    pub(super) arm_color: Color32,
}

/// Draws episodes that have the same layout; the layout is taken from the first one.
pub(super) fn draw(
    painter: &Painter,
    transform: PaneTransform,
    palette: &Palette,
    episodes: &[SceneEpisode],
    layers: SceneLayers,
) {
    let Some(first) = episodes.first() else {
        return;
    };
    let painter = painter.with_clip_rect(transform.pane);
    let canvas = SceneCanvas {
        painter: &painter,
        transform,
        palette,
    };
    let layout = &first.view.layout;
    // Obstacles may extend beyond the walls; that part is not drawn.
    let painter_inside = painter.with_clip_rect(transform.pane.intersect(canvas.arena(layout)));
    let inside = SceneCanvas {
        painter: &painter_inside,
        ..canvas
    };
    canvas.floor(layout);
    inside.wall_shadows(layout);
    inside.obstacle_shadows(layout);
    for episode in episodes {
        episode.draw_shadows(&inside);
    }
    for alternative_goal in &layout.alternative_goals {
        canvas.alternative_goal(alternative_goal);
    }
    for robot in &layout.robots {
        canvas.goal(robot);
    }
    if layers.shortest_paths {
        for path in first.view.shortest_paths.iter().flatten() {
            canvas.shortest_path(&path.points);
        }
    }
    for episode in episodes {
        episode.draw_rays_and_trails(&canvas, layers);
    }
    inside.obstacles(layout);
    canvas.walls(layout);
    if layout.robots.len() > 1 {
        for (number, robot) in layout.robots.iter().enumerate() {
            canvas.goal_number(robot, number);
        }
    }
    for episode in episodes {
        episode.draw_bodies(&canvas, layers, episodes.len() > 1);
    }
    if layers.axis_labels {
        canvas.axis_labels(layout);
    }
}

impl SceneEpisode<'_> {
    /// The index of the robot at, or close to, a pixel.
    pub(super) fn robot_at(&self, transform: &PaneTransform, pixel: Pos2) -> Option<usize> {
        let distances = self.robots().map(|(robot, parameters)| {
            let radius = (parameters.radius * transform.scale).max(robot::MIN_RADIUS);
            (transform.to_screen(robot.position) - pixel).length() - radius
        });
        let near = distances
            .enumerate()
            .filter(|(_, distance)| *distance <= CLICK_TOLERANCE);
        near.min_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(robot, _)| robot)
    }

    /// The colour of who drives a robot.
    fn color(&self, palette: &Palette, robot: usize) -> Color32 {
        match self.view.drivers() {
            (_, Some(_)) if robot > 0 => palette.others,
            _ => self.arm_color,
        }
    }

    /// Each robot with its parameters.
    fn robots(&self) -> impl Iterator<Item = (&InterpolatedRobot, &RobotParameters)> {
        self.world.robots.iter().zip(&self.view.layout.robots)
    }

    fn draw_shadows(&self, canvas: &SceneCanvas) {
        for mover in &self.world.movers {
            canvas.mover_shadow(mover);
        }
        for (robot, parameters) in self.robots() {
            canvas.robot_shadow(robot, parameters);
        }
    }

    fn draw_rays_and_trails(&self, canvas: &SceneCanvas, layers: SceneLayers) {
        let robots = self.robots().zip(&self.view.trails);
        for (index, ((robot, parameters), trail)) in robots.enumerate() {
            if layers.rays && index == layers.selected_robot {
                canvas.rays(robot, parameters.lidar.range);
            }
            if layers.trails {
                let max_speed = parameters.drive.max_forward_speed();
                canvas.trail(
                    trail,
                    robot.position,
                    max_speed,
                    self.color(canvas.palette, index),
                );
            }
        }
    }

    /// Draws movers and robots. A `ghost` is translucent.
    fn draw_bodies(&self, canvas: &SceneCanvas, layers: SceneLayers, ghost: bool) {
        for mover in &self.world.movers {
            canvas.mover(mover);
        }
        for (index, (robot, parameters)) in self.robots().enumerate() {
            let selected = index == layers.selected_robot;
            if layers.rays && selected {
                canvas.hits(robot, parameters.lidar.range);
            }
            if robot.flash > 0.0 {
                canvas.contact_flash(robot, parameters, robot.flash);
            }
            canvas.robot(robot, parameters, self.color(canvas.palette, index), ghost);
            if self.world.robots.len() > 1 && !ghost {
                canvas.robot_number(robot, parameters, index);
            }
            if selected && self.world.robots.len() > 1 {
                canvas.selection_ring(robot, parameters);
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
    fn a_click_selects_the_robot_below_it() {
        let scenario = Arc::new(evenkeel_sim::scenario::resolve("swap", &[]).unwrap());
        let env = NavEnv::new(scenario, 1, Split::Eval, 0).unwrap();
        let view = EpisodeView::of_env(&env, "planner:nobody", 1);
        let episode = SceneEpisode {
            world: view.interpolate(1.0),
            view: &view,
            arm_color: Color32::BLUE,
        };
        let pane = Rect::from_min_size(pos2(10.0, 20.0), vec2(800.0, 600.0));
        let transform = PaneTransform::fitted(pane, &view.layout.arena, vec2(9.0, 9.0));
        for (number, robot) in episode.world.robots.iter().enumerate() {
            let at = transform.to_screen(robot.position);
            let radius = view.layout.robots[number].radius * transform.scale;
            for (offset, found) in [(0.0, true), (radius + 5.0, true), (radius + 8.0, false)] {
                let hit = episode.robot_at(&transform, at + vec2(offset, 0.0));
                assert_eq!(hit, found.then_some(number), "{offset} px beside {number}");
            }
        }
    }

    #[test]
    fn selection_wraps_around() {
        let mut layers = SceneLayers::default();
        let selected: Vec<usize> = (0..8)
            .map(|_| {
                layers.select_robot(layers.selected_robot + 1, 6);
                layers.selected_robot
            })
            .collect();
        assert_eq!(selected, [1, 2, 3, 4, 5, 0, 1, 2]);
    }
}
