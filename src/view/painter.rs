//! egui's painter in a Bevy app, with its colours as they are meant to be.

use bevy::app::{App, PostUpdate, PreStartup};
use bevy::asset::{AssetEventSystems, Assets};
use bevy::camera::{CompositingSpace, Hdr};
use bevy::prelude::{Bundle, Camera2d, IntoScheduleConfigs as _, Msaa, ResMut, Result};
use bevy::shader::Shader;
use bevy_egui::render::EGUI_SHADER_HANDLE;
use bevy_egui::{EguiPlugin, EguiPostUpdateSet};

/// Adds what a screen is drawn with, beside Bevy's own plugins.
pub(super) fn add(app: &mut App) {
    // A texture that egui makes must get to the driver before what is drawn with it: with letters
    // of a new size, say, there would otherwise be one image without any.
    let early = EguiPostUpdateSet::PostProcessOutput.before(AssetEventSystems);
    app.add_plugins(EguiPlugin {
        bindless_mode_array_size: None,
    })
    .configure_sets(PostUpdate, early)
    .add_systems(PreStartup, replace_shader);
}

fn replace_shader(mut shaders: ResMut<Assets<Shader>>) -> Result {
    let shader = Shader::from_wgsl(include_str!("painter.wgsl"), file!());
    shaders.insert(&EGUI_SHADER_HANDLE, shader)?;
    Ok(())
}

/// A camera that shows what is painted.
pub(super) fn camera() -> impl Bundle {
    // Blending in gamma space needs a texture that does not convert; egui smooths edges itself.
    (Camera2d, Hdr, CompositingSpace::Srgb, Msaa::Off)
}
