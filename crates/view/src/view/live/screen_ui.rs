//! Draws a [`LiveScreen`]: header, footer, tiles and dashboard.

use bevy_egui::egui::{Context, Id, LayerId, Margin, Rect, Ui, UiBuilder, Vec2, pos2, vec2};

use super::screen::{LiveScreen, LiveState};
use super::tiles::{self, EnvTile};
use super::{dashboard, header_footer, keys};
use crate::view::key_help;
use crate::view::window::SIZE;

/// Height of the header, points.
const HEADER_HEIGHT: f32 = 46.0;
/// Height of the footer, points.
const FOOTER_HEIGHT: f32 = 28.0;
/// Margin around tiles and dashboard, points.
const PAD: f32 = 10.0;
/// Greatest share of the width that the tiles have.
const TILES_SHARE: f32 = 0.44;
/// How much the zoom factor grows with the size of the window. At less than 1, a large window has
/// more room for curves than a small one.
const ZOOM_GROWTH: f32 = 0.75;
/// Least zoom factor.
const MIN_ZOOM: f32 = 0.5;

/// Where the parts of the screen are, points.
#[derive(Clone, Copy, Debug)]
struct ScreenLayout {
    header: Rect,
    footer: Rect,
    tiles: Rect,
    dashboard: Rect,
}

impl LiveScreen {
    /// Draws everything and handles keys and pointer. Returns whether to close the window. The caller
    /// has cleared the window with [`Theme::page`]. Call it within an egui pass.
    ///
    /// [`Theme::page`]: crate::view::Theme
    pub(super) fn show(&mut self, ctx: &Context, state: &LiveState, tiles: &mut [EnvTile]) -> bool {
        let robots = tiles.iter().map(EnvTile::robots).max();
        let quit = keys::handle_keys(self, ctx, robots.unwrap_or(0));
        let palette = self.theme.palette();
        self.theme.apply_to(ctx);
        // Animations would cause frames that nothing else needs.
        if ctx.global_style().animation_time > 0.0 {
            ctx.all_styles_mut(|style| style.animation_time = 0.0);
        }
        let screen = ctx.viewport_rect();
        // Set it only if it changes, because egui redraws then.
        let zoom = zoom(screen.size() * ctx.zoom_factor());
        if (zoom - ctx.zoom_factor()).abs() > 1e-3 {
            ctx.set_zoom_factor(zoom);
        }
        let mut root = Ui::new(
            ctx.clone(),
            Id::new("live"),
            UiBuilder::new()
                .layer_id(LayerId::background())
                .max_rect(screen),
        );
        let parts = ScreenLayout::of(screen);
        let painter = root.painter();
        painter.rect_filled(parts.header, 0, palette.card);
        painter.rect_filled(parts.footer, 0, palette.card);
        header_footer::header(&mut root, parts.header, &palette, state);
        header_footer::footer(&mut root, parts.footer, &palette, state);
        tiles::show(&mut root, parts.tiles, &palette, self, tiles);
        dashboard::show(&mut root, parts.dashboard, &palette, state.history);
        if self.help {
            key_help::show(ctx, &palette, &keys::KEYS, &mut self.help);
        }
        quit
    }
}

/// The zoom factor for a window of this size, points.
fn zoom(window: Vec2) -> f32 {
    let (width, height) = (SIZE.0 as f32, SIZE.1 as f32);
    let ratio = (window.x / width).min(window.y / height);
    if ratio > 1.0 {
        1.0 + ZOOM_GROWTH * (ratio - 1.0)
    } else {
        ratio.max(MIN_ZOOM)
    }
}

impl ScreenLayout {
    fn of(screen: Rect) -> Self {
        let (header, rest) = screen.split_top_bottom_at_y(screen.min.y + HEADER_HEIGHT);
        let (body, footer) = rest.split_top_bottom_at_y(rest.max.y - FOOTER_HEIGHT);
        let body = body - Margin::same(PAD as i8);
        let side = (TILES_SHARE * body.width()).min(body.height());
        let tiles = Rect::from_min_size(body.min, vec2(side, body.height()));
        Self {
            header,
            footer,
            tiles,
            dashboard: Rect::from_min_max(pos2(tiles.max.x + PAD, body.min.y), body.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_overlap_at_any_size() {
        for (width, height) in [
            (1280.0, 720.0),
            (3840.0, 2160.0),
            (800.0, 600.0),
            (3440.0, 1440.0),
        ] {
            let size = vec2(width, height);
            let screen = Rect::from_min_size(pos2(0.0, 0.0), size / zoom(size));
            let parts = ScreenLayout::of(screen);
            let all = [parts.header, parts.footer, parts.tiles, parts.dashboard];
            for (index, part) in all.iter().enumerate() {
                assert!(screen.contains_rect(*part) && part.is_positive(), "{part}");
                for other in &all[..index] {
                    let common = part.intersect(*other);
                    assert!(!common.is_positive(), "{part} and {other} at {size}");
                }
            }
            assert!(parts.dashboard.width() > 500.0, "room for curves at {size}");
        }
    }

    #[test]
    fn zoom_grows_slower_than_the_window() {
        assert!((zoom(vec2(1280.0, 720.0)) - 1.0).abs() < 1e-6);
        assert!((zoom(vec2(3840.0, 2160.0)) - 2.5).abs() < 1e-6);
        assert!((zoom(vec2(640.0, 720.0)) - 0.5).abs() < 1e-6);
        assert!((zoom(vec2(3840.0, 720.0)) - 1.0).abs() < 1e-6);
    }
}
