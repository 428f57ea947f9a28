//! Adds egui to a Bevy app, with a shader that blends in gamma space as egui expects.

use bevy::app::{App, PostUpdate, PreStartup, PreUpdate};
use bevy::asset::{AssetEventSystems, Assets};
use bevy::camera::{CompositingSpace, Hdr};
use bevy::prelude::{Bundle, Camera2d, IntoScheduleConfigs as _, Msaa, Query, ResMut, Result};
use bevy::shader::Shader;
use bevy_egui::egui::Event;
use bevy_egui::render::EGUI_SHADER_HANDLE;
use bevy_egui::{EguiInput, EguiPlugin, EguiPostUpdateSet, EguiPreUpdateSet};

/// Adds egui and its camera's shader to an app that has Bevy's default plugins.
pub(super) fn add(app: &mut App) {
    // Textures that egui creates must be uploaded in the frame in which they are first used.
    // Otherwise one image lacks them, as all text of a new size.
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

/// Drops the events about modifier keys. `bevy_egui` sends one in every frame, and egui redraws on
/// every event, so that a window would redraw all the time. egui gets the state of the modifier keys
/// apart from these events.
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

/// The camera that egui is drawn on.
pub(super) fn camera() -> impl Bundle {
    // Blending in gamma space needs a texture without conversion. egui smooths edges itself.
    (Camera2d, Hdr, CompositingSpace::Srgb, Msaa::Off)
}
