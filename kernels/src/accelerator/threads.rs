//! Threads for the device's part of a batch.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Rayon has a task wait until those before it are done: in the pool of the CPU's part, packing and unpacking what the
/// device needs would wait for that part's end, and the device with it. So they have threads of their own, made when
/// first needed.
#[derive(Debug, Default)]
pub(super) struct DeviceThreads(OnceLock<Option<ThreadPool>>);

impl DeviceThreads {
    /// Runs both at once and returns when both are done; the device's part is left out if there are no threads to be
    /// had for it.
    pub(super) fn side_by_side<A: Send, B>(
        &self,
        on_device: impl FnOnce() -> A + Send,
        on_cpu: impl FnOnce() -> B,
    ) -> (Option<A>, B) {
        let pool = self.0.get_or_init(|| {
            let pool = ThreadPoolBuilder::new()
                .num_threads(rayon::current_num_threads())
                .thread_name(|index| format!("outrider-device-{index}"))
                .build();
            pool.inspect_err(|error| log::warn!("no threads for the device's part: {error}")).ok()
        });
        let mut answer = None;
        let rest = match pool {
            Some(pool) => pool.in_place_scope(|scope| {
                scope.spawn(|_| answer = Some(on_device()));
                on_cpu()
            }),
            None => on_cpu(),
        };
        (answer, rest)
    }
}
