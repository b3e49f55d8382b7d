//! The command line as its users meet it: the built program, its exit codes and what it prints.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod calibrate;
mod chains;
mod device;
mod mismatch;
mod program;
mod recover;
mod run;
mod state;
mod state_crash;
mod surface;
mod witness;
