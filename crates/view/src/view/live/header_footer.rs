//! The bars above and below: scenario, arm and progress; the phase, and why drawing is slow.

use bevy_egui::egui::{Align2, Color32, FontId, Pos2, Rect, Ui, pos2, vec2};

use super::screen::LiveState;
use super::training::TrainingPhase;
use crate::view::axis::short_number;
use crate::view::outcome_badge::OutcomeIcon;
use crate::view::theme::Palette;
use evenkeel_sim::env::Outcome;

/// Margin at the sides, points.
const PAD: f32 = 14.0;
/// Height of the progress bar, points.
const PROGRESS_HEIGHT: f32 = 3.0;

/// Draws the names of the scenario and the arm, the current metrics, and the progress bar.
pub(super) fn header(ui: &mut Ui, rect: Rect, palette: &Palette, state: &LiveState) {
    let (training, latest) = (state.training, &state.history.latest);
    let middle = rect.center().y - 1.0;
    let mut left = rect.min.x + PAD;
    for (text, size, color) in [
        (training.scenario.name.clone(), 19.0, palette.ink),
        (format!("arm {}", training.arm), 15.0, palette.arms[0]),
        (format!("seed {}", training.seed), 14.0, palette.soft),
    ] {
        let font = FontId::proportional(size);
        let galley = ui.painter().layout_no_wrap(text, font, color);
        let corner = pos2(left, middle - galley.size().y / 2.0);
        left += galley.size().x + 14.0;
        ui.painter().galley(corner, galley, color);
    }
    let step = latest.global_step.max(state.history.from);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let mut metrics = vec![(
        "steps",
        format!(
            "{} of {}",
            short_number(step as f64),
            short_number(training.total_steps as f64)
        ),
    )];
    if latest.iteration > 0 {
        let speed = latest.wall.steps_per_sec;
        metrics.push(("steps/s", short_number(speed)));
        metrics.push(("success", latest.success_rate.map_or("–".into(), percent)));
    }
    if let Some(eval_success) = state.history.eval_success {
        metrics.push(("validation", percent(eval_success)));
    }
    let mut right = rect.max.x - PAD;
    for (name, value) in metrics.into_iter().rev() {
        right -= draw_metric(ui, pos2(right, middle), palette, name, value) + 22.0;
    }
    let share = step as f32 / training.total_steps.max(1) as f32;
    let bar = Rect::from_min_max(pos2(rect.min.x, rect.max.y - PROGRESS_HEIGHT), rect.max);
    ui.painter().rect_filled(bar, 0, palette.line);
    let done = vec2(bar.width() * share.min(1.0), PROGRESS_HEIGHT);
    ui.painter()
        .rect_filled(Rect::from_min_size(bar.min, done), 0, palette.arms[0]);
}

/// Draws a metric's name and value to the left of a point. Returns their width, points.
fn draw_metric(ui: &Ui, at: Pos2, palette: &Palette, name: &str, value: String) -> f32 {
    let (small, large) = (FontId::proportional(13.0), FontId::proportional(16.0));
    let value = ui
        .painter()
        .text(at, Align2::RIGHT_CENTER, value, large, palette.ink);
    let before = value.left_center() - vec2(6.0, 0.0);
    let name = ui
        .painter()
        .text(before, Align2::RIGHT_CENTER, name, small, palette.soft);
    at.x - name.min.x
}

/// Draws the phase of the run, and why the window is drawn slowly, if it is.
pub(super) fn footer(ui: &mut Ui, rect: Rect, palette: &Palette, state: &LiveState) {
    let (color, text) = match state.phase {
        TrainingPhase::Running => (
            palette.goal,
            "training; it continues if you close the window".to_owned(),
        ),
        TrainingPhase::Evaluating => (
            palette.path,
            "trained; evaluating the best and the last checkpoint on held-out episodes".to_owned(),
        ),
        TrainingPhase::Finished(result) => (
            palette.ink,
            format!("{result}; you can close the window now"),
        ),
        TrainingPhase::Closing => (palette.ink, String::new()),
    };
    let middle = rect.center().y;
    let icon = pos2(rect.min.x + PAD + 5.0, middle);
    if let TrainingPhase::Running | TrainingPhase::Evaluating = state.phase {
        ui.painter().circle_filled(icon, 4.5, color);
    } else {
        let square = Rect::from_center_size(icon, vec2(8.0, 8.0));
        ui.painter().rect_filled(square, 0, color);
    }
    let font = FontId::proportional(13.0);
    let draw = |x: f32, anchor: Align2, text: &str, color: Color32| {
        ui.painter()
            .text(pos2(x, middle), anchor, text, font.clone(), color)
    };
    let text = draw(icon.x + 12.0, Align2::LEFT_CENTER, &text, palette.ink);
    let right = rect.max.x - PAD;
    let mut right = draw(right, Align2::RIGHT_CENTER, "?  keys", palette.soft)
        .min
        .x;
    if let Some(throttled) = &state.throttled {
        right = draw(right - 22.0, Align2::RIGHT_CENTER, throttled, palette.soft)
            .min
            .x;
    }
    outcome_legend(ui, pos2(text.max.x, middle), right, palette);
}

/// Draws what the marks of the tiles mean, if that fits between two points.
fn outcome_legend(ui: &Ui, from: Pos2, right: f32, palette: &Palette) {
    const WIDTH: f32 = 260.0;
    if right - from.x < WIDTH + 40.0 {
        return;
    }
    let mut x = from.x + 30.0;
    for (outcome, name) in [
        (Outcome::Goal, "goal"),
        (Outcome::CollisionStatic, "collision"),
        (Outcome::TimeLimit, "time limit"),
    ] {
        let (icon, color) = OutcomeIcon::of(outcome, palette);
        icon.draw(ui.painter(), pos2(x, from.y), color);
        let at = pos2(x + 11.0, from.y);
        let font = FontId::proportional(12.5);
        let text = ui
            .painter()
            .text(at, Align2::LEFT_CENTER, name, font, palette.soft);
        x = text.max.x + 20.0;
    }
}
