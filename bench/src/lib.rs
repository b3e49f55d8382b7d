//! Workloads shared by the benches.
//!
//! All are drawn from fixed seeds: no zeros, and no input twice.

#![forbid(unsafe_code)]

pub mod blocks;
pub mod chains;
pub mod messages;
pub mod plain;
pub mod transfers;

use outrider_kernels::{
    accelerator::{Accelerator, Options},
    gpu::DeviceChoice,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Whether this is a measurement (`cargo bench`), and not a run that just shows that the bench
/// works (`cargo test`).
#[must_use]
pub fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// The sizes to run: all of them where it is measured, else the first `tiny`.
#[must_use]
pub fn sizes(all: &[usize], tiny: usize) -> &[usize] {
    if is_measuring() { all } else { &all[..tiny] }
}

/// The adapter with all kernels, if there is one; says which.
#[must_use]
pub fn open_gpu() -> Option<Accelerator> {
    let gpu = Accelerator::open(&DeviceChoice::Gpu, &Options::default()).ok();
    let gpu = gpu.filter(|gpu| gpu.adapter().is_some());
    eprintln!("adapter: {}", gpu.as_ref().map_or("none", Accelerator::device_name));
    gpu
}

/// A pool of one thread: what is installed in it has one core, as the baselines have.
///
/// # Panics
/// If the system has no thread to give.
#[must_use]
pub fn one_thread() -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(1).build().expect("a thread")
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number under `bound`, which is not zero.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
