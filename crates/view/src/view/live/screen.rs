//! All that is on a live window, and what somebody looking at it may change.

use bevy_egui::egui::{Context, Id, LayerId, Margin, Rect, Ui, UiBuilder, Vec2, pos2, vec2};

use super::tiles::{self, EnvTile};
use super::training::{LiveTraining, TrainingPhase};
use super::{dashboard, header_footer, keys};
use crate::view::camera::Camera;
use crate::view::key_help;
use crate::view::scene::SceneLayers;
use crate::view::theme::Theme;
use crate::view::window::SIZE;
use evenkeel_runs::telemetry::RunHistory;

/// Points.
const HEADER: f32 = 46.0;
const FOOTER: f32 = 28.0;
const PAD: f32 = 10.0;
/// Share of the width that the tiles take at most.
const TILES_SHARE: f32 = 0.44;
/// By how much the letters grow with the window: all of it would leave no more room for curves in a
/// large window than there is in a small one.
const GROWTH: f32 = 0.75;
/// No smaller than this, however small the window.
const LEAST: f32 = 0.5;

/// What somebody looking at it may change about a live window.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveScreen {
    pub(super) theme: Theme,
    /// What of the scenes is shown.
    pub(super) layers: SceneLayers,
    /// The one environment that is shown, if it is one.
    pub(super) enlarged: Option<usize>,
    /// Whether the list of keys is open.
    pub(super) help: bool,
    /// Which part of the enlarged environment's room is seen.
    pub(super) camera: Camera,
}

/// What there is to see.
pub(super) struct LiveState<'a> {
    pub(super) training: &'a LiveTraining,
    pub(super) phase: &'a TrainingPhase,
    pub(super) history: &'a RunHistory,
    pub(super) tiles: &'a mut [EnvTile],
    /// Why it is drawn less often than it could be.
    pub(super) throttled: Option<String>,
}

/// Where what is, points.
#[derive(Clone, Copy, Debug)]
struct ScreenLayout {
    header: Rect,
    footer: Rect,
    tiles: Rect,
    dashboard: Rect,
}

impl LiveScreen {
    /// Shows everything on a page of [`Theme::page`], and takes what keys and pointer say; whether the window is to be closed.
    /// To be called between the beginning and the end of an egui pass.
    pub(super) fn show(&mut self, ctx: &Context, seen: &mut LiveState) -> bool {
        let robots = seen.tiles.iter().map(EnvTile::robots).max();
        let quit = keys::handle_keys(self, ctx, robots.unwrap_or(0));
        let palette = self.theme.palette();
        self.theme.apply_to(ctx);
        // Animations would ask for frames that nobody needs.
        if ctx.global_style().animation_time > 0.0 {
            ctx.all_styles_mut(|style| style.animation_time = 0.0);
        }
        let screen = ctx.viewport_rect();
        // Only where it changes: egui draws once more then.
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
        header_footer::header(&mut root, parts.header, &palette, seen);
        header_footer::footer(&mut root, parts.footer, &palette, seen);
        tiles::show(&mut root, parts.tiles, &palette, self, seen.tiles);
        dashboard::show(&mut root, parts.dashboard, &palette, seen.history);
        if self.help {
            key_help::show(ctx, &palette, &keys::KEYS, &mut self.help);
        }
        quit
    }

    /// Enlarges an environment, or goes back to all of them.
    pub(super) fn toggle(&mut self, tile: usize) {
        self.enlarged = if self.enlarged == Some(tile) {
            None
        } else {
            Some(tile)
        };
        self.camera = Camera::Fit;
    }
}

/// How large everything is, for a window of so many points.
fn zoom(window: Vec2) -> f32 {
    let (width, height) = (SIZE.0 as f32, SIZE.1 as f32);
    let ratio = (window.x / width).min(window.y / height);
    if ratio > 1.0 {
        1.0 + GROWTH * (ratio - 1.0)
    } else {
        ratio.max(LEAST)
    }
}

impl ScreenLayout {
    fn of(screen: Rect) -> Self {
        let (header, rest) = screen.split_top_bottom_at_y(screen.min.y + HEADER);
        let (body, footer) = rest.split_top_bottom_at_y(rest.max.y - FOOTER);
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
    fn nothing_overlaps_at_any_size() {
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
    fn letters_grow_with_the_window_but_slower() {
        assert!((zoom(vec2(1280.0, 720.0)) - 1.0).abs() < 1e-6);
        assert!((zoom(vec2(3840.0, 2160.0)) - 2.5).abs() < 1e-6);
        assert!((zoom(vec2(640.0, 720.0)) - 0.5).abs() < 1e-6);
        assert!((zoom(vec2(3840.0, 720.0)) - 1.0).abs() < 1e-6);
    }
}
