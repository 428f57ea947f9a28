//! The list of keys.

use bevy_egui::egui::{Context, Frame, Grid, Id, Margin, Modal, RichText, Stroke};

use super::keys::KEYS;
use super::replay;
use super::screen::Wheel;
use super::theme::Palette;

/// Shows the list over everything else until it is closed.
pub(super) fn show(ctx: &Context, palette: &Palette, wheel: Wheel, open: &mut bool) {
    let frame = Frame::new()
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(10)
        .inner_margin(Margin::same(22));
    let modal = Modal::new(Id::new("help")).frame(frame).show(ctx, |ui| {
        ui.label(RichText::new("Keys").size(19.0));
        ui.add_space(8.0);
        Grid::new("keys").spacing([24.0, 7.0]).show(ui, |ui| {
            let driving = [("arrows, W A S D", "drive")];
            let driving = driving.iter().filter(|_| wheel == Wheel::Person);
            let recorded = wheel == Wheel::Recording;
            let winding = replay::KEYS.iter().filter(|_| recorded);
            let usual = KEYS.iter().filter(|(key, _)| !(recorded && *key == "G"));
            for (key, meaning) in driving.chain(winding).chain(usual) {
                ui.label(RichText::new(*key).size(15.0).color(palette.arms[0]));
                ui.label(RichText::new(*meaning).size(15.0));
                ui.end_row();
            }
        });
    });
    if modal.should_close() {
        *open = false;
    }
}
