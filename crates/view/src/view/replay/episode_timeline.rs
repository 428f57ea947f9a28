//! The timeline of an episode: rewards, values and actions over time, and a playhead that can be
//! dragged.

use bevy_egui::egui::{
    Align2, Color32, CursorIcon, FontId, Painter, Rect, Sense, Shape, Stroke, Ui, pos2, vec2,
};

use super::playback::Playback;
use super::recording_list::TransitionMarker;
use super::timeline_paint::{
    AXIS_HEIGHT, DashStyle, GUTTER, INSET, TEXT_SIZE, format_number, text, tooltip,
};
use crate::view::axis::AxisScale;
use crate::view::theme::{Palette, faded};
use evenkeel_runs::recording::messages::{RecordingHeader, RobotStep};

/// Distance between two lanes, pixels.
const LANE_GAP: f32 = 5.0;

/// The timeline of a robot's episode.
pub(super) struct EpisodeTimeline<'a> {
    pub(super) playback: &'a Playback,
    /// Index of the robot.
    pub(super) robot: usize,
    pub(super) header: &'a RecordingHeader,
    /// The robot's markers.
    pub(super) markers: Vec<&'a TransitionMarker>,
    /// Time of the playhead, control steps.
    pub(super) playhead: f64,
    /// Whether lanes are drawn above the axis.
    pub(super) has_lanes: bool,
}

/// A row of the timeline.
enum TimelineLane {
    Reward,
    Value,
    Actions,
}

impl EpisodeTimeline<'_> {
    /// Draws the timeline. Returns the time that the playhead was dragged to, control steps.
    pub(super) fn show(&self, ui: &mut Ui, palette: &Palette) -> Option<f64> {
        let area = ui.available_rect_before_wrap();
        let gutter = if self.has_lanes { GUTTER } else { INSET };
        let plot = Rect::from_min_max(
            pos2(area.min.x + gutter, area.min.y + 4.0),
            pos2(area.max.x - INSET, area.max.y - AXIS_HEIGHT),
        );
        let length = self.playback.length() as f64;
        let along = AxisScale::new(0.0..=length, plot.min.x, plot.max.x);
        let painter = ui.painter().with_clip_rect(area);
        if self.has_lanes {
            self.draw_lanes(&painter, palette, plot, &along);
        }
        self.draw_earlier_steps(&painter, palette, plot, &along);
        self.draw_axis(&painter, palette, plot, &along);
        for marker in &self.markers {
            draw_marker(&painter, palette, plot, &along, marker);
        }
        self.draw_playhead(&painter, palette, plot, &along);
        let sensitive = Rect::from_min_max(plot.min, pos2(plot.max.x, area.max.y));
        let sensitive = sensitive.expand2(vec2(8.0, 0.0));
        let response = ui.interact(sensitive, ui.id().with("episode"), Sense::click_and_drag());
        let response = response.on_hover_cursor(CursorIcon::PointingHand);
        if let Some(pointer) = response.hover_pos() {
            let step = along.value_at(pointer.x);
            painter.vline(pointer.x, plot.y_range(), (1.0, faded(palette.ink, 0.4)));
            tooltip(
                ui.ctx(),
                palette,
                pos2(pointer.x, area.min.y),
                &self.hover_lines(step),
            );
        }
        let pressed = response.is_pointer_button_down_on() || response.clicked();
        let pointer = response.interact_pointer_pos().filter(|_| pressed)?;
        Some(along.value_at(pointer.x).round())
    }

    /// The robot's control steps.
    fn steps(&self) -> &[RobotStep] {
        self.playback.steps(self.robot)
    }

    /// Shades the control steps before the recorded iteration. An earlier policy drove in them, so
    /// that they have no values.
    fn draw_earlier_steps(
        &self,
        painter: &Painter,
        palette: &Palette,
        plot: Rect,
        along: &AxisScale,
    ) {
        let of_training = self.header.split == "train";
        let steps = self.steps().iter();
        let count = steps.take_while(|step| step.value.is_nan()).count();
        if !of_training || count == 0 {
            return;
        }
        let right = along.at(count as f64);
        let rect = Rect::from_min_max(plot.min, pos2(right, plot.max.y));
        painter.rect_filled(rect, 0, faded(palette.grid_strong, 0.35));
        let label = "earlier iterations, by older policies";
        let font = FontId::proportional(TEXT_SIZE);
        let galley = painter.layout_no_wrap(label.to_owned(), font, palette.ink);
        // The label is in the middle, where the lane of the values is empty.
        if self.has_lanes && galley.size().x + 16.0 < rect.width() {
            let corner = rect.center() - galley.size() / 2.0;
            painter.galley(corner, galley, palette.ink);
        }
    }

    fn draw_lanes(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let mut lanes = vec![TimelineLane::Reward];
        if self.steps().iter().any(|step| step.value.is_finite()) {
            lanes.push(TimelineLane::Value);
        }
        lanes.push(TimelineLane::Actions);
        let count = lanes.len() as f32;
        let height = (plot.height() - LANE_GAP * (count - 1.0)) / count;
        for (index, lane) in lanes.iter().enumerate() {
            let top = plot.min.y + (height + LANE_GAP) * index as f32;
            let size = vec2(plot.width(), height);
            let rect = Rect::from_min_size(pos2(plot.min.x, top), size);
            painter.rect_filled(rect, 0, faded(palette.page, 0.5));
            match lane {
                TimelineLane::Reward => self.draw_rewards(painter, palette, rect, along),
                TimelineLane::Value => self.draw_values(painter, palette, rect, along),
                TimelineLane::Actions => self.draw_actions(painter, palette, rect, along),
            }
        }
    }

    /// The control step at the playhead: the one before it if it is between two steps.
    fn current(&self) -> Option<&RobotStep> {
        let index = (self.playhead.ceil() as usize).max(1) - 1;
        self.steps().get(index)
    }

    fn draw_rewards(&self, painter: &Painter, palette: &Palette, rect: Rect, along: &AxisScale) {
        let steps = self.steps();
        // The last reward is often far larger than the others. It does not count for the scale, and
        // its bar is cut off at the lane's edge.
        let (last, others) = match steps.split_last() {
            Some((last, others)) if !last.outcome.is_empty() && !others.is_empty() => {
                (Some(last), others)
            }
            _ => (None, steps),
        };
        let rewards = others.iter().map(|step| f64::from(step.reward));
        let max = rewards.fold(1e-6, |max: f64, reward| max.max(reward.abs()));
        let up = AxisScale::new(-max..=max, rect.max.y - 2.0, rect.min.y + 2.0);
        let zero = up.at(0.0);
        painter.hline(rect.x_range(), zero, (1.0, palette.grid_strong));
        let width = (along.at(1.0) - along.at(0.0)).max(1.0);
        for step in others.iter().chain(last) {
            let reward = f64::from(step.reward);
            let color = if reward < 0.0 {
                palette.bad
            } else {
                palette.goal
            };
            let left = along.at(f64::from(step.step) - 1.0);
            let bar = Rect::from_two_pos(pos2(left, zero), pos2(left + width, up.at(reward)));
            painter.rect_filled(bar, 0, color);
        }
        let current = self.current().map(|step| f64::from(step.reward));
        draw_lane_label(painter, palette, rect, "reward", current, None);
    }

    fn draw_values(&self, painter: &Painter, palette: &Palette, rect: Rect, along: &AxisScale) {
        let steps = self.steps().iter();
        let with_value = steps.filter(|step| step.value.is_finite());
        let points: Vec<(f64, f64)> = with_value
            .map(|step| (f64::from(step.step) - 1.0, f64::from(step.value)))
            .collect();
        let values = points.iter().map(|(_, value)| *value);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let up = AxisScale::new(low..=high, rect.max.y - 3.0, rect.min.y + 3.0);
        // The last value holds until the end of its step.
        let last = points.last().map(|&(step, value)| (step + 1.0, value));
        let line = points.into_iter().chain(last);
        let line = line.map(|(step, value)| pos2(along.at(step), up.at(value)));
        painter.line(line.collect(), Stroke::new(1.5, palette.arms[0]));
        let current = self.current().map(|step| f64::from(step.value));
        let current = current.filter(|value| value.is_finite());
        draw_lane_label(painter, palette, rect, "value", current, None);
    }

    fn draw_actions(&self, painter: &Painter, palette: &Palette, rect: Rect, along: &AxisScale) {
        let up = AxisScale::new(-1.0..=1.0, rect.max.y - 2.0, rect.min.y + 2.0);
        painter.hline(rect.x_range(), up.at(0.0), (1.0, palette.grid_strong));
        let names = self
            .header
            .actions
            .iter()
            .zip(action_colors(palette))
            .zip(DashStyle::ALL);
        let count = self.header.actions.len().max(1) as f32;
        for (index, ((name, color), dash)) in names.enumerate() {
            let action = |step: &RobotStep| step.action.get(index).map(|&action| f64::from(action));
            let mut points = Vec::new();
            for step in self.steps() {
                let y = up.at(action(step).unwrap_or_default());
                let end = f64::from(step.step);
                points.push(pos2(along.at(end - 1.0), y));
                points.push(pos2(along.at(end), y));
            }
            dash.draw(painter, points, Stroke::new(1.5, color));
            let height = rect.height() / count;
            let top = rect.min.y + height * index as f32;
            let row = Rect::from_min_size(pos2(rect.min.x, top), vec2(rect.width(), height));
            let current = self.current().and_then(action);
            let name = name.replace('_', " ");
            draw_lane_label(painter, palette, row, &name, current, Some((dash, color)));
        }
    }

    fn draw_axis(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let dt_secs = self.playback.dt_secs();
        let secs = AxisScale::new(
            0.0..=self.playback.length() as f64 * dt_secs,
            plot.min.x,
            plot.max.x,
        );
        painter.hline(plot.x_range(), plot.max.y, (1.0, palette.grid_strong));
        for tick in secs.ticks(72.0) {
            let x = secs.at(tick);
            painter.vline(x, plot.max.y..=plot.max.y + 4.0, (1.0, palette.grid_strong));
            let label = format!("{} s", (tick * 1000.0).round() / 1000.0);
            let at = pos2(x, plot.max.y + 4.0);
            text(painter, at, Align2::CENTER_TOP, &label, palette.soft);
        }
        if self.playback.outcome().is_some() {
            let x = along.at(self.playback.length() as f64);
            painter.vline(x, plot.y_range(), (1.0, palette.soft));
        }
    }

    fn draw_playhead(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let x = along.at(self.playhead);
        painter.vline(x, plot.y_range(), (2.0, palette.ink));
        let corners = vec![
            pos2(x, plot.max.y),
            pos2(x - 6.0, plot.max.y + 9.0),
            pos2(x + 6.0, plot.max.y + 9.0),
        ];
        painter.add(Shape::convex_polygon(corners, palette.ink, Stroke::NONE));
    }

    /// The tooltip's text at a time, control steps.
    fn hover_lines(&self, time: f64) -> Vec<String> {
        let number = (time.ceil() as usize).max(1);
        let Some(step) = self.steps().get(number - 1) else {
            return vec!["no step".to_owned()];
        };
        let secs = f64::from(step.step) * self.playback.dt_secs();
        let mut lines = vec![format!("step {} · {secs:.1} s", step.step)];
        let terms = self.header.reward_terms.iter().zip(&step.reward_terms);
        let terms: Vec<String> = terms
            .filter(|(_, term)| **term != 0.0)
            .map(|(name, &term)| format!("{name} {}", format_number(term.into())))
            .collect();
        let mut reward = format!("reward {}", format_number(step.reward.into()));
        if terms.len() > 1 {
            reward = format!("{reward}: {}", terms.join(", "));
        }
        lines.push(reward);
        if step.value.is_finite() {
            lines.push(format!("value {}", format_number(step.value.into())));
        }
        let distributions = step.action_mean.iter().zip(&step.action_std);
        let mut distributions = distributions.map(|(mean, std)| {
            format!(
                " (mean {}, σ {})",
                format_number((*mean).into()),
                format_number((*std).into())
            )
        });
        for (name, &action) in self.header.actions.iter().zip(&step.action) {
            let distribution = distributions.next().unwrap_or_default();
            let name = name.replace('_', " ");
            let action = format_number(action.into());
            lines.push(format!("{name} {action}{distribution}"));
        }
        if !step.outcome.is_empty() {
            lines.push(format!("ends: {}", step.outcome.replace('_', " ")));
        }
        let markers = self.markers.iter();
        let markers = markers.filter(|marker| marker.step == step.step);
        lines.extend(markers.map(|marker| marker.text.clone()));
        lines
    }
}

/// One colour per action.
fn action_colors(palette: &Palette) -> [Color32; 3] {
    let [first, second] = palette.arms;
    [first, second, palette.path]
}

/// Draws a lane's name, a sample of its line, and its value at the playhead.
fn draw_lane_label(
    painter: &Painter,
    palette: &Palette,
    lane: Rect,
    name: &str,
    current: Option<f64>,
    sample: Option<(DashStyle, Color32)>,
) {
    let (left, middle) = (lane.min.x - GUTTER + 14.0, lane.center().y);
    let mut x = left;
    if let Some((dash, color)) = sample {
        let ends = vec![pos2(x, middle), pos2(x + 18.0, middle)];
        dash.draw(painter, ends, Stroke::new(2.0, color));
        x += 24.0;
    }
    let at = pos2(x, middle);
    text(painter, at, Align2::LEFT_CENTER, name, palette.soft);
    let value = current.map_or("–".to_owned(), format_number);
    let at = pos2(lane.min.x - 10.0, middle);
    text(painter, at, Align2::RIGHT_CENTER, &value, palette.ink);
}

/// Draws the marker of a transition; its size shows the weight.
fn draw_marker(
    painter: &Painter,
    palette: &Palette,
    plot: Rect,
    along: &AxisScale,
    marker: &TransitionMarker,
) {
    let x = along.at(f64::from(marker.step) - 0.5);
    let size = 5.0 + 6.0 * marker.weight.clamp(0.0, 1.0);
    painter.vline(x, plot.y_range(), (1.0, faded(palette.mover, 0.6)));
    let corners = vec![
        pos2(x, plot.min.y + 1.5 * size),
        pos2(x - size, plot.min.y - 2.0),
        pos2(x + size, plot.min.y - 2.0),
    ];
    let edge = Stroke::new(1.0, palette.card);
    painter.add(Shape::convex_polygon(corners, palette.mover, edge));
}
