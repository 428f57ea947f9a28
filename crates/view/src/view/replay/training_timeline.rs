//! The timeline of the training run: gradient norms over optimiser steps, detections, and the
//! recordings. A click selects a recording or a marked optimiser step.

use bevy_egui::egui::{
    Align2, CursorIcon, Painter, Pos2, Rect, Sense, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};

use super::gradients::{GradientHistory, GradientPoint, TimelineDetection};
use super::list_panel::Selection;
use super::recording_list::{RecordingFile, RecordingList};
use super::timeline_paint::{
    AXIS_HEIGHT, DashStyle, GUTTER, INSET, cross, downsample, format_number, text, tooltip,
};
use crate::view::axis::AxisScale;
use crate::view::theme::{Palette, faded};
use evenkeel_runs::telemetry::Severity;

/// Heights of the rows of icons above and below the plot, pixels.
const ICON_ROW: f32 = 15.0;
/// Least distance between two ticks of the vertical axis, pixels.
const TICK_SPACING: f32 = 14.0;
/// Greatest distance between an icon and a pointer that is on it, pixels.
const POINTER_TOLERANCE: f32 = 6.0;

/// Draws the timeline. Returns what a click selected: a recording or an optimiser step with markers.
pub(super) fn show(
    ui: &mut Ui,
    palette: &Palette,
    list: &RecordingList,
    gradients: &GradientHistory,
) -> Option<Selection> {
    let area = ui.available_rect_before_wrap();
    let plot = Rect::from_min_max(
        pos2(area.min.x + GUTTER, area.min.y + 2.0 + ICON_ROW),
        pos2(area.max.x - INSET, area.max.y - AXIS_HEIGHT - ICON_ROW),
    );
    let (first, last) = gradients.span()?;
    let (low, high) = gradients.range().unwrap_or((0.1, 10.0));
    let timeline = TrainingTimeline {
        gradients,
        list,
        palette,
        plot,
        along: AxisScale::new(first as f64..=last as f64, plot.min.x, plot.max.x),
        up: AxisScale::new(
            low.log10() - 0.08..=high.log10() + 0.08,
            plot.max.y,
            plot.min.y,
        ),
    };
    let painter = ui.painter().with_clip_rect(area);
    timeline.draw_open_span(&painter);
    timeline.draw_grid(&painter);
    timeline.draw_norms(&painter);
    timeline.draw_marked_steps(&painter);
    timeline.draw_detections(&painter);
    timeline.draw_recordings(&painter);
    timeline.draw_legend(&painter, area);
    let sensitive = Rect::from_min_max(
        pos2(plot.min.x, area.min.y),
        pos2(plot.max.x, plot.max.y + ICON_ROW),
    );
    let response = ui.interact(sensitive, ui.id().with("training"), Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    if let Some(pointer) = response.hover_pos() {
        painter.vline(pointer.x, plot.y_range(), (1.0, faded(palette.ink, 0.4)));
        let at = pos2(pointer.x, area.min.y);
        tooltip(ui.ctx(), palette, at, &timeline.hover_lines(pointer));
    }
    let pointer = response.interact_pointer_pos()?;
    response
        .clicked()
        .then(|| timeline.selection_at(pointer))
        .flatten()
}

/// The timeline of a training run.
struct TrainingTimeline<'a> {
    gradients: &'a GradientHistory,
    list: &'a RecordingList,
    palette: &'a Palette,
    /// Where the norms are drawn.
    plot: Rect,
    /// Optimiser steps.
    along: AxisScale,
    /// Base-10 logarithms of norms.
    up: AxisScale,
}

impl TrainingTimeline<'_> {
    /// The x coordinate of a recording's icon: the middle of its iteration, or the iteration's end if
    /// the recording is of held-out episodes. `None` if it is not on the axis.
    fn recording_x(&self, recording: &RecordingFile) -> Option<f32> {
        let (first, last) = recording.span()?;
        let step = if recording.is_of_training() {
            f64::midpoint(first as f64, last as f64)
        } else {
            last as f64
        };
        self.along.contains(step).then(|| self.along.at(step))
    }

    /// What a click selects: the recording whose icon is below the pointer, else the nearest step
    /// with markers, else the recording nearest to the step below the pointer.
    fn selection_at(&self, pointer: Pos2) -> Option<Selection> {
        let step = self.along.value_at(pointer.x).round() as u64;
        let marked_steps = self.list.steps().into_iter();
        let nearest = marked_steps.min_by_key(|marked| marked.abs_diff(step));
        let recording = self.recording_at(pointer).map(Selection::Recording);
        recording
            .or(nearest.map(Selection::Step))
            .or_else(|| self.list.nearest(step).map(Selection::Recording))
    }

    /// Draws the steps that have markers; the step whose markers are shown is stronger.
    fn draw_marked_steps(&self, painter: &Painter) {
        for step in self.list.steps() {
            let x = self.along.at(step as f64);
            let stroke = if Some(step) == self.list.step {
                Stroke::new(2.0, self.palette.mover)
            } else {
                Stroke::new(1.0, faded(self.palette.mover, 0.6))
            };
            painter.vline(x, self.plot.y_range(), stroke);
        }
    }

    /// The index of the recording whose icon is below the pointer.
    fn recording_at(&self, pointer: Pos2) -> Option<usize> {
        let recordings = self.list.recordings.iter().enumerate();
        let distances = recordings
            .filter(|(index, _)| pointer.y > self.plot.max.y && self.list.is_listed(*index))
            .filter_map(|(index, recording)| {
                Some(((self.recording_x(recording)? - pointer.x).abs(), index))
            });
        distances
            .filter(|(distance, _)| *distance <= POINTER_TOLERANCE)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, index)| index)
    }

    /// Shades the optimiser steps of the open recording.
    fn draw_open_span(&self, painter: &Painter) {
        let Some((first, last)) = self.list.current().span() else {
            return;
        };
        let (left, right) = (self.along.at(first as f64), self.along.at(last as f64));
        let width = (right - left).max(3.0);
        let rect = Rect::from_center_size(
            pos2(f32::midpoint(left, right), self.plot.center().y),
            vec2(width, self.plot.height()),
        );
        painter.rect_filled(rect, 0, faded(self.palette.arms[0], 0.3));
    }

    fn draw_grid(&self, painter: &Painter) {
        let Self { palette, plot, .. } = self;
        for (tick, label) in self.up.log_ticks(TICK_SPACING) {
            let y = self.up.at(tick);
            painter.hline(plot.x_range(), y, (1.0, palette.line));
            let at = pos2(plot.min.x - 8.0, y);
            text(painter, at, Align2::RIGHT_CENTER, &label, palette.soft);
        }
        painter.hline(plot.x_range(), plot.max.y, (1.0, palette.grid_strong));
        for tick in self.along.whole_ticks(90.0) {
            let x = self.along.at(tick);
            let at = pos2(x, plot.max.y + ICON_ROW + 2.0);
            text(
                painter,
                at,
                Align2::CENTER_TOP,
                &format!("{tick}"),
                palette.soft,
            );
        }
    }

    /// Draws norms and clip thresholds as lines, and norms that are not finite as crosses.
    fn draw_norms(&self, painter: &Painter) {
        let Self { palette, .. } = self;
        let thresholds = self.line(|step| step.threshold);
        let stroke = Stroke::new(1.0, palette.path);
        DashStyle::Dashed.draw(painter, thresholds, stroke);
        painter.line(
            self.line(|step| step.norm),
            Stroke::new(1.2, palette.arms[0]),
        );
        for step in self
            .gradients
            .steps
            .iter()
            .filter(|step| !step.norm.is_finite())
        {
            let x = self.along.at(step.optimiser_step as f64);
            cross(painter, pos2(x, self.plot.min.y + 5.0), palette);
        }
    }

    /// The line of a value of each step, in points.
    fn line(&self, value: impl Fn(&GradientPoint) -> f64) -> Vec<Pos2> {
        let steps = self.gradients.steps.iter();
        let points = steps.filter_map(|step| {
            let value = value(step);
            let has_log = value.is_finite() && value > 0.0;
            let x = self.along.at(step.optimiser_step as f64);
            has_log.then(|| pos2(x, self.up.at(value.log10())))
        });
        downsample(points)
    }

    /// Draws the icons of detections, critical ones first. An icon that would cover the previous one
    /// is left out.
    fn draw_detections(&self, painter: &Painter) {
        let middle = self.plot.min.y - ICON_ROW / 2.0;
        let mut last = f32::NEG_INFINITY;
        for severity in [Severity::Critical, Severity::Warning] {
            let detections = self.gradients.detections.iter();
            for detection in detections.filter(|detection| detection.severity == severity) {
                let x = self.along.at(detection.optimiser_step as f64);
                if (x - last).abs() < 2.0 {
                    continue;
                }
                last = x;
                draw_detection_icon(painter, pos2(x, middle), self.palette, severity);
            }
        }
    }

    fn draw_recordings(&self, painter: &Painter) {
        let Self { palette, .. } = self;
        let middle = self.plot.max.y + ICON_ROW / 2.0;
        let open = self.list.current();
        let recordings = self.list.recordings.iter().enumerate();
        let others = recordings
            .filter(|(index, _)| self.list.is_listed(*index))
            .map(|(_, other)| other)
            .filter(|other| !std::ptr::eq(*other, open));
        // The open recording is drawn last, above the others.
        for recording in others.chain([open]) {
            if let Some(x) = self.recording_x(recording) {
                let is_open = std::ptr::eq(recording, open);
                draw_recording_icon(painter, pos2(x, middle), palette, is_open);
            }
        }
    }

    fn draw_legend(&self, painter: &Painter, area: Rect) {
        let Self { palette, plot, .. } = self;
        let left = area.min.x + 14.0;
        let row = |y: f32, label: &str, draw_icon: &dyn Fn(Pos2)| {
            draw_icon(pos2(left + 6.0, y));
            let at = pos2(left + 20.0, y);
            text(painter, at, Align2::LEFT_CENTER, label, palette.soft);
        };
        row(plot.min.y - ICON_ROW / 2.0, "detectors", &|at| {
            draw_detection_icon(painter, at, palette, Severity::Warning);
        });
        let middle = plot.center().y;
        let offset = 9.0;
        row(middle - offset, "gradient norm", &|at| {
            let ends = vec![at - vec2(6.0, 0.0), at + vec2(9.0, 0.0)];
            painter.line(ends, Stroke::new(1.5, palette.arms[0]));
        });
        let steps = &self.gradients.steps;
        if steps.iter().any(|step| step.threshold.is_finite()) {
            row(middle + offset, "clip threshold", &|at| {
                let ends = vec![at - vec2(6.0, 0.0), at + vec2(9.0, 0.0)];
                DashStyle::Dashed.draw(painter, ends, Stroke::new(1.5, palette.path));
            });
        }
        row(plot.max.y + ICON_ROW / 2.0, "recordings", &|at| {
            draw_recording_icon(painter, at, palette, false);
        });
        let at = pos2(left, plot.max.y + ICON_ROW + 2.0);
        text(
            painter,
            at,
            Align2::LEFT_TOP,
            "optimiser step",
            palette.soft,
        );
    }

    /// The tooltip's text at the pointer.
    fn hover_lines(&self, pointer: Pos2) -> Vec<String> {
        let step_below = self.along.value_at(pointer.x).round() as u64;
        let mut lines = Vec::new();
        // Many steps may share a pixel: the tooltip describes the one with the largest norm.
        let steps = self.gradients.steps.iter();
        let at_pixel = steps
            .filter(|step| (self.along.at(step.optimiser_step as f64) - pointer.x).abs() < 1.0);
        let step = at_pixel
            .max_by(|a, b| a.norm.total_cmp(&b.norm))
            .or_else(|| self.gradients.nearest(step_below));
        if let Some(step) = step {
            let clip = match (step.clipped, step.threshold) {
                (true, threshold) if threshold.is_finite() => {
                    format!(", clipped at {}", format_number(threshold))
                }
                (true, _) => ", clipped".to_owned(),
                (false, _) => String::new(),
            };
            lines.push(format!(
                "optimiser step {}: gradient norm {}{clip}",
                step.optimiser_step,
                format_number(step.norm)
            ));
        }
        let near = |detection: &&TimelineDetection| {
            let x = self.along.at(detection.optimiser_step as f64);
            (x - pointer.x).abs() < POINTER_TOLERANCE
        };
        let detections: Vec<&TimelineDetection> =
            self.gradients.detections.iter().filter(near).collect();
        lines.extend(
            detections.iter().take(4).map(|detection| {
                format!("{} at step {}", detection.text, detection.optimiser_step)
            }),
        );
        if detections.len() > 4 {
            lines.push(format!("and {} more", detections.len() - 4));
        }
        match self.selection_at(pointer) {
            Some(Selection::Recording(recording)) => {
                let title = self.list.recordings[recording].title();
                lines.push(format!("click to open the recording of {title}"));
            }
            Some(Selection::Step(step)) => {
                lines.push(format!("click to see what is behind step {step}"));
            }
            Some(Selection::Episode(_)) | None => {}
        }
        lines
    }
}

/// Draws the icon of a detection; it is filled if the detection is critical.
fn draw_detection_icon(painter: &Painter, at: Pos2, palette: &Palette, severity: Severity) {
    let corners = vec![
        at + vec2(0.0, 5.0),
        at + vec2(-5.5, -4.5),
        at + vec2(5.5, -4.5),
    ];
    let (fill, color) = match severity {
        Severity::Critical => (palette.bad, palette.bad),
        Severity::Warning => (palette.card, palette.path),
    };
    painter.add(Shape::convex_polygon(
        corners,
        fill,
        Stroke::new(1.5, color),
    ));
}

/// Draws the icon of a recording; it is larger if the recording is open.
fn draw_recording_icon(painter: &Painter, at: Pos2, palette: &Palette, open: bool) {
    let size = if open {
        vec2(9.0, 12.0)
    } else {
        vec2(5.0, 9.0)
    };
    let rect = Rect::from_center_size(at, size);
    let fill = if open { palette.arms[0] } else { palette.goal };
    let edge = Stroke::new(1.0, palette.card);
    painter.rect(rect, 2, fill, edge, StrokeKind::Outside);
}
