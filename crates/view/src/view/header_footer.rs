//! The bars above and below the scene: scenario, episode and policies; controls and time.

use bevy_egui::egui::{
    Align, Align2, Button, FontId, Layout, Rect, RichText, Sense, Ui, Vec2, pos2,
};

use super::keys;
use super::screen::{ControlSource, DisplayedEpisode, UserRequest};
use super::short_text::fit_name;
use super::theme::Palette;
use crate::bevy_env::NavClock;

/// Height of the progress bar, pixels.
const PROGRESS_HEIGHT: f32 = 4.0;
/// Width of the dot before a policy's name in the header and of the gaps around both, pixels.
const NAME_MARGIN: f32 = 38.0;

/// Draws the names of the scenario and the policies, and the number of the episode.
pub(super) fn header(ui: &mut Ui, palette: &Palette, episodes: &[DisplayedEpisode], roomy: bool) {
    let Some(first) = episodes.first() else {
        return;
    };
    let (large, small) = if roomy { (19.0, 14.0) } else { (15.0, 12.5) };
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        ui.spacing_mut().item_spacing.x = 10.0;
        let view = first.view;
        ui.label(RichText::new(&view.scenario).size(large).color(palette.ink));
        let episode = format!("episode {} · seed {}", view.episode, view.seed);
        if roomy {
            ui.label(RichText::new(episode).size(small).color(palette.soft));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if roomy {
                ui.label(RichText::new("?  keys").size(small).color(palette.soft));
                ui.add_space(10.0);
            }
            let share = ui.available_width() / episodes.len() as f32;
            for (episode, arm_color) in episodes.iter().zip(palette.arms).rev() {
                let name = &episode.view.policy;
                let short = fit_name(ui.painter(), name, small, share - NAME_MARGIN);
                let is_short = short != *name;
                let label = ui.label(RichText::new(short).size(small).color(palette.ink));
                if is_short {
                    label.on_hover_text(name);
                }
                let (dot, _) = ui.allocate_exact_size(Vec2::splat(10.0), Sense::hover());
                ui.painter().circle_filled(dot.center(), 5.0, arm_color);
                ui.add_space(8.0);
            }
        });
    });
}

/// Draws the buttons and the elapsed time. Returns what was requested with the buttons.
pub(super) fn footer(
    ui: &mut Ui,
    palette: &Palette,
    episodes: &[DisplayedEpisode],
    nav_clock: &mut NavClock,
    control: ControlSource,
) -> Vec<UserRequest> {
    let mut requests = Vec::new();
    // A recording has a timeline instead.
    if control != ControlSource::Recording {
        progress(ui, palette, episodes);
    }
    let tall = ui.available_height() > 40.0;
    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
        if control != ControlSource::Video {
            requests = controls(ui, palette, nav_clock, tall);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let time = time_text(episodes);
            ui.label(RichText::new(time).size(15.0).color(palette.ink));
            if control == ControlSource::Person && tall {
                ui.add_space(16.0);
                let hint = "arrow keys or W A S D drive";
                ui.label(RichText::new(hint).size(14.0).color(palette.soft));
            } else if nav_clock.paused && tall {
                ui.add_space(16.0);
                ui.label(RichText::new("paused").size(14.0).color(palette.soft));
            }
        });
    });
    requests
}

/// Draws the buttons. Pause, single step and speed change `nav_clock`; the rest is returned.
fn controls(
    ui: &mut Ui,
    palette: &Palette,
    nav_clock: &mut NavClock,
    tall: bool,
) -> Vec<UserRequest> {
    let mut requests = Vec::new();
    ui.spacing_mut().item_spacing.x = 6.0;
    let button = |ui: &mut Ui, icon: &str, hint: &str| {
        let side = if tall { 30.0 } else { 24.0 };
        let text = RichText::new(icon).size(if tall { 15.0 } else { 12.0 });
        let button = Button::new(text).min_size(Vec2::splat(side));
        ui.add(button).on_hover_text(hint).clicked()
    };
    let (icon, hint) = if nav_clock.paused {
        ("▶", "resume (Space)")
    } else {
        ("⏸", "pause (Space)")
    };
    if button(ui, icon, hint) {
        nav_clock.paused = !nav_clock.paused;
    }
    if button(ui, "⏭", "one control step (.)") {
        keys::step(nav_clock);
    }
    if button(ui, "−", "slower (−)") {
        keys::slower(nav_clock);
    }
    let speed = format!("{} ×", nav_clock.speed);
    let (rect, _) = ui.allocate_exact_size(Vec2::new(46.0, 20.0), Sense::hover());
    let (font, ink) = (FontId::proportional(14.0), palette.ink);
    ui.painter()
        .text(rect.center(), Align2::CENTER_CENTER, speed, font, ink);
    if button(ui, "+", "faster (+)") {
        keys::faster(nav_clock);
    }
    ui.add_space(8.0);
    for (icon, hint, request) in [
        ("⏮", "previous episode (B)", UserRequest::Previous),
        ("↺", "restart the episode (R)", UserRequest::Restart),
        ("⏩", "next episode (N)", UserRequest::Next),
    ] {
        if button(ui, icon, hint) {
            requests.push(request);
        }
    }
    requests
}

/// Elapsed time and time limit, as in `3.2 s of 40 s`.
fn time_text(episodes: &[DisplayedEpisode]) -> String {
    let times = episodes.iter().map(|episode| episode.world.time_secs);
    let latest = times.fold(0.0, f32::max);
    let limit = episodes.first();
    let limit = limit.map_or(0.0, |episode| episode.view.time_limit_secs);
    let places = usize::from((limit - limit.round()).abs() > 0.05);
    format!("{latest:.1} s of {limit:.places$} s")
}

/// Draws the share of the time limit that each episode has used, along the footer's upper edge.
fn progress(ui: &Ui, palette: &Palette, episodes: &[DisplayedEpisode]) {
    let bar = ui.max_rect().expand2(Vec2::new(14.0, 0.0));
    let height = PROGRESS_HEIGHT / episodes.len().max(1) as f32;
    ui.painter().rect_filled(
        Rect::from_min_size(bar.min, Vec2::new(bar.width(), PROGRESS_HEIGHT)),
        0,
        palette.line,
    );
    for (row, (episode, arm_color)) in episodes.iter().zip(palette.arms).enumerate() {
        let share = (episode.world.time_secs / episode.view.time_limit_secs).min(1.0);
        let top = bar.min.y + height * row as f32;
        let size = Vec2::new(bar.width() * share, height);
        ui.painter().rect_filled(
            Rect::from_min_size(pos2(bar.min.x, top), size),
            0,
            arm_color,
        );
    }
}
