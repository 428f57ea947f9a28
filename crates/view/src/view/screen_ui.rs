//! Draws a [`Screen`] with egui: header, footer, panels, and panes with scenes. Handles keys and
//! pointer. It is the same for a window and for an image.

use bevy_egui::egui::{
    CentralPanel, Context, Frame, Id, LayerId, Margin, Panel, Rect, Sense, Ui, UiBuilder, Vec2,
};
use nalgebra::Point2;

use super::camera::{Camera, PaneTransform};
use super::scene::{self, SceneEpisode};
use super::screen::{Arrangement, DisplayedEpisode, PanelContext, Screen, UserInput};
use super::theme::Palette;
use super::{header_footer, key_help, keys, outcome_badge, side_panel};
use crate::bevy_env::NavClock;

/// Gap between two panes, pixels.
const PANE_GAP: f32 = 2.0;
/// Least size of a screen that has panels beside and below the scene, pixels.
const MIN_ROOMY_SIZE: Vec2 = Vec2::new(900.0, 520.0);
/// Least height of a screen that has a footer, pixels.
const MIN_FOOTER_HEIGHT: f32 = 400.0;
/// Width of the panel beside the scene, pixels.
const SIDE_PANEL_WIDTH: f32 = 248.0;

impl Screen {
    /// Draws `episodes` and handles keys and pointer, which may change `nav_clock`. There are at most
    /// two episodes, and both have the same layout. Call it within an egui pass.
    pub fn show(
        &mut self,
        ctx: &Context,
        episodes: &[DisplayedEpisode],
        nav_clock: &mut NavClock,
    ) -> UserInput {
        self.show_with_panels(ctx, episodes, nav_clock, &mut |_, _, _| ())
    }

    /// Does what [`Self::show`] does, and adds `panels` between header and footer.
    pub(super) fn show_with_panels(
        &mut self,
        ctx: &Context,
        episodes: &[DisplayedEpisode],
        nav_clock: &mut NavClock,
        panels: &mut dyn FnMut(&mut Ui, &Palette, PanelContext),
    ) -> UserInput {
        let palette = self.theme.palette();
        self.theme.apply_to(ctx);
        let robots = episodes.first().map_or(0, |first| first.world.robots.len());
        self.layers.select_robot(self.layers.selected_robot, robots);
        let mut requests = keys::handle_keys(self, ctx, nav_clock, robots);
        let screen = ctx.viewport_rect();
        let mut root = Ui::new(
            ctx.clone(),
            Id::new("screen"),
            UiBuilder::new()
                .layer_id(LayerId::background())
                .max_rect(screen),
        );
        let roomy = screen.width() >= MIN_ROOMY_SIZE.x && screen.height() >= MIN_ROOMY_SIZE.y;
        let bar = Frame::new()
            .fill(palette.card)
            .inner_margin(Margin::symmetric(14, 0));
        Panel::top("header")
            .exact_size(if roomy { 44.0 } else { 30.0 })
            .frame(bar)
            .show(&mut root, |ui| {
                header_footer::header(ui, &palette, episodes, roomy);
            });
        if screen.height() >= MIN_FOOTER_HEIGHT {
            let size = if roomy { 44.0 } else { 32.0 };
            Panel::bottom("footer")
                .exact_size(size)
                .frame(bar)
                .show(&mut root, |ui| {
                    requests.extend(header_footer::footer(
                        ui,
                        &palette,
                        episodes,
                        nav_clock,
                        self.control,
                    ));
                });
        }
        let context = PanelContext {
            roomy,
            robot: self.layers.selected_robot,
        };
        panels(&mut root, &palette, context);
        if roomy && !self.hide_side_panel {
            let frame = Frame::new()
                .fill(palette.card)
                .inner_margin(Margin::same(14));
            Panel::right("side")
                .exact_size(SIDE_PANEL_WIDTH)
                .resizable(false)
                .frame(frame)
                .show(&mut root, |ui| {
                    side_panel::show(ui, self, &palette, episodes);
                });
        }
        let frame = Frame::new().fill(palette.page);
        CentralPanel::default()
            .frame(frame)
            .show(&mut root, |ui| self.panes(ui, &palette, episodes));
        if self.help {
            key_help::show(ctx, &palette, &keys::key_list(self.control), &mut self.help);
        }
        UserInput {
            requests,
            stick: keys::stick(self.control, ctx),
        }
    }

    fn panes(&mut self, ui: &mut Ui, palette: &Palette, episodes: &[DisplayedEpisode]) {
        let area = ui.available_rect_before_wrap();
        let episodes: Vec<SceneEpisode> = episodes
            .iter()
            .zip(palette.arms)
            .map(|(episode, arm_color)| SceneEpisode {
                view: episode.view,
                world: episode.world.clone(),
                arm_color,
            })
            .collect();
        let panes: Vec<(Rect, &[SceneEpisode])> = match (self.arrangement, &episodes[..]) {
            (Arrangement::Split, [left, right]) => {
                let (first, second) = area.split_left_right_at_fraction(0.5);
                let half = Vec2::new(PANE_GAP / 2.0, 0.0);
                vec![
                    (
                        Rect::from_min_max(first.min, first.max - half),
                        std::slice::from_ref(left),
                    ),
                    (
                        Rect::from_min_max(second.min + half, second.max),
                        std::slice::from_ref(right),
                    ),
                ]
            }
            (_, all) => vec![(area, all)],
        };
        let several = panes.len() > 1;
        for (index, &(pane, episodes)) in panes.iter().enumerate() {
            let response = ui.interact(pane, Id::new(("pane", index)), Sense::click_and_drag());
            let Some(transform) = self.pane_transform(pane, episodes) else {
                continue;
            };
            scene::draw(ui.painter(), transform, palette, episodes, self.layers);
            outcome_badge::draw(ui.painter(), pane, palette, episodes, several);
            let clicked = response
                .interact_pointer_pos()
                .filter(|_| response.clicked());
            let clicked = clicked.and_then(|at| {
                let mut episodes = episodes.iter();
                episodes.find_map(|episode| episode.robot_at(&transform, at))
            });
            if let Some(robot) = clicked {
                self.layers.selected_robot = robot;
            } else if response.double_clicked() {
                self.camera = Camera::Fit;
            }
            self.camera.handle_input(ui, &transform, &response);
        }
        if several {
            let stroke = (PANE_GAP, palette.line);
            ui.painter().vline(area.center().x, area.y_range(), stroke);
        }
    }

    /// The transform of a pane; nothing without episodes.
    fn pane_transform(&self, pane: Rect, episodes: &[SceneEpisode]) -> Option<PaneTransform> {
        let first = episodes.first()?;
        let robot = first.world.robots.get(self.layers.selected_robot);
        let robot = robot.map_or(Point2::origin(), |robot| robot.position);
        let arena = &first.view.layout.arena;
        Some(self.camera.transform(pane, arena, robot))
    }
}
