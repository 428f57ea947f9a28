//! The list of notifications of the detectors and the update guard.

use bevy_egui::egui::{
    Align2, Color32, FontId, Id, Painter, Pos2, Rect, Sense, Shape, Stroke, Ui, pos2, vec2,
};

use super::chart::{self, TITLE_HEIGHT};
use crate::view::axis::short_number;
use crate::view::short_text::fit_name;
use crate::view::theme::Palette;
use evenkeel_runs::telemetry::{Notification, RunHistory, Severity};

const NAME: &str = "detectors";
const HELP: &str = "Detections of unhealthy training and unhealthy driving, and what the update \
                    guard did about them, the newest first. The run's log and report have the \
                    same. A square is critical, a triangle is a warning. Rest the pointer on one \
                    to read what was measured and what usually helps.";
/// Height of a row, points.
const ROW_HEIGHT: f32 = 19.0;

/// Draws the card, the newest notification first.
pub(super) fn show(ui: &mut Ui, rect: Rect, palette: &Palette, history: &RunHistory) {
    chart::card(ui, rect, palette);
    let count = (history.total > 0).then(|| short_number(history.total as f64));
    chart::title(ui, rect, palette, NAME, "as they fire", HELP, count);
    let top = rect.min.y + 8.0 + TITLE_HEIGHT + 1.0;
    if history.notifications.is_empty() {
        let font = FontId::proportional(12.5);
        let at = pos2(rect.min.x + 8.0, top + ROW_HEIGHT / 2.0);
        let text = "none so far";
        ui.painter()
            .text(at, Align2::LEFT_CENTER, text, font, palette.soft);
        return;
    }
    let rows = ((rect.max.y - 5.0 - top) / ROW_HEIGHT).max(0.0) as usize;
    // Two columns if one is not enough.
    let columns = if history.notifications.len() > rows {
        2
    } else {
        1
    };
    let width = (rect.width() - 16.0) / columns as f32;
    for (index, notification) in history
        .notifications
        .iter()
        .take(rows * columns)
        .enumerate()
    {
        let (column, row) = ((index / rows) as f32, (index % rows) as f32);
        let corner = pos2(rect.min.x + 8.0, top) + vec2(column * width, row * ROW_HEIGHT);
        let size = vec2(width - 10.0, ROW_HEIGHT);
        draw_row(
            ui,
            Rect::from_min_size(corner, size),
            palette,
            index,
            notification,
        );
    }
}

fn draw_row(ui: &mut Ui, rect: Rect, palette: &Palette, index: usize, notification: &Notification) {
    let response = ui.interact(rect, Id::new(("news", index)), Sense::hover());
    let painter = ui.painter().with_clip_rect(rect);
    let color = match notification.severity {
        Severity::Warning => palette.path,
        Severity::Critical => palette.bad,
    };
    draw_icon(
        &painter,
        rect.left_center() + vec2(6.0, 0.0),
        notification.severity,
        color,
    );
    let font = FontId::proportional(12.5);
    let step = format!("step {}", short_number(notification.global_step as f64));
    let step = painter.text(
        rect.right_center(),
        Align2::RIGHT_CENTER,
        step,
        FontId::proportional(11.0),
        palette.soft,
    );
    let repeats = if notification.repeats > 1 {
        format!("  × {}", notification.repeats)
    } else {
        String::new()
    };
    let left = rect.min.x + 17.0;
    let title = format!("{}{repeats}", notification.title);
    let title = fit_name(&painter, &title, font.size, step.min.x - 8.0 - left);
    let galley = painter.layout_no_wrap(title, font, palette.ink);
    let corner = pos2(left, rect.center().y - galley.size().y / 2.0);
    painter.galley(corner, galley, palette.ink);
    response.on_hover_ui(|ui| {
        ui.set_max_width(420.0);
        ui.label(&notification.text);
    });
}

/// Draws the icon of a severity.
fn draw_icon(painter: &Painter, at: Pos2, severity: Severity, color: Color32) {
    let corners = match severity {
        Severity::Warning => vec![vec2(-4.5, 4.0), vec2(4.5, 4.0), vec2(0.0, -4.5)],
        Severity::Critical => vec![
            vec2(-4.0, -4.0),
            vec2(4.0, -4.0),
            vec2(4.0, 4.0),
            vec2(-4.0, 4.0),
        ],
    };
    let corners = corners.into_iter().map(|corner| at + corner).collect();
    painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
}
