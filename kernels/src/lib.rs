//! Compute kernels of Outrider, each with a GPU form (WGSL through wgpu) and a CPU form.

pub mod gpu;
pub mod transfer;
