//! The window itself: asks for what there is to see, draws it, and rests.

// Bevy hands systems what they ask for by value.
#![allow(clippy::needless_pass_by_value)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bevy::app::AppExit;
use bevy::prelude::{
    App, ClearColor, Color, First, Last, MessageWriter, Res, ResMut, Resource, Result,
};
use bevy::winit::{EventLoopProxyWrapper, UpdateMode, WinitSettings, WinitUserEvent};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use super::TILES;
use super::cost::Meter;
use super::governor::Governor;
use super::screen::{LiveScreen, Seen};
use super::tiles::Tile;
use super::training::{Stage, Training};
use crate::view::window::{display, opened};
use crate::view::{Picture, Theme, ViewError, painter};
use evenkeel_runs::telemetry::History;
use evenkeel_sim::env::{Tapped, thread_count};

/// Time between two frames where the system does not say what they take.
const UNMEASURED: Duration = Duration::from_millis(500);
/// The least time over which it is measured what frames take.
const MEASURED: Duration = Duration::from_millis(200);
/// Time between two frames once nothing is trained any more, and nothing but a hand can change what
/// is shown.
const OVER: Duration = Duration::from_mins(1);

/// A window on a training run, opened and not yet shown.
pub struct LiveWindow {
    app: App,
}

/// All that the window knows.
#[derive(Resource)]
struct Live {
    training: Training,
    stage: Stage,
    screen: LiveScreen,
    history: History,
    tapped: Vec<Tapped>,
    tiles: Vec<Tile>,
}

impl Live {
    /// Whether somebody needs the processors more than the window does.
    fn trains(&self) -> bool {
        matches!(self.stage, Stage::Training | Stage::Scoring)
    }
}

/// What the window's frames take.
#[derive(Resource)]
struct Pace {
    meter: Meter,
    governor: Governor,
    began: Instant,
    measured: Instant,
    frames: u32,
    known: bool,
}

impl LiveWindow {
    /// Whether a window can be opened here.
    ///
    /// # Errors
    /// If nothing here draws, or there is no display.
    pub fn check() -> std::result::Result<(), ViewError> {
        display().map(|_| ())
    }

    /// Opens a window; nothing is drawn until [`Self::run`].
    ///
    /// # Errors
    /// If nothing here draws, or the display gives no window.
    pub fn open(training: Training, theme: Theme) -> std::result::Result<Self, ViewError> {
        let driver = display()?;
        let title = format!(
            "training {}, arm {} – evenkeel",
            training.scenario.name, training.arm
        );
        let mut app = opened(title)?;
        painter::add(&mut app);
        let event_loop = (**app.world().resource::<EventLoopProxyWrapper>()).clone();
        training.wake_by(move || {
            // It fails once the window is closed.
            let _ = event_loop.send_event(WinitUserEvent::WakeUp);
        });
        let now = Instant::now();
        let picture = Picture::empty(&training.scenario, &training.arm, training.seed);
        app.insert_resource(Pace {
            meter: Meter::new(training.threads.clone()),
            governor: Governor::new(thread_count(0), driver.software),
            began: now,
            measured: now,
            frames: 0,
            known: false,
        })
        .insert_resource(Live {
            stage: training.stage(),
            screen: LiveScreen {
                theme,
                ..LiveScreen::default()
            },
            history: History::default(),
            tapped: Vec::new(),
            tiles: (0..TILES).map(|_| Tile::new(picture.clone())).collect(),
            training,
        })
        .add_systems(First, begin)
        .add_systems(EguiPrimaryContextPass, show)
        .add_systems(Last, measure);
        app.world_mut().spawn(painter::camera());
        Ok(Self { app })
    }

    /// Shows the window until somebody closes it, or the training says that it should close. False
    /// if neither happened and drawing failed. (Where an X server ends, Xlib ends the program.)
    pub fn run(mut self) -> bool {
        let live = self.app.world().resource::<Live>();
        let tap = live.training.tap.clone();
        // Bevy panics when a graphics driver fails, which is no reason to end a training run.
        let hook = std::panic::take_hook();
        let main = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() != main {
                hook(panic);
            }
        }));
        let closed = catch_unwind(AssertUnwindSafe(|| self.app.run()));
        drop(std::panic::take_hook());
        tap.shut();
        closed.is_ok()
    }
}

/// Rests, if the frame before was too dear for this one to follow so soon. Not at the end of a
/// frame: what is drawn in it would come to the screen only after the rest.
fn begin(mut pace: ResMut<Pace>, live: Res<Live>) {
    if live.trains() {
        std::thread::sleep(pace.governor.rest(pace.began.elapsed()));
    }
    pace.began = Instant::now();
}

fn show(
    mut contexts: EguiContexts,
    mut live: ResMut<Live>,
    pace: Res<Pace>,
    mut page: ResMut<ClearColor>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let Live {
        training,
        stage,
        screen,
        history,
        tapped,
        tiles,
    } = &mut *live;
    *stage = training.stage();
    training.feed.read(history);
    if training.tap.take(tapped) {
        for (tile, tapped) in tiles.iter_mut().zip(&*tapped) {
            tile.glimpse(tapped);
        }
    }
    training.tap.ask();
    let throttled = pace.governor.says();
    let quit = screen.show(
        contexts.ctx_mut()?,
        &mut Seen {
            training,
            stage,
            history,
            tiles,
            throttled: throttled.filter(|_| *stage == Stage::Training),
        },
    );
    // Cheaper than painting all of it.
    let [red, green, blue] = screen.theme.page();
    page.0 = Color::srgb_u8(red, green, blue);
    if quit || *stage == Stage::Gone {
        exit.write(AppExit::Success);
    }
    Ok(())
}

/// Measures what frames take, and says how soon the next may come.
fn measure(mut pace: ResMut<Pace>, live: Res<Live>, mut settings: ResMut<WinitSettings>) {
    let now = Instant::now();
    pace.frames += 1;
    let within = now - pace.measured;
    if within >= MEASURED {
        let spent = pace.meter.read();
        // The first reading is about opening the window.
        if let (Some(spent), true) = (spent, pace.known) {
            let frames = pace.frames;
            pace.governor.learn(frames, spent, within);
        }
        pace.known = spent.is_some();
        pace.measured = now;
        pace.frames = 0;
    }
    let wait = match (live.trains(), pace.known) {
        (false, _) => OVER,
        (true, false) => UNMEASURED,
        (true, true) => pace.governor.wait(),
    };
    let mode = UpdateMode::reactive_low_power(wait);
    if settings.focused_mode != mode {
        settings.focused_mode = mode;
        settings.unfocused_mode = mode;
    }
}
