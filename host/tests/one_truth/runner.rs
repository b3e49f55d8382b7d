//! The one runner: a path through all lanes, compared block by block with sequential revm.

use outrider::{
    recover::SenderCache,
    run::{self, Event, LaneSet, Options, report::BlockReport},
};
use outrider_kernels::{
    accelerator::{self, Accelerator},
    gpu::{DeviceChoice, DeviceOptions, IntegerForm},
};
use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

/// A way of running blocks.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) threads: usize,
    pub(crate) accelerator: &'static Accelerator,
}

static CPU: LazyLock<Accelerator> = LazyLock::new(Accelerator::cpu);

/// The portable kernels, and those with 64-bit integers in small batches; none without an adapter.
static DEVICES: LazyLock<Vec<(&'static str, Accelerator)>> = LazyLock::new(|| {
    let portable = DeviceOptions { integer_form: Some(IntegerForm::U32), ..DeviceOptions::default() };
    let split = DeviceOptions {
        integer_form: Some(IntegerForm::U64),
        batch_len_max: 100,
        ..DeviceOptions::default()
    };
    let named = [("portable kernels", portable), ("64-bit kernels, small batches", split)];
    let open = |(name, options)| device(options).map(|accelerator| (name, accelerator));
    named.into_iter().filter_map(open).collect()
});

/// The best adapter. Without any, says so and returns `None`; with `OUTRIDER_REQUIRE_GPU=1` that is
/// a failure.
pub(crate) fn device(device: DeviceOptions) -> Option<Accelerator> {
    // Several tests compile at once, perhaps on a busy machine; what is tested is not how fast that is.
    let device = DeviceOptions { self_test_deadline: Duration::from_secs(120), ..device };
    let options = accelerator::Options { device, sample_seed: Some(1), ..accelerator::Options::default() };
    match Accelerator::open(&DeviceChoice::Gpu, &options) {
        Ok(accelerator) => Some(accelerator),
        Err(error) => {
            assert!(!requires_gpu(), "OUTRIDER_REQUIRE_GPU=1, but {error}");
            eprintln!("skipped: no adapter");
            None
        }
    }
}

fn requires_gpu() -> bool {
    std::env::var_os("OUTRIDER_REQUIRE_GPU").is_some_and(|value| value == "1")
}

/// On the CPU, alone and with others.
pub(crate) fn on_the_cpu() -> Vec<Way> {
    [("cpu, 1 thread", 1), ("cpu, 2 threads", 2), ("cpu, 4 threads", 4)]
        .map(|(name, threads)| Way { name, threads, accelerator: &CPU })
        .to_vec()
}

/// On the adapter, if there is one.
pub(crate) fn on_the_adapter() -> Vec<Way> {
    let way =
        |(name, accelerator): &'static (&'static str, Accelerator)| Way { name, threads: 3, accelerator };
    DEVICES.iter().map(way).collect()
}

/// Runs a path with all lanes, each block compared with sequential revm in complete post-state,
/// receipts, logs, gas and requests, and asserts that there is no difference.
pub(crate) fn assert_one_truth(path: &Path, way: Way) -> Vec<BlockReport> {
    let reports = run(path, way.accelerator, way.threads);
    for report in &reports {
        let place = format!("{}: {} {:?} {:?}", way.name, report.path.display(), report.case, report.number);
        assert!(!report.has_disagreement(), "{place}: {:#?}", report.mismatches);
    }
    reports
}

/// The same, and that every block is as its header, or its test, says.
pub(crate) fn assert_all_match(path: &Path, way: Way) -> Vec<BlockReport> {
    let reports = assert_one_truth(path, way);
    assert!(!reports.is_empty(), "{}: no blocks", path.display());
    for report in &reports {
        assert!(report.matched, "{}: {report:#?}", way.name);
    }
    reports
}

/// Runs a path with all lanes and `--check`.
pub(crate) fn run(path: &Path, accelerator: &Accelerator, threads: usize) -> Vec<BlockReport> {
    let options = Options { lanes: LaneSet::All, check: true, witnesses: false };
    let mut reports = Vec::new();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        run::run_path(path, accelerator, &SenderCache::default(), &options, &mut |event| {
            if let Event::Block(report) = event {
                reports.push(report.clone());
            }
            Ok(())
        })
    })
    .unwrap();
    reports
}

/// A folder of the data beside the project; `None`, and said so, if it is not there.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

/// A folder of the fixtures.
pub(crate) fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}
