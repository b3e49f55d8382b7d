//! Compute kernels of Outrider, each with a GPU form (WGSL through wgpu) and a CPU form.
//!
//! - [`gpu`]: the runtime, and the only room that knows wgpu.
//! - [`keccak`], [`recover`], [`transfer`]: one folder per kernel, each with its contract, its two forms and its tests.
//! - [`registry`]: the one list of kernels.
//! - [`simd`]: which vector instructions the CPU forms use.
//! - [`accelerator`]: what the host calls: the device where that pays, else the CPU.
//!
//! Unsafe code is vector instructions and the way to them, and the promise that a file of compiled pipelines is what a
//! driver once gave ([`gpu`]): each module that has any says so.

#![deny(unsafe_code)]

pub mod accelerator;
pub mod gpu;
pub mod keccak;
pub mod recover;
pub mod registry;
pub mod simd;
pub mod transfer;
