//! The window on recordings: playback of an episode, the list of recordings and episodes, and the
//! timelines of the episode and of the training run. Also videos of recordings. Nothing is simulated
//! here: the recorded snapshots are drawn.

// Bevy passes system parameters by value.
#![allow(clippy::needless_pass_by_value)]

mod episode_timeline;
pub(super) mod gradient_strip;
mod gradients;
mod list_panel;
mod playback;
mod playback_clock;
mod recording_list;
mod timeline_paint;
mod training_timeline;
mod twins;
mod video;

use std::time::Duration;

use bevy::app::AppExit;
use bevy::prelude::{
    IntoScheduleConfigs as _, MessageWriter, Query, Res, ResMut, Resource, Result, Time, Update,
    With,
};
use bevy::window::{PrimaryWindow, Window};
use bevy::winit::WinitSettings;
use bevy_egui::egui::{Context, Frame, Key, Margin, Panel, Ui};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

pub use gradient_strip::GradientStrip;
pub use gradients::{GradientHistory, GradientPoint, TimelineDetection};
pub use recording_list::{RecordingFile, TransitionMarker};
pub use twins::{Twin, write_twins_video};
pub use video::{ProgressCallback, VideoOptions, VideoSummary, write_video};

use super::error::ViewError;
use super::gpu::{self, GpuDriver};
use super::painter;
use super::screen::{
    ControlSource, DisplayedEpisode, EpisodeCounts, PanelContext, Screen, UserRequest,
};
use super::theme::Palette;
use super::window::{open_app, redraw_every, redraw_interval, require_display};
use crate::bevy_env::NavClock;
use list_panel::Selection;
use playback_clock::PlaybackClock;
use recording_list::RecordingList;

/// Time between two frames while paused. Only user input can change what is shown.
const PAUSED_FRAME_INTERVAL: Duration = Duration::from_mins(1);
/// Width of the list, pixels.
const LIST_WIDTH: f32 = 236.0;
/// Height of the episode's timeline: share of the screen's height, and least and greatest height,
/// pixels.
const EPISODE_TIMELINE_HEIGHT: (f32, f32, f32) = (0.2, 120.0, 300.0);
/// Height of the training timeline, in the same form.
const TRAINING_TIMELINE_HEIGHT: (f32, f32, f32) = (0.17, 112.0, 260.0);
/// Height of the episode's timeline without lanes, pixels.
const BARE_TIMELINE_HEIGHT: f32 = 34.0;

/// What the window on recordings shows.
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// The recordings, at least one.
    pub recordings: Vec<RecordingFile>,
    /// Transitions to mark.
    pub markers: Vec<TransitionMarker>,
    /// The gradients of the training timeline: of the whole run if its log is there, else of the
    /// iteration of the open recording.
    pub gradients: GradientHistory,
    /// The optimiser step whose markers are shown at first; the last one that has markers if `None`.
    pub step: Option<u64>,
    /// Index of the recording to open.
    pub open: usize,
    /// Number of the episode to open; if `None`, the one with the first marker, or else the first.
    pub episode: Option<u64>,
}

/// The state of the window.
#[derive(Resource)]
struct ReplayState {
    screen: Screen,
    list: RecordingList,
    clock: PlaybackClock,
    gradients: GradientHistory,
    gpu_driver: GpuDriver,
    hide_list: bool,
    hide_timelines: bool,
    /// Recording and episode that the list has scrolled to.
    scrolled_to: Option<(usize, usize)>,
}

/// Opens a window on recordings, and returns when it is closed. Sets [`Screen::control`].
///
/// # Errors
/// If there is no graphics driver or no display, or the recording cannot be read or lacks the episode.
pub fn open_replay(
    options: ReplayOptions,
    mut screen: Screen,
) -> std::result::Result<(), ViewError> {
    require_display()?;
    if options.open >= options.recordings.len() {
        return Err(ViewError::NoRecording);
    }
    let mut list = RecordingList::new(
        options.recordings,
        options.markers,
        options.step,
        options.open,
    )?;
    let mut clock = PlaybackClock::default();
    match options.episode {
        Some(number) if !list.find(number) => return Err(ViewError::NoEpisode { number }),
        Some(_) => {}
        None => go_to_first_marker(&mut list, &mut clock, &mut screen),
    }
    let gpu_driver = gpu::find_gpu_driver()?;
    let mut app = open_app(title(&list, &clock))?;
    painter::add(&mut app);
    app.insert_resource(NavClock {
        // With a marker, the window starts at the marked transition and pauses there.
        paused: list.first_mark().is_some(),
        ..NavClock::default()
    });
    app.insert_resource(ReplayState {
        screen: Screen {
            control: ControlSource::Recording,
            ..screen
        },
        list,
        clock,
        gradients: options.gradients,
        gpu_driver,
        hide_list: false,
        hide_timelines: false,
        scrolled_to: None,
    })
    .add_systems(Update, (play, set_title, set_redraw_interval).chain())
    .add_systems(EguiPrimaryContextPass, show);
    app.world_mut().spawn(painter::camera());
    app.run();
    Ok(())
}

/// Goes to the start of the control step of the first marker, preferably in the open recording, and
/// selects its robot.
fn go_to_first_marker(list: &mut RecordingList, clock: &mut PlaybackClock, screen: &mut Screen) {
    if let Some(marker) = list.first_mark().cloned() {
        list.open(marker.recording);
        list.choose(marker.episode);
        clock.seek(f64::from(marker.step.saturating_sub(1)));
        screen.layers.selected_robot = marker.robot;
    }
}

/// Advances the playback. At the end of an episode it goes on to the next one; at the end of the
/// last it pauses.
fn play(time: Res<Time>, mut state: ResMut<ReplayState>, mut nav_clock: ResMut<NavClock>) {
    let ReplayState { list, clock, .. } = &mut *state;
    let steps = std::mem::take(&mut nav_clock.pending_steps);
    clock.step(f64::from(steps));
    let (delta_secs, speed) = (time.delta_secs_f64(), nav_clock.speed.into());
    if !nav_clock.paused && clock.play(&list.playback, delta_secs, speed) {
        if list.index + 1 < list.rows.len() {
            list.choose(list.index + 1);
            clock.seek(0.0);
        } else {
            nav_clock.paused = true;
        }
    }
    clock.apply_to(&mut list.playback);
}

/// Sets the title of the window.
fn set_title(state: Res<ReplayState>, mut windows: Query<&mut Window, With<PrimaryWindow>>) {
    let title = title(&state.list, &state.clock);
    for mut window in &mut windows {
        if window.title != title {
            window.title.clone_from(&title);
        }
    }
}

/// The window's title, as in `movers, iteration 50: episode 3, step 12 of 80 – evenkeel`.
fn title(list: &RecordingList, clock: &PlaybackClock) -> String {
    let (recording, row) = (list.current(), &list.rows[list.index]);
    let behind = list.step.map_or(String::new(), |step| {
        format!(", behind optimiser step {step}")
    });
    format!(
        "{}, {}{behind}: episode {}, step {} of {} – evenkeel",
        recording.header.scenario,
        recording.title(),
        row.episode,
        clock.at().ceil(),
        list.playback.length()
    )
}

/// Redraws the window seldom while nothing moves.
fn set_redraw_interval(
    state: Res<ReplayState>,
    nav_clock: Res<NavClock>,
    mut settings: ResMut<WinitSettings>,
) {
    let interval = if nav_clock.paused {
        PAUSED_FRAME_INTERVAL
    } else {
        redraw_interval(&nav_clock, state.gpu_driver)
    };
    redraw_every(&mut settings, interval);
}

/// What the user requested within a frame.
#[derive(Default)]
struct ReplayInput {
    /// Go to this time, control steps.
    seek: Option<f64>,
    /// Go this many control steps forward, or back if negative.
    steps: f64,
    selection: Option<Selection>,
}

/// Draws the screen and acts on the user's input.
fn show(
    mut contexts: EguiContexts,
    mut state: ResMut<ReplayState>,
    mut nav_clock: ResMut<NavClock>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let state = &mut *state;
    let mut replay_input = state.handle_keys(ctx);
    let mut screen = std::mem::take(&mut state.screen);
    let mut scrolled_to = state.scrolled_to;
    let view = state.list.playback.view();
    let episodes = [DisplayedEpisode {
        view,
        world: view.interpolate(state.clock.interpolation()),
        counts: EpisodeCounts::default(),
    }];
    let mut panels = |ui: &mut Ui, palette: &Palette, context: PanelContext| {
        state.panels(ui, palette, context, &mut replay_input, &mut scrolled_to);
    };
    let user_input = screen.show_with_panels(ctx, &episodes, &mut nav_clock, &mut panels);
    state.scrolled_to = scrolled_to;
    state.screen = screen;
    for request in user_input.requests {
        let index = state.list.index;
        match request {
            UserRequest::Quit => {
                exit.write(AppExit::Success);
            }
            UserRequest::Next => replay_input.selection = Some(Selection::Episode(index + 1)),
            UserRequest::Previous => {
                replay_input.selection = Some(Selection::Episode(index.saturating_sub(1)));
            }
            UserRequest::Restart => state.clock.seek(0.0),
        }
    }
    state.apply(&replay_input, &mut nav_clock);
    Ok(())
}

impl ReplayState {
    /// Handles the keys that only the window on recordings has.
    fn handle_keys(&mut self, ctx: &Context) -> ReplayInput {
        let mut replay_input = ReplayInput::default();
        ctx.input(|input| {
            let pressed = |key| input.key_pressed(key);
            for (key, steps) in [(Key::ArrowRight, 1.0), (Key::ArrowLeft, -1.0)] {
                replay_input.steps += if pressed(key) { steps } else { 0.0 };
            }
            for (key, switch) in [
                (Key::E, &mut self.hide_list),
                (Key::M, &mut self.hide_timelines),
            ] {
                *switch ^= pressed(key);
            }
            for (key, after) in [(Key::OpenBracket, false), (Key::CloseBracket, true)] {
                let recording = self.list.neighbour(after).filter(|_| pressed(key));
                let selection = recording.map(Selection::Recording);
                replay_input.selection = selection.or(replay_input.selection);
            }
            for (key, after) in [(Key::PageUp, false), (Key::PageDown, true)] {
                let step = self.list.neighbour_step(after).filter(|_| pressed(key));
                let selection = step.map(Selection::Step);
                replay_input.selection = selection.or(replay_input.selection);
            }
        });
        replay_input
    }

    /// Draws the list on the left and the timelines below.
    fn panels(
        &self,
        ui: &mut Ui,
        palette: &Palette,
        PanelContext { roomy, robot }: PanelContext,
        replay_input: &mut ReplayInput,
        scrolled_to: &mut Option<(usize, usize)>,
    ) {
        let card = Frame::new().fill(palette.card);
        let screen_height = ui.ctx().viewport_rect().height();
        let height = |(share, min, max): (f32, f32, f32)| (share * screen_height).clamp(min, max);
        let full = roomy && !self.hide_timelines;
        if full && self.gradients.span().is_some() {
            Panel::bottom("training")
                .exact_size(height(TRAINING_TIMELINE_HEIGHT))
                .frame(card)
                .show(ui, |ui| {
                    let (list, gradients) = (&self.list, &self.gradients);
                    let selection = training_timeline::show(ui, palette, list, gradients);
                    replay_input.selection = selection.or(replay_input.selection);
                });
        }
        let size = if full {
            height(EPISODE_TIMELINE_HEIGHT)
        } else {
            BARE_TIMELINE_HEIGHT
        };
        Panel::bottom("lines")
            .exact_size(size)
            .frame(card)
            .show(ui, |ui| {
                let timeline = episode_timeline::EpisodeTimeline {
                    playback: &self.list.playback,
                    robot,
                    header: &self.list.current().header,
                    markers: self.list.marks_of(robot).collect(),
                    playhead: self.clock.at(),
                    has_lanes: full,
                };
                replay_input.seek = timeline.show(ui, palette);
            });
        if roomy && !self.hide_list {
            let frame = card.inner_margin(Margin {
                left: 12,
                right: 2,
                top: 8,
                bottom: 8,
            });
            Panel::left("list")
                .exact_size(LIST_WIDTH)
                .resizable(false)
                .frame(frame)
                .show(ui, |ui| {
                    let selection = list_panel::show(ui, palette, &self.list, scrolled_to);
                    replay_input.selection = selection.or(replay_input.selection);
                });
        }
    }

    /// Acts on the user's input.
    fn apply(&mut self, replay_input: &ReplayInput, nav_clock: &mut NavClock) {
        let Self {
            list,
            clock,
            screen,
            ..
        } = self;
        match replay_input.selection {
            Some(Selection::Recording(recording)) => {
                let changed = list.open(recording);
                if changed {
                    clock.seek(0.0);
                    go_to_first_marker(list, clock, screen);
                }
            }
            Some(Selection::Episode(index)) => {
                let changed = list.choose(index);
                if changed {
                    clock.seek(0.0);
                }
            }
            Some(Selection::Step(step)) => {
                list.step = Some(step);
                go_to_first_marker(list, clock, screen);
                nav_clock.paused = true;
            }
            None => {}
        }
        if let Some(step) = replay_input.seek {
            self.clock.seek(step);
            nav_clock.paused = true;
        }
        if replay_input.steps != 0.0 {
            self.clock.step(replay_input.steps);
            nav_clock.paused = true;
        }
        self.clock.apply_to(&mut self.list.playback);
    }
}
