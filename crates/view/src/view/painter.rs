//! egui's painter in a Bevy app, with its colours as they are meant to be.

use bevy::app::{App, PostUpdate, PreStartup, PreUpdate};
use bevy::asset::{AssetEventSystems, Assets};
use bevy::camera::{CompositingSpace, Hdr};
use bevy::prelude::{Bundle, Camera2d, IntoScheduleConfigs as _, Msaa, Query, ResMut, Result};
use bevy::shader::Shader;
use bevy_egui::egui::Event;
use bevy_egui::render::EGUI_SHADER_HANDLE;
use bevy_egui::{EguiInput, EguiPlugin, EguiPostUpdateSet, EguiPreUpdateSet};

/// Adds what a screen is drawn with, beside Bevy's own plugins.
pub(super) fn add(app: &mut App) {
    // A texture that egui makes must get to the driver before what is drawn with it: with letters
    // of a new size, say, there would otherwise be one image without any.
    let early = EguiPostUpdateSet::PostProcessOutput.before(AssetEventSystems);
    app.add_plugins(EguiPlugin {
        bindless_mode_array_size: None,
    })
    .configure_sets(PostUpdate, early)
    .add_systems(PreStartup, replace_shader)
    .add_systems(
        PreUpdate,
        drop_modifier_events
            .after(EguiPreUpdateSet::ProcessInput)
            .before(EguiPreUpdateSet::BeginPass),
    );
}

/// `bevy_egui` tells of the modifier keys in every frame, and for egui whatever happens is a reason
/// to draw once more: a window would never rest. Which are held is told apart from that, too.
fn drop_modifier_events(mut inputs: Query<&mut EguiInput>) {
    for mut input in &mut inputs {
        input
            .events
            .retain(|event| !matches!(event, Event::ModifiersChanged(_)));
    }
}

fn replace_shader(mut shaders: ResMut<Assets<Shader>>) -> Result {
    let shader = Shader::from_wgsl(
        include_str!("../../../../assets/shaders/painter.wgsl"),
        file!(),
    );
    shaders.insert(&EGUI_SHADER_HANDLE, shader)?;
    Ok(())
}

/// A camera that shows what is painted.
pub(super) fn camera() -> impl Bundle {
    // Blending in gamma space needs a texture that does not convert; egui smooths edges itself.
    (Camera2d, Hdr, CompositingSpace::Srgb, Msaa::Off)
}
