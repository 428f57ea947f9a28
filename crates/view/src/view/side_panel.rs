//! The panel beside the scene: figures of the moment, and what the signs mean.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{
    Align2, Color32, FontId, Painter, Rect, RichText, Sense, Shape, Stroke, Ui, Vec2, pos2, vec2,
};

use super::scene::{ARROW_SECS, SceneLayers};
use super::screen::{DisplayedEpisode, Screen};
use super::theme::{Palette, faded, mix};
use evenkeel_sim::scenario::DriveLimits;

/// Pixels.
const ROW: f32 = 24.0;
const SIGN: f32 = 44.0;
const TEXT: f32 = 14.0;

/// Shows the panel; clicks on signs switch what they stand for.
pub(super) fn show(
    ui: &mut Ui,
    screen: &mut Screen,
    palette: &Palette,
    shown: &[DisplayedEpisode],
) {
    ui.spacing_mut().item_spacing.y = 0.0;
    for (shown, arm) in shown.iter().zip(palette.arms) {
        figures(ui, palette, shown, arm, screen.layers.selected_robot);
        ui.add_space(16.0);
    }
    if let Some(first) = shown.first() {
        let (rule, _) = ui.allocate_exact_size(vec2(ui.available_width(), 1.0), Sense::hover());
        ui.painter().rect_filled(rule, 0, palette.line);
        ui.add_space(12.0);
        things(ui, palette, first);
        layers(ui, &mut screen.layers, palette, first);
    }
}

fn figures(ui: &mut Ui, palette: &Palette, shown: &DisplayedEpisode, arm: Color32, chosen: usize) {
    let title = RichText::new(&shown.picture.policy)
        .size(15.0)
        .color(palette.ink);
    ui.horizontal(|ui| {
        let (dot, _) = ui.allocate_exact_size(Vec2::splat(12.0), Sense::hover());
        ui.painter().circle_filled(dot.center(), 5.0, arm);
        ui.add(bevy_egui::egui::Label::new(title).truncate());
    });
    ui.add_space(4.0);
    let frame = shown.picture.snapshot();
    // Of several robots the one that is looked at: theirs would fill the panel.
    let robots = frame.robots.iter().zip(&shown.picture.layout.robots);
    let count = frame.robots.len();
    for (robot, body) in robots.skip(chosen).take(1) {
        if count > 1 {
            let text = format!("{chosen}, of {count} (Tab)");
            row(ui, palette, "robot", &text);
        }
        let sideways = matches!(body.drive, DriveLimits::Omni(_));
        row(ui, palette, "speed", &figure(robot.speed_mps, " m/s"));
        if sideways {
            let speed = figure(robot.side_speed_mps, " m/s");
            row(ui, palette, "speed to its left", &speed);
        }
        row(
            ui,
            palette,
            "turn rate",
            &figure(robot.turn_rate_radps, " rad/s"),
        );
        row(ui, palette, "clearance", &figure(robot.clearance_m, " m"));
    }
    let so_far = shown.picture.returns.get(chosen).copied();
    let so_far = so_far.unwrap_or_default() as f32;
    row(ui, palette, "return", &figure(so_far, ""));
    let tally = shown.tally;
    if tally.episodes > 0 {
        let text = format!("{} of {}", tally.goals, tally.episodes);
        row(ui, palette, "goals reached", &text);
    }
}

/// A figure with two decimals, and no minus before nought.
fn figure(value: f32, unit: &str) -> String {
    let text = format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0);
    format!("{}{unit}", text.replace('-', "−"))
}

fn row(ui: &mut Ui, palette: &Palette, name: &str, figure: &str) {
    let size = vec2(ui.available_width(), 21.0);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let font = FontId::proportional(TEXT);
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
        figure,
        font,
        palette.ink,
    );
}

/// What is in the room.
fn things(ui: &mut Ui, palette: &Palette, shown: &DisplayedEpisode) {
    let layout = &shown.picture.layout;
    let arm = palette.arms[0];
    entry(ui, palette, "robot, heading", None, |painter, at| {
        painter.circle(
            at.center(),
            9.0,
            arm,
            Stroke::new(1.5, mix(arm, palette.wheel, 0.35)),
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
    entry(ui, palette, "goal", None, |painter, at| {
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
        let text = format!("mover, its next {ARROW_SECS} s");
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

/// What is told about it, and may be hidden.
fn layers(ui: &mut Ui, layers: &mut SceneLayers, palette: &Palette, shown: &DisplayedEpisode) {
    let arm = palette.arms[0];
    if let Some(way) = shown
        .picture
        .shortest_paths
        .get(layers.selected_robot)
        .and_then(Option::as_ref)
    {
        let text = format!("shortest path, {:.2} m", way.length_m);
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
    if let Some(robot) = shown.picture.layout.robots.get(layers.selected_robot) {
        let text = format!("trail, 0 to {:.1} m/s", robot.drive.max_speed());
        let slow = mix(palette.floor, arm, 0.22);
        entry(
            ui,
            palette,
            &text,
            Some(("T", &mut layers.trails)),
            |painter, at| {
                ramp(painter, at, slow, arm);
            },
        );
        let text = format!("lidar, 0 to {:.0} m", robot.lidar_range);
        entry(
            ui,
            palette,
            &text,
            Some(("L", &mut layers.rays)),
            |painter, at| {
                ramp(painter, at, palette.near, palette.far);
            },
        );
    }
}

/// A band from one colour to the other.
fn ramp(painter: &Painter, at: Rect, from: Color32, to: Color32) {
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

/// A line of the legend; one with a switch is pale while it is off.
fn entry(
    ui: &mut Ui,
    palette: &Palette,
    text: &str,
    switch: Option<(&str, &mut bool)>,
    sign: impl FnOnce(&Painter, Rect),
) {
    let size = vec2(ui.available_width(), ROW);
    let sense = if switch.is_some() {
        Sense::click()
    } else {
        Sense::hover()
    };
    let (rect, response) = ui.allocate_exact_size(size, sense);
    let mut painter = ui.painter().clone();
    let place = Rect::from_min_size(rect.min, vec2(SIGN, ROW)).shrink2(vec2(2.0, 0.0));
    let font = FontId::proportional(TEXT);
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
    sign(&painter, place);
    let at = rect.left_center() + vec2(SIGN + 8.0, 0.0);
    painter.text(at, Align2::LEFT_CENTER, text, font, palette.ink);
}
