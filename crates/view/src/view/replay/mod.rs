//! The window on recordings: an episode that can be wound to and fro, the list of all, and the time
//! lines of the episode and of the training that it is from.

// Bevy hands systems what they ask for by value.
#![allow(clippy::needless_pass_by_value)]

mod episode_timeline;
mod gradient_strip;
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
use bevy::winit::{UpdateMode, WinitSettings};
use bevy_egui::egui::{Context, Frame, Key, Margin, Panel, Ui};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

pub use gradient_strip::GradientStrip;
pub(super) use gradient_strip::show as show_strips;
pub use gradients::{Detection, GradientHistory, GradientPoint};
pub use recording_list::{RecordingFile, TransitionMarker};
pub use twins::{Twin, write_twins_video};
pub use video::{ProgressCallback, VideoOptions, VideoSummary, write_video};

use super::gpu::{self, GpuDriver};
use super::screen::PanelContext;
use super::theme::Palette;
use super::window::{open_app, redraw_interval, require_display};
use super::{
    ControlSource, DisplayedEpisode, EpisodeCounts, Screen, UserRequest, ViewError, painter,
};
use crate::bevy_env::NavClock;
use list_panel::Selection;
use playback_clock::PlaybackClock;
use recording_list::RecordingList;

/// Time between two images while nothing moves: nothing but a hand can change what is shown.
const IDLE: Duration = Duration::from_mins(1);
/// Pixels.
const LIST: f32 = 236.0;
/// Heights of the time lines, shares of the screen's, and pixels at least and at most.
const LINES: (f32, f32, f32) = (0.2, 120.0, 300.0);
const TRAINING: (f32, f32, f32) = (0.17, 112.0, 260.0);
const BARE_LINES: f32 = 34.0;

/// What every key does that only a replay has, for the list of keys.
pub(super) const KEYS: [(&str, &str); 5] = [
    ("Left  Right", "one control step back, or on"),
    ("[  ]", "the recording before, the next"),
    ("PgUp  PgDn", "optimiser step of an incident"),
    ("E", "list of episodes"),
    ("M", "time lines"),
];

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// The recordings, at least one.
    pub recordings: Vec<RecordingFile>,
    /// Transitions that are pointed out.
    pub marks: Vec<TransitionMarker>,
    /// What the run that they are of logged; of one recording alone, what it says of its moment.
    pub gradients: GradientHistory,
    /// The optimiser step whose marks are shown at first.
    pub step: Option<u64>,
    /// Which recording is to be open.
    pub open: usize,
    /// Number of its episode; without a word the one with the first mark, or the first.
    pub episode: Option<u64>,
}

/// What the window shows.
#[derive(Resource)]
struct ReplayState {
    screen: Screen,
    list: RecordingList,
    clock: PlaybackClock,
    gradients: GradientHistory,
    gpu_driver: GpuDriver,
    /// Whether list and time lines are put away.
    hide_list: bool,
    hide_timelines: bool,
    /// What the list has scrolled to.
    scrolled_to: Option<(usize, usize)>,
}

/// Opens a window on recordings, and stays until it is closed. Whose wheel it is, is set here.
///
/// # Errors
/// If nothing here draws, there is no display, or what is to be open cannot be read.
pub fn open_replay(what: ReplayOptions, mut screen: Screen) -> std::result::Result<(), ViewError> {
    require_display()?;
    if what.open >= what.recordings.len() {
        return Err(ViewError::NoRecording);
    }
    let mut list = RecordingList::new(what.recordings, what.marks, what.step, what.open)?;
    let mut clock = PlaybackClock::default();
    match what.episode {
        Some(number) if !list.find(number) => return Err(ViewError::NoEpisode { number }),
        Some(_) => {}
        None => go_to_marker(&mut list, &mut clock, &mut screen),
    }
    let gpu_driver = gpu::find_gpu_driver()?;
    let mut app = open_app(title(&list, &clock))?;
    painter::add(&mut app);
    app.insert_resource(NavClock {
        // What is pointed out is looked at first.
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
        gradients: what.gradients,
        gpu_driver,
        hide_list: false,
        hide_timelines: false,
        scrolled_to: None,
    })
    .add_systems(Update, (play, name, set_redraw_interval).chain())
    .add_systems(EguiPrimaryContextPass, show);
    app.world_mut().spawn(painter::camera());
    app.run();
    Ok(())
}

/// Goes to the first transition that is pointed out, in the open recording if there is one, a moment
/// before it, and looks at its robot.
fn go_to_marker(list: &mut RecordingList, clock: &mut PlaybackClock, screen: &mut Screen) {
    if let Some(mark) = list.first_mark().cloned() {
        list.open(mark.recording);
        list.choose(mark.episode);
        clock.seek(f64::from(mark.step.saturating_sub(1)));
        screen.layers.selected_robot = mark.robot;
    }
}

/// Time passes.
fn play(time: Res<Time>, mut state: ResMut<ReplayState>, mut nav_clock: ResMut<NavClock>) {
    let ReplayState { list, clock, .. } = &mut *state;
    let owed = std::mem::take(&mut nav_clock.pending_steps);
    clock.step(f64::from(owed));
    if !nav_clock.paused
        && clock.play(
            &list.playback,
            time.delta_secs_f64(),
            nav_clock.speed.into(),
        )
    {
        if list.index + 1 < list.rows.len() {
            list.choose(list.index + 1);
            clock.seek(0.0);
        } else {
            nav_clock.paused = true;
        }
    }
    clock.apply_to(&mut list.playback);
}

/// The window says where it is.
fn name(state: Res<ReplayState>, mut windows: Query<&mut Window, With<PrimaryWindow>>) {
    let title = title(&state.list, &state.clock);
    for mut window in &mut windows {
        if window.title != title {
            window.title.clone_from(&title);
        }
    }
}

/// `movers, iteration 50: episode 3, step 12 of 80 – evenkeel`.
fn title(list: &RecordingList, clock: &PlaybackClock) -> String {
    let (recording, line) = (list.current(), &list.rows[list.index]);
    let behind = list.step.map_or(String::new(), |step| {
        format!(", behind optimiser step {step}")
    });
    format!(
        "{}, {}{behind}: episode {}, step {} of {} – evenkeel",
        recording.about.scenario,
        recording.title(),
        line.episode,
        clock.at().ceil(),
        list.playback.length()
    )
}

/// A window in which nothing moves is not drawn anew.
fn set_redraw_interval(
    state: Res<ReplayState>,
    nav_clock: Res<NavClock>,
    mut settings: ResMut<WinitSettings>,
) {
    let wait = if nav_clock.paused {
        IDLE
    } else {
        redraw_interval(&nav_clock, &state.gpu_driver)
    };
    let mode = UpdateMode::reactive_low_power(wait);
    if settings.focused_mode != mode {
        settings.focused_mode = mode;
        settings.unfocused_mode = mode;
    }
}

/// What was asked for.
#[derive(Default)]
struct ReplayInput {
    seek: Option<f64>,
    steps: f64,
    pick: Option<Selection>,
}

fn show(
    mut contexts: EguiContexts,
    mut state: ResMut<ReplayState>,
    mut nav_clock: ResMut<NavClock>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let state = &mut *state;
    let mut requested = state.keys(ctx);
    let mut screen = std::mem::take(&mut state.screen);
    let mut scrolled_to = state.scrolled_to;
    let picture = state.list.playback.picture();
    let shown = [DisplayedEpisode {
        picture,
        moment: picture.interpolate(state.clock.share()),
        tally: EpisodeCounts::default(),
    }];
    let mut panels = |ui: &mut Ui, palette: &Palette, given: PanelContext| {
        state.panels(ui, palette, given, &mut requested, &mut scrolled_to);
    };
    let user_input = screen.show_with_panels(ctx, &shown, &mut nav_clock, &mut panels);
    state.scrolled_to = scrolled_to;
    state.screen = screen;
    for ask in user_input.requests {
        let index = state.list.index;
        match ask {
            UserRequest::Quit => {
                exit.write(AppExit::Success);
            }
            UserRequest::Next => requested.pick = Some(Selection::Episode(index + 1)),
            UserRequest::Previous => {
                requested.pick = Some(Selection::Episode(index.saturating_sub(1)))
            }
            UserRequest::Restart => state.clock.seek(0.0),
        }
    }
    state.apply(&requested, &mut nav_clock);
    Ok(())
}

impl ReplayState {
    /// Heeds the keys that only a replay has.
    fn keys(&mut self, ctx: &Context) -> ReplayInput {
        let mut requested = ReplayInput::default();
        ctx.input(|input| {
            let hit = |key| input.key_pressed(key);
            for (key, steps) in [(Key::ArrowRight, 1.0), (Key::ArrowLeft, -1.0)] {
                requested.steps += if hit(key) { steps } else { 0.0 };
            }
            for (key, switch) in [
                (Key::E, &mut self.hide_list),
                (Key::M, &mut self.hide_timelines),
            ] {
                *switch ^= hit(key);
            }
            for (key, after) in [(Key::OpenBracket, false), (Key::CloseBracket, true)] {
                let there = self.list.neighbour(after).filter(|_| hit(key));
                requested.pick = there.map(Selection::Recording).or(requested.pick);
            }
            for (key, after) in [(Key::PageUp, false), (Key::PageDown, true)] {
                let there = self.list.neighbour_step(after).filter(|_| hit(key));
                requested.pick = there.map(Selection::Step).or(requested.pick);
            }
        });
        requested
    }

    /// The list on the left and the time lines below.
    fn panels(
        &self,
        ui: &mut Ui,
        palette: &Palette,
        PanelContext { roomy, robot }: PanelContext,
        requested: &mut ReplayInput,
        scrolled_to: &mut Option<(usize, usize)>,
    ) {
        let card = Frame::new().fill(palette.card);
        let height = ui.ctx().viewport_rect().height();
        let tall = |(share, least, most): (f32, f32, f32)| (share * height).clamp(least, most);
        let full = roomy && !self.hide_timelines;
        if full && self.gradients.span().is_some() {
            Panel::bottom("training")
                .exact_size(tall(TRAINING))
                .frame(card)
                .show(ui, |ui| {
                    let (list, gradients) = (&self.list, &self.gradients);
                    let pick = training_timeline::show(ui, palette, list, gradients);
                    requested.pick = pick.or(requested.pick);
                });
        }
        let size = if full { tall(LINES) } else { BARE_LINES };
        Panel::bottom("lines")
            .exact_size(size)
            .frame(card)
            .show(ui, |ui| {
                let lines = episode_timeline::EpisodeTimeline {
                    playback: &self.list.playback,
                    robot,
                    about: &self.list.current().about,
                    marks: self.list.marks_of(robot).collect(),
                    at: self.clock.at(),
                    lanes: full,
                };
                requested.seek = lines.show(ui, palette);
            });
        if roomy && !self.hide_list {
            let frame = card.inner_margin(Margin {
                left: 12,
                right: 2,
                top: 8,
                bottom: 8,
            });
            Panel::left("list")
                .exact_size(LIST)
                .resizable(false)
                .frame(frame)
                .show(ui, |ui| {
                    let pick = list_panel::show(ui, palette, &self.list, scrolled_to);
                    requested.pick = pick.or(requested.pick);
                });
        }
    }

    fn apply(&mut self, requested: &ReplayInput, nav_clock: &mut NavClock) {
        let Self {
            list,
            clock,
            screen,
            ..
        } = self;
        match requested.pick {
            Some(Selection::Recording(recording)) => {
                let is_other = list.open(recording);
                if is_other {
                    clock.seek(0.0);
                    go_to_marker(list, clock, screen);
                }
            }
            Some(Selection::Episode(index)) => {
                let is_other = list.choose(index);
                if is_other {
                    clock.seek(0.0);
                }
            }
            Some(Selection::Step(step)) => {
                list.step = Some(step);
                go_to_marker(list, clock, screen);
                nav_clock.paused = true;
            }
            None => {}
        }
        if let Some(step) = requested.seek {
            self.clock.seek(step);
            nav_clock.paused = true;
        }
        if requested.steps != 0.0 {
            self.clock.step(requested.steps);
            nav_clock.paused = true;
        }
        self.clock.apply_to(&mut self.list.playback);
    }
}
