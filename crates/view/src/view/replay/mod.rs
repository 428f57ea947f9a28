//! The window on recordings: an episode that can be wound to and fro, the list of all, and the time
//! lines of the episode and of the training that it is from.

// Bevy hands systems what they ask for by value.
#![allow(clippy::needless_pass_by_value)]

mod film;
mod gradients;
mod lines;
mod list;
mod paint;
mod player;
mod reel;
mod shelf;
mod strip;
mod training;
mod twins;

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

pub use film::{Filmed, Shooting, Told, film};
pub use gradients::{GradientPoint, Gradients, Sighting};
pub use shelf::{Mark, Volume};
pub use strip::Strip;
pub(super) use strip::show as show_strips;
pub use twins::{Twin, film_twins};

use super::gpu::{self, Driver};
use super::screen::Given;
use super::theme::Palette;
use super::window::{need_a_display, opened, wait};
use super::{Ask, Screen, Shown, Tally, ViewError, Wheel, painter};
use crate::bevy_env::NavPace;
use list::Pick;
use player::Player;
use shelf::Shelf;

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
pub struct Replay {
    /// The recordings, at least one.
    pub volumes: Vec<Volume>,
    /// Transitions that are pointed out.
    pub marks: Vec<Mark>,
    /// What the run that they are of logged; of one recording alone, what it says of its moment.
    pub gradients: Gradients,
    /// The optimiser step whose marks are shown at first.
    pub step: Option<u64>,
    /// Which recording is to be open.
    pub open: usize,
    /// Number of its episode; without a word the one with the first mark, or the first.
    pub episode: Option<u64>,
}

/// What the window shows.
#[derive(Resource)]
struct Stage {
    screen: Screen,
    shelf: Shelf,
    player: Player,
    gradients: Gradients,
    driver: Driver,
    /// Whether list and time lines are put away.
    listless: bool,
    lineless: bool,
    /// What the list has scrolled to.
    listed: Option<(usize, usize)>,
}

/// Opens a window on recordings, and stays until it is closed. Whose wheel it is, is set here.
///
/// # Errors
/// If nothing here draws, there is no display, or what is to be open cannot be read.
pub fn replay(what: Replay, mut screen: Screen) -> std::result::Result<(), ViewError> {
    need_a_display()?;
    if what.open >= what.volumes.len() {
        return Err(ViewError::NoRecording);
    }
    let mut shelf = Shelf::new(what.volumes, what.marks, what.step, what.open)?;
    let mut player = Player::default();
    match what.episode {
        Some(number) if !shelf.find(number) => return Err(ViewError::NoEpisode { number }),
        Some(_) => {}
        None => go_to_mark(&mut shelf, &mut player, &mut screen),
    }
    let driver = gpu::driver()?;
    let mut app = opened(title(&shelf, &player))?;
    painter::add(&mut app);
    app.insert_resource(NavPace {
        // What is pointed out is looked at first.
        paused: shelf.first_mark().is_some(),
        ..NavPace::default()
    });
    app.insert_resource(Stage {
        screen: Screen {
            wheel: Wheel::Recording,
            ..screen
        },
        shelf,
        player,
        gradients: what.gradients,
        driver,
        listless: false,
        lineless: false,
        listed: None,
    })
    .add_systems(Update, (play, name, rest).chain())
    .add_systems(EguiPrimaryContextPass, show);
    app.world_mut().spawn(painter::camera());
    app.run();
    Ok(())
}

/// Goes to the first transition that is pointed out, in the open recording if there is one, a moment
/// before it, and looks at its robot.
fn go_to_mark(shelf: &mut Shelf, player: &mut Player, screen: &mut Screen) {
    if let Some(mark) = shelf.first_mark().cloned() {
        shelf.open(mark.volume);
        shelf.choose(mark.episode);
        player.seek(f64::from(mark.step.saturating_sub(1)));
        screen.layers.robot = mark.robot;
    }
}

/// Time passes.
fn play(time: Res<Time>, mut stage: ResMut<Stage>, mut pace: ResMut<NavPace>) {
    let Stage { shelf, player, .. } = &mut *stage;
    let owed = std::mem::take(&mut pace.owed_steps);
    player.step(f64::from(owed));
    if !pace.paused && player.play(&shelf.reel, time.delta_secs_f64(), pace.speed.into()) {
        if shelf.index + 1 < shelf.lines.len() {
            shelf.choose(shelf.index + 1);
            player.seek(0.0);
        } else {
            pace.paused = true;
        }
    }
    player.wind(&mut shelf.reel);
}

/// The window says where it is.
fn name(stage: Res<Stage>, mut windows: Query<&mut Window, With<PrimaryWindow>>) {
    let title = title(&stage.shelf, &stage.player);
    for mut window in &mut windows {
        if window.title != title {
            window.title.clone_from(&title);
        }
    }
}

/// `movers, iteration 50: episode 3, step 12 of 80 – evenkeel`.
fn title(shelf: &Shelf, player: &Player) -> String {
    let (volume, line) = (shelf.current(), &shelf.lines[shelf.index]);
    let behind = shelf.step.map_or(String::new(), |step| {
        format!(", behind optimiser step {step}")
    });
    format!(
        "{}, {}{behind}: episode {}, step {} of {} – evenkeel",
        volume.about.scenario,
        volume.title(),
        line.episode,
        player.at().ceil(),
        shelf.reel.length()
    )
}

/// A window in which nothing moves is not drawn anew.
fn rest(stage: Res<Stage>, pace: Res<NavPace>, mut settings: ResMut<WinitSettings>) {
    let wait = if pace.paused {
        IDLE
    } else {
        wait(&pace, &stage.driver)
    };
    let mode = UpdateMode::reactive_low_power(wait);
    if settings.focused_mode != mode {
        settings.focused_mode = mode;
        settings.unfocused_mode = mode;
    }
}

/// What was asked for.
#[derive(Default)]
struct Asked {
    seek: Option<f64>,
    steps: f64,
    pick: Option<Pick>,
}

fn show(
    mut contexts: EguiContexts,
    mut stage: ResMut<Stage>,
    mut pace: ResMut<NavPace>,
    mut exit: MessageWriter<AppExit>,
) -> Result {
    let ctx = contexts.ctx_mut()?;
    let stage = &mut *stage;
    let mut asked = stage.keys(ctx);
    let mut screen = std::mem::take(&mut stage.screen);
    let mut listed = stage.listed;
    let picture = stage.shelf.reel.picture();
    let shown = [Shown {
        picture,
        moment: picture.moment(stage.player.share()),
        tally: Tally::default(),
    }];
    let mut panels = |ui: &mut Ui, palette: &Palette, given: Given| {
        stage.panels(ui, palette, given, &mut asked, &mut listed);
    };
    let wishes = screen.show_beside(ctx, &shown, &mut pace, &mut panels);
    stage.listed = listed;
    stage.screen = screen;
    for ask in wishes.asks {
        let index = stage.shelf.index;
        match ask {
            Ask::Quit => {
                exit.write(AppExit::Success);
            }
            Ask::Next => asked.pick = Some(Pick::Episode(index + 1)),
            Ask::Previous => asked.pick = Some(Pick::Episode(index.saturating_sub(1))),
            Ask::Restart => stage.player.seek(0.0),
        }
    }
    stage.heed(&asked, &mut pace);
    Ok(())
}

impl Stage {
    /// Heeds the keys that only a replay has.
    fn keys(&mut self, ctx: &Context) -> Asked {
        let mut asked = Asked::default();
        ctx.input(|input| {
            let hit = |key| input.key_pressed(key);
            for (key, steps) in [(Key::ArrowRight, 1.0), (Key::ArrowLeft, -1.0)] {
                asked.steps += if hit(key) { steps } else { 0.0 };
            }
            for (key, switch) in [(Key::E, &mut self.listless), (Key::M, &mut self.lineless)] {
                *switch ^= hit(key);
            }
            for (key, after) in [(Key::OpenBracket, false), (Key::CloseBracket, true)] {
                let there = self.shelf.beside(after).filter(|_| hit(key));
                asked.pick = there.map(Pick::Volume).or(asked.pick);
            }
            for (key, after) in [(Key::PageUp, false), (Key::PageDown, true)] {
                let there = self.shelf.step_beside(after).filter(|_| hit(key));
                asked.pick = there.map(Pick::Step).or(asked.pick);
            }
        });
        asked
    }

    /// The list on the left and the time lines below.
    fn panels(
        &self,
        ui: &mut Ui,
        palette: &Palette,
        Given { roomy, robot }: Given,
        asked: &mut Asked,
        listed: &mut Option<(usize, usize)>,
    ) {
        let card = Frame::new().fill(palette.card);
        let height = ui.ctx().viewport_rect().height();
        let tall = |(share, least, most): (f32, f32, f32)| (share * height).clamp(least, most);
        let full = roomy && !self.lineless;
        if full && self.gradients.span().is_some() {
            Panel::bottom("training")
                .exact_size(tall(TRAINING))
                .frame(card)
                .show(ui, |ui| {
                    let (shelf, gradients) = (&self.shelf, &self.gradients);
                    let pick = training::show(ui, palette, shelf, gradients);
                    asked.pick = pick.or(asked.pick);
                });
        }
        let size = if full { tall(LINES) } else { BARE_LINES };
        Panel::bottom("lines")
            .exact_size(size)
            .frame(card)
            .show(ui, |ui| {
                let lines = lines::Lines {
                    reel: &self.shelf.reel,
                    robot,
                    about: &self.shelf.current().about,
                    marks: self.shelf.marks_of(robot).collect(),
                    at: self.player.at(),
                    lanes: full,
                };
                asked.seek = lines.show(ui, palette);
            });
        if roomy && !self.listless {
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
                    let pick = list::show(ui, palette, &self.shelf, listed);
                    asked.pick = pick.or(asked.pick);
                });
        }
    }

    fn heed(&mut self, asked: &Asked, pace: &mut NavPace) {
        let Self {
            shelf,
            player,
            screen,
            ..
        } = self;
        match asked.pick {
            Some(Pick::Volume(volume)) => {
                let is_other = shelf.open(volume);
                if is_other {
                    player.seek(0.0);
                    go_to_mark(shelf, player, screen);
                }
            }
            Some(Pick::Episode(index)) => {
                let is_other = shelf.choose(index);
                if is_other {
                    player.seek(0.0);
                }
            }
            Some(Pick::Step(step)) => {
                shelf.step = Some(step);
                go_to_mark(shelf, player, screen);
                pace.paused = true;
            }
            None => {}
        }
        if let Some(step) = asked.seek {
            self.player.seek(step);
            pace.paused = true;
        }
        if asked.steps != 0.0 {
            self.player.step(asked.steps);
            pace.paused = true;
        }
        self.player.wind(&mut self.shelf.reel);
    }
}
