//! The list of recordings, and of the episodes of the one that is open.

use bevy_egui::egui::{
    Align2, CursorIcon, FontId, Pos2, Rect, Response, ScrollArea, Sense, Shape, Stroke, Ui, pos2,
    vec2,
};

use super::recording_list::{EpisodeListRow, RecordingFile, RecordingList};
use super::timeline_paint::figure;
use crate::view::outcome_badge::OutcomeIcon;
use crate::view::theme::{Palette, faded};
use evenkeel_runs::telemetry::format::steps;

/// Heights, pixels.
const ROW: f32 = 23.0;
const HEAD: f32 = 30.0;
const TEXT: f32 = 13.5;
/// Width of a way to another step, pixels.
const ARROW: f32 = 20.0;

/// What was clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// A recording, as an index.
    Recording(usize),
    /// An episode of the open one, as an index.
    Episode(usize),
    /// What is behind another optimiser step.
    Step(u64),
}

/// Shows it. `seen` is what was open when it was shown last: what has been opened since is scrolled
/// to.
pub(super) fn show(
    ui: &mut Ui,
    palette: &Palette,
    list: &RecordingList,
    seen: &mut Option<(usize, usize)>,
) -> Option<Selection> {
    let mut pick = None;
    let current = Some((list.recording, list.index));
    let moved = *seen != current;
    *seen = current;
    ui.spacing_mut().item_spacing.y = 0.0;
    if let Some(step) = list.step {
        pick = step_header(ui, palette, list, step);
    }
    head(ui, palette);
    let elsewhere = "another build recorded this: it places the room otherwise, and what is drawn of \
                     the room may not be as it was";
    let elsewhere = (!list.playback.same_layout()).then_some(elsewhere);
    for problem in list.problem.as_deref().into_iter().chain(elsewhere) {
        let words = bevy_egui::egui::RichText::new(problem).size(TEXT);
        ui.label(words.color(palette.bad));
        ui.add_space(6.0);
    }
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        for (index, recording) in list.recordings.iter().enumerate() {
            let open = index == list.recording;
            if !open && !list.is_listed(index) {
                continue;
            }
            let (rect, response) = row(ui, palette, HEAD, false);
            if ui.is_rect_visible(rect) {
                title(ui, palette, rect, recording, open);
            }
            if response.clicked() {
                pick = Some(Selection::Recording(index));
            }
            response.on_hover_text(recording.path.display().to_string());
            if !open {
                continue;
            }
            for (index, line) in list.rows.iter().enumerate() {
                let chosen = index == list.index;
                let (rect, response) = row(ui, palette, ROW, chosen);
                let marked = list.marks_in(index).next().is_some();
                if ui.is_rect_visible(rect) {
                    episode(ui, palette, rect, line, marked);
                }
                if response.clicked() {
                    pick = Some(Selection::Episode(index));
                }
                response.on_hover_text(hover_text(line, marked));
                if chosen && moved {
                    ui.scroll_to_rect(rect, None);
                }
            }
        }
    });
    pick
}

/// Where the figures of an episode end, from the left, as shares of a row's width.
const COLUMNS: [f32; 2] = [0.7, 1.0];

/// The optimiser step that what is listed is behind, with the ways to the others.
fn step_header(
    ui: &mut Ui,
    palette: &Palette,
    list: &RecordingList,
    step: u64,
) -> Option<Selection> {
    let size = vec2(ui.available_width() - 10.0, HEAD);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let steps = list.steps();
    let place = steps.iter().position(|other| *other == step);
    let font = FontId::proportional(14.0);
    let at = pos2(rect.min.x + 2.0, rect.center().y);
    let words = format!("behind optimiser step {step}");
    ui.painter()
        .text(at, Align2::LEFT_CENTER, words, font, palette.ink);
    if steps.len() < 2 {
        return None;
    }
    let mut pick = None;
    for (after, from_right) in [(false, 2.0 * ARROW), (true, ARROW)] {
        let corner = pos2(rect.max.x - from_right, rect.min.y + 3.0);
        let button = Rect::from_min_size(corner, vec2(ARROW, HEAD - 6.0));
        let there = list.neighbour_step(after);
        let id = ui.id().with(("step", after));
        let mut response = ui.interact(button, id, Sense::click());
        if let Some(step) = there {
            response = response.on_hover_cursor(CursorIcon::PointingHand);
            if response.hovered() {
                ui.painter().rect_filled(button, 4, palette.line);
            }
            if response.clicked() {
                pick = Some(Selection::Step(step));
            }
        }
        let side = if after { 1.0 } else { -1.0 };
        let corners = [(-3.0, -5.5), (-3.0, 5.5), (4.5, 0.0)];
        let corners = corners.map(|(dx, dy)| button.center() + vec2(side * dx, dy));
        let color = if there.is_some() {
            palette.ink
        } else {
            faded(palette.soft, 0.4)
        };
        let arrow = Shape::convex_polygon(corners.into(), color, Stroke::NONE);
        ui.painter().add(arrow);
        let number = place.map_or(0, |place| place + 1);
        response.on_hover_text(format!("{number} of {} steps of the incident", steps.len()));
    }
    pick
}

fn head(ui: &mut Ui, palette: &Palette) {
    let size = vec2(ui.available_width() - 10.0, ROW);
    let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
    let at = |share: f32| pos2(rect.min.x + share * rect.width() - 4.0, rect.center().y);
    let painter = ui.painter();
    let font = FontId::proportional(12.5);
    let put = |at: Pos2, align: Align2, words: &str| {
        painter.text(at, align, words, font.clone(), palette.soft);
    };
    put(
        pos2(rect.min.x + 2.0, rect.center().y),
        Align2::LEFT_CENTER,
        "episode",
    );
    put(at(COLUMNS[0]), Align2::RIGHT_CENTER, "steps");
    put(at(COLUMNS[1]), Align2::RIGHT_CENTER, "return");
    painter.hline(rect.x_range(), rect.max.y, (1.0, palette.line));
}

/// Room for a row, and whether it was clicked.
fn row(ui: &mut Ui, palette: &Palette, height: f32, chosen: bool) -> (Rect, Response) {
    let size = vec2(ui.available_width() - 10.0, height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    if chosen {
        ui.painter()
            .rect_filled(rect, 4, faded(palette.arms[0], 0.28));
    } else if response.hovered() {
        ui.painter().rect_filled(rect, 4, palette.line);
    }
    (rect, response)
}

fn title(ui: &Ui, palette: &Palette, rect: Rect, recording: &RecordingFile, open: bool) {
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
    let taken = painter.text(at, Align2::RIGHT_CENTER, right, font.clone(), palette.soft);
    let at = pos2(rect.min.x + 18.0, middle);
    let room = Rect::from_min_max(rect.min, pos2(taken.min.x - 6.0, rect.max.y));
    let painter = painter.with_clip_rect(room.intersect(painter.clip_rect()));
    painter.text(
        at,
        Align2::LEFT_CENTER,
        recording.title(),
        font,
        palette.ink,
    );
}

fn episode(ui: &Ui, palette: &Palette, rect: Rect, line: &EpisodeListRow, marked: bool) {
    let painter = ui.painter();
    let middle = rect.center().y;
    let sign = pos2(rect.min.x + 14.0, middle);
    if let Some(outcome) = line.outcome {
        let (sign_of, color) = OutcomeIcon::of(outcome, palette);
        sign_of.draw(painter, sign, color);
    } else {
        // It goes on.
        for dot in [-4.0, 0.0, 4.0] {
            painter.circle_filled(sign + vec2(dot, 0.0), 1.4, palette.soft);
        }
    }
    let font = FontId::proportional(TEXT);
    let number = painter.text(
        pos2(rect.min.x + 28.0, middle),
        Align2::LEFT_CENTER,
        line.episode.to_string(),
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
    for (share, words) in COLUMNS
        .into_iter()
        .zip([line.steps.to_string(), figure(line.episodic_return)])
    {
        painter.text(
            at(share),
            Align2::RIGHT_CENTER,
            words,
            font.clone(),
            palette.ink,
        );
    }
}

fn hover_text(line: &EpisodeListRow, marked: bool) -> String {
    let how = line.outcome.map_or("goes on".to_owned(), |outcome| {
        outcome.name().replace('_', " ")
    });
    let marked = if marked {
        "; has transitions that are pointed out"
    } else {
        ""
    };
    format!("episode {}: {how}{marked}", line.episode)
}
