//! Draws a screen on an image, without a window and without a display.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bevy::app::{PluginsState, TerminalCtrlCHandlerPlugin};
use bevy::asset::Assets;
use bevy::camera::{ImageRenderTarget, RenderTarget};
use bevy::image::Image;
use bevy::log::LogPlugin;
use bevy::prelude::{App, DefaultPlugins, On, PluginGroup as _, ResMut, Resource, Result, default};
use bevy::render::gpu_readback::{Readback, ReadbackComplete};
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::{CachedPipelineState, PipelineCache, PollType, TextureUsages};
use bevy::render::renderer::RenderDevice;
use bevy::render::{RenderApp, RenderPlugin};
use bevy::window::{ExitCondition, WindowPlugin};
use bevy::winit::WinitPlugin;
use bevy_egui::egui::{Frame, Panel, Ui};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use super::episode_view::EpisodeView;
use super::error::ViewError;
use super::rendered_image::{PIXEL, RenderedImage, bevy_image};
use super::replay::gradient_strip::{self, GradientStrip};
use super::screen::{DisplayedEpisode, EpisodeCounts, PanelContext, Screen};
use super::theme::Palette;
use super::{gpu, painter};
use crate::bevy_env::NavClock;

/// Greatest length of a side, pixels.
const MAX_SIDE: u32 = 8192;
/// Least length of a side, pixels.
const MIN_SIDE: u32 = 16;
/// Most images that are drawn until the shaders are loaded, at least a millisecond apart.
const MAX_WARM_UP_IMAGES: usize = 5000;
/// Images that the driver may be drawing while the next is prepared.
const MAX_PENDING_IMAGES: u64 = 2;
/// Images that are drawn at most to get the last one back.
const MAX_FLUSH_IMAGES: usize = 8;
/// Share of the height that gradient strips have.
const STRIPS_HEIGHT: f32 = 0.27;

/// What an image shows.
#[derive(Clone, Debug, Default)]
pub struct OffscreenScene {
    /// How the episodes are shown.
    pub screen: Screen,
    /// The episodes, at most two, with the same layout; each with the counts of its policy's earlier
    /// ones.
    pub episodes: Vec<(EpisodeView, EpisodeCounts)>,
    /// The time that is shown, from the previous snapshot of each episode (0) to its newest (1).
    pub interpolation: f32,
    /// Gradient norms below the scene; none if empty.
    pub strips: Vec<GradientStrip>,
}

/// Draws images of one size.
pub struct OffscreenRenderer {
    app: App,
    /// Width and height, pixels.
    size: [u32; 2],
    /// Pixels of the images that the driver has returned, in the order in which they were drawn.
    received: Arc<Mutex<VecDeque<Vec<u8>>>>,
    /// Number of images drawn.
    drawn: u64,
    /// Number of images taken out of `received`.
    taken: u64,
}

/// What the app draws.
#[derive(Resource, Default)]
struct CurrentScene(OffscreenScene);

/// Why the lock on `received` is never poisoned.
const LOCK: &str = "nothing panics while it holds the lock";

impl OffscreenRenderer {
    /// Creates a renderer for images of `width` × `height` pixels.
    ///
    /// # Errors
    /// If there is no graphics driver, or a side is not from 16 to 8192.
    ///
    /// # Panics
    /// If Bevy cannot be set up.
    pub fn open(width: u32, height: u32) -> std::result::Result<Self, ViewError> {
        if ![width, height]
            .iter()
            .all(|side| (MIN_SIDE..=MAX_SIDE).contains(side))
        {
            return Err(ViewError::Size {
                width,
                height,
                max: MAX_SIDE,
            });
        }
        gpu::find_gpu_driver()?;
        let mut app = App::new();
        app.add_plugins(
            DefaultPlugins
                .set(WindowPlugin {
                    primary_window: None,
                    exit_condition: ExitCondition::DontExit,
                    ..default()
                })
                // Otherwise the first images lack what is drawn by shaders not compiled yet.
                .set(RenderPlugin {
                    synchronous_pipeline_compilation: true,
                    ..default()
                })
                .disable::<WinitPlugin>()
                .disable::<LogPlugin>()
                .disable::<TerminalCtrlCHandlerPlugin>()
                // Each update draws the current scene, not the previous one.
                .disable::<PipelinedRenderingPlugin>(),
        );
        painter::add(&mut app);
        app.init_resource::<CurrentScene>()
            .add_systems(EguiPrimaryContextPass, draw);
        while app.plugins_state() == PluginsState::Adding {
            bevy::tasks::tick_global_task_pools_on_main_thread();
        }
        app.finish();
        app.cleanup();

        let mut target = bevy_image(
            width,
            height,
            vec![0; width as usize * height as usize * PIXEL],
        );
        target.texture_descriptor.usage |=
            TextureUsages::RENDER_ATTACHMENT | TextureUsages::COPY_SRC;
        let target = app.world_mut().resource_mut::<Assets<Image>>().add(target);
        let camera = RenderTarget::Image(ImageRenderTarget {
            handle: target.clone(),
            scale_factor: scale_of(width, height),
        });
        app.world_mut().spawn((painter::camera(), camera));
        let received = Arc::new(Mutex::new(VecDeque::new()));
        let sender = Arc::clone(&received);
        app.world_mut().spawn(Readback::texture(target)).observe(
            move |read: On<ReadbackComplete>| {
                let mut received = sender.lock().expect(LOCK);
                received.push_back(read.data.clone());
            },
        );
        let mut renderer = Self {
            app,
            size: [width, height],
            received,
            drawn: 0,
            taken: 0,
        };
        renderer.warm_up()?;
        Ok(renderer)
    }

    /// Draws until all shaders are loaded and compiled. Earlier images would be incomplete.
    fn warm_up(&mut self) -> std::result::Result<(), ViewError> {
        for _ in 0..MAX_WARM_UP_IMAGES {
            self.draw();
            let world = self.app.sub_app(RenderApp).world();
            let mut pipelines = world.resource::<PipelineCache>().pipelines();
            let ready = |state: &CachedPipelineState| matches!(state, CachedPipelineState::Ok(_));
            let first = pipelines.next();
            if first.is_some_and(|first| ready(&first.state))
                && pipelines.all(|pipeline| ready(&pipeline.state))
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(ViewError::Lost)
    }

    /// Draws one image.
    ///
    /// # Errors
    /// If the driver does not return it.
    pub fn render(
        &mut self,
        scene: OffscreenScene,
    ) -> std::result::Result<RenderedImage, ViewError> {
        self.app.world_mut().resource_mut::<CurrentScene>().0 = scene;
        // Draw twice: egui lays out new widgets and uploads new text in the first image.
        self.draw();
        self.draw();
        let wanted = self.drawn;
        for _ in 0..MAX_FLUSH_IMAGES {
            self.draw();
            while let Some((number, image)) = self.take() {
                if number == wanted {
                    return Ok(image);
                }
            }
        }
        Err(ViewError::Lost)
    }

    /// Draws an image of each scene and passes it to `each`, in order.
    ///
    /// # Errors
    /// If the driver does not return all of them.
    pub fn render_each(
        &mut self,
        scenes: impl IntoIterator<Item = OffscreenScene>,
        mut each: impl FnMut(RenderedImage),
    ) -> std::result::Result<(), ViewError> {
        let mut first = self.drawn + 1;
        let mut pending = 0_u64;
        let mut started = false;
        for scene in scenes {
            self.app.world_mut().resource_mut::<CurrentScene>().0 = scene;
            if !started {
                // The first image is drawn twice, as in `render`.
                self.draw();
                first = self.drawn + 1;
                started = true;
            }
            self.draw();
            pending += 1;
            pending -= self.deliver(first, u64::MAX, &mut each);
        }
        let last = self.drawn;
        for _ in 0..MAX_FLUSH_IMAGES {
            if pending == 0 {
                return Ok(());
            }
            self.draw();
            pending -= self.deliver(first, last, &mut each);
        }
        if pending == 0 {
            Ok(())
        } else {
            Err(ViewError::Lost)
        }
    }

    /// Passes the received images with numbers `first` to `last` to `each`, and drops the others.
    /// Returns how many were passed on.
    fn deliver(&mut self, first: u64, last: u64, each: &mut impl FnMut(RenderedImage)) -> u64 {
        let mut count = 0;
        while let Some((number, image)) = self.take() {
            if (first..=last).contains(&number) {
                each(image);
                count += 1;
            }
        }
        count
    }

    /// Draws the current scene. First waits for the driver if too many images are pending.
    fn draw(&mut self) {
        let returned = self.taken + self.received.lock().expect(LOCK).len() as u64;
        let poll = if self.drawn - returned < MAX_PENDING_IMAGES {
            PollType::Poll
        } else {
            PollType::wait_indefinitely()
        };
        // After an error the image does not arrive, which the caller reports.
        let _ = self.app.world().resource::<RenderDevice>().poll(poll);
        self.app.update();
        self.drawn += 1;
    }

    /// The next received image and its number, from 1.
    fn take(&mut self) -> Option<(u64, RenderedImage)> {
        // Each row is padded at its end.
        let padded = self.received.lock().expect(LOCK).pop_front()?;
        self.taken += 1;
        let [width, height] = self.size;
        let stride = padded.len() / height as usize;
        let rows = padded.chunks_exact(stride);
        let rgba = rows.flat_map(|row| &row[..width as usize * PIXEL]).copied();
        let image = RenderedImage {
            width,
            height,
            rgba: rgba.collect(),
        };
        Some((self.taken, image))
    }
}

/// Pixels per point. An image larger than a window has the same layout, drawn larger.
fn scale_of(width: u32, height: u32) -> f32 {
    let (w, h) = super::window::SIZE;
    (width as f32 / w as f32)
        .min(height as f32 / h as f32)
        .max(1.0)
}

fn draw(mut contexts: EguiContexts, mut scene: ResMut<CurrentScene>) -> Result {
    let OffscreenScene {
        screen,
        episodes,
        interpolation,
        strips,
    } = &mut scene.0;
    let episodes: Vec<DisplayedEpisode> = episodes
        .iter()
        .map(|(view, counts)| DisplayedEpisode {
            view,
            world: view.interpolate(*interpolation),
            counts: *counts,
        })
        .collect();
    let ctx = contexts.ctx_mut()?;
    let height = ctx.viewport_rect().height() * STRIPS_HEIGHT;
    let mut strip_panel = |ui: &mut Ui, palette: &Palette, _: PanelContext| {
        if !strips.is_empty() {
            Panel::bottom("strips")
                .exact_size(height)
                .frame(Frame::new().fill(palette.card))
                .show(ui, |ui| gradient_strip::show(ui, palette, strips));
        }
    };
    let nav_clock = &mut NavClock::default();
    screen.show_with_panels(ctx, &episodes, nav_clock, &mut strip_panel);
    Ok(())
}
