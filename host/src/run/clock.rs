//! What the cores spent, beside what the clock on the wall says.

use std::time::Duration;

/// Time that all threads of this process together have spent on cores, in user and in system mode; `None` where
/// the system does not say.
#[cfg(unix)]
pub fn core_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

/// Time that all threads of this process together have spent on cores: the system does not say.
#[cfg(not(unix))]
pub fn core_time() -> Option<Duration> {
    None
}
