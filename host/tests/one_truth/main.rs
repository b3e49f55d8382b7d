//! One truth: every way of running a block gives what sequential revm gives.
//!
//! [`runner`] is the one way in which this is found out, for real blocks, execution-spec tests, the
//! fixtures and generated chains, on the CPU and on an adapter, whatever the threads and batches.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod devices;
mod generated;
mod inputs;
mod on_demand;
mod runner;
mod senders;
mod tampered;
mod witnesses;
