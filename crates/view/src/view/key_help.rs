//! The dialog that lists the keys.

use bevy_egui::egui::{Context, Frame, Grid, Id, Margin, Modal, RichText, Stroke};

use super::theme::Palette;

/// Shows `keys`, `(key, meaning)`, above everything else. Sets `open` to false when the dialog is
/// closed.
pub(super) fn show(ctx: &Context, palette: &Palette, keys: &[(&str, &str)], open: &mut bool) {
    let frame = Frame::new()
        .fill(palette.card)
        .stroke(Stroke::new(1.0, palette.line))
        .corner_radius(10)
        .inner_margin(Margin::same(22));
    let modal = Modal::new(Id::new("help")).frame(frame).show(ctx, |ui| {
        ui.label(RichText::new("Keys").size(19.0));
        ui.add_space(8.0);
        Grid::new("keys").spacing([24.0, 7.0]).show(ui, |ui| {
            for (key, meaning) in keys {
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
