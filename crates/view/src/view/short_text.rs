//! Names that fit a width: what is too much is left out of the middle.

use bevy_egui::egui::{Color32, FontId, Painter};

use evenkeel_runs::telemetry::format::shorten_middle;

/// Least number of characters of a shortened name.
const LEAST: usize = 5;

/// A name, shortened in its middle so that it is at most `max_width` pixels wide at this text size.
/// A name is never shorter than five characters.
pub(super) fn fit_name(painter: &Painter, name: &str, size: f32, max_width: f32) -> String {
    let width = |text: &str| {
        let font = FontId::proportional(size);
        let galley = painter.layout_no_wrap(text.to_owned(), font, Color32::WHITE);
        galley.size().x
    };
    let full = width(name);
    if full <= max_width {
        return name.to_owned();
    }
    // Letters differ in width, so the share is a first guess.
    let length = name.chars().count();
    let guess = (length as f32 * max_width / full).ceil() as usize + 1;
    let lengths = (LEAST..=guess.clamp(LEAST, length)).rev();
    let mut names = lengths.map(|most| shorten_middle(name, most));
    let fits = names.find(|short| width(short) <= max_width);
    fits.unwrap_or_else(|| shorten_middle(name, LEAST))
        .into_owned()
}

#[cfg(test)]
mod tests {
    use bevy_egui::egui::{Context, LayerId, RawInput};

    use super::*;

    #[test]
    fn a_name_keeps_its_ends() {
        let ctx = Context::default();
        let mut shown = Vec::new();
        let _ = ctx.run_ui(RawInput::default(), |ui| {
            let painter = Painter::new(ui.ctx().clone(), LayerId::background(), ui.max_rect());
            let name = "exploder__clipped__s12__20261201T013245Z";
            for width in [1000.0, 160.0, 1.0] {
                shown.push(fit_name(&painter, name, 15.0, width));
            }
        });
        shown.dedup();
        let [full, short, least] = &shown[shown.len() - 3..] else {
            panic!("{shown:?}")
        };
        assert_eq!(full, "exploder__clipped__s12__20261201T013245Z");
        assert!(short.starts_with("explo") && short.ends_with("45Z") && short.contains('…'));
        assert_eq!(least, "ex…5Z");
    }
}
