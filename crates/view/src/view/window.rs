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

use super::gpu::{self, Driver};
use super::{Ask, Picture, Screen, Shown, Stick, Tally, ViewError, painter};
use crate::bevy_env::{AfterEnd, EpisodeEnded, NavPace, NavPlugin, NavSim, NavSystems};
use evenkeel_sim::drivers::Lever;
use evenkeel_sim::env::{Actor, NavEnv, Outcome};

/// Logical pixels.
pub(super) const SIZE: (u32, u32) = (1280, 720);
/// Often enough that at the highest speed hardly two control steps fall into one.
const FIXED_HZ: f64 = 240.0;
/// How long an end is looked at before the next episode begins, seconds.
const LINGER_SECS: f32 = 1.6;
/// Time between two images while something moves; one that is drawn on the processor leaves the
/// processor some.
const FRAME: Duration = Duration::from_micros(16_600);
const SOFTWARE_FRAME: Duration = Duration::from_millis(40);
/// The same while nothing moves: whatever happens to the window wakes it earlier.
const IDLE: Duration = Duration::from_secs(5);

/// A policy and its environment, to be watched.
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// Where it drives.
    pub env: NavEnv,
    /// Whoever drives.
    pub actor: Box<dyn Actor + Send>,
}

/// A policy's place on the screen.
#[derive(Component)]
struct Seat {
    /// From the left.
    place: usize,
    /// How its episodes ended, by their number, so that one seen twice counts once.
    ends: BTreeMap<u64, Outcome>,
}

/// The screen, and what it is connected to.
#[derive(Resource)]
struct Shell {
    screen: Screen,
    lever: Option<Lever>,
    driver: Driver,
}

/// Opens a window on one or two subjects in the same room, and stays until it is closed. `seed`
/// is their environments'; `lever` is what a person drives with, where one does.
///
/// # Errors
/// If nothing here draws, or there is no display.
pub fn watch(
    subjects: Vec<Subject>,
    seed: u64,
    screen: Screen,
    lever: Option<Lever>,
) -> std::result::Result<(), ViewError> {
    let driver = display()?;
    let scenario = subjects.first().map(|s| s.env.scenario().name.clone());
    let names: Vec<&str> = subjects.iter().map(|s| s.name.as_str()).collect();
    let title = format!(
        "{} in {} – evenkeel",
        names.join(" and "),
        scenario.unwrap_or_default()
    );
    let mut app = opened(title)?;
    painter::add(&mut app);
    app.add_plugins(NavPlugin)
        .insert_resource(Time::<Fixed>::from_hz(FIXED_HZ))
        .insert_resource(Shell {
            screen,
            lever,
            driver,
        })
        .add_systems(FixedUpdate, follow.in_set(NavSystems::Sync))
        .add_systems(Update, (count, go_on, rest).chain())
        .add_systems(EguiPrimaryContextPass, show);
    app.world_mut().spawn(painter::camera());
    for (place, subject) in subjects.into_iter().enumerate() {
        let picture = Picture::begin(&subject.env, &subject.name, seed);
        let sim = NavSim::new(subject.env, subject.actor).after_end(AfterEnd::Wait);
        let ends = BTreeMap::new();
        app.world_mut().spawn((sim, picture, Seat { place, ends }));
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
pub(super) fn need_a_display() -> std::result::Result<(), ViewError> {
    if has_display() {
        Ok(())
    } else {
        Err(ViewError::NoDisplay)
    }
}

/// What draws on the display, if there is one.
pub(super) fn display() -> std::result::Result<Driver, ViewError> {
    need_a_display()?;
    gpu::driver()
}

/// An app with a window, where the display gives one.
pub(super) fn opened(title: String) -> std::result::Result<App, ViewError> {
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
fn follow(mut sims: Query<(&NavSim, &mut Picture), Changed<NavSim>>) {
    for (sim, mut picture) in &mut sims {
        let (shown, frame) = (picture.frame().step, sim.frame());
        if sim.env().episode() != picture.episode || frame.step < shown {
            picture.begin_again(sim.env());
        }
        if frame.step > picture.frame().step {
            picture.advance(frame, &sim.env().returns(), sim.outcome());
        }
    }
}

fn count(mut ended: MessageReader<EpisodeEnded>, mut seats: Query<&mut Seat>) {
    for end in ended.read() {
        if let Ok(mut seat) = seats.get_mut(end.sim) {
            seat.ends.insert(end.episode, end.outcome);
        }
    }
}

/// The next episode begins for all together, once all have ended and been looked at.
fn go_on(
    time: Res<Time>,
    pace: Res<NavPace>,
    mut looked: Local<f32>,
    mut sims: Query<&mut NavSim>,
) {
    if pace.paused || sims.iter().any(|sim| sim.outcome().is_none()) {
        *looked = 0.0;
        return;
    }
    *looked += time.delta_secs() * pace.speed.max(1.0);
    if *looked >= LINGER_SECS {
        for mut sim in &mut sims {
            let next = sim.env().episode() + 1;
            sim.begin(next);
        }
    }
}

/// A window in which nothing moves is not drawn anew.
fn rest(shell: Res<Shell>, pace: Res<NavPace>, mut settings: ResMut<WinitSettings>) {
    settings.focused_mode = UpdateMode::reactive_low_power(wait(&pace, &shell.driver));
    settings.unfocused_mode = settings.focused_mode;
}

/// Time between two images.
pub(super) fn wait(pace: &NavPace, driver: &Driver) -> Duration {
    match (pace.paused, driver.software) {
        (true, _) => IDLE,
        (false, true) => SOFTWARE_FRAME,
        (false, false) => FRAME,
    }
}

fn show(
    mut contexts: EguiContexts,
    mut shell: ResMut<Shell>,
    mut pace: ResMut<NavPace>,
    mut sims: Query<(&mut NavSim, &Picture, &Seat)>,
    mut exit: MessageWriter<AppExit>,
    #[cfg(feature = "gamepad")] pads: Query<&bevy::input::gamepad::Gamepad>,
) -> Result {
    let mut seated: Vec<(&NavSim, &Picture, &Seat)> = sims.iter().collect();
    seated.sort_by_key(|(_, _, seat)| seat.place);
    let shown: Vec<Shown> = seated
        .into_iter()
        .map(|(sim, picture, seat)| {
            let goals = seat.ends.values().filter(|&&end| end == Outcome::Goal);
            Shown {
                picture,
                moment: picture.moment(if pace.paused { 1.0 } else { sim.blend() }),
                tally: Tally {
                    episodes: seat.ends.len() as u32,
                    goals: goals.count() as u32,
                },
            }
        })
        .collect();
    let wishes = shell.screen.show(contexts.ctx_mut()?, &shown, &mut pace);
    drop(shown);
    if let Some(lever) = &shell.lever {
        let push: Stick = wishes.stick;
        #[cfg(feature = "gamepad")]
        let push = pads.iter().fold(push, |[forward, left], pad| {
            let stick = pad.left_stick();
            [forward + stick.y, left - stick.x]
        });
        let [forward, left] = push;
        lever.push(forward, left);
    }
    for ask in wishes.asks {
        if ask == Ask::Quit {
            exit.write(AppExit::Success);
            continue;
        }
        for (mut sim, ..) in &mut sims {
            let episode = sim.env().episode();
            sim.begin(match ask {
                Ask::Next => episode + 1,
                Ask::Previous => episode.saturating_sub(1),
                Ask::Restart | Ask::Quit => episode,
            });
        }
    }
    Ok(())
}
