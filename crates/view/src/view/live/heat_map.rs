//! The gradient's norm in every layer over time, as colours.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Align2, Color32, FontId, Rect, Ui, pos2, vec2};

use super::chart::{self, ChartArea, StepRange};
use crate::view::axis::short_number;
use crate::view::theme::Palette;
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::RunHistory;
use evenkeel_runs::telemetry::layer_name;

const NAME: &str = "gradient norm by layer";
const HELP: &str = "L2 norm of the gradient in every layer before any clip, on a logarithmic scale \
                    of colours; a column shows the greatest norm among its optimiser steps. Look \
                    for columns in which all layers flare up, and for rows that stay dark. Pink: \
                    not finite.";
/// Viridis, which is in the order of its lightness for every kind of colour vision; as in the
/// reports.
const VIRIDIS: [u32; 10] = [
    0x44_01_54, 0x48_28_78, 0x3e_49_89, 0x31_68_8e, 0x26_82_8e, 0x1f_9e_89, 0x35_b7_79, 0x6e_ce_58,
    0xb5_de_2b, 0xfd_e7_25,
];
const NOT_FINITE: Color32 = Color32::from_rgb(0xe0, 0x21, 0x8a);
/// Points.
const LEAST_ROW: f32 = 10.5;

/// Draws the map's card.
pub(super) fn show(
    ui: &mut Ui,
    place: ChartArea,
    palette: &Palette,
    time: StepRange,
    history: &RunHistory,
) {
    chart::card(ui, place.rect, palette);
    chart::title(ui, place.rect, palette, NAME, "", HELP, None);
    let plot = place.plot();
    let range = range(history);
    let rows = history.bins.iter().map(|bin| bin.layers.len()).max();
    let (Some([low, high]), Some(rows)) = (range, rows) else {
        let font = FontId::proportional(12.0);
        let text = "nothing measured yet";
        ui.painter().text(
            plot.center(),
            Align2::CENTER_CENTER,
            text,
            font,
            palette.soft,
        );
        return;
    };
    ui.painter().rect_filled(plot, 0, palette.page);
    ui.painter()
        .add(map(plot, time, history, rows, [low, high]));
    names(ui, place, palette, &history.layers, rows);
    key(ui, place.rect, palette, [low, high]);
    if place.axis {
        chart::steps(ui, plot, palette, time);
    }
}

/// The norms at the ends of the scale of colours, as the reports choose them: a handful of gradients
/// next to nothing would cost the others their colours.
fn range(history: &RunHistory) -> Option<[f64; 2]> {
    let norms = history.bins.iter().flat_map(|bin| &bin.layers);
    let mut norms: Vec<f64> = norms
        .filter(|norm| **norm > 0.0)
        .map(|&norm| f64::from(norm))
        .collect();
    norms.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&norms, 0.02)?, *norms.last()?);
    Some([low.min(high / 10.0), high])
}

fn map(
    plot: Rect,
    time: StepRange,
    history: &RunHistory,
    rows: usize,
    [low, high]: [f64; 2],
) -> Mesh {
    let mut mesh = Mesh::default();
    let along = time.x_scale(plot);
    let height = plot.height() / rows as f32;
    let span = (high / low).ln();
    for (column, bin) in history.bins.iter().enumerate() {
        let [left, right] = [column, column + 1].map(|column| {
            let steps = column as u64 * history.width;
            along.at((history.from + steps) as f64)
        });
        for (row, &norm) in bin.layers.iter().enumerate() {
            let color = if norm.is_nan() {
                NOT_FINITE
            } else if norm >= 0.0 {
                viridis(((f64::from(norm) / low).ln() / span) as f32)
            } else {
                continue;
            };
            let top = plot.min.y + row as f32 * height;
            // What lies beside one another shows no seam.
            let size = vec2(right - left, height);
            mesh.add_colored_rect(Rect::from_min_size(pos2(left, top), size), color);
        }
    }
    mesh
}

/// The layers' names; where rows are too thin for each, those of the networks.
fn names(ui: &Ui, place: ChartArea, palette: &Palette, names: &[String], rows: usize) {
    if names.len() != rows {
        return;
    }
    let plot = place.plot();
    let height = plot.height() / rows as f32;
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let left = place.rect.min.x + 6.0;
    let clip = Rect::from_min_max(place.rect.min, pos2(plot.min.x - 3.0, place.rect.max.y));
    let painter = ui.painter().with_clip_rect(clip);
    let write = |row: f32, text: &str| {
        let at = pos2(plot.min.x - 6.0, plot.min.y + row * height);
        let font = FontId::proportional(if height < 13.0 { 10.0 } else { 11.0 });
        painter.text(at, Align2::RIGHT_CENTER, text, font, palette.soft);
    };
    if height >= LEAST_ROW {
        for (row, name) in all.iter().enumerate() {
            let name = layer_name(name, &all);
            let name = name.replace(", weights", " W").replace(", biases", " b");
            write(row as f32 + 0.5, &name);
        }
        return;
    }
    let network = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let mut first = 0;
    for group in all.chunk_by(|a, b| network(a) == network(b)) {
        write(first as f32 + group.len() as f32 / 2.0, &network(group[0]));
        first += group.len();
        let y = plot.min.y + first as f32 * height;
        if first < rows {
            painter.hline(left..=plot.min.x, y, (1.0, palette.line));
        }
    }
}

/// The scale of colours, at the title's right.
fn key(ui: &Ui, rect: Rect, palette: &Palette, [low, high]: [f64; 2]) {
    let font = FontId::proportional(11.0);
    let middle = rect.min.y + 8.0 + 8.5;
    let say = |x: f32, text: String| {
        let at = pos2(x, middle);
        ui.painter()
            .text(at, Align2::RIGHT_CENTER, text, font.clone(), palette.soft)
    };
    let upper = say(rect.max.x - 10.0, short_number(high));
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
    say(band.min.x - 5.0, short_number(low));
}

fn viridis(share: f32) -> Color32 {
    let place = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f32;
    let below = (place as usize).min(VIRIDIS.len() - 2);
    let [from, to] = [below, below + 1].map(|at| {
        let [_, r, g, b] = VIRIDIS[at].to_be_bytes();
        Color32::from_rgb(r, g, b)
    });
    from.lerp_to_gamma(to, place - below as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_the_darkest_to_the_lightest() {
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
