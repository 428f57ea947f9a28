//! The panel that lists the recordings, and the episodes of the open one.

use bevy_egui::egui::{
    Align2, CursorIcon, FontId, Pos2, Rect, Response, ScrollArea, Sense, Shape, Stroke, Ui, pos2,
    vec2,
};

use super::recording_list::{EpisodeListRow, RecordingFile, RecordingList};
use super::timeline_paint::format_number;
use crate::view::outcome_badge::OutcomeIcon;
use crate::view::theme::{Palette, faded};
use evenkeel_runs::telemetry::format::steps;

/// Height of an episode's row, pixels.
const ROW_HEIGHT: f32 = 23.0;
/// Height of a recording's row, pixels.
const TITLE_HEIGHT: f32 = 30.0;
/// Text size, pixels.
const TEXT_SIZE: f32 = 13.5;
/// Width of the buttons for the previous and the next step, pixels.
const STEP_BUTTON_WIDTH: f32 = 20.0;

/// What the user selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Index of a recording.
    Recording(usize),
    /// Index of an episode of the open recording.
    Episode(usize),
    /// Number of an optimiser step that has markers.
    Step(u64),
}

/// Draws the panel. It scrolls to the open episode when that is not `scrolled_to`, and updates
/// `scrolled_to`: recording and episode.
pub(super) fn show(
    ui: &mut Ui,
    palette: &Palette,
    list: &RecordingList,
    scrolled_to: &mut Option<(usize, usize)>,
) -> Option<Selection> {
    let mut selection = None;
    let current = Some((list.recording, list.index));
    let changed = *scrolled_to != current;
    *scrolled_to = current;
    ui.spacing_mut().item_spacing.y = 0.0;
    if let Some(step) = list.step {
        selection = step_header(ui, palette, list, step);
    }
    column_names(ui, palette);
    let other_layout = "another build made this recording; this build has another layout of the \
                        episode, so that the obstacles may be drawn in other places";
    let other_layout = (!list.playback.same_layout()).then_some(other_layout);
    for problem in list.problem.as_deref().into_iter().chain(other_layout) {
        let text = bevy_egui::egui::RichText::new(problem).size(TEXT_SIZE);
        ui.label(text.color(palette.bad));
        ui.add_space(6.0);
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        for (index, recording) in list.recordings.iter().enumerate() {
            let open = index == list.recording;
            if !open && !list.is_listed(index) {
                continue;
            }
            let (rect, response) = row(ui, palette, TITLE_HEIGHT, false);
            if ui.is_rect_visible(rect) {
                draw_recording(ui, palette, rect, recording, open);
            }
            if response.clicked() {
                selection = Some(Selection::Recording(index));
            }
            response.on_hover_text(recording.path.display().to_string());
            if !open {
                continue;
            }
            for (index, episode) in list.rows.iter().enumerate() {
                let selected = index == list.index;
                let (rect, response) = row(ui, palette, ROW_HEIGHT, selected);
                let marked = list.marks_in(index).next().is_some();
                if ui.is_rect_visible(rect) {
                    draw_episode(ui, palette, rect, episode, marked);
                }
                if response.clicked() {
                    selection = Some(Selection::Episode(index));
                }
                response.on_hover_text(hover_text(episode, marked));
                if selected && changed {
                    ui.scroll_to_rect(rect, None);
                }
            }
        }
    });
    selection
}

/// Right edges of the columns of numbers, as shares of a row's width.
const COLUMNS: [f32; 2] = [0.7, 1.0];

/// Draws the optimiser step whose markers are shown, with buttons for the previous and the next.
fn step_header(
    ui: &mut Ui,
    palette: &Palette,
    list: &RecordingList,
    step: u64,
) -> Option<Selection> {
    let size = vec2(ui.available_width() - 10.0, TITLE_HEIGHT);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let steps = list.steps();
    let position = steps.iter().position(|other| *other == step);
    let font = FontId::proportional(14.0);
    let at = pos2(rect.min.x + 2.0, rect.center().y);
    let text = format!("behind optimiser step {step}");
    ui.painter()
        .text(at, Align2::LEFT_CENTER, text, font, palette.ink);
    if steps.len() < 2 {
        return None;
    }
    let mut selection = None;
    for (after, from_right) in [(false, 2.0 * STEP_BUTTON_WIDTH), (true, STEP_BUTTON_WIDTH)] {
        let corner = pos2(rect.max.x - from_right, rect.min.y + 3.0);
        let size = vec2(STEP_BUTTON_WIDTH, TITLE_HEIGHT - 6.0);
        let button = Rect::from_min_size(corner, size);
        let neighbour = list.neighbour_step(after);
        let id = ui.id().with(("step", after));
        let mut response = ui.interact(button, id, Sense::click());
        if let Some(step) = neighbour {
            response = response.on_hover_cursor(CursorIcon::PointingHand);
            if response.hovered() {
                ui.painter().rect_filled(button, 4, palette.line);
            }
            if response.clicked() {
                selection = Some(Selection::Step(step));
            }
        }
        let side = if after { 1.0 } else { -1.0 };
        let corners = [(-3.0, -5.5), (-3.0, 5.5), (4.5, 0.0)];
        let corners = corners.map(|(dx, dy)| button.center() + vec2(side * dx, dy));
        let color = if neighbour.is_some() {
            palette.ink
        } else {
            faded(palette.soft, 0.4)
        };
        let arrow = Shape::convex_polygon(corners.into(), color, Stroke::NONE);
        ui.painter().add(arrow);
        let number = position.map_or(0, |position| position + 1);
        response.on_hover_text(format!("step {number} of {} in the incident", steps.len()));
    }
    selection
}

/// Draws the names of the columns.
fn column_names(ui: &mut Ui, palette: &Palette) {
    let size = vec2(ui.available_width() - 10.0, ROW_HEIGHT);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let at = |share: f32| pos2(rect.min.x + share * rect.width() - 4.0, rect.center().y);
    let painter = ui.painter();
    let font = FontId::proportional(12.5);
    let draw = |at: Pos2, align: Align2, name: &str| {
        painter.text(at, align, name, font.clone(), palette.soft);
    };
    draw(
        pos2(rect.min.x + 2.0, rect.center().y),
        Align2::LEFT_CENTER,
        "episode",
    );
    draw(at(COLUMNS[0]), Align2::RIGHT_CENTER, "steps");
    draw(at(COLUMNS[1]), Align2::RIGHT_CENTER, "return");
    painter.hline(rect.x_range(), rect.max.y, (1.0, palette.line));
}

/// Allocates a row and draws its background.
fn row(ui: &mut Ui, palette: &Palette, height: f32, selected: bool) -> (Rect, Response) {
    let size = vec2(ui.available_width() - 10.0, height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    if selected {
        ui.painter()
            .rect_filled(rect, 4, faded(palette.arms[0], 0.28));
    } else if response.hovered() {
        ui.painter().rect_filled(rect, 4, palette.line);
    }
    (rect, response)
}

/// Draws a recording's row. `open` is whether its episodes are listed below.
fn draw_recording(ui: &Ui, palette: &Palette, rect: Rect, recording: &RecordingFile, open: bool) {
    let painter = ui.painter();
    let middle = rect.center().y + 2.0;
    let x = rect.min.x + 7.0;
    let corners = if open {
        [(-4.0, -2.5), (4.0, -2.5), (0.0, 3.5)]
    } else {
        [(-2.5, -4.0), (-2.5, 4.0), (3.5, 0.0)]
    };
    let corners = corners.map(|(dx, dy)| pos2(x + dx, middle + dy));
    painter.add(Shape::convex_polygon(
        corners.into(),
        palette.soft,
        Stroke::NONE,
    ));
    let font = FontId::proportional(14.0);
    let right = match recording.global_step() {
        0 => String::new(),
        count => format!("{} steps", steps(count as f64)),
    };
    let at = pos2(rect.max.x - 4.0, middle);
    let right = painter.text(at, Align2::RIGHT_CENTER, right, font.clone(), palette.soft);
    let at = pos2(rect.min.x + 18.0, middle);
    let left = Rect::from_min_max(rect.min, pos2(right.min.x - 6.0, rect.max.y));
    let painter = painter.with_clip_rect(left.intersect(painter.clip_rect()));
    painter.text(
        at,
        Align2::LEFT_CENTER,
        recording.title(),
        font,
        palette.ink,
    );
}

/// Draws an episode's row.
fn draw_episode(ui: &Ui, palette: &Palette, rect: Rect, episode: &EpisodeListRow, marked: bool) {
    let painter = ui.painter();
    let middle = rect.center().y;
    let icon_at = pos2(rect.min.x + 14.0, middle);
    if let Some(outcome) = episode.outcome {
        let (icon, color) = OutcomeIcon::of(outcome, palette);
        icon.draw(painter, icon_at, color);
    } else {
        // An ellipsis: the recording stops before the end of the episode.
        for dot in [-4.0, 0.0, 4.0] {
            painter.circle_filled(icon_at + vec2(dot, 0.0), 1.4, palette.soft);
        }
    }
    let font = FontId::proportional(TEXT_SIZE);
    let number = painter.text(
        pos2(rect.min.x + 28.0, middle),
        Align2::LEFT_CENTER,
        episode.episode.to_string(),
        font.clone(),
        palette.ink,
    );
    if marked {
        let at = pos2(number.max.x + 12.0, middle);
        let corners = [(-5.0, -4.0), (5.0, -4.0), (0.0, 4.5)];
        let corners = corners.map(|(dx, dy)| at + vec2(dx, dy));
        painter.add(Shape::convex_polygon(
            corners.into(),
            palette.mover,
            Stroke::NONE,
        ));
    }
    let at = |share: f32| pos2(rect.min.x + share * rect.width() - 4.0, middle);
    let texts = [
        episode.steps.to_string(),
        format_number(episode.episodic_return),
    ];
    for (share, text) in COLUMNS.into_iter().zip(texts) {
        painter.text(
            at(share),
            Align2::RIGHT_CENTER,
            text,
            font.clone(),
            palette.ink,
        );
    }
}

fn hover_text(episode: &EpisodeListRow, marked: bool) -> String {
    let outcome = episode.outcome.map_or("unfinished".to_owned(), |outcome| {
        outcome.name().replace('_', " ")
    });
    let marked = if marked {
        "; has marked transitions"
    } else {
        ""
    };
    format!("episode {}: {outcome}{marked}", episode.episode)
}
