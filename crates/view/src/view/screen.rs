//! The whole screen, whatever it is drawn on: panes with scenes, what is said about them, and
//! what keys and pointer ask for.

use bevy_egui::egui::{
    CentralPanel, Context, Frame, Id, LayerId, Margin, Panel, Rect, Sense, Ui, UiBuilder, Vec2,
};
use nalgebra::Point2;

use super::camera::{Camera, PaneTransform};
use super::episode_view::{EpisodeView, InterpolatedWorld};
use super::keys::{self, StickInput, UserRequest};
use super::scene::{self, SceneEpisode, SceneLayers};
use super::theme::{Palette, Theme};
use super::{header_footer, key_help, outcome_badge, side_panel};
use crate::bevy_env::NavClock;

/// Between two panes, pixels.
const GAP: f32 = 2.0;
/// A screen needs this much to have panels beside and below the scene, pixels.
const ROOM_FOR_SIDE: Vec2 = Vec2::new(900.0, 520.0);
const ROOM_FOR_BAR: f32 = 400.0;
/// Pixels.
const SIDE: f32 = 248.0;

/// How two policies share the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrangement {
    /// Beside one another.
    #[default]
    Split,
    /// In one room, where they do not feel one another.
    Ghosts,
}

/// Who moves the robot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlSource {
    /// Policies; the person watches.
    #[default]
    Policies,
    /// The person, by keyboard or gamepad.
    Person,
    /// Nobody: it is recorded.
    Recording,
    /// Nobody, and there is nothing to press: it is a film.
    Video,
}

/// What somebody looking at it may change about a screen.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Light or dark.
    pub theme: Theme,
    /// How two policies share it.
    pub arrangement: Arrangement,
    /// Who moves the robot.
    pub control: ControlSource,
    /// What of the scene is shown.
    pub layers: SceneLayers,
    /// Whether the panel beside the scene is put away.
    pub hide_side_panel: bool,
    /// Whether the list of keys is open.
    pub help: bool,
    /// Which part of the room is seen.
    pub camera: Camera,
}

/// How the episodes of a policy have ended since the window opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpisodeCounts {
    /// Episodes that ended.
    pub episodes: u32,
    /// Those of them that ended at the goal.
    pub goals: u32,
}

/// An episode on the screen, and the moment of it that is shown.
pub struct DisplayedEpisode<'a> {
    /// The episode.
    pub picture: &'a EpisodeView,
    /// The moment.
    pub moment: InterpolatedWorld,
    /// How earlier episodes ended.
    pub tally: EpisodeCounts,
}

/// What whoever looks at a screen asks of the rest of the program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserInput {
    /// What was asked for, in order.
    pub requests: Vec<UserRequest>,
    /// Where the person pushes the robot.
    pub stick: StickInput,
}

/// What further panels of a screen are told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PanelContext {
    /// Whether there is room for more than the scene.
    pub(super) roomy: bool,
    /// Which robot is looked at.
    pub(super) robot: usize,
}

impl Screen {
    /// Shows episodes of the same room, at most two, and takes what keys and pointer say; `nav_clock`
    /// changes with them. To be called between the beginning and the end of an egui pass.
    pub fn show(
        &mut self,
        ctx: &Context,
        shown: &[DisplayedEpisode],
        nav_clock: &mut NavClock,
    ) -> UserInput {
        self.show_with_panels(ctx, shown, nav_clock, &mut |_, _, _| ())
    }

    /// As [`Self::show`], with further panels between header and footer.
    pub(super) fn show_with_panels(
        &mut self,
        ctx: &Context,
        shown: &[DisplayedEpisode],
        nav_clock: &mut NavClock,
        panels: &mut dyn FnMut(&mut Ui, &Palette, PanelContext),
    ) -> UserInput {
        let palette = self.theme.palette();
        self.theme.apply_to(ctx);
        let robots = shown.first().map_or(0, |first| first.moment.robots.len());
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
        let roomy = screen.width() >= ROOM_FOR_SIDE.x && screen.height() >= ROOM_FOR_SIDE.y;
        let bar = Frame::new()
            .fill(palette.card)
            .inner_margin(Margin::symmetric(14, 0));
        Panel::top("header")
            .exact_size(if roomy { 44.0 } else { 30.0 })
            .frame(bar)
            .show(&mut root, |ui| {
                header_footer::header(ui, &palette, shown, roomy)
            });
        if screen.height() >= ROOM_FOR_BAR {
            let size = if roomy { 44.0 } else { 32.0 };
            Panel::bottom("footer")
                .exact_size(size)
                .frame(bar)
                .show(&mut root, |ui| {
                    requests.extend(header_footer::footer(
                        ui,
                        &palette,
                        shown,
                        nav_clock,
                        self.control,
                    ));
                });
        }
        let given = PanelContext {
            roomy,
            robot: self.layers.selected_robot,
        };
        panels(&mut root, &palette, given);
        if roomy && !self.hide_side_panel {
            let frame = Frame::new()
                .fill(palette.card)
                .inner_margin(Margin::same(14));
            Panel::right("side")
                .exact_size(SIDE)
                .resizable(false)
                .frame(frame)
                .show(&mut root, |ui| side_panel::show(ui, self, &palette, shown));
        }
        let frame = Frame::new().fill(palette.page);
        CentralPanel::default()
            .frame(frame)
            .show(&mut root, |ui| self.panes(ui, &palette, shown));
        if self.help {
            key_help::show(ctx, &palette, &keys::key_list(self.control), &mut self.help);
        }
        UserInput {
            requests,
            stick: keys::stick(self.control, ctx),
        }
    }

    fn panes(&mut self, ui: &mut Ui, palette: &Palette, shown: &[DisplayedEpisode]) {
        let area = ui.available_rect_before_wrap();
        let episodes: Vec<SceneEpisode> = shown
            .iter()
            .zip(palette.arms)
            .map(|(shown, arm)| SceneEpisode {
                picture: shown.picture,
                moment: shown.moment.clone(),
                arm,
            })
            .collect();
        let panes: Vec<(Rect, &[SceneEpisode])> = match (self.arrangement, &episodes[..]) {
            (Arrangement::Split, [left, right]) => {
                let (first, second) = area.split_left_right_at_fraction(0.5);
                let half = Vec2::new(GAP / 2.0, 0.0);
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
            let Some(view) = self.pane_transform(pane, episodes) else {
                continue;
            };
            scene::draw(ui.painter(), view, palette, episodes, self.layers);
            outcome_badge::draw(ui.painter(), pane, palette, episodes, several);
            let clicked = response
                .interact_pointer_pos()
                .filter(|_| response.clicked());
            let clicked = clicked.and_then(|at| {
                let mut episodes = episodes.iter();
                episodes.find_map(|actor| actor.robot_at(&view, at))
            });
            if let Some(robot) = clicked {
                self.layers.selected_robot = robot;
            } else if response.double_clicked() {
                self.camera = Camera::Fit;
            }
            self.camera.handle_input(ui, &view, &response);
        }
        if several {
            let stroke = (GAP, palette.line);
            ui.painter().vline(area.center().x, area.y_range(), stroke);
        }
    }

    /// What a pane sees.
    fn pane_transform(&self, pane: Rect, episodes: &[SceneEpisode]) -> Option<PaneTransform> {
        let first = episodes.first()?;
        let robot = first.moment.robots.get(self.layers.selected_robot);
        let robot = robot.map_or(Point2::origin(), |robot| robot.position);
        Some(self.camera.view(pane, &first.picture.layout.arena, robot))
    }
}
