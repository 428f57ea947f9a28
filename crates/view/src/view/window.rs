//! The window on simulations that run in it.

// Bevy hands systems what they ask for by value.
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

use super::gpu::{self, GpuDriver};
use super::{
    DisplayedEpisode, EpisodeCounts, EpisodeView, Screen, StickInput, UserRequest, ViewError,
    painter,
};
use crate::bevy_env::{EpisodeEnded, NavClock, NavPlugin, NavSim, NavSystems, OnEpisodeEnd};
use evenkeel_sim::env::{Controller, NavEnv, Outcome};
use evenkeel_sim::planners::Joystick;

/// Logical pixels.
pub(super) const SIZE: (u32, u32) = (1280, 720);
/// Often enough that at the highest speed hardly two control steps fall into one.
const FIXED_HZ: f64 = 240.0;
/// How long an end is looked at before the next episode begins, seconds.
const END_PAUSE_SECS: f32 = 1.6;
/// Time between two images while something moves; one that is drawn on the processor leaves the
/// processor some.
const FRAME_INTERVAL: Duration = Duration::from_micros(16_600);
const SOFTWARE_FRAME_INTERVAL: Duration = Duration::from_millis(40);
/// The same while nothing moves: whatever happens to the window wakes it earlier.
const IDLE: Duration = Duration::from_secs(5);

/// A policy and its environment, to be watched.
pub struct WatchedPolicy {
    /// What it is called.
    pub name: String,
    /// Where it drives.
    pub env: NavEnv,
    /// Whoever drives.
    pub controller: Box<dyn Controller + Send>,
}

/// A policy's place on the screen.
#[derive(Component)]
struct PaneSlot {
    /// From the left.
    place: usize,
    /// How its episodes ended, by their number, so that one seen twice counts once.
    outcomes: BTreeMap<u64, Outcome>,
}

/// The screen, and what it is connected to.
#[derive(Resource)]
struct WindowState {
    screen: Screen,
    joystick: Option<Joystick>,
    gpu_driver: GpuDriver,
}

/// Opens a window on one or two subjects in the same room, and stays until it is closed. `seed`
/// is their environments'; `joystick` is what a person drives with, where one does.
///
/// # Errors
/// If nothing here draws, or there is no display.
pub fn watch(
    subjects: Vec<WatchedPolicy>,
    seed: u64,
    screen: Screen,
    joystick: Option<Joystick>,
) -> std::result::Result<(), ViewError> {
    let gpu_driver = require_gpu_driver()?;
    let scenario = subjects.first().map(|s| s.env.scenario().name.clone());
    let names: Vec<&str> = subjects.iter().map(|s| s.name.as_str()).collect();
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
            (count_outcomes, begin_next_episodes, set_redraw_interval).chain(),
        )
        .add_systems(EguiPrimaryContextPass, show);
    app.world_mut().spawn(painter::camera());
    for (place, subject) in subjects.into_iter().enumerate() {
        let picture = EpisodeView::of_env(&subject.env, &subject.name, seed);
        let sim = NavSim::new(subject.env, subject.controller).on_episode_end(OnEpisodeEnd::Wait);
        let outcomes = BTreeMap::new();
        app.world_mut()
            .spawn((sim, picture, PaneSlot { place, outcomes }));
    }
    app.run();
    Ok(())
}

/// Whether there is somewhere to put a window, as far as that can be told without trying.
pub fn has_display() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || ["DISPLAY", "WAYLAND_DISPLAY"].into_iter().any(set)
}

/// Refuses to go on without.
pub(super) fn require_display() -> std::result::Result<(), ViewError> {
    if has_display() {
        Ok(())
    } else {
        Err(ViewError::NoDisplay)
    }
}

/// What draws on the display, if there is one.
pub(super) fn require_gpu_driver() -> std::result::Result<GpuDriver, ViewError> {
    require_display()?;
    gpu::find_gpu_driver()
}

/// An app with a window, where the display gives one.
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
            level: Level::WARN,
            filter: "wgpu=error,naga=error,bevy_render=error,bevy_winit=error".into(),
            ..default()
        });
    // Bevy panics where a display does not answer.
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
            reason: text.unwrap_or_else(|| "it does not answer".into()),
        }
    })
}

/// Pictures follow their simulations.
fn sync_views(mut sims: Query<(&NavSim, &mut EpisodeView), Changed<NavSim>>) {
    for (sim, mut picture) in &mut sims {
        let (shown, frame) = (picture.snapshot().step, sim.snapshot());
        if sim.env().episode() != picture.episode || frame.step < shown {
            picture.restart(sim.env());
        }
        if frame.step > picture.snapshot().step {
            picture.advance(frame, &sim.env().returns(), sim.outcome());
        }
    }
}

fn count_outcomes(mut ended: MessageReader<EpisodeEnded>, mut seats: Query<&mut PaneSlot>) {
    for end in ended.read() {
        if let Ok(mut seat) = seats.get_mut(end.sim) {
            seat.outcomes.insert(end.episode, end.outcome);
        }
    }
}

/// The next episode begins for all together, once all have ended and been looked at.
fn begin_next_episodes(
    time: Res<Time>,
    nav_clock: Res<NavClock>,
    mut looked: Local<f32>,
    mut sims: Query<&mut NavSim>,
) {
    if nav_clock.paused || sims.iter().any(|sim| sim.outcome().is_none()) {
        *looked = 0.0;
        return;
    }
    *looked += time.delta_secs() * nav_clock.speed.max(1.0);
    if *looked >= END_PAUSE_SECS {
        for mut sim in &mut sims {
            let next = sim.env().episode() + 1;
            sim.reset(next);
        }
    }
}

/// A window in which nothing moves is not drawn anew.
fn set_redraw_interval(
    shell: Res<WindowState>,
    nav_clock: Res<NavClock>,
    mut settings: ResMut<WinitSettings>,
) {
    settings.focused_mode =
        UpdateMode::reactive_low_power(redraw_interval(&nav_clock, &shell.gpu_driver));
    settings.unfocused_mode = settings.focused_mode;
}

/// Time between two images.
pub(super) fn redraw_interval(nav_clock: &NavClock, gpu_driver: &GpuDriver) -> Duration {
    match (nav_clock.paused, gpu_driver.software) {
        (true, _) => IDLE,
        (false, true) => SOFTWARE_FRAME_INTERVAL,
        (false, false) => FRAME_INTERVAL,
    }
}

fn show(
    mut contexts: EguiContexts,
    mut shell: ResMut<WindowState>,
    mut nav_clock: ResMut<NavClock>,
    mut sims: Query<(&mut NavSim, &EpisodeView, &PaneSlot)>,
    mut exit: MessageWriter<AppExit>,
    #[cfg(feature = "gamepad")] pads: Query<&bevy::input::gamepad::Gamepad>,
) -> Result {
    let mut seated: Vec<(&NavSim, &EpisodeView, &PaneSlot)> = sims.iter().collect();
    seated.sort_by_key(|(_, _, seat)| seat.place);
    let shown: Vec<DisplayedEpisode> = seated
        .into_iter()
        .map(|(sim, picture, seat)| {
            let goals = seat.outcomes.values().filter(|&&end| end == Outcome::Goal);
            DisplayedEpisode {
                picture,
                moment: picture.interpolate(if nav_clock.paused {
                    1.0
                } else {
                    sim.interpolation()
                }),
                tally: EpisodeCounts {
                    episodes: seat.outcomes.len() as u32,
                    goals: goals.count() as u32,
                },
            }
        })
        .collect();
    let user_input = shell
        .screen
        .show(contexts.ctx_mut()?, &shown, &mut nav_clock);
    drop(shown);
    if let Some(joystick) = &shell.joystick {
        let push: StickInput = user_input.stick;
        #[cfg(feature = "gamepad")]
        let push = pads.iter().fold(push, |[forward, left], pad| {
            let stick = pad.left_stick();
            [forward + stick.y, left - stick.x]
        });
        let [forward, left] = push;
        joystick.push(forward, left);
    }
    for ask in user_input.requests {
        if ask == UserRequest::Quit {
            exit.write(AppExit::Success);
            continue;
        }
        for (mut sim, ..) in &mut sims {
            let episode = sim.env().episode();
            sim.reset(match ask {
                UserRequest::Next => episode + 1,
                UserRequest::Previous => episode.saturating_sub(1),
                UserRequest::Restart | UserRequest::Quit => episode,
            });
        }
    }
    Ok(())
}
