//! Colours. They are those of Okabe and Ito, which can be told apart with every kind of colour
//! vision; the SVG drawings of layouts and the reports use them too. Wherever colours differ, shapes
//! differ as well.

use bevy_egui::egui::{Color32, Context, Stroke, Visuals};

/// Light or dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light page.
    Light,
    /// Light text on a dark page.
    #[default]
    Dark,
}

/// The colours of a theme, by their use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// Background around the arena and behind the panels.
    pub(super) page: Color32,
    /// Background of panels and cards.
    pub(super) card: Color32,
    /// Edges of panels.
    pub(super) line: Color32,
    /// Text.
    pub(super) ink: Color32,
    /// Secondary text.
    pub(super) soft: Color32,
    /// The arena's floor.
    pub(super) floor: Color32,
    /// Grid lines.
    pub(super) grid: Color32,
    /// Strong grid lines, as every fifth.
    pub(super) grid_strong: Color32,
    /// Walls.
    pub(super) wall: Color32,
    /// Top of an obstacle.
    pub(super) obstacle: Color32,
    /// Edge of an obstacle towards the light.
    pub(super) lit: Color32,
    /// Edge of an obstacle away from the light.
    pub(super) rim: Color32,
    /// Shadows, where they are darkest.
    pub(super) shadow: Color32,
    /// One colour per policy.
    pub(super) arms: [Color32; 2],
    /// Robots that another controller drives than the first robot's.
    pub(super) others: Color32,
    /// The arrow on a robot that shows its heading.
    pub(super) nose: Color32,
    /// A robot's wheels.
    pub(super) wheel: Color32,
    /// The goal, and episodes that reached it.
    pub(super) goal: Color32,
    /// Movers.
    pub(super) mover: Color32,
    /// Shortest paths.
    pub(super) path: Color32,
    /// Contacts, and episodes that ended in one.
    pub(super) bad: Color32,
    /// A lidar reading of 0.
    pub(super) near: Color32,
    /// A lidar reading at the sensor's range.
    pub(super) far: Color32,
}

impl Theme {
    /// The other theme.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Light => Self::Dark,
            Self::Dark => Self::Light,
        }
    }

    /// The background of a window, `[red, green, blue]`.
    pub(super) fn page(self) -> [u8; 3] {
        let page = self.palette().page;
        [page.r(), page.g(), page.b()]
    }

    pub(super) fn palette(self) -> Palette {
        match self {
            Self::Light => Palette {
                page: rgb(0xee_f0_f3),
                card: rgb(0xff_ff_ff),
                line: rgb(0xdf_e2_e6),
                ink: rgb(0x14_20_2b),
                soft: rgb(0x5b_64_70),
                floor: rgb(0xff_ff_ff),
                grid: rgb(0xe9_ec_f0),
                grid_strong: rgb(0xcf_d6_dd),
                wall: rgb(0x2b_36_41),
                obstacle: rgb(0x9a_a5_b1),
                lit: rgb(0xc2_ca_d2),
                rim: rgb(0x5c_68_74),
                shadow: Color32::from_black_alpha(64),
                arms: [rgb(0x00_72_b2), rgb(0xd5_5e_00)],
                others: rgb(0x8a_6d_00),
                nose: rgb(0xff_ff_ff),
                wheel: rgb(0x14_20_2b),
                goal: rgb(0x00_9e_73),
                mover: rgb(0xa8_56_8a),
                path: rgb(0xb8_77_00),
                bad: rgb(0xc2_3b_00),
                near: rgb(0xd5_5e_00),
                far: rgb(0x6a_a6_cf),
            },
            Self::Dark => Palette {
                page: rgb(0x0f_14_19),
                card: rgb(0x1a_20_27),
                line: rgb(0x30_39_44),
                ink: rgb(0xf0_f3_f6),
                soft: rgb(0x9a_a5_b1),
                floor: rgb(0x1b_23_2b),
                grid: rgb(0x25_2f_39),
                grid_strong: rgb(0x38_45_52),
                wall: rgb(0xc3_cc_d6),
                obstacle: rgb(0x5b_68_76),
                lit: rgb(0x8e_9b_a9),
                rim: rgb(0x35_40_4b),
                shadow: Color32::from_black_alpha(150),
                arms: [rgb(0x56_b4_e9), rgb(0xef_8a_3c)],
                others: rgb(0xf0_e4_42),
                nose: rgb(0x0f_14_19),
                wheel: rgb(0xdd_e4_ea),
                goal: rgb(0x2b_c7_9b),
                mover: rgb(0xdd_9c_c0),
                path: rgb(0xf0_b5_3c),
                bad: rgb(0xff_8a_5c),
                near: rgb(0xff_8a_3d),
                far: rgb(0x3f_7f_a8),
            },
        }
    }

    /// Sets the style of a context's widgets.
    pub(super) fn apply_to(self, ctx: &Context) {
        let visuals = self.visuals();
        if ctx.global_style().visuals != visuals {
            ctx.set_visuals(visuals);
            ctx.all_styles_mut(|style| style.interaction.selectable_labels = false);
        }
    }

    /// The style of the widgets in the panels.
    fn visuals(self) -> Visuals {
        let palette = self.palette();
        let mut visuals = match self {
            Self::Light => Visuals::light(),
            Self::Dark => Visuals::dark(),
        };
        visuals.override_text_color = Some(palette.ink);
        visuals.weak_text_color = Some(palette.soft);
        visuals.panel_fill = palette.card;
        visuals.window_fill = palette.card;
        visuals.window_stroke.color = palette.line;
        visuals.widgets.noninteractive.bg_stroke.color = palette.line;
        visuals.selection.bg_fill = palette.arms[0];
        let widgets = &mut visuals.widgets;
        for (state, fill) in [
            (&mut widgets.inactive, palette.page),
            (&mut widgets.hovered, palette.line),
            (&mut widgets.active, palette.grid_strong),
        ] {
            state.weak_bg_fill = fill;
            state.bg_fill = fill;
            state.bg_stroke = Stroke::new(1.0, palette.line);
            state.fg_stroke.color = palette.ink;
            state.expansion = 0.0;
        }
        visuals
    }
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// A colour with its opacity multiplied by `alpha`, 0 to 1.
pub(super) fn faded(color: Color32, alpha: f32) -> Color32 {
    color.gamma_multiply(alpha.clamp(0.0, 1.0))
}

/// Interpolates between two colours in gamma space; `share` is 0 to 1.
pub(super) fn mix(from: Color32, to: Color32, share: f32) -> Color32 {
    from.lerp_to_gamma(to, share.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn luminance(color: Color32) -> f32 {
        let channel = |byte: u8| {
            let c = f32::from(byte) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// WCAG 2.2, level AA: 4.5 for text, 3 for graphics.
    #[test]
    fn text_and_graphics_have_enough_contrast() {
        for theme in [Theme::Light, Theme::Dark] {
            let p = theme.palette();
            for (text, below) in [(p.ink, p.card), (p.soft, p.card), (p.soft, p.page)] {
                assert!(contrast(text, below) >= 4.5, "{theme:?}: {text:?}");
            }
            let [first, second] = p.arms;
            for mark in [first, second, p.goal, p.mover, p.path, p.bad, p.near] {
                assert!(contrast(mark, p.floor) >= 3.0, "{theme:?}: {mark:?}");
            }
        }
    }
}
