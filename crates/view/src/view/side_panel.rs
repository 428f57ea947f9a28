//! The panel beside the scene: current values, and a legend that switches layers on and off.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{
    Align2, Color32, FontId, Painter, Rect, RichText, Sense, Shape, Stroke, Ui, Vec2, pos2, vec2,
};

use super::scene::{ARROW_SECS, SceneLayers};
use super::screen::{DisplayedEpisode, Screen};
use super::short_text::fit_name;
use super::theme::{Palette, faded, mix};
use evenkeel_sim::scenario::DriveLimits;

/// Height of a row of the legend, pixels.
const ROW_HEIGHT: f32 = 24.0;
/// Width of the legend's icons, pixels.
const ICON_WIDTH: f32 = 44.0;
/// Text size, pixels.
const TEXT_SIZE: f32 = 14.0;

/// Draws the panel. A click on a layer's row in the legend shows or hides the layer.
pub(super) fn show(
    ui: &mut Ui,
    screen: &mut Screen,
    palette: &Palette,
    episodes: &[DisplayedEpisode],
) {
    ui.spacing_mut().item_spacing.y = 0.0;
    for (episode, arm_color) in episodes.iter().zip(palette.arms) {
        values(
            ui,
            palette,
            episode,
            arm_color,
            screen.layers.selected_robot,
        );
        ui.add_space(16.0);
    }
    if let Some(first) = episodes.first() {
        let (rule, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
        ui.painter().rect_filled(rule, 0, palette.line);
        ui.add_space(12.0);
        object_legend(ui, palette, first);
        layer_legend(ui, &mut screen.layers, palette, first);
    }
}

/// Draws the values of the selected robot and of the policy.
fn values(
    ui: &mut Ui,
    palette: &Palette,
    episode: &DisplayedEpisode,
    arm_color: Color32,
    selected: usize,
) {
    let snapshot = episode.view.snapshot();
    for (driver, color, robots) in drivers(palette, episode, arm_color, snapshot.robots.len()) {
        ui.horizontal(|ui| {
            let (dot, _) = ui.allocate_exact_size(Vec2::splat(12.0), Sense::hover());
            ui.painter().circle_filled(dot.center(), 5.0, color);
            let space = ui.available_width() - 4.0;
            let name = fit_name(ui.painter(), driver, 15.0, space);
            let label = ui.label(RichText::new(name).size(15.0).color(palette.ink));
            label.on_hover_text(driver);
        });
        if !robots.is_empty() {
            row(ui, palette, "drives", &robots);
        }
    }
    ui.add_space(4.0);
    // The values of all robots would not fit into the panel.
    let robots = snapshot.robots.iter().zip(&episode.view.layout.robots);
    let count = snapshot.robots.len();
    for (robot, parameters) in robots.skip(selected).take(1) {
        if count > 1 {
            let text = format!("{selected} of 0 to {} (Tab)", count - 1);
            row(ui, palette, "robot", &text);
        }
        let sideways = matches!(parameters.drive, DriveLimits::Omni(_));
        row(ui, palette, "speed", &format_value(robot.speed_mps, " m/s"));
        if sideways {
            let speed = format_value(robot.side_speed_mps, " m/s");
            row(ui, palette, "speed to the left", &speed);
        }
        let turn_rate = format_value(robot.turn_rate_radps, " rad/s");
        row(ui, palette, "turn rate", &turn_rate);
        let clearance = format_value(robot.clearance_m, " m");
        row(ui, palette, "clearance", &clearance);
    }
    let return_so_far = episode.view.returns.get(selected).copied();
    let return_so_far = return_so_far.unwrap_or_default() as f32;
    row(ui, palette, "return", &format_value(return_so_far, ""));
    let counts = episode.counts;
    if counts.episodes > 0 {
        let text = format!("{} of {}", counts.goals, counts.episodes);
        row(ui, palette, "goals reached", &text);
    }
}

/// Who drives: name, colour, and, of several, which robots.
fn drivers<'a>(
    palette: &Palette,
    episode: &'a DisplayedEpisode,
    arm_color: Color32,
    robots: usize,
) -> Vec<(&'a str, Color32, String)> {
    match episode.view.drivers() {
        (first, Some(others)) if robots > 1 => vec![
            (first, arm_color, "robot 0".to_owned()),
            (
                others,
                palette.others,
                format!("robots 1 to {}", robots - 1),
            ),
        ],
        _ => vec![(&episode.view.policy, arm_color, String::new())],
    }
}

/// A value with two decimals and its unit. Never `−0.00`.
fn format_value(value: f32, unit: &str) -> String {
    let text = format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0);
    format!("{}{unit}", text.replace('-', "−"))
}

fn row(ui: &mut Ui, palette: &Palette, name: &str, value: &str) {
    let size = vec2(ui.available_width(), 21.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let font = FontId::proportional(TEXT_SIZE);
    let painter = ui.painter();
    painter.text(
        rect.left_center(),
        Align2::LEFT_CENTER,
        name,
        font.clone(),
        palette.soft,
    );
    painter.text(
        rect.right_center(),
        Align2::RIGHT_CENTER,
        value,
        font,
        palette.ink,
    );
}

/// Draws the legend of what is in the arena.
fn object_legend(ui: &mut Ui, palette: &Palette, episode: &DisplayedEpisode) {
    let layout = &episode.view.layout;
    let arm_color = palette.arms[0];
    entry(ui, palette, "robot, heading", None, |painter, at| {
        painter.circle(
            at.center(),
            9.0,
            arm_color,
            Stroke::new(1.5, mix(arm_color, palette.wheel, 0.35)),
        );
        let (x, y) = (at.center().x, at.center().y);
        for side in [-1.0, 1.0] {
            let corners = vec![
                pos2(x + 7.5, y),
                pos2(x - 4.5, y + 4.0 * side),
                pos2(x - 2.0, y),
            ];
            painter.add(Shape::convex_polygon(corners, palette.nose, Stroke::NONE));
        }
    });
    let goal = if layout.robots.len() > 1 {
        "goal of the robot"
    } else {
        "goal"
    };
    entry(ui, palette, goal, None, |painter, at| {
        let color = palette.goal;
        painter.circle(at.center(), 9.0, faded(color, 0.2), Stroke::new(2.0, color));
        painter.circle_filled(at.center(), 2.5, color);
    });
    if !layout.alternative_goals.is_empty() {
        entry(
            ui,
            palette,
            "goal in other episodes",
            None,
            |painter, at| {
                let mut ring: Vec<_> = (0..=24)
                    .map(|i| {
                        at.center() + 9.0 * Vec2::angled(i as f32 * std::f32::consts::TAU / 24.0)
                    })
                    .collect();
                ring.push(ring[0]);
                painter.extend(Shape::dashed_line(
                    &ring,
                    Stroke::new(2.0, palette.goal),
                    4.0,
                    4.0,
                ));
            },
        );
    }
    if !layout.movers.is_empty() {
        let text = format!("mover, next {ARROW_SECS} s");
        entry(ui, palette, &text, None, |painter, at| {
            let color = palette.mover;
            let middle = at.center() - vec2(8.0, 0.0);
            painter.circle(
                middle,
                8.0,
                mix(palette.floor, color, 0.45),
                Stroke::new(2.0, color),
            );
            painter.arrow(middle, vec2(26.0, 0.0), Stroke::new(2.0, color));
        });
    }
}

/// Draws the legend of the layers that can be hidden.
fn layer_legend(
    ui: &mut Ui,
    layers: &mut SceneLayers,
    palette: &Palette,
    episode: &DisplayedEpisode,
) {
    let arm_color = palette.arms[0];
    let paths = &episode.view.shortest_paths;
    if let Some(path) = paths.get(layers.selected_robot).and_then(Option::as_ref) {
        let text = format!("shortest path, {:.2} m", path.length_m);
        entry(
            ui,
            palette,
            &text,
            Some(("P", &mut layers.shortest_paths)),
            |painter, at| {
                let ends = [at.left_center(), at.right_center()];
                painter.extend(Shape::dashed_line(
                    &ends,
                    Stroke::new(2.0, palette.path),
                    7.0,
                    5.0,
                ));
            },
        );
    }
    if let Some(robot) = episode.view.layout.robots.get(layers.selected_robot) {
        let text = format!("trail, 0 to {:.1} m/s", robot.drive.max_forward_speed());
        let slow = mix(palette.floor, arm_color, 0.22);
        entry(
            ui,
            palette,
            &text,
            Some(("T", &mut layers.trails)),
            |painter, at| {
                color_scale(painter, at, slow, arm_color);
            },
        );
        let text = format!("lidar, 0 to {:.0} m", robot.lidar.range);
        entry(
            ui,
            palette,
            &text,
            Some(("L", &mut layers.rays)),
            |painter, at| {
                color_scale(painter, at, palette.near, palette.far);
            },
        );
    }
}

/// Draws a band that goes from one colour to another.
fn color_scale(painter: &Painter, at: Rect, from: Color32, to: Color32) {
    let band = Rect::from_center_size(at.center(), vec2(at.width(), 7.0));
    let mut mesh = Mesh::default();
    for (corner, color) in [
        (band.left_top(), from),
        (band.left_bottom(), from),
        (band.right_top(), to),
        (band.right_bottom(), to),
    ] {
        mesh.colored_vertex(corner, color);
    }
    mesh.add_triangle(0, 1, 2);
    mesh.add_triangle(1, 2, 3);
    painter.add(mesh);
}

/// Draws a row of the legend. `switch` is a key and the layer's state; the row is pale while the
/// layer is off.
fn entry(
    ui: &mut Ui,
    palette: &Palette,
    text: &str,
    switch: Option<(&str, &mut bool)>,
    draw_icon: impl FnOnce(&Painter, Rect),
) {
    let size = vec2(ui.available_width(), ROW_HEIGHT);
    let sense = if switch.is_some() {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    let mut painter = ui.painter().clone();
    let icon = Rect::from_min_size(rect.min, vec2(ICON_WIDTH, ROW_HEIGHT)).shrink2(vec2(2.0, 0.0));
    let font = FontId::proportional(TEXT_SIZE);
    if let Some((key, on)) = switch {
        if response.clicked() {
            *on = !*on;
        }
        painter.text(
            rect.right_center(),
            Align2::RIGHT_CENTER,
            key,
            font.clone(),
            palette.soft,
        );
        if !*on {
            painter.set_opacity(0.35);
        }
        response.on_hover_text(format!("show or hide ({key})"));
    }
    draw_icon(&painter, icon);
    let at = rect.left_center() + vec2(ICON_WIDTH + 8.0, 0.0);
    painter.text(at, Align2::LEFT_CENTER, text, font, palette.ink);
}
