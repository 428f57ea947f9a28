//! The heat map of gradient norms by layer over environment steps.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Align2, Color32, FontId, Rect, Ui, pos2, vec2};

use super::chart::{self, ChartArea, StepRange};
use crate::view::axis::short_number;
use crate::view::theme::Palette;
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::RunHistory;
use evenkeel_runs::telemetry::layer_name;

const NAME: &str = "gradient norm by layer";
const HELP: &str = "L2 norm of the gradient of each layer before any clip, on a logarithmic colour \
                    scale. A column shows the greatest norm among its optimiser steps. Look for \
                    columns in which all layers are bright, and for rows that stay dark. Pink: not \
                    finite.";
/// The colour map viridis, as in the reports. Its lightness increases steadily, so that it can be
/// read with every kind of colour vision.
const VIRIDIS: [u32; 10] = [
    0x44_01_54, 0x48_28_78, 0x3e_49_89, 0x31_68_8e, 0x26_82_8e, 0x1f_9e_89, 0x35_b7_79, 0x6e_ce_58,
    0xb5_de_2b, 0xfd_e7_25,
];
const NOT_FINITE: Color32 = Color32::from_rgb(0xe0, 0x21, 0x8a);
/// Least height of a row that has its own name, points.
const MIN_NAMED_ROW_HEIGHT: f32 = 10.5;

/// Draws the card of the heat map.
pub(super) fn show(
    ui: &mut Ui,
    area: ChartArea,
    palette: &Palette,
    range: StepRange,
    history: &RunHistory,
) {
    chart::card(ui, area.rect, palette);
    chart::title(ui, area.rect, palette, NAME, "", HELP, None);
    let plot = area.plot();
    let norms = norm_range(history);
    let rows = history.bins.iter().map(|bin| bin.layers.len()).max();
    let (Some(norms), Some(rows)) = (norms, rows) else {
        chart::no_data(ui, plot, palette);
        return;
    };
    ui.painter().rect_filled(plot, 0, palette.page);
    ui.painter().add(cells(plot, range, history, rows, norms));
    draw_layer_names(ui, area, palette, &history.layers, rows);
    draw_color_scale(ui, area.rect, palette, norms);
    if area.step_axis {
        chart::draw_step_axis(ui, plot, palette, range);
    }
}

/// The norms at the ends of the colour scale, chosen as in the reports: from the 2 % quantile,
/// because a few tiny gradients would otherwise use up most of the scale.
fn norm_range(history: &RunHistory) -> Option<[f64; 2]> {
    let norms = history.bins.iter().flat_map(|bin| &bin.layers);
    let mut norms: Vec<f64> = norms
        .filter(|norm| **norm > 0.0)
        .map(|&norm| f64::from(norm))
        .collect();
    norms.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&norms, 0.02)?, *norms.last()?);
    Some([low.min(high / 10.0), high])
}

/// The coloured cells, one column per bin and one row per layer.
fn cells(
    plot: Rect,
    range: StepRange,
    history: &RunHistory,
    rows: usize,
    [low, high]: [f64; 2],
) -> Mesh {
    let mut mesh = Mesh::default();
    let along = range.x_scale(plot);
    let height = plot.height() / rows as f32;
    let log_span = (high / low).ln();
    for (column, bin) in history.bins.iter().enumerate() {
        let [left, right] = [column, column + 1].map(|column| {
            let steps = column as u64 * history.width;
            along.at((history.from + steps) as f64)
        });
        for (row, &norm) in bin.layers.iter().enumerate() {
            let color = if norm.is_nan() {
                NOT_FINITE
            } else if norm >= 0.0 {
                viridis(((f64::from(norm) / low).ln() / log_span) as f32)
            } else {
                continue;
            };
            let top = plot.min.y + row as f32 * height;
            // Neighbouring cells share their edges, so that there are no seams.
            let size = vec2(right - left, height);
            mesh.add_colored_rect(Rect::from_min_size(pos2(left, top), size), color);
        }
    }
    mesh
}

/// Draws the names of the layers; if the rows are too thin, the names of the networks.
fn draw_layer_names(ui: &Ui, area: ChartArea, palette: &Palette, names: &[String], rows: usize) {
    if names.len() != rows {
        return;
    }
    let plot = area.plot();
    let height = plot.height() / rows as f32;
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let left = area.rect.min.x + 6.0;
    let clip = Rect::from_min_max(area.rect.min, pos2(plot.min.x - 3.0, area.rect.max.y));
    let painter = ui.painter().with_clip_rect(clip);
    let draw = |row: f32, text: &str| {
        let at = pos2(plot.min.x - 6.0, plot.min.y + row * height);
        let font = FontId::proportional(if height < 13.0 { 10.0 } else { 11.0 });
        painter.text(at, Align2::RIGHT_CENTER, text, font, palette.soft);
    };
    if height >= MIN_NAMED_ROW_HEIGHT {
        for (row, name) in all.iter().enumerate() {
            let name = layer_name(name, &all);
            let name = name.replace(", weights", " W").replace(", biases", " b");
            draw(row as f32 + 0.5, &name);
        }
        return;
    }
    let network = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut first = 0;
    for group in all.chunk_by(|a, b| network(a) == network(b)) {
        draw(first as f32 + group.len() as f32 / 2.0, &network(group[0]));
        first += group.len();
        let y = plot.min.y + first as f32 * height;
        if first < rows {
            painter.hline(left..=plot.min.x, y, (1.0, palette.line));
        }
    }
}

/// Draws the colour scale, at the right of the title.
fn draw_color_scale(ui: &Ui, rect: Rect, palette: &Palette, [low, high]: [f64; 2]) {
    let font = FontId::proportional(11.0);
    let middle = rect.min.y + 8.0 + 8.5;
    let label = |x: f32, text: String| {
        let at = pos2(x, middle);
        ui.painter()
            .text(at, Align2::RIGHT_CENTER, text, font.clone(), palette.soft)
    };
    let upper = label(rect.max.x - 10.0, short_number(high));
    let right = upper.min.x - 5.0;
    let band = Rect::from_min_max(pos2(right - 90.0, middle - 4.0), pos2(right, middle + 4.0));
    let mut mesh = Mesh::default();
    let steps = 30;
    for step in 0..steps {
        let width = band.width() / steps as f32;
        let corner = band.min + vec2(step as f32 * width, 0.0);
        let color = viridis((step as f32 + 0.5) / steps as f32);
        mesh.add_colored_rect(Rect::from_min_size(corner, vec2(width, 8.0)), color);
    }
    ui.painter().add(mesh);
    label(band.min.x - 5.0, short_number(low));
}

/// The colour at a place on the scale, 0 to 1; values beyond are clamped.
fn viridis(share: f32) -> Color32 {
    let position = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let below = (position as usize).min(VIRIDIS.len() - 2);
    let [from, to] = [below, below + 1].map(|at| {
        let [_, r, g, b] = VIRIDIS[at].to_be_bytes();
        Color32::from_rgb(r, g, b)
    });
    from.lerp_to_gamma(to, position - below as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_increases_along_the_scale() {
        let lightness = |share: f32| {
            let color = viridis(share);
            0.3 * f32::from(color.r()) + 0.6 * f32::from(color.g()) + 0.1 * f32::from(color.b())
        };
        let all: Vec<f32> = (0..=20).map(|step| lightness(step as f32 / 20.0)).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert_eq!(viridis(-1.0), viridis(0.0));
        assert_eq!(viridis(2.0), Color32::from_rgb(0xfd, 0xe7, 0x25));
    }
}
