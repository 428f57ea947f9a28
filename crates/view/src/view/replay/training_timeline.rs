//! The time line of the training: every optimiser step's gradient norm, what detectors saw, and
//! where recordings were taken. A click goes to the recording behind a step.

use bevy_egui::egui::{
    Align2, CursorIcon, Painter, Pos2, Rect, Sense, Shape, Stroke, StrokeKind, Ui, pos2, vec2,
};

use super::gradients::{Detection, GradientHistory};
use super::list_panel::Selection;
use super::recording_list::{RecordingFile, RecordingList};
use super::timeline_paint::{AXIS, DashStyle, GUTTER, INSET, figure, text, tooltip};
use crate::view::axis::AxisScale;
use crate::view::theme::{Palette, faded};
use evenkeel_runs::telemetry::Severity;

/// Heights of the rows of signs above and below the norms, pixels.
const SIGNS: f32 = 15.0;
/// Between two numbers beside the norms, pixels.
const MARKS_APART: f32 = 14.0;
/// How near to a sign the pointer is on it, pixels.
const NEAR: f32 = 6.0;

/// Shows it. What was asked for comes back: a volume, or an optimiser step that marks are about.
pub(super) fn show(
    ui: &mut Ui,
    palette: &Palette,
    list: &RecordingList,
    gradients: &GradientHistory,
) -> Option<Selection> {
    let area = ui.available_rect_before_wrap();
    let plot = Rect::from_min_max(
        pos2(area.min.x + GUTTER, area.min.y + 2.0 + SIGNS),
        pos2(area.max.x - INSET, area.max.y - AXIS - SIGNS),
    );
    let (first, last) = gradients.span()?;
    let (low, high) = gradients.range().unwrap_or((0.1, 10.0));
    let strip = TrainingTimeline {
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
    strip.open_span(&painter);
    strip.grid(&painter);
    strip.norms(&painter);
    strip.steps(&painter);
    strip.draw_detections(&painter);
    strip.volumes(&painter);
    strip.names(&painter, area);
    let grip = Rect::from_min_max(
        pos2(plot.min.x, area.min.y),
        pos2(plot.max.x, plot.max.y + SIGNS),
    );
    let response = ui.interact(grip, ui.id().with("training"), Sense::click());
    let response = response.on_hover_cursor(CursorIcon::PointingHand);
    if let Some(pointer) = response.hover_pos() {
        painter.vline(pointer.x, plot.y_range(), (1.0, faded(palette.ink, 0.4)));
        let at = pos2(pointer.x, area.min.y);
        tooltip(ui.ctx(), palette, at, &strip.hover_lines(pointer));
    }
    let pointer = response.interact_pointer_pos()?;
    response.clicked().then(|| strip.pick_at(pointer)).flatten()
}

/// All that it is drawn from.
struct TrainingTimeline<'a> {
    gradients: &'a GradientHistory,
    list: &'a RecordingList,
    palette: &'a Palette,
    plot: Rect,
    along: AxisScale,
    /// Logarithms of base ten.
    up: AxisScale,
}

impl TrainingTimeline<'_> {
    /// Where a volume's sign is: the middle of its moment; that of a policy that was held out after
    /// it, at its end.
    fn place(&self, recording: &RecordingFile) -> Option<f32> {
        let (first, last) = recording.span()?;
        let middle = if recording.is_of_training() {
            f64::midpoint(first as f64, last as f64)
        } else {
            last as f64
        };
        self.along.contains(middle).then(|| self.along.at(middle))
    }

    /// What a click goes to: the volume whose sign is below the pointer, or else the nearest step that
    /// marks are about; without marks the volume behind the step there.
    fn pick_at(&self, pointer: Pos2) -> Option<Selection> {
        let there = self.along.value_at(pointer.x).round() as u64;
        let marked = self.list.steps().into_iter();
        let nearest = marked.min_by_key(|step| step.abs_diff(there));
        let sign = self.sign_at(pointer).map(Selection::Recording);
        sign.or(nearest.map(Selection::Step))
            .or_else(|| self.list.nearest(there).map(Selection::Recording))
    }

    /// The steps that marks are about, and the one whose marks are shown.
    fn steps(&self, painter: &Painter) {
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

    fn sign_at(&self, pointer: Pos2) -> Option<usize> {
        let recordings = self.list.recordings.iter().enumerate();
        let near = recordings
            .filter(|(index, _)| pointer.y > self.plot.max.y && self.list.is_listed(*index))
            .filter_map(|(index, recording)| {
                Some(((self.place(recording)? - pointer.x).abs(), index))
            });
        near.filter(|(distance, _)| *distance <= NEAR)
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, index)| index)
    }

    /// The moment of the volume that is open.
    fn open_span(&self, painter: &Painter) {
        let Some((first, last)) = self.list.current().span() else {
            return;
        };
        let (left, right) = (self.along.at(first as f64), self.along.at(last as f64));
        let wide = (right - left).max(3.0);
        let rect = Rect::from_center_size(
            pos2(f32::midpoint(left, right), self.plot.center().y),
            vec2(wide, self.plot.height()),
        );
        painter.rect_filled(rect, 0, faded(self.palette.arms[0], 0.3));
    }

    fn grid(&self, painter: &Painter) {
        let Self { palette, plot, .. } = self;
        for (mark, words) in self.up.log_marks(MARKS_APART) {
            let y = self.up.at(mark);
            painter.hline(plot.x_range(), y, (1.0, palette.line));
            let at = pos2(plot.min.x - 8.0, y);
            text(painter, at, Align2::RIGHT_CENTER, &words, palette.soft);
        }
        painter.hline(plot.x_range(), plot.max.y, (1.0, palette.grid_five));
        for tick in self.along.whole_ticks(90.0) {
            let x = self.along.at(tick);
            let at = pos2(x, plot.max.y + SIGNS + 2.0);
            text(
                painter,
                at,
                Align2::CENTER_TOP,
                &format!("{tick}"),
                palette.soft,
            );
        }
    }

    fn norms(&self, painter: &Painter) {
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

    /// A number of each step as a line. Of the steps that share a pixel the first, the least, the
    /// largest and the last are drawn, which looks the same as all (Jugel et al. 2014, M4).
    fn line(&self, number: impl Fn(&super::gradients::GradientPoint) -> f64) -> Vec<Pos2> {
        let steps = self.gradients.steps.iter();
        let points = steps.filter_map(|step| {
            let number = number(step);
            let there = number.is_finite() && number > 0.0;
            let x = self.along.at(step.optimiser_step as f64);
            there.then(|| pos2(x, self.up.at(number.log10())))
        });
        thinned(points)
    }

    /// Signs of what was seen: in each place the worst.
    fn draw_detections(&self, painter: &Painter) {
        let middle = self.plot.min.y - SIGNS / 2.0;
        let mut last = f32::NEG_INFINITY;
        for severity in [Severity::Critical, Severity::Warning] {
            let seen = self.gradients.detections.iter();
            for seen in seen.filter(|seen| seen.severity == severity) {
                let x = self.along.at(seen.optimiser_step as f64);
                if (x - last).abs() < 2.0 {
                    continue;
                }
                last = x;
                draw_detection_icon(painter, pos2(x, middle), self.palette, severity);
            }
        }
    }

    fn volumes(&self, painter: &Painter) {
        let Self { palette, .. } = self;
        let middle = self.plot.max.y + SIGNS / 2.0;
        let open = self.list.current();
        let recordings = self.list.recordings.iter().enumerate();
        let others = recordings
            .filter(|(index, _)| self.list.is_listed(*index))
            .map(|(_, other)| other)
            .filter(|other| !std::ptr::eq(*other, open));
        // What is open lies above the others.
        for recording in others.chain([open]) {
            if let Some(x) = self.place(recording) {
                let is_open = std::ptr::eq(recording, open);
                draw_recording_icon(painter, pos2(x, middle), palette, is_open);
            }
        }
    }

    fn names(&self, painter: &Painter, area: Rect) {
        let Self { palette, plot, .. } = self;
        let left = area.min.x + 14.0;
        let row = |y: f32, words: &str, sign: &dyn Fn(Pos2)| {
            sign(pos2(left + 6.0, y));
            let at = pos2(left + 20.0, y);
            text(painter, at, Align2::LEFT_CENTER, words, palette.soft);
        };
        row(plot.min.y - SIGNS / 2.0, "detectors", &|at| {
            draw_detection_icon(painter, at, palette, Severity::Warning);
        });
        let middle = plot.center().y;
        let apart = 9.0;
        row(middle - apart, "gradient norm", &|at| {
            let ends = vec![at - vec2(6.0, 0.0), at + vec2(9.0, 0.0)];
            painter.line(ends, Stroke::new(1.5, palette.arms[0]));
        });
        let steps = &self.gradients.steps;
        if steps.iter().any(|step| step.threshold.is_finite()) {
            row(middle + apart, "clip threshold", &|at| {
                let ends = vec![at - vec2(6.0, 0.0), at + vec2(9.0, 0.0)];
                DashStyle::Dashed.draw(painter, ends, Stroke::new(1.5, palette.path));
            });
        }
        row(plot.max.y + SIGNS / 2.0, "recordings", &|at| {
            draw_recording_icon(painter, at, palette, false);
        });
        let at = pos2(left, plot.max.y + SIGNS + 2.0);
        text(
            painter,
            at,
            Align2::LEFT_TOP,
            "optimiser step",
            palette.soft,
        );
    }

    /// What is told of the place below the pointer.
    fn hover_lines(&self, pointer: Pos2) -> Vec<String> {
        let place = self.along.value_at(pointer.x).round() as u64;
        let mut lines = Vec::new();
        // The largest norm within the pixel, as drawn.
        let steps = self.gradients.steps.iter();
        let within = steps
            .filter(|step| (self.along.at(step.optimiser_step as f64) - pointer.x).abs() < 1.0);
        let step = within
            .max_by(|a, b| a.norm.total_cmp(&b.norm))
            .or_else(|| self.gradients.nearest(place));
        if let Some(step) = step {
            let clip = match (step.clipped, step.threshold) {
                (true, threshold) if threshold.is_finite() => {
                    format!(", clipped at {}", figure(threshold))
                }
                (true, _) => ", clipped".to_owned(),
                (false, _) => String::new(),
            };
            lines.push(format!(
                "optimiser step {}: gradient norm {}{clip}",
                step.optimiser_step,
                figure(step.norm)
            ));
        }
        let near = |seen: &&Detection| {
            (self.along.at(seen.optimiser_step as f64) - pointer.x).abs() < NEAR
        };
        let seen: Vec<&Detection> = self.gradients.detections.iter().filter(near).collect();
        lines.extend(
            seen.iter()
                .take(4)
                .map(|seen| format!("{} at step {}", seen.text, seen.optimiser_step)),
        );
        if seen.len() > 4 {
            lines.push(format!("and {} more", seen.len() - 4));
        }
        match self.pick_at(pointer) {
            Some(Selection::Recording(recording)) => {
                let title = self.list.recordings[recording].title();
                lines.push(format!("click: the recording of {title}"));
            }
            Some(Selection::Step(step)) => lines.push(format!("click: what is behind step {step}")),
            Some(Selection::Episode(_)) | None => {}
        }
        lines
    }
}

/// The first, the least, the largest and the last of the points in each column of pixels.
pub(super) fn thinned(points: impl Iterator<Item = Pos2>) -> Vec<Pos2> {
    let mut kept: Vec<Pos2> = Vec::new();
    let mut column: Vec<Pos2> = Vec::new();
    let mut close = |column: &mut Vec<Pos2>| {
        if column.len() > 4 {
            let mut chosen = [0, 0, 0, column.len() - 1];
            for (index, point) in column.iter().enumerate() {
                if point.y < column[chosen[1]].y {
                    chosen[1] = index;
                }
                if point.y > column[chosen[2]].y {
                    chosen[2] = index;
                }
            }
            chosen.sort_unstable();
            kept.extend(chosen.map(|index| column[index]));
        } else {
            kept.extend(column.iter());
        }
        column.clear();
    };
    for point in points {
        if column
            .first()
            .is_some_and(|first| first.x.floor() < point.x.floor())
        {
            close(&mut column);
        }
        column.push(point);
    }
    close(&mut column);
    kept
}

/// A detector's sign: what is bad is filled.
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

pub(super) fn cross(painter: &Painter, at: Pos2, palette: &Palette) {
    let stroke = Stroke::new(2.0, palette.bad);
    for side in [-1.0, 1.0] {
        let arm = vec2(4.0, 4.0 * side);
        painter.line_segment([at - arm, at + arm], stroke);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_survives_the_thinning() {
        let spike = |i: u32| if i == 5003 { -80.0 } else { (i % 7) as f32 };
        let points = (0..10_000).map(|i| pos2(i as f32 / 100.0, spike(i)));
        let kept = thinned(points.clone());
        assert!(kept.len() <= 400, "{}", kept.len());
        assert!(kept.contains(&pos2(50.03, -80.0)));
        assert!(kept.is_sorted_by(|a, b| a.x <= b.x));
        assert_eq!(kept.last(), points.clone().next_back().as_ref());
        let few: Vec<Pos2> = points.take(4).collect();
        assert_eq!(thinned(few.iter().copied()), few);
    }
}
