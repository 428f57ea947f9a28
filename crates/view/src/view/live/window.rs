//! The Bevy app of the window on a training run. It fetches snapshots and metrics, draws them, and
//! limits the frame rate.

// Bevy passes system parameters by value.
#![allow(clippy::needless_pass_by_value)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bevy::app::AppExit;
use bevy::prelude::{
    App, ClearColor, Color, First, Last, MessageWriter, Res, ResMut, Resource, Result,
};
use bevy::winit::{EventLoopProxyWrapper, WinitSettings, WinitUserEvent};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use super::cpu_meter::CpuTimeMeter;
use super::frame_limiter::FrameLimiter;
use super::screen::{LiveScreen, LiveState};
use super::tiles::EnvTile;
use super::training::{LiveTraining, TILES, TrainingPhase};
use crate::view::episode_view::EpisodeView;
use crate::view::error::ViewError;
use crate::view::painter;
use crate::view::theme::Theme;
use crate::view::window::{open_app, redraw_every, require_gpu_driver};
use evenkeel_runs::telemetry::RunHistory;
use evenkeel_sim::env::{EnvSnapshot, thread_count};

/// Time between two frames while their cost is unknown.
const UNMEASURED_FRAME_INTERVAL: Duration = Duration::from_millis(500);
/// Least time between two measurements of the cost of frames.
const MEASUREMENT_INTERVAL: Duration = Duration::from_millis(200);
/// Time between two frames after training. Only user input can change what is shown.
const FINISHED_FRAME_INTERVAL: Duration = Duration::from_mins(1);

/// A window on a training run that is open but not yet drawn.
pub struct LiveWindow {
    app: App,
}

/// What the window shows.
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
    /// Whether training or evaluation needs the CPU.
    fn is_training(&self) -> bool {
        matches!(
            self.phase,
            TrainingPhase::Running | TrainingPhase::Evaluating
        )
    }
}

/// Measures the cost of frames and limits their rate.
#[derive(Resource)]
struct FramePacing {
    meter: CpuTimeMeter,
    limiter: FrameLimiter,
    /// When the current frame started.
    frame_start: Instant,
    /// When the cost was last measured.
    measured_at: Instant,
    /// Frames since then.
    frames: u32,
    /// Whether the meter has a reading to compare the next one with.
    has_reading: bool,
}

impl LiveWindow {
    /// Checks whether a window can be opened.
    ///
    /// # Errors
    /// If there is no graphics driver or no display.
    pub fn check() -> std::result::Result<(), ViewError> {
        require_gpu_driver().map(|_| ())
    }

    /// Opens a window. Nothing is drawn until [`Self::run`].
    ///
    /// # Errors
    /// If there is no graphics driver, or the display does not open a window.
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
            // This fails if the window has been closed, when there is nothing to wake.
            let _ = event_loop.send_event(WinitUserEvent::WakeUp);
        });
        let now = Instant::now();
        let view = EpisodeView::empty(&training.scenario, &training.arm, training.seed);
        app.insert_resource(FramePacing {
            meter: CpuTimeMeter::new(training.threads.clone()),
            limiter: FrameLimiter::new(thread_count(0), gpu_driver.software),
            frame_start: now,
            measured_at: now,
            frames: 0,
            has_reading: false,
        })
        .insert_resource(LiveWindowState {
            phase: training.phase(),
            screen: LiveScreen {
                theme,
                ..LiveScreen::default()
            },
            history: RunHistory::default(),
            probed: Vec::new(),
            tiles: (0..TILES).map(|_| EnvTile::new(view.clone())).collect(),
            training,
        })
        .add_systems(First, limit_frame_rate)
        .add_systems(EguiPrimaryContextPass, show)
        .add_systems(Last, measure_cost);
        app.world_mut().spawn(painter::camera());
        Ok(Self { app })
    }

    /// Draws the window until the user or the trainer closes it. Returns false if drawing failed
    /// before that. If the X server ends, Xlib ends the program.
    pub fn run(mut self) -> bool {
        let state = self.app.world().resource::<LiveWindowState>();
        let probe = state.training.probe.clone();
        // Bevy panics if the graphics driver fails, but training should go on. The panic is caught,
        // and its message is not printed.
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

/// Sleeps if the previous frames were too expensive. This is done at the start of a frame: at its
/// end, the frame would reach the screen only after the sleep.
fn limit_frame_rate(mut pacing: ResMut<FramePacing>, state: Res<LiveWindowState>) {
    if state.is_training() {
        let elapsed = pacing.frame_start.elapsed();
        std::thread::sleep(pacing.limiter.min_rest(elapsed));
    }
    pacing.frame_start = Instant::now();
}

/// Fetches snapshots and metrics, draws them, and requests the next snapshots.
fn show(
    mut contexts: EguiContexts,
    mut state: ResMut<LiveWindowState>,
    pacing: Res<FramePacing>,
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
    } = &mut *state;
    *phase = training.phase();
    training.shared_history.read(history);
    if training.probe.take(probed) {
        for (tile, probed) in tiles.iter_mut().zip(&*probed) {
            tile.update_from_probe(probed);
        }
    }
    training.probe.request();
    let throttled = pacing.limiter.status_text();
    let state = LiveState {
        training,
        phase,
        history,
        throttled: throttled.filter(|_| *phase == TrainingPhase::Running),
    };
    let quit = screen.show(contexts.ctx_mut()?, &state, tiles);
    // Clearing with the background colour is cheaper than drawing a rectangle.
    let [red, green, blue] = screen.theme.page();
    page.0 = Color::srgb_u8(red, green, blue);
    if quit || *phase == TrainingPhase::Closing {
        exit.write(AppExit::Success);
    }
    Ok(())
}

/// Measures the cost of frames, and sets the time until the next.
fn measure_cost(
    mut pacing: ResMut<FramePacing>,
    state: Res<LiveWindowState>,
    mut settings: ResMut<WinitSettings>,
) {
    let now = Instant::now();
    pacing.frames += 1;
    let elapsed = now - pacing.measured_at;
    if elapsed >= MEASUREMENT_INTERVAL {
        let cpu_time = pacing.meter.read();
        // The first reading includes the opening of the window.
        if let (Some(cpu_time), true) = (cpu_time, pacing.has_reading) {
            let frames = pacing.frames;
            pacing.limiter.record_cost(frames, cpu_time, elapsed);
        }
        pacing.has_reading = cpu_time.is_some();
        pacing.measured_at = now;
        pacing.frames = 0;
    }
    let interval = match (state.is_training(), pacing.has_reading) {
        (false, _) => FINISHED_FRAME_INTERVAL,
        (true, false) => UNMEASURED_FRAME_INTERVAL,
        (true, true) => pacing.limiter.frame_interval(),
    };
    redraw_every(&mut settings, interval);
}
