//! Images without a window, as in `evenkeel watch --screenshot`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bevy::asset::RenderAssetUsages;
use bevy::image::{CompressedImageFormats, Image, ImageSampler, ImageType};
use evenkeel::env::{EpisodeRunner, NavEnv};
use evenkeel::planners;
use evenkeel::seed::Split;
use evenkeel::view::{
    Arrangement, EpisodeCounts, EpisodeView, OffscreenRenderer, OffscreenScene, RenderedImage,
    Screen, Theme,
};

use crate::display::{drawing_lock, evenkeel, offscreen_renderer};

/// Allowed difference of a colour channel between two graphics drivers, of 255.
const CHANNEL_TOLERANCE: u8 = 40;
/// Share of pixels that may differ by more, because of antialiasing.
const PIXEL_TOLERANCE: f64 = 0.01;

/// The view of a planner's episode at a time.
fn view_at(name: &str, planner: &str, secs: f32) -> EpisodeView {
    let scenario = crate::helpers::scenario(name, &[]);
    let env = NavEnv::new(Arc::clone(&scenario), 4, Split::Eval, 0).expect("placed");
    let mut controller = planners::by_name(planner, &scenario, 4).expect("a planner");
    let mut view = EpisodeView::of_env(&env, &format!("planner:{planner}"), 4);
    view.play(&mut EpisodeRunner::new(env), controller.as_mut(), secs);
    view
}

fn scene(theme: Theme, arrangement: Arrangement, views: Vec<EpisodeView>) -> OffscreenScene {
    OffscreenScene {
        screen: Screen {
            theme,
            arrangement,
            ..Screen::default()
        },
        episodes: views
            .into_iter()
            .map(|view| (view, EpisodeCounts::default()))
            .collect(),
        interpolation: 1.0,
        strips: Vec::new(),
    }
}

fn read(path: &Path) -> RenderedImage {
    let file = std::fs::read(path).expect("a readable image");
    let image = Image::from_buffer(
        &file,
        ImageType::Extension("png"),
        CompressedImageFormats::NONE,
        true,
        ImageSampler::Default,
        RenderAssetUsages::default(),
    )
    .expect("a PNG file");
    let (width, height) = (image.width(), image.height());
    let image = image.try_into_dynamic().expect("eight bits a channel");
    RenderedImage {
        width,
        height,
        rgba: image.into_rgba8().into_raw(),
    }
}

/// Share of pixels with a channel that differs by more than [`CHANNEL`].
fn difference(a: &RenderedImage, b: &RenderedImage) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let pixels = a.rgba.chunks_exact(4).zip(b.rgba.chunks_exact(4));
    let far = |(a, b): &(&[u8], &[u8])| {
        a.iter()
            .zip(*b)
            .any(|(a, b)| a.abs_diff(*b) > CHANNEL_TOLERANCE)
    };
    pixels.clone().filter(far).count() as f64 / pixels.len() as f64
}

/// Compares with the golden image, or overwrites it if `EVENKEEL_GOLDEN=write` is set.
fn assert_golden(name: &str, pixels: &RenderedImage) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden");
    let golden = folder.join(format!("{name}.png"));
    if std::env::var("EVENKEEL_GOLDEN").is_ok_and(|value| value == "write") {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(&golden, pixels.clone().png()).expect("a writable folder");
        return;
    }
    let share = difference(pixels, &read(&golden));
    if share > PIXEL_TOLERANCE {
        let actual = std::env::temp_dir().join(format!("evenkeel-{name}.png"));
        std::fs::write(&actual, pixels.clone().png()).expect("a writable folder");
        panic!(
            "{:.2} % of the pixels differ from {}; compare {}, and if the change is intended, run \
             again with EVENKEEL_GOLDEN=write",
            100.0 * share,
            golden.display(),
            actual.display()
        );
    }
}

#[test]
fn scenes_match_golden_pictures() {
    let _lock = drawing_lock();
    let Some(mut renderer) = offscreen_renderer(320, 240) else {
        return;
    };
    let mut assert_scene = |name: &str, scene: OffscreenScene| {
        let pixels = renderer.render(scene).expect("an image");
        assert_golden(name, &pixels);
        pixels
    };
    let movers = || vec![view_at("movers", "straight", 3.0)];
    let dark = assert_scene(
        "movers_dark",
        scene(Theme::Dark, Arrangement::Split, movers()),
    );
    let light = assert_scene(
        "movers_light",
        scene(Theme::Light, Arrangement::Split, movers()),
    );
    assert!(difference(&dark, &light) > 0.5, "both themes look alike");
    let two = vec![
        view_at("reference", "straight", 60.0),
        view_at("reference", "random", 60.0),
    ];
    assert_scene(
        "split",
        scene(Theme::Light, Arrangement::Split, two.clone()),
    );
    assert_scene("ghosts", scene(Theme::Dark, Arrangement::Ghosts, two));
}

#[test]
fn difference_detects_changed_scenes() {
    let _lock = drawing_lock();
    let Some(mut renderer) = offscreen_renderer(320, 240) else {
        return;
    };
    let mut at = |secs| {
        let movers = vec![view_at("movers", "straight", secs)];
        let scene = scene(Theme::Dark, Arrangement::Split, movers);
        renderer.render(scene).expect("an image")
    };
    let (early, late) = (at(3.0), at(3.6));
    assert!(difference(&early, &at(3.0)) < 1e-4, "the same moment");
    let share = difference(&early, &late);
    assert!(share > PIXEL_TOLERANCE, "six control steps later: {share}");
}

#[test]
fn video_has_every_frame_once_in_order() {
    let _lock = drawing_lock();
    let Some(mut renderer) = offscreen_renderer(160, 120) else {
        return;
    };
    let views: Vec<EpisodeView> = (0..12)
        .map(|i| view_at("movers", "straight", 0.3 * i as f32))
        .collect();
    let scenes: Vec<OffscreenScene> = views
        .into_iter()
        .map(|view| scene(Theme::Dark, Arrangement::Split, vec![view]))
        .collect();
    let singly: Vec<RenderedImage> = scenes
        .iter()
        .map(|scene| renderer.render(scene.clone()).expect("an image"))
        .collect();
    let mut frames = Vec::new();
    renderer
        .render_each(scenes, |pixels| frames.push(pixels))
        .expect("images");
    assert_eq!(frames.len(), singly.len());
    for (number, (frame, single)) in frames.iter().zip(&singly).enumerate() {
        assert!(difference(frame, single) < 1e-4, "frame {number}");
    }
    for pair in singly.windows(2) {
        assert!(pair[0] != pair[1], "the scene does not move");
    }
}

#[test]
fn renderer_size_is_limited() {
    for (width, height) in [(0, 240), (320, 15), (100_000, 240)] {
        let error = OffscreenRenderer::open(width, height)
            .err()
            .expect("no such size");
        assert!(error.to_string().contains("from 16 to"), "{error}");
    }
}

#[test]
fn screenshot_needs_no_display() {
    let _lock = drawing_lock();
    if offscreen_renderer(16, 16).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("shot.png");
    let path = file.to_str().expect("UTF-8");
    let mut command = evenkeel(&[
        "watch",
        "planner:straight",
        "planner:random",
        "--scenario",
        "u_trap",
        "--screenshot",
        path,
        "--at",
        "1",
        "--size",
        "640x480",
        "--json",
    ]);
    // Libraries of the graphics driver write about a missing runtime folder.
    command.env_remove("XDG_RUNTIME_DIR");
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(answer["policies"][1], "planner:random");
    assert!((answer["time_secs"][0].as_f64().expect("a number") - 1.0).abs() < 0.01);
    let pixels = read(&file);
    assert_eq!((pixels.width, pixels.height), (640, 480));
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_display_the_window_fails_clearly() {
    for args in [
        &["watch", "planner:straight", "--scenario", "movers"][..],
        &["drive", "movers"],
    ] {
        let output = evenkeel(args).output().expect("the program starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.contains("error: no display"), "{stderr}");
    }
}

#[test]
fn help_texts_of_the_window() {
    let texts = ["watch", "drive"].map(|name| {
        let output = evenkeel(&[name, "--help"]).output();
        let output = output.expect("the program starts");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        format!("$ evenkeel {name} --help\n{help}")
    });
    insta::assert_snapshot!(texts.join("\n"));
}
