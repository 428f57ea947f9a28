//! Plots of gradient norms up to some optimiser step, below the scenes of a video of twins.

use std::sync::Arc;

use bevy_egui::egui::{Align2, FontId, Painter, Pos2, Rect, Stroke, Ui, pos2, vec2};

use super::gradients::GradientHistory;
use super::timeline_paint::{DashStyle, TEXT_SIZE, cross, downsample, text};
use crate::view::axis::AxisScale;
use crate::view::theme::{Palette, faded};

/// Margins around the plot for labels, pixels.
const LEFT: f32 = 52.0;
const TOP: f32 = 24.0;
const BOTTOM: f32 = 22.0;
const RIGHT: f32 = 14.0;
/// Least distance between two ticks of the vertical axis, pixels.
const TICK_SPACING: f32 = 24.0;

/// A run's gradient norms up to one of its optimiser steps.
#[derive(Clone, Debug)]
pub struct GradientStrip {
    /// The norms of the whole run.
    pub gradients: Arc<GradientHistory>,
    /// Number of the last optimiser step that is drawn.
    pub at: u64,
    /// First and last optimiser step of the horizontal axis.
    pub span: (u64, u64),
    /// Least and greatest norm of the vertical axis.
    pub range: (f64, f64),
}

/// Draws strips side by side.
pub(in crate::view) fn show(ui: &mut Ui, palette: &Palette, strips: &[GradientStrip]) {
    let area = ui.available_rect_before_wrap();
    let width = area.width() / strips.len().max(1) as f32;
    for (index, strip) in strips.iter().enumerate() {
        let left = area.min.x + width * index as f32;
        let rect = Rect::from_min_size(pos2(left, area.min.y), vec2(width, area.height()));
        strip.draw(&ui.painter().with_clip_rect(rect), palette, rect, index);
    }
}

impl GradientStrip {
    fn draw(&self, painter: &Painter, palette: &Palette, rect: Rect, index: usize) {
        let plot = Rect::from_min_max(rect.min + vec2(LEFT, TOP), rect.max - vec2(RIGHT, BOTTOM));
        let (first, last) = self.span;
        let along = AxisScale::new(first as f64..=last as f64, plot.min.x, plot.max.x);
        let (low, high) = self.range;
        let up = AxisScale::new(
            low.log10() - 0.1..=high.log10() + 0.1,
            plot.max.y,
            plot.min.y,
        );
        painter.rect_filled(plot, 0, faded(palette.page, 0.6));
        for (tick, label) in up.log_ticks(TICK_SPACING) {
            let y = up.at(tick);
            painter.hline(plot.x_range(), y, (1.0, palette.line));
            let at = pos2(plot.min.x - 6.0, y);
            text(painter, at, Align2::RIGHT_CENTER, &label, palette.soft);
        }
        for tick in along.whole_ticks(90.0) {
            let at = pos2(along.at(tick), plot.max.y + 3.0);
            text(
                painter,
                at,
                Align2::CENTER_TOP,
                &format!("{tick}"),
                palette.soft,
            );
        }
        let steps = || {
            let steps = self.gradients.steps.iter();
            steps.take_while(|step| step.optimiser_step <= self.at)
        };
        let point = |optimiser_step: u64, norm: f64| -> Option<Pos2> {
            let has_log = norm.is_finite() && norm > 0.0;
            has_log.then(|| pos2(along.at(optimiser_step as f64), up.at(norm.log10())))
        };
        let thresholds = steps().filter_map(|step| point(step.optimiser_step, step.threshold));
        let thresholds = downsample(thresholds);
        let clips = !thresholds.is_empty();
        DashStyle::Dashed.draw(painter, thresholds, Stroke::new(1.5, palette.path));
        let color = palette.arms[index.min(1)];
        let norms = downsample(steps().filter_map(|step| point(step.optimiser_step, step.norm)));
        let newest = norms.last().copied();
        painter.line(norms, Stroke::new(1.5, color));
        if let Some(newest) = newest {
            painter.circle_filled(newest, 3.5, color);
        }
        for step in steps().filter(|step| !step.norm.is_finite()) {
            let x = along.at(step.optimiser_step as f64);
            cross(painter, pos2(x, plot.min.y + 6.0), palette);
        }
        let row = rect.min.y + TOP / 2.0;
        let at = pos2(plot.max.x, row);
        let label = format!("optimiser step {}", self.at);
        let right = text(painter, at, Align2::RIGHT_CENTER, &label, palette.soft);
        let at = pos2(plot.min.x, row);
        let title = text(
            painter,
            at,
            Align2::LEFT_CENTER,
            "gradient norm",
            palette.ink,
        );
        let font = FontId::proportional(TEXT_SIZE);
        let legend = painter.layout_no_wrap("clipped at".to_owned(), font, palette.soft);
        let at = title.right_center() + vec2(14.0, 0.0);
        // A narrow video has no room for the legend.
        if clips && at.x + 26.0 + legend.size().x + 8.0 < right.min.x {
            let ends = vec![at, at + vec2(20.0, 0.0)];
            DashStyle::Dashed.draw(painter, ends, Stroke::new(1.5, palette.path));
            let corner = at + vec2(26.0, -legend.size().y / 2.0);
            painter.galley(corner, legend, palette.soft);
        }
    }
}
