//! The bars above and below: what is trained, how far it has come, and what the window takes.

use bevy_egui::egui::{Align2, Color32, FontId, Pos2, Rect, Ui, pos2, vec2};

use super::screen::LiveState;
use super::training::TrainingPhase;
use crate::view::axis::short_number;
use crate::view::theme::Palette;

/// Points.
const PAD: f32 = 14.0;
const BAR: f32 = 3.0;

/// The scenario and the arm, and the figures of the moment.
pub(super) fn header(ui: &mut Ui, rect: Rect, palette: &Palette, seen: &LiveState) {
    let (training, newest) = (seen.training, &seen.history.latest);
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
    let step = newest.global_step.max(seen.history.from);
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let mut figures = vec![(
        "steps",
        format!(
            "{} of {}",
            short_number(step as f64),
            short_number(training.total_steps as f64)
        ),
    )];
    if newest.iteration > 0 {
        let speed = newest.wall.steps_per_sec;
        figures.push(("steps/s", short_number(speed)));
        figures.push(("success", newest.success_rate.map_or("–".into(), percent)));
    }
    if let Some(eval_success) = seen.history.eval_success {
        figures.push(("held out", percent(eval_success)));
    }
    let mut right = rect.max.x - PAD;
    for (name, figure) in figures.into_iter().rev() {
        right -= pair(ui, pos2(right, middle), palette, name, figure) + 22.0;
    }
    let share = step as f32 / training.total_steps.max(1) as f32;
    let bar = Rect::from_min_max(pos2(rect.min.x, rect.max.y - BAR), rect.max);
    ui.painter().rect_filled(bar, 0, palette.line);
    let done = vec2(bar.width() * share.min(1.0), BAR);
    ui.painter()
        .rect_filled(Rect::from_min_size(bar.min, done), 0, palette.arms[0]);
}

/// A figure with its name before it, to the left of a point; how wide they are comes back.
fn pair(ui: &Ui, at: Pos2, palette: &Palette, name: &str, figure: String) -> f32 {
    let (small, large) = (FontId::proportional(13.0), FontId::proportional(16.0));
    let figure = ui
        .painter()
        .text(at, Align2::RIGHT_CENTER, figure, large, palette.ink);
    let before = figure.left_center() - vec2(6.0, 0.0);
    let name = ui
        .painter()
        .text(before, Align2::RIGHT_CENTER, name, small, palette.soft);
    at.x - name.min.x
}

/// What is going on, and what drawing takes.
pub(super) fn footer(ui: &mut Ui, rect: Rect, palette: &Palette, seen: &LiveState) {
    let (color, text) = match seen.phase {
        TrainingPhase::Running => (
            palette.goal,
            "training; it goes on if you close the window".to_owned(),
        ),
        TrainingPhase::Evaluating => (
            palette.path,
            "trained; scoring the best policy on held-out episodes".to_owned(),
        ),
        TrainingPhase::Finished(how) => (
            palette.ink,
            format!("{how}; close the window when you have seen enough"),
        ),
        TrainingPhase::Closing => (palette.ink, String::new()),
    };
    let middle = rect.center().y;
    let sign = pos2(rect.min.x + PAD + 5.0, middle);
    if let TrainingPhase::Running | TrainingPhase::Evaluating = seen.phase {
        ui.painter().circle_filled(sign, 4.5, color);
    } else {
        let square = Rect::from_center_size(sign, vec2(8.0, 8.0));
        ui.painter().rect_filled(square, 0, color);
    }
    let font = FontId::proportional(13.0);
    let say = |x: f32, anchor: Align2, text: &str, color: Color32| {
        ui.painter()
            .text(pos2(x, middle), anchor, text, font.clone(), color)
    };
    say(sign.x + 12.0, Align2::LEFT_CENTER, &text, palette.ink);
    let right = rect.max.x - PAD;
    let hint = say(right, Align2::RIGHT_CENTER, "?  keys", palette.soft);
    if let Some(throttled) = &seen.throttled {
        let left = hint.min.x - 22.0;
        say(left, Align2::RIGHT_CENTER, throttled, palette.soft);
    }
}
