//! Pipelines: checked shaders, compiled for a device, with one bind group of storage buffers.

use super::device::Device;
use super::error::DeviceError;
use super::pipeline_cache::PipelineCache;
use super::shader::{BindingAccess, CheckedShader, Shader};

/// A compiled shader, ready to be dispatched by a [`super::Job`] of the same device.
///
/// Drivers may put the real compilation off to the first dispatch (lavapipe does).
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub(super) name: &'static str,
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pub(super) bindings: Vec<BindingAccess>,
    pub(super) workgroup_len: u32,
}

impl Pipeline {
    /// Threads of a workgroup.
    #[must_use]
    pub const fn workgroup_len(&self) -> u32 {
        self.workgroup_len
    }

    /// How its buffers are used, by binding number.
    #[must_use]
    pub fn bindings(&self) -> &[BindingAccess] {
        &self.bindings
    }
}

/// Compiles shaders on two threads. The answer is in the order of the question.
///
/// # Errors
/// The first shader's that fails, in that order.
pub(super) fn compile_all(device: &Device, shaders: &[Shader]) -> Result<Vec<Pipeline>, DeviceError> {
    let (front, back) = shaders.split_at(shaders.len().div_ceil(2));
    let compile = |part: &[Shader]| part.iter().map(|shader| compile(device, shader)).collect::<Vec<_>>();
    let (front, back) = std::thread::scope(|scope| {
        let other = scope.spawn(|| compile(back));
        let front = compile(front);
        // A panic of the other half is a broken invariant there; it goes on here.
        (front, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    front.into_iter().chain(back).collect()
}

fn compile(device: &Device, shader: &Shader) -> Result<Pipeline, DeviceError> {
    let site = || device.site(shader.name(), 0);
    let checked = shader.check().map_err(|source| DeviceError::Shader { site: site(), source })?;
    device.guarded(&site(), |raw| build(raw, checked, device.pipeline_cache().map(PipelineCache::raw)))
}

fn build(device: &wgpu::Device, checked: CheckedShader, cache: Option<&wgpu::PipelineCache>) -> Pipeline {
    // `create_shader_module` is the checked form: bounds checks and loop guards stay in the code.
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(checked.name),
        source: wgpu::ShaderSource::Wgsl(checked.source.into()),
    });
    let entries: Vec<_> = (0..)
        .zip(&checked.bindings)
        .map(|(binding, access)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: *access == BindingAccess::Read },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(checked.name),
        entries: &entries,
    });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(checked.name),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(checked.name),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(checked.entry_point),
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: true,
            ..Default::default()
        },
        cache,
    });
    Pipeline {
        name: checked.name,
        raw,
        layout,
        bindings: checked.bindings,
        workgroup_len: checked.workgroup_len,
    }
}
