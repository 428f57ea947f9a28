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
use super::cpu_meter::CpuTimeMeter;
use super::frame_limiter::FrameLimiter;
use super::screen::{LiveScreen, LiveState};
use super::tiles::EnvTile;
use super::training::{LiveTraining, TrainingPhase};
use crate::view::window::{open_app, require_gpu_driver};
use crate::view::{EpisodeView, Theme, ViewError, painter};
use evenkeel_runs::telemetry::RunHistory;
use evenkeel_sim::env::{EnvSnapshot, thread_count};

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
struct LiveWindowState {
    training: LiveTraining,
    phase: TrainingPhase,
    screen: LiveScreen,
    history: RunHistory,
    probed: Vec<EnvSnapshot>,
    tiles: Vec<EnvTile>,
}

impl LiveWindowState {
    /// Whether somebody needs the processors more than the window does.
    fn is_training(&self) -> bool {
        matches!(
            self.phase,
            TrainingPhase::Running | TrainingPhase::Evaluating
        )
    }
}

/// What the window's frames take.
#[derive(Resource)]
struct FramePacing {
    meter: CpuTimeMeter,
    limiter: FrameLimiter,
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
        require_gpu_driver().map(|_| ())
    }

    /// Opens a window; nothing is drawn until [`Self::run`].
    ///
    /// # Errors
    /// If nothing here draws, or the display gives no window.
    pub fn open(training: LiveTraining, theme: Theme) -> std::result::Result<Self, ViewError> {
        let gpu_driver = require_gpu_driver()?;
        let title = format!(
            "training {}, arm {} – evenkeel",
            training.scenario.name, training.arm
        );
        let mut app = open_app(title)?;
        painter::add(&mut app);
        let event_loop = (**app.world().resource::<EventLoopProxyWrapper>()).clone();
        training.set_waker(move || {
            // It fails once the window is closed.
            let _ = event_loop.send_event(WinitUserEvent::WakeUp);
        });
        let now = Instant::now();
        let picture = EpisodeView::empty(&training.scenario, &training.arm, training.seed);
        app.insert_resource(FramePacing {
            meter: CpuTimeMeter::new(training.threads.clone()),
            limiter: FrameLimiter::new(thread_count(0), gpu_driver.software),
            began: now,
            measured: now,
            frames: 0,
            known: false,
        })
        .insert_resource(LiveWindowState {
            phase: training.stage(),
            screen: LiveScreen {
                theme,
                ..LiveScreen::default()
            },
            history: RunHistory::default(),
            probed: Vec::new(),
            tiles: (0..TILES).map(|_| EnvTile::new(picture.clone())).collect(),
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
        let live = self.app.world().resource::<LiveWindowState>();
        let probe = live.training.probe.clone();
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
        probe.close();
        closed.is_ok()
    }
}

/// Rests, if the frame before was too dear for this one to follow so soon. Not at the end of a
/// frame: what is drawn in it would come to the screen only after the rest.
fn begin(mut nav_clock: ResMut<FramePacing>, live: Res<LiveWindowState>) {
    if live.is_training() {
        std::thread::sleep(nav_clock.limiter.min_rest(nav_clock.began.elapsed()));
    }
    nav_clock.began = Instant::now();
}

fn show(
    mut contexts: EguiContexts,
    mut live: ResMut<LiveWindowState>,
    nav_clock: Res<FramePacing>,
    mut page: ResMut<ClearColor>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let LiveWindowState {
        training,
        phase,
        screen,
        history,
        probed,
        tiles,
    } = &mut *live;
    *phase = training.stage();
    training.shared_history.read(history);
    if training.probe.take(probed) {
        for (tile, probed) in tiles.iter_mut().zip(&*probed) {
            tile.update_from_probe(probed);
        }
    }
    training.probe.request();
    let throttled = nav_clock.limiter.status_text();
    let quit = screen.show(
        contexts.ctx_mut()?,
        &mut LiveState {
            training,
            phase,
            history,
            tiles,
            throttled: throttled.filter(|_| *phase == TrainingPhase::Running),
        },
    );
    // Cheaper than painting all of it.
    let [red, green, blue] = screen.theme.page();
    page.0 = Color::srgb_u8(red, green, blue);
    if quit || *phase == TrainingPhase::Closing {
        exit.write(AppExit::Success);
    }
    Ok(())
}

/// Measures what frames take, and says how soon the next may come.
fn measure(
    mut nav_clock: ResMut<FramePacing>,
    live: Res<LiveWindowState>,
    mut settings: ResMut<WinitSettings>,
) {
    let now = Instant::now();
    nav_clock.frames += 1;
    let within = now - nav_clock.measured;
    if within >= MEASURED {
        let spent = nav_clock.meter.read();
        // The first reading is about opening the window.
        if let (Some(spent), true) = (spent, nav_clock.known) {
            let frames = nav_clock.frames;
            nav_clock.limiter.record_cost(frames, spent, within);
        }
        nav_clock.known = spent.is_some();
        nav_clock.measured = now;
        nav_clock.frames = 0;
    }
    let wait = match (live.is_training(), nav_clock.known) {
        (false, _) => OVER,
        (true, false) => UNMEASURED,
        (true, true) => nav_clock.limiter.frame_interval(),
    };
    let mode = UpdateMode::reactive_low_power(wait);
    if settings.focused_mode != mode {
        settings.focused_mode = mode;
        settings.unfocused_mode = mode;
    }
}
