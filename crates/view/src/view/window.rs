//! The window on one or two simulations, which run in it.

// Bevy passes system parameters by value.
#![allow(clippy::needless_pass_by_value)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bevy::app::AppExit;
use bevy::log::{Level, LogPlugin};
use bevy::prelude::{
    App, Changed, Component, DefaultPlugins, Fixed, FixedUpdate, IntoScheduleConfigs as _, Local,
    MessageReader, MessageWriter, PluginGroup as _, Query, Res, ResMut, Resource, Result, Time,
    Update, default,
};
use bevy::window::{PresentMode, Window, WindowPlugin};
use bevy::winit::{UpdateMode, WinitSettings};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use super::episode_view::EpisodeView;
use super::error::ViewError;
use super::gpu::{self, GpuDriver};
use super::painter;
use super::screen::{DisplayedEpisode, EpisodeCounts, Screen, StickInput, UserRequest};
use crate::bevy_env::{EpisodeEnded, NavClock, NavPlugin, NavSim, NavSystems, OnEpisodeEnd};
use evenkeel_sim::env::{Controller, NavEnv, Outcome};
use evenkeel_sim::planners::Joystick;

/// Size of a new window, logical pixels.
pub(super) const SIZE: (u32, u32) = (1280, 720);
/// Rate of `FixedUpdate`. Even at the highest speed, one update seldom has two control steps.
const FIXED_HZ: f64 = 240.0;
/// How long the end of an episode is shown before the next episode starts, seconds.
const END_PAUSE_SECS: f32 = 1.6;
/// Time between two frames.
const FRAME_INTERVAL: Duration = Duration::from_micros(16_600);
/// Time between two frames that are drawn on the CPU, longer so that it has time for other work.
const SOFTWARE_FRAME_INTERVAL: Duration = Duration::from_millis(40);
/// Time between two frames while paused. Input to the window causes a frame earlier.
const PAUSED_FRAME_INTERVAL: Duration = Duration::from_secs(5);

/// A controller and its environment, to be watched.
pub struct WatchedPolicy {
    /// Name that is shown.
    pub name: String,
    /// The environment.
    pub env: NavEnv,
    /// The controller.
    pub controller: Box<dyn Controller + Send>,
}

/// A policy's pane.
#[derive(Component)]
struct PaneSlot {
    /// Index of the pane, from the left.
    index: usize,
    /// Outcomes of its episodes by episode number, so that a repeated episode counts once.
    outcomes: BTreeMap<u64, Outcome>,
}

/// The screen, its input and its driver.
#[derive(Resource)]
struct WindowState {
    screen: Screen,
    joystick: Option<Joystick>,
    gpu_driver: GpuDriver,
}

/// Opens a window on one or two policies in the same scenario, and returns when it is closed. `seed`
/// is the root seed of their environments. `joystick` is given if a person drives.
///
/// # Errors
/// If there is no graphics driver or no display.
pub fn watch(
    policies: Vec<WatchedPolicy>,
    seed: u64,
    screen: Screen,
    joystick: Option<Joystick>,
) -> std::result::Result<(), ViewError> {
    let gpu_driver = require_gpu_driver()?;
    let scenario = policies.first();
    let scenario = scenario.map(|policy| policy.env.scenario().name.clone());
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let title = format!(
        "{} in {} – evenkeel",
        names.join(" and "),
        scenario.unwrap_or_default()
    );
    let mut app = open_app(title)?;
    painter::add(&mut app);
    app.add_plugins(NavPlugin)
        .insert_resource(Time::<Fixed>::from_hz(FIXED_HZ))
        .insert_resource(WindowState {
            screen,
            joystick,
            gpu_driver,
        })
        .add_systems(FixedUpdate, sync_views.in_set(NavSystems::Sync))
        .add_systems(
            Update,
            (count_outcomes, start_next_episodes, set_redraw_interval).chain(),
        )
        .add_systems(EguiPrimaryContextPass, show);
    app.world_mut().spawn(painter::camera());
    for (index, policy) in policies.into_iter().enumerate() {
        let view = EpisodeView::of_env(&policy.env, &policy.name, seed);
        let sim = NavSim::new(policy.env, policy.controller).on_episode_end(OnEpisodeEnd::Wait);
        let outcomes = BTreeMap::new();
        app.world_mut()
            .spawn((sim, view, PaneSlot { index, outcomes }));
    }
    app.run();
    Ok(())
}

/// Whether there seems to be a display. It does not try to open a window.
pub fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(set)
}

/// Returns an error if there is no display.
pub(super) fn require_display() -> std::result::Result<(), ViewError> {
    if has_display() {
        Ok(())
    } else {
        Err(ViewError::NoDisplay)
    }
}

/// Finds the graphics driver. Returns an error if there is none, or no display.
pub(super) fn require_gpu_driver() -> std::result::Result<GpuDriver, ViewError> {
    require_display()?;
    gpu::find_gpu_driver()
}

/// Creates an app with a window.
pub(super) fn open_app(title: String) -> std::result::Result<App, ViewError> {
    let plugins = DefaultPlugins
        .set(WindowPlugin {
            primary_window: Some(Window {
                title,
                resolution: SIZE.into(),
                present_mode: PresentMode::AutoVsync,
                ..default()
            }),
            ..default()
        })
        .set(LogPlugin {
            // Warnings of libraries about the display are not the user's concern.
            level: Level::ERROR,
            filter: String::new(),
            ..default()
        });
    // Bevy panics if the display does not answer.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let mut app = App::new();
        app.add_plugins(plugins);
        app
    }));
    std::panic::set_hook(hook);
    opened.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        ViewError::Window {
            reason: text.unwrap_or_else(|| "no answer".into()),
        }
    })
}

/// Updates each [`EpisodeView`] from its simulation.
fn sync_views(mut sims: Query<(&NavSim, &mut EpisodeView), Changed<NavSim>>) {
    for (sim, mut view) in &mut sims {
        let (shown_step, snapshot) = (view.snapshot().step, sim.snapshot());
        if sim.env().episode() != view.episode || snapshot.step < shown_step {
            view.restart(sim.env());
        }
        if snapshot.step > view.snapshot().step {
            view.advance(snapshot, &sim.env().returns(), sim.outcome());
        }
    }
}

fn count_outcomes(mut ended: MessageReader<EpisodeEnded>, mut panes: Query<&mut PaneSlot>) {
    for end in ended.read() {
        if let Ok(mut pane) = panes.get_mut(end.sim) {
            pane.outcomes.insert(end.episode, end.outcome);
        }
    }
}

/// Starts the next episode of all simulations together, [`END_PAUSE_SECS`] after the last has ended.
fn start_next_episodes(
    time: Res<Time>,
    nav_clock: Res<NavClock>,
    mut end_shown_secs: Local<f32>,
    mut sims: Query<&mut NavSim>,
) {
    if nav_clock.paused || sims.iter().any(|sim| sim.outcome().is_none()) {
        *end_shown_secs = 0.0;
        return;
    }
    *end_shown_secs += time.delta_secs() * nav_clock.speed.max(1.0);
    if *end_shown_secs >= END_PAUSE_SECS {
        for mut sim in &mut sims {
            let next = sim.env().episode() + 1;
            sim.reset(next);
        }
    }
}

/// Redraws the window seldom while nothing moves.
fn set_redraw_interval(
    state: Res<WindowState>,
    nav_clock: Res<NavClock>,
    mut settings: ResMut<WinitSettings>,
) {
    let interval = redraw_interval(&nav_clock, state.gpu_driver);
    redraw_every(&mut settings, interval);
}

/// Sets the time between two frames without input, whether the window has the focus or not.
pub(super) fn redraw_every(settings: &mut ResMut<WinitSettings>, interval: Duration) {
    let mode = UpdateMode::reactive_low_power(interval);
    if settings.focused_mode != mode {
        settings.focused_mode = mode;
        settings.unfocused_mode = mode;
    }
}

/// Time between two frames without input.
pub(super) fn redraw_interval(nav_clock: &NavClock, gpu_driver: GpuDriver) -> Duration {
    match (nav_clock.paused, gpu_driver.software) {
        (true, _) => PAUSED_FRAME_INTERVAL,
        (false, true) => SOFTWARE_FRAME_INTERVAL,
        (false, false) => FRAME_INTERVAL,
    }
}

/// Draws the screen and acts on the user's input.
fn show(
    mut contexts: EguiContexts,
    mut state: ResMut<WindowState>,
    mut nav_clock: ResMut<NavClock>,
    mut sims: Query<(&mut NavSim, &EpisodeView, &PaneSlot)>,
    mut exit: MessageWriter<AppExit>,
    #[cfg(feature = "gamepad")] pads: Query<&bevy::input::gamepad::Gamepad>,
) -> Result {
    let mut panes: Vec<(&NavSim, &EpisodeView, &PaneSlot)> = sims.iter().collect();
    panes.sort_by_key(|(_, _, pane)| pane.index);
    let episodes: Vec<DisplayedEpisode> = panes
        .into_iter()
        .map(|(sim, view, pane)| {
            let outcomes = pane.outcomes.values();
            let goals = outcomes.filter(|&&outcome| outcome == Outcome::Goal);
            DisplayedEpisode {
                view,
                world: view.interpolate(if nav_clock.paused {
                    1.0
                } else {
                    sim.interpolation()
                }),
                counts: EpisodeCounts {
                    episodes: pane.outcomes.len() as u32,
                    goals: goals.count() as u32,
                },
            }
        })
        .collect();
    let user_input = state
        .screen
        .show(contexts.ctx_mut()?, &episodes, &mut nav_clock);
    drop(episodes);
    if let Some(joystick) = &state.joystick {
        let stick: StickInput = user_input.stick;
        #[cfg(feature = "gamepad")]
        let stick = pads.iter().fold(stick, |[forward, left], pad| {
            let stick = pad.left_stick();
            [forward + stick.y, left - stick.x]
        });
        let [forward, left] = stick;
        joystick.push(forward, left);
    }
    for request in user_input.requests {
        if request == UserRequest::Quit {
            exit.write(AppExit::Success);
            continue;
        }
        for (mut sim, ..) in &mut sims {
            let episode = sim.env().episode();
            sim.reset(match request {
                UserRequest::Next => episode + 1,
                UserRequest::Previous => episode.saturating_sub(1),
                UserRequest::Restart | UserRequest::Quit => episode,
            });
        }
    }
    Ok(())
}
