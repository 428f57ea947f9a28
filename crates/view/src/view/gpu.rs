//! Whether there is anything that draws, before Bevy takes it for granted.

use bevy::tasks::block_on;
use wgpu::{Backends, Instance, InstanceDescriptor, RequestAdapterOptions};

use super::ViewError;

/// What Bevy would draw with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GpuDriver {
    /// Its name.
    pub(super) name: String,
    /// Whether it draws on the processor.
    pub(super) software: bool,
}

/// Looks for something that draws.
pub(super) fn find_gpu_driver() -> Result<GpuDriver, ViewError> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::all(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapter = block_on(instance.request_adapter(&RequestAdapterOptions::default()))
        .map_err(|_| ViewError::NoGpuDriver)?;
    let info = adapter.get_info();
    Ok(GpuDriver {
        software: info.device_type == wgpu::DeviceType::Cpu,
        name: info.name,
    })
}
