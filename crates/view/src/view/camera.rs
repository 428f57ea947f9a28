//! Which part of the world a pane shows: fitted, moved by hand, or with a robot in its middle.

use bevy_egui::egui::{Pos2, Rect, Response, Ui, Vec2};
use nalgebra::Point2;

use evenkeel_sim::scenario;

/// Around a fitted room, pixels: metres are written there.
const MARGIN: Vec2 = Vec2::new(44.0, 38.0);
/// How far one can go, pixels per metre.
const SCALES: std::ops::RangeInclusive<f32> = 2.0..=4000.0;
/// Metres to either side of a robot that is followed, at first.
const FOLLOWED_M: f32 = 3.0;

/// How a pane's middle and scale are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Camera {
    /// The whole room.
    #[default]
    Fit,
    /// What somebody moved it to.
    Free {
        /// Metres.
        centre: Point2<f32>,
        /// Pixels per metre.
        scale: f32,
    },
    /// A robot stays in the middle.
    Follow {
        /// Pixels per metre; absent until it has been seen in a pane.
        scale: Option<f32>,
    },
}

impl Camera {
    /// What it sees in a pane. `robot` is whom it follows.
    pub(super) fn view(
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
                let near = pane.size().min_elem() / (2.0 * FOLLOWED_M);
                (robot, scale.unwrap_or_else(|| near.max(fitted)))
            }
        };
        PaneTransform {
            pane,
            centre,
            scale,
        }
    }

    /// Heeds the pointer in a pane.
    pub(super) fn handle_input(&mut self, ui: &Ui, view: &PaneTransform, response: &Response) {
        if response.dragged() {
            self.pan(view, response.drag_delta());
        }
        let Some(cursor) = response.hover_pos() else {
            return;
        };
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = pinch * (scroll / 320.0).exp();
        if (factor - 1.0).abs() > 1e-4 {
            self.zoom(view, cursor, factor);
        }
    }

    /// Moves what is seen by some pixels.
    pub(super) fn pan(&mut self, view: &PaneTransform, pixels: Vec2) {
        let metres = nalgebra::Vector2::new(-pixels.x, pixels.y) / view.scale;
        *self = Self::Free {
            centre: view.centre + metres,
            scale: view.scale,
        };
    }

    /// Magnifies; what is below the cursor stays there, unless a robot is followed.
    pub(super) fn zoom(&mut self, view: &PaneTransform, cursor: Pos2, factor: f32) {
        let scale = (view.scale * factor).clamp(*SCALES.start(), *SCALES.end());
        *self = match self {
            Self::Follow { .. } => Self::Follow { scale: Some(scale) },
            Self::Fit | Self::Free { .. } => {
                let fixed = view.metres(cursor);
                Self::Free {
                    centre: fixed + (view.centre - fixed) * (view.scale / scale),
                    scale,
                }
            }
        };
    }
}

/// The world in a pane: metres, y up, to pixels, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PaneTransform {
    /// Pixels.
    pub(super) pane: Rect,
    /// What is in the middle, metres.
    centre: Point2<f32>,
    /// Pixels per metre.
    pub(super) scale: f32,
}

impl PaneTransform {
    /// The whole room, with some pixels around it.
    pub(super) fn fitted(pane: Rect, arena: &scenario::Rect, margin: Vec2) -> Self {
        let size = arena.size();
        let room = (pane.size() - 2.0 * margin).max(Vec2::splat(1.0));
        Self {
            pane,
            centre: nalgebra::center(&arena.min, &arena.max),
            scale: (room.x / size.x).min(room.y / size.y),
        }
    }

    /// Where a point of the world is on the screen.
    pub(super) fn at(&self, point: Point2<f32>) -> Pos2 {
        let offset = (point - self.centre) * self.scale;
        self.pane.center() + Vec2::new(offset.x, -offset.y)
    }

    /// Which point of the world is there on the screen.
    pub(super) fn metres(&self, pixel: Pos2) -> Point2<f32> {
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

    fn look(eye: Camera) -> PaneTransform {
        eye.view(PANE, &arena(), Point2::new(3.0, 3.0))
    }

    #[test]
    fn a_fitted_room_lies_in_its_pane_with_room_for_its_metres() {
        let view = look(Camera::Fit);
        let inner = PANE.shrink2(MARGIN * 0.999);
        let arena = arena();
        let corners = [view.at(arena.min), view.at(arena.max)];
        assert!(corners.iter().all(|&corner| inner.contains(corner)));
        assert!(corners[0].y > corners[1].y, "y points up");
    }

    #[test]
    fn the_point_below_the_cursor_stays_there() {
        let mut eye = Camera::Fit;
        let cursor = pos2(333.0, 222.0);
        for factor in [1.5, 1.5, 0.3, 100.0, 1e9, 1e-9] {
            let before = look(eye);
            eye.zoom(&before, cursor, factor);
            let after = look(eye);
            let slip = (before.metres(cursor) - after.metres(cursor)).norm();
            assert!(slip * after.scale < 0.5, "{slip} m at {factor}");
            assert!(SCALES.contains(&after.scale));
        }
    }

    #[test]
    fn a_drag_moves_the_world_with_the_pointer() {
        let mut eye = Camera::Fit;
        let before = look(eye);
        let held = before.metres(pos2(400.0, 300.0));
        eye.pan(&before, vec2(30.0, -20.0));
        assert!((look(eye).at(held) - pos2(430.0, 280.0)).length() < 1e-2);
    }

    #[test]
    fn who_is_followed_is_in_the_middle_at_any_scale() {
        let mut eye = Camera::Follow { scale: None };
        for _ in 0..2 {
            let view = look(eye);
            assert_eq!(view.at(Point2::new(3.0, 3.0)), PANE.center());
            eye.zoom(&view, pos2(0.0, 0.0), 2.0);
        }
    }
}
