//! Pictures without a window and without a display: the same screen on an image, read back.

use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bevy::app::{PluginsState, TerminalCtrlCHandlerPlugin};
use bevy::asset::{Assets, RenderAssetUsages};
use bevy::camera::{ImageRenderTarget, RenderTarget};
use bevy::image::{Image, ImageFormat};
use bevy::log::LogPlugin;
use bevy::prelude::{App, DefaultPlugins, On, PluginGroup as _, ResMut, Resource, Result, default};
use bevy::render::gpu_readback::{Readback, ReadbackComplete};
use bevy::render::pipelined_rendering::PipelinedRenderingPlugin;
use bevy::render::render_resource::{
    CachedPipelineState, Extent3d, PipelineCache, PollType, TextureDimension, TextureFormat,
    TextureUsages,
};
use bevy::render::renderer::RenderDevice;
use bevy::render::{RenderApp, RenderPlugin};
use bevy::window::{ExitCondition, WindowPlugin};
use bevy::winit::WinitPlugin;
use bevy_egui::egui::{Frame, Panel, Ui};
use bevy_egui::{EguiContexts, EguiPrimaryContextPass};

use super::replay::{GradientStrip, show_strips};
use super::screen::PanelContext;
use super::theme::Palette;
use super::{DisplayedEpisode, EpisodeCounts, EpisodeView, Screen, ViewError, gpu, painter};
use crate::bevy_env::NavClock;

/// Pixels of the longest side.
const MAX_SIDE: u32 = 8192;
const MIN_SIDE: u32 = 16;
/// Images at most until everything is loaded, a millisecond apart or more.
const WARM_UP: usize = 5000;
/// Images that the driver may be at work on while the next is prepared.
const UNDER_WAY: u64 = 2;
/// Share of the height that strips take.
const STRIPS: f32 = 0.27;
/// Bytes of a pixel.
const PIXEL: usize = 4;

/// What is to be drawn: episodes of one room at one moment.
#[derive(Clone, Debug, Default)]
pub struct OffscreenScene {
    /// What is seen of them.
    pub screen: Screen,
    /// The episodes, at most two, each with how its policy's earlier ones ended.
    pub pictures: Vec<(EpisodeView, EpisodeCounts)>,
    /// How far each is from its frame before the newest to the newest, 0 to 1.
    pub share: f32,
    /// Gradients below the scene.
    pub strips: Vec<GradientStrip>,
}

/// An image, row by row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedImage {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Red, green, blue and opacity of each pixel, `[height · width · 4]`.
    pub rgba: Vec<u8>,
}

impl RenderedImage {
    /// The image as a PNG file.
    ///
    /// # Panics
    /// Never: an image of this size and kind can be encoded.
    pub fn png(self) -> Vec<u8> {
        let format = ImageFormat::Png.as_image_crate_format();
        let mut file = Cursor::new(Vec::new());
        blank(self.width, self.height, self.rgba)
            .try_into_dynamic()
            .expect("eight bits a channel")
            .into_rgb8()
            .write_to(&mut file, format.expect("PNG is built in"))
            .expect("memory can be written to");
        file.into_inner()
    }
}

/// Draws stills of one size, one after the other.
pub struct OffscreenRenderer {
    app: App,
    size: [u32; 2],
    /// What the driver has given back, in the order in which it was drawn.
    received: Arc<Mutex<VecDeque<Vec<u8>>>>,
    /// Images drawn, and images taken out of `received`.
    drawn: u64,
    taken: u64,
}

/// What the app draws.
#[derive(Resource, Default)]
struct CurrentScene(OffscreenScene);

impl OffscreenRenderer {
    /// A studio for images of this size, pixels.
    ///
    /// # Errors
    /// If nothing here draws, or images cannot be of that size.
    ///
    /// # Panics
    /// If another studio of this process has panicked while it took an image back.
    pub fn open(width: u32, height: u32) -> std::result::Result<Self, ViewError> {
        if ![width, height]
            .iter()
            .all(|side| (MIN_SIDE..=MAX_SIDE).contains(side))
        {
            return Err(ViewError::Size {
                width,
                height,
                most: MAX_SIDE,
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
                // Otherwise the first images lack what is not compiled yet.
                .set(RenderPlugin {
                    synchronous_pipeline_compilation: true,
                    ..default()
                })
                .disable::<WinitPlugin>()
                .disable::<LogPlugin>()
                .disable::<TerminalCtrlCHandlerPlugin>()
                // One image after the other, none under way meanwhile.
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

        let mut target = blank(
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
        let shelf = Arc::clone(&received);
        app.world_mut().spawn(Readback::texture(target)).observe(
            move |read: On<ReadbackComplete>| {
                shelf
                    .lock()
                    .expect("nobody panics with it")
                    .push_back(read.data.clone());
            },
        );
        let mut studio = Self {
            app,
            size: [width, height],
            received,
            drawn: 0,
            taken: 0,
        };
        studio.warm_up()?;
        Ok(studio)
    }

    /// Draws until everything that draws has been loaded and compiled: until then, images lack it.
    fn warm_up(&mut self) -> std::result::Result<(), ViewError> {
        for _ in 0..WARM_UP {
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

    /// Draws one still.
    ///
    /// # Errors
    /// If the driver does not give it back.
    pub fn render(
        &mut self,
        still: OffscreenScene,
    ) -> std::result::Result<RenderedImage, ViewError> {
        self.app.world_mut().resource_mut::<CurrentScene>().0 = still;
        // Twice: widgets and letters that are new settle in the first.
        self.draw();
        self.draw();
        let wanted = self.drawn;
        for _ in 0..8 {
            self.draw();
            while let Some((number, pixels)) = self.take() {
                if number == wanted {
                    return Ok(pixels);
                }
            }
        }
        Err(ViewError::Lost)
    }

    /// Draws stills one after the other and hands each to `each`, in order, none left out.
    ///
    /// # Errors
    /// If the driver does not give one back.
    pub fn render_each(
        &mut self,
        stills: impl IntoIterator<Item = OffscreenScene>,
        mut each: impl FnMut(RenderedImage),
    ) -> std::result::Result<(), ViewError> {
        let mut first = self.drawn + 1;
        let mut open = 0_u64;
        let mut began = false;
        for still in stills {
            self.app.world_mut().resource_mut::<CurrentScene>().0 = still;
            if !began {
                // See `render`.
                self.draw();
                first = self.drawn + 1;
                began = true;
            }
            self.draw();
            open += 1;
            open -= self.deliver(first, u64::MAX, &mut each);
        }
        let last = self.drawn;
        for _ in 0..8 {
            if open == 0 {
                return Ok(());
            }
            self.draw();
            open -= self.deliver(first, last, &mut each);
        }
        if open == 0 {
            Ok(())
        } else {
            Err(ViewError::Lost)
        }
    }

    /// Hands out what has come back of a range of images; how many it was comes back.
    fn deliver(&mut self, first: u64, last: u64, each: &mut impl FnMut(RenderedImage)) -> u64 {
        let mut count = 0;
        while let Some((number, pixels)) = self.take() {
            if (first..=last).contains(&number) {
                each(pixels);
                count += 1;
            }
        }
        count
    }

    /// Draws the subject, once the driver has caught up.
    fn draw(&mut self) {
        let back = self.taken + self.received.lock().expect("nobody panics with it").len() as u64;
        let poll = if self.drawn - back < UNDER_WAY {
            PollType::Poll
        } else {
            PollType::wait_indefinitely()
        };
        // Whatever went wrong shows in the image's not coming.
        let _ = self.app.world().resource::<RenderDevice>().poll(poll);
        self.app.update();
        self.drawn += 1;
    }

    /// The next image that has come back, and which one it is, counted from 1.
    fn take(&mut self) -> Option<(u64, RenderedImage)> {
        let padded = self
            .received
            .lock()
            .expect("nobody panics with it")
            .pop_front()?;
        self.taken += 1;
        let [width, height] = self.size;
        let stride = padded.len() / height as usize;
        let rows = padded.chunks_exact(stride);
        let rgba = rows.flat_map(|row| &row[..width as usize * PIXEL]).copied();
        let pixels = RenderedImage {
            width,
            height,
            rgba: rgba.collect(),
        };
        Some((self.taken, pixels))
    }
}

/// Pixels for each that a screen is laid out in: a large image is the same picture, only finer.
fn scale_of(width: u32, height: u32) -> f32 {
    let (w, h) = super::window::SIZE;
    (width as f32 / w as f32)
        .min(height as f32 / h as f32)
        .max(1.0)
}

fn blank(width: u32, height: u32, rgba: Vec<u8>) -> Image {
    let size = Extent3d {
        width,
        height,
        depth_or_array_layers: 1,
    };
    let format = TextureFormat::Rgba8UnormSrgb;
    let usage = RenderAssetUsages::default();
    Image::new(size, TextureDimension::D2, rgba, format, usage)
}

fn draw(mut contexts: EguiContexts, mut subject: ResMut<CurrentScene>) -> Result {
    let OffscreenScene {
        screen,
        pictures,
        share,
        strips,
    } = &mut subject.0;
    let shown: Vec<DisplayedEpisode> = pictures
        .iter()
        .map(|(picture, tally)| DisplayedEpisode {
            picture,
            moment: picture.interpolate(*share),
            tally: *tally,
        })
        .collect();
    let ctx = contexts.ctx_mut()?;
    let height = ctx.viewport_rect().height() * STRIPS;
    let mut below = |ui: &mut Ui, palette: &Palette, _: PanelContext| {
        if !strips.is_empty() {
            Panel::bottom("strips")
                .exact_size(height)
                .frame(Frame::new().fill(palette.card))
                .show(ui, |ui| show_strips(ui, palette, strips));
        }
    };
    screen.show_with_panels(ctx, &shown, &mut NavClock::default(), &mut below);
    Ok(())
}
