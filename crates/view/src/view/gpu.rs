//! Finds the graphics driver. Bevy panics if there is none, so this is checked first.

use bevy::tasks::block_on;
use wgpu::{Backends, Instance, InstanceDescriptor, RequestAdapterOptions};

use super::error::ViewError;

/// The graphics driver that Bevy will use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GpuDriver {
    /// Whether it draws on the CPU.
    pub(super) software: bool,
}

/// Finds the driver that Bevy will use.
pub(super) fn find_gpu_driver() -> Result<GpuDriver, ViewError> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::all(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapter = block_on(instance.request_adapter(&RequestAdapterOptions::default()))
        .map_err(|_| ViewError::NoGpuDriver)?;
    Ok(GpuDriver {
        software: adapter.get_info().device_type == wgpu::DeviceType::Cpu,
    })
}
