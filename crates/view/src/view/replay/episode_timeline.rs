//! The time line of an episode: what the policy was paid, what it expected and what it did, with a
//! playhead that can be dragged.

use bevy_egui::egui::{
    Align2, Color32, CursorIcon, FontId, Painter, Rect, Sense, Shape, Stroke, Ui, pos2, vec2,
};

use super::playback::Playback;
use super::recording_list::TransitionMarker;
use super::timeline_paint::{AXIS, DashStyle, GUTTER, INSET, TEXT, figure, text, tooltip};
use crate::view::axis::AxisScale;
use crate::view::theme::{Palette, faded};
use evenkeel_runs::recording::messages::{RecordingHeader, RobotStep};

/// Between two lanes, pixels.
const GAP: f32 = 5.0;

/// What the time line is of.
pub(super) struct EpisodeTimeline<'a> {
    pub(super) playback: &'a Playback,
    /// Of which robot.
    pub(super) robot: usize,
    pub(super) about: &'a RecordingHeader,
    pub(super) marks: Vec<&'a TransitionMarker>,
    /// Where the playhead is, control steps.
    pub(super) at: f64,
    /// Whether there is room for more than the axis.
    pub(super) lanes: bool,
}

/// What is drawn in a lane.
enum TimelineLane {
    Reward,
    Value,
    Actions,
}

impl EpisodeTimeline<'_> {
    /// Shows it; where the playhead was dragged to comes back, control steps.
    pub(super) fn show(&self, ui: &mut Ui, palette: &Palette) -> Option<f64> {
        let area = ui.available_rect_before_wrap();
        let gutter = if self.lanes { GUTTER } else { INSET };
        let plot = Rect::from_min_max(
            pos2(area.min.x + gutter, area.min.y + 4.0),
            pos2(area.max.x - INSET, area.max.y - AXIS),
        );
        let length = self.playback.length() as f64;
        let along = AxisScale::new(0.0..=length, plot.min.x, plot.max.x);
        let painter = ui.painter().with_clip_rect(area);
        if self.lanes {
            self.lanes(&painter, palette, plot, &along);
        }
        self.earlier(&painter, palette, plot, &along);
        self.axis(&painter, palette, plot, &along);
        for mark in &self.marks {
            sign_of(&painter, palette, plot, &along, mark);
        }
        self.playhead(&painter, palette, plot, &along);
        let grip = Rect::from_min_max(plot.min, pos2(plot.max.x, area.max.y));
        let grip = grip.expand2(vec2(8.0, 0.0));
        let response = ui.interact(grip, ui.id().with("episode"), Sense::click_and_drag());
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
        let held = response.is_pointer_button_down_on() || response.clicked();
        let pointer = response.interact_pointer_pos().filter(|_| held)?;
        Some(along.value_at(pointer.x).round())
    }

    /// The control steps of its part in the episode.
    fn steps(&self) -> &[RobotStep] {
        self.playback.steps(self.robot)
    }

    /// What older policies did is not this one's.
    fn earlier(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let of_training = self.about.split == "train";
        let steps = self.steps().iter();
        let count = steps.take_while(|step| step.value.is_nan()).count();
        if !of_training || count == 0 {
            return;
        }
        let right = along.at(count as f64);
        let rect = Rect::from_min_max(plot.min, pos2(right, plot.max.y));
        painter.rect_filled(rect, 0, faded(palette.grid_five, 0.35));
        let words = "before the iteration, by older policies";
        let font = FontId::proportional(TEXT);
        let galley = painter.layout_no_wrap(words.to_owned(), font, palette.ink);
        // In the middle, where the value's lane is empty.
        if self.lanes && galley.size().x + 16.0 < rect.width() {
            let corner = rect.center() - galley.size() / 2.0;
            painter.galley(corner, galley, palette.ink);
        }
    }

    fn lanes(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let mut lanes = vec![TimelineLane::Reward];
        if self.steps().iter().any(|step| step.value.is_finite()) {
            lanes.push(TimelineLane::Value);
        }
        lanes.push(TimelineLane::Actions);
        let count = lanes.len() as f32;
        let height = (plot.height() - GAP * (count - 1.0)) / count;
        for (index, lane) in lanes.iter().enumerate() {
            let top = plot.min.y + (height + GAP) * index as f32;
            let size = vec2(plot.width(), height);
            let rect = Rect::from_min_size(pos2(plot.min.x, top), size);
            painter.rect_filled(rect, 0, faded(palette.page, 0.5));
            match lane {
                TimelineLane::Reward => self.reward(painter, palette, rect, along),
                TimelineLane::Value => self.value(painter, palette, rect, along),
                TimelineLane::Actions => self.actions(painter, palette, rect, along),
            }
        }
    }

    /// The step that the playhead is in or after.
    fn current(&self) -> Option<&RobotStep> {
        let index = (self.at.ceil() as usize).max(1) - 1;
        self.steps().get(index)
    }

    fn reward(&self, painter: &Painter, palette: &Palette, rect: Rect, along: &AxisScale) {
        let steps = self.steps();
        // What an end pays would flatten all that comes before it; it reaches the lane's edge.
        let (ending, others) = match steps.split_last() {
            Some((last, others)) if !last.outcome.is_empty() && !others.is_empty() => {
                (Some(last), others)
            }
            _ => (None, steps),
        };
        let rewards = others.iter().map(|step| f64::from(step.reward));
        let most = rewards.fold(1e-6, |most: f64, reward| most.max(reward.abs()));
        let up = AxisScale::new(-most..=most, rect.max.y - 2.0, rect.min.y + 2.0);
        let zero = up.at(0.0);
        painter.hline(rect.x_range(), zero, (1.0, palette.grid_five));
        let width = (along.at(1.0) - along.at(0.0)).max(1.0);
        for step in others.iter().chain(ending) {
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
        let now = self.current().map(|step| f64::from(step.reward));
        name(painter, palette, rect, "reward", now, None);
    }

    fn value(&self, painter: &Painter, palette: &Palette, rect: Rect, along: &AxisScale) {
        let steps = self.steps().iter();
        let known = steps.filter(|step| step.value.is_finite());
        let points: Vec<(f64, f64)> = known
            .map(|step| (f64::from(step.step) - 1.0, f64::from(step.value)))
            .collect();
        let values = points.iter().map(|(_, value)| *value);
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        let up = AxisScale::new(low..=high, rect.max.y - 3.0, rect.min.y + 3.0);
        // It is expected until the step's end.
        let last = points.last().map(|&(step, value)| (step + 1.0, value));
        let line = points.into_iter().chain(last);
        let line = line.map(|(step, value)| pos2(along.at(step), up.at(value)));
        painter.line(line.collect(), Stroke::new(1.5, palette.arms[0]));
        let now = self.current().map(|step| f64::from(step.value));
        let now = now.filter(|value| value.is_finite());
        name(painter, palette, rect, "value", now, None);
    }

    fn actions(&self, painter: &Painter, palette: &Palette, rect: Rect, along: &AxisScale) {
        let up = AxisScale::new(-1.0..=1.0, rect.max.y - 2.0, rect.min.y + 2.0);
        painter.hline(rect.x_range(), up.at(0.0), (1.0, palette.grid_five));
        let names = self
            .about
            .actions
            .iter()
            .zip(colors(palette))
            .zip(DashStyle::ALL);
        let count = self.about.actions.len().max(1) as f32;
        for (index, ((action, color), dash)) in names.enumerate() {
            let number = |step: &RobotStep| step.action.get(index).map(|&number| f64::from(number));
            let mut points = Vec::new();
            for step in self.steps() {
                let y = up.at(number(step).unwrap_or_default());
                let end = f64::from(step.step);
                points.push(pos2(along.at(end - 1.0), y));
                points.push(pos2(along.at(end), y));
            }
            dash.draw(painter, points, Stroke::new(1.5, color));
            let height = rect.height() / count;
            let top = rect.min.y + height * index as f32;
            let row = Rect::from_min_size(pos2(rect.min.x, top), vec2(rect.width(), height));
            let now = self.current().and_then(number);
            let words = action.replace('_', " ");
            name(painter, palette, row, &words, now, Some((dash, color)));
        }
    }

    fn axis(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let dt_secs = self.playback.dt_secs();
        let secs = AxisScale::new(
            0.0..=self.playback.length() as f64 * dt_secs,
            plot.min.x,
            plot.max.x,
        );
        painter.hline(plot.x_range(), plot.max.y, (1.0, palette.grid_five));
        for tick in secs.ticks(72.0) {
            let x = secs.at(tick);
            painter.vline(x, plot.max.y..=plot.max.y + 4.0, (1.0, palette.grid_five));
            let words = format!("{} s", (tick * 1000.0).round() / 1000.0);
            let at = pos2(x, plot.max.y + 4.0);
            text(painter, at, Align2::CENTER_TOP, &words, palette.soft);
        }
        if self.playback.outcome().is_some() {
            let x = along.at(self.playback.length() as f64);
            painter.vline(x, plot.y_range(), (1.0, palette.soft));
        }
    }

    fn playhead(&self, painter: &Painter, palette: &Palette, plot: Rect, along: &AxisScale) {
        let x = along.at(self.at);
        painter.vline(x, plot.y_range(), (2.0, palette.ink));
        let corners = vec![
            pos2(x, plot.max.y),
            pos2(x - 6.0, plot.max.y + 9.0),
            pos2(x + 6.0, plot.max.y + 9.0),
        ];
        painter.add(Shape::convex_polygon(corners, palette.ink, Stroke::NONE));
    }

    /// What is told of the step below the pointer.
    fn hover_lines(&self, place: f64) -> Vec<String> {
        let number = (place.ceil() as usize).max(1);
        let Some(step) = self.steps().get(number - 1) else {
            return vec!["no step".to_owned()];
        };
        let secs = f64::from(step.step) * self.playback.dt_secs();
        let mut lines = vec![format!("step {} · {secs:.1} s", step.step)];
        let terms = self.about.reward_terms.iter().zip(&step.reward_terms);
        let terms: Vec<String> = terms
            .filter(|(_, term)| **term != 0.0)
            .map(|(name, &term)| format!("{name} {}", figure(term.into())))
            .collect();
        let mut reward = format!("reward {}", figure(step.reward.into()));
        if terms.len() > 1 {
            reward = format!("{reward}: {}", terms.join(", "));
        }
        lines.push(reward);
        if step.value.is_finite() {
            lines.push(format!("value {}", figure(step.value.into())));
        }
        let means = step.action_mean.iter().zip(&step.action_std);
        let mut means = means.map(|(mean, std)| {
            format!(
                " (mean {}, σ {})",
                figure((*mean).into()),
                figure((*std).into())
            )
        });
        for (name, &action) in self.about.actions.iter().zip(&step.action) {
            let from = means.next().unwrap_or_default();
            let name = name.replace('_', " ");
            lines.push(format!("{name} {}{from}", figure(action.into())));
        }
        if !step.outcome.is_empty() {
            lines.push(format!("ends: {}", step.outcome.replace('_', " ")));
        }
        let here = self.marks.iter().filter(|mark| mark.step == step.step);
        lines.extend(here.map(|mark| mark.text.clone()));
        lines
    }
}

/// One for each action.
fn colors(palette: &Palette) -> [Color32; 3] {
    let [first, second] = palette.arms;
    [first, second, palette.path]
}

/// A lane's name, how it is drawn, and what it is at the playhead.
fn name(
    painter: &Painter,
    palette: &Palette,
    lane: Rect,
    name: &str,
    now: Option<f64>,
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
    let words = now.map_or("–".to_owned(), figure);
    let at = pos2(lane.min.x - 10.0, middle);
    text(painter, at, Align2::RIGHT_CENTER, &words, palette.ink);
}

/// Points out a transition.
fn sign_of(
    painter: &Painter,
    palette: &Palette,
    plot: Rect,
    along: &AxisScale,
    mark: &TransitionMarker,
) {
    let x = along.at(f64::from(mark.step) - 0.5);
    let size = 5.0 + 6.0 * mark.weight.clamp(0.0, 1.0);
    painter.vline(x, plot.y_range(), (1.0, faded(palette.mover, 0.6)));
    let corners = vec![
        pos2(x, plot.min.y + 1.5 * size),
        pos2(x - size, plot.min.y - 2.0),
        pos2(x + size, plot.min.y - 2.0),
    ];
    let edge = Stroke::new(1.0, palette.card);
    painter.add(Shape::convex_polygon(corners, palette.mover, edge));
}
