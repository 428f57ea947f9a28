//! Which part of the world a pane shows, and the transform from metres to pixels.

use bevy_egui::egui::{Pos2, Rect, Response, Ui, Vec2};
use nalgebra::Point2;

use evenkeel_sim::scenario;

/// Margin around a fitted arena, pixels. The axis labels are there.
const MARGIN: Vec2 = Vec2::new(44.0, 38.0);
/// Allowed scales, pixels per metre.
const SCALES: std::ops::RangeInclusive<f32> = 2.0..=4000.0;
/// Distance from a followed robot to the edge of the pane until the user zooms, metres.
const FOLLOW_RADIUS_M: f32 = 3.0;

/// How the centre and the scale of a pane are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Camera {
    /// The whole arena is visible.
    #[default]
    Fit,
    /// The user has moved it.
    Free {
        /// The point in the middle of the pane, metres.
        centre: Point2<f32>,
        /// Pixels per metre.
        scale: f32,
    },
    /// The selected robot stays in the middle.
    Follow {
        /// Pixels per metre; `None` until the user zooms.
        scale: Option<f32>,
    },
}

impl Camera {
    /// The transform of a pane. `robot` is the position of the selected robot, metres.
    pub(super) fn transform(
        self,
        pane: Rect,
        arena: &scenario::Rect,
        robot: Point2<f32>,
    ) -> PaneTransform {
        let fitted = PaneTransform::fitted(pane, arena, MARGIN).scale;
        let (centre, scale) = match self {
            Self::Fit => (nalgebra::center(&arena.min, &arena.max), fitted),
            Self::Free { centre, scale } => (centre, scale),
            Self::Follow { scale } => {
                let near = pane.size().min_elem() / (2.0 * FOLLOW_RADIUS_M);
                (robot, scale.unwrap_or_else(|| near.max(fitted)))
            }
        };
        PaneTransform {
            pane,
            centre,
            scale,
        }
    }

    /// Pans and zooms by the pointer in a pane.
    pub(super) fn handle_input(&mut self, ui: &Ui, shown: &PaneTransform, response: &Response) {
        if response.dragged() {
            self.pan(shown, response.drag_delta());
        }
        let Some(cursor) = response.hover_pos() else {
            return;
        };
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = pinch * (scroll / 320.0).exp();
        if (factor - 1.0).abs() > 1e-4 {
            self.zoom(shown, cursor, factor);
        }
    }

    /// Moves the world on the screen by `pixels`. `shown` is the current transform.
    pub(super) fn pan(&mut self, shown: &PaneTransform, pixels: Vec2) {
        let metres = nalgebra::Vector2::new(-pixels.x, pixels.y) / shown.scale;
        *self = Self::Free {
            centre: shown.centre + metres,
            scale: shown.scale,
        };
    }

    /// Magnifies by `factor`. The point below the cursor stays there, unless a robot is followed.
    pub(super) fn zoom(&mut self, shown: &PaneTransform, cursor: Pos2, factor: f32) {
        let scale = (shown.scale * factor).clamp(*SCALES.start(), *SCALES.end());
        *self = match self {
            Self::Follow { .. } => Self::Follow { scale: Some(scale) },
            Self::Fit | Self::Free { .. } => {
                let fixed = shown.to_world(cursor);
                Self::Free {
                    centre: fixed + (shown.centre - fixed) * (shown.scale / scale),
                    scale,
                }
            }
        };
    }
}

/// Maps the world (metres, y up) to the screen (pixels, y down).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PaneTransform {
    /// The pane on the screen, pixels.
    pub(super) pane: Rect,
    /// The point in the middle of the pane, metres.
    centre: Point2<f32>,
    /// Pixels per metre.
    pub(super) scale: f32,
}

impl PaneTransform {
    /// Shows the whole arena with at least `margin` pixels around it.
    pub(super) fn fitted(pane: Rect, arena: &scenario::Rect, margin: Vec2) -> Self {
        let size = arena.size();
        let available = (pane.size() - 2.0 * margin).max(Vec2::splat(1.0));
        Self {
            pane,
            centre: nalgebra::center(&arena.min, &arena.max),
            scale: (available.x / size.x).min(available.y / size.y),
        }
    }

    /// The pixel at which a point of the world is drawn.
    pub(super) fn to_screen(self, point: Point2<f32>) -> Pos2 {
        let offset = (point - self.centre) * self.scale;
        self.pane.center() + Vec2::new(offset.x, -offset.y)
    }

    /// The point of the world that is drawn at a pixel, metres.
    pub(super) fn to_world(self, pixel: Pos2) -> Point2<f32> {
        let offset = (pixel - self.pane.center()) / self.scale;
        self.centre + nalgebra::Vector2::new(offset.x, -offset.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_egui::egui::{pos2, vec2};

    const PANE: Rect = Rect {
        min: pos2(100.0, 50.0),
        max: pos2(900.0, 650.0),
    };

    fn arena() -> scenario::Rect {
        scenario::Rect {
            min: Point2::new(-2.0, 1.0),
            max: Point2::new(10.0, 7.0),
        }
    }

    fn transform(camera: Camera) -> PaneTransform {
        camera.transform(PANE, &arena(), Point2::new(3.0, 3.0))
    }

    #[test]
    fn a_fitted_arena_lies_in_its_pane_within_the_margin() {
        let transform = transform(Camera::Fit);
        let inner = PANE.shrink2(MARGIN * 0.999);
        let arena = arena();
        let corners = [
            transform.to_screen(arena.min),
            transform.to_screen(arena.max),
        ];
        assert!(corners.iter().all(|&corner| inner.contains(corner)));
        assert!(corners[0].y > corners[1].y, "y points up");
    }

    #[test]
    fn zooming_keeps_the_point_below_the_cursor() {
        let mut camera = Camera::Fit;
        let cursor = pos2(333.0, 222.0);
        for factor in [1.5, 1.5, 0.3, 100.0, 1e9, 1e-9] {
            let before = transform(camera);
            camera.zoom(&before, cursor, factor);
            let after = transform(camera);
            let shift = (before.to_world(cursor) - after.to_world(cursor)).norm();
            assert!(shift * after.scale < 0.5, "{shift} m at {factor}");
            assert!(SCALES.contains(&after.scale));
        }
    }

    #[test]
    fn a_drag_moves_the_world_with_the_pointer() {
        let mut camera = Camera::Fit;
        let before = transform(camera);
        let dragged = before.to_world(pos2(400.0, 300.0));
        camera.pan(&before, vec2(30.0, -20.0));
        let after = transform(camera).to_screen(dragged);
        assert!((after - pos2(430.0, 280.0)).length() < 1e-2);
    }

    #[test]
    fn a_followed_robot_is_in_the_middle_at_any_scale() {
        let mut camera = Camera::Follow { scale: None };
        for _ in 0..2 {
            let shown = transform(camera);
            assert_eq!(shown.to_screen(Point2::new(3.0, 3.0)), PANE.center());
            camera.zoom(&shown, pos2(0.0, 0.0), 2.0);
        }
    }
}
