//! The runtime on a real adapter, and every way it can fail.

use std::time::{Duration, Instant};

use super::*;

/// Opens the best adapter for a test. Without any, says so and returns `None`; with
/// `OUTRIDER_REQUIRE_GPU=1` that is a failure.
pub(crate) fn device(options: DeviceOptions) -> Option<Device> {
    match Device::open(&DeviceChoice::Gpu, options) {
        Ok(device) => device,
        Err(OpenError::NoSuchAdapter(error)) => {
            let required = std::env::var_os("OUTRIDER_REQUIRE_GPU").is_some_and(|value| value == "1");
            assert!(!required, "OUTRIDER_REQUIRE_GPU=1, but {error}");
            eprintln!("skipped: no adapter");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// [`device`] with a forced integer form.
pub(crate) fn device_in_form(form: IntegerForm) -> Option<Device> {
    device(DeviceOptions { integer_form: Some(form), ..DeviceOptions::default() })
}

const DOUBLE: &str = "
@group(0) @binding(0) var<storage, read> input: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < arrayLength(&input)) { output[id.x] = 2u * input[id.x]; }
}";

fn double(device: &Device, words: &[u32]) -> Result<Vec<u32>, DeviceError> {
    let pipelines = device.compile(&[Shader::new("double", DOUBLE)])?;
    let mut job = device.job("double", words.len());
    let input = job.upload(words)?;
    let middle = job.buffer(words.len())?;
    let output = job.buffer_filled(words.len(), SENTINEL)?;
    job.dispatch(&pipelines[0], words.len(), &[&input, &middle]);
    job.dispatch(&pipelines[0], words.len(), &[&middle, &output]);
    let read = job.read(&output);
    Ok(job.run()?.take(read))
}

#[test]
fn dispatches_of_a_job_run_in_order_at_every_boundary() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    for len in [1, 63, 64, 65, 1000, BATCH_LEN_MAX] {
        let words: Vec<u32> = (0..u32::try_from(len).unwrap()).map(|i| i.wrapping_mul(0x9E37_79B9)).collect();
        let expected: Vec<u32> = words.iter().map(|word| word.wrapping_mul(4)).collect();
        assert_eq!(double(&device, &words).unwrap(), expected, "{len} words");
    }
}

#[test]
fn buffers_go_back_to_the_pool() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    double(&device, &[1; 5000]).unwrap();
    let idle = device.pool().idle_bytes();
    assert!(idle >= 4 * 5000 * 4, "{idle}");
    for _ in 0..10 {
        double(&device, &[2; 5000]).unwrap();
    }
    assert_eq!(device.pool().idle_bytes(), idle);
}

#[test]
fn idle_buffers_are_cleared() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    let held = |device: &Device| {
        // From the pool, with what the last job left.
        let mut job = device.job("test", 1);
        let buffer = job.buffer(5000).unwrap();
        let read = job.read(&buffer);
        job.run().unwrap().take(read)
    };
    let mut job = device.job("test", 1);
    let buffer = job.upload(&[7; 5000]).unwrap();
    let read = job.read(&buffer);
    drop(buffer);
    assert_eq!(job.run().unwrap().take(read), [7; 5000]);
    assert_eq!(held(&device), [7; 5000], "the pool gives the same buffer again");
    device.pool().clear(device.raw(), device.queue());
    assert_eq!(held(&device), [0; 5000]);
}

/// Long enough for a small job on a busy machine, short enough to wait for.
const DEADLINE: Duration = Duration::from_secs(2);

fn faulty(fault: Fault) -> Option<Device> {
    let options = DeviceOptions { deadline: DEADLINE, fault: Some(fault.into()), ..DeviceOptions::default() };
    let device = device(options)?;
    assert_eq!(double(&device, &[3]).unwrap(), [12], "no fault before service");
    device.begin_service();
    Some(device)
}

#[test]
fn a_lost_device_is_an_error_and_stays_one() {
    let Some(device) = faulty(Fault::Lost) else { return };
    let error = double(&device, &[3]).unwrap_err();
    assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
    let error = double(&device, &[3]).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfService { .. }), "{error}");
    assert!(!device.is_alive());
}

#[test]
fn a_device_lost_under_its_first_job_is_said_to_be_lost() {
    // Nothing in the pool yet: the job's own memory is refused, and what is done with it fails validation.
    let fault = Some(Fault::Lost.into());
    let Some(device) = device(DeviceOptions { fault, ..DeviceOptions::default() }) else { return };
    let pipelines = device.compile(&[Shader::new("double", DOUBLE)]).unwrap();
    device.begin_service();
    let mut job = device.job("double", 1000);
    let (input, output) = (job.upload(&[1; 1000]).unwrap(), job.buffer(1000).unwrap());
    job.dispatch(&pipelines[0], 1000, &[&input, &output]);
    let read = job.read(&output);
    let error = job.run().map(|mut outputs| outputs.take(read)).unwrap_err();
    assert!(matches!(error, DeviceError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("device lost") && !error.to_string().contains('\n'), "{error}");
    assert!(!device.is_alive());
}

#[test]
fn a_hung_device_is_given_up_at_its_deadline_and_no_later_call_waits_for_it() {
    let Some(device) = faulty(Fault::Hang) else { return };
    let start = Instant::now();
    let error = double(&device, &[3, 4]).unwrap_err();
    assert!(matches!(error, DeviceError::Deadline { .. }), "{error}");
    assert_eq!((error.site().kernel, error.site().batch_len), ("double", 2));
    assert!(start.elapsed() >= DEADLINE);
    let start = Instant::now();
    let error = double(&device, &[3]).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfService { .. }), "{error}");
    drop(device);
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
}

/// Works through as many steps as the house rules allow: some seconds of a whole batch on a software adapter.
const SLOW: &str = "
@group(0) @binding(0) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(WORKGROUP_LEN)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var x = id.x;
    for (var i = 0u; i < 59000u; i++) { x = x * x + i; }
    output[id.x] = x;
}";

#[test]
fn a_kernel_that_really_runs_past_its_deadline_is_left_behind() {
    let deadline = Duration::from_millis(1);
    let Some(device) = device(DeviceOptions { deadline, ..DeviceOptions::default() }) else { return };
    let pipelines = device.compile(&[Shader::new("slow", SLOW)]).unwrap();
    let job = |len: usize| {
        let mut job = device.job("slow", len);
        let output = job.buffer(len)?;
        job.dispatch(&pipelines[0], len, &[&output]);
        job.run()
    };
    job(64).unwrap();
    device.begin_service();
    let start = Instant::now();
    let error = job(BATCH_LEN_MAX).unwrap_err();
    assert!(matches!(error, DeviceError::Deadline { .. }), "{error}");
    drop(pipelines);
    drop(device);
    eprintln!("left after {:?}", start.elapsed());
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
}

/// Submits [`SLOW`] for so many items and waits with this handle's patience.
fn slow(device: &Device, pipelines: &[Pipeline], len: usize) -> Result<Vec<u32>, DeviceError> {
    let mut job = device.job("slow", len);
    let output = job.buffer(len)?;
    job.dispatch(&pipelines[0], len, &[&output]);
    let read = job.read(&output);
    Ok(job.run()?.take(read))
}

#[test]
fn a_job_left_behind_harms_neither_the_device_nor_those_who_get_its_buffers() {
    const LEN: usize = 16_384;
    let Some(device) = device(DeviceOptions::default()) else { return };
    let pipelines = device.compile(&[Shader::new("slow", SLOW)]).unwrap();
    let words: Vec<u32> = (0..u32::try_from(LEN).unwrap()).collect();
    let fourfold: Vec<u32> = words.iter().map(|word| 4 * word).collect();
    // Fills the pool, and compiles.
    let expected = slow(&device, &pipelines, LEN).unwrap();
    assert_eq!(double(&device, &words).unwrap(), fourfold);
    let idle = device.pool().idle_bytes();
    let hasty = device.with_patience(Instant::now());
    for _ in 0..3 {
        let error = slow(&hasty, &pipelines, LEN).unwrap_err();
        assert!(matches!(error, DeviceError::Late { .. }), "{error}");
        assert!(device.is_alive());
        // Its buffers are back while it runs, are written and read by others, and by the same kernel.
        assert_eq!(double(&device, &words).unwrap(), fourfold);
        assert!(slow(&hasty, &pipelines, LEN).is_err());
        assert_eq!(slow(&device, &pipelines, LEN).unwrap(), expected);
        assert_eq!(device.pool().idle_bytes(), idle, "all of them came from the pool");
    }
    // What was waited for came after what was not.
    assert_eq!(device.has_caught_up(), Ok(true));
}

#[test]
fn a_device_catches_up_or_misses_its_deadline() {
    let patient = |fault| {
        let fault = Some(std::str::FromStr::from_str(fault).unwrap());
        let device = device(DeviceOptions { deadline: DEADLINE, fault, ..DeviceOptions::default() })?;
        assert_eq!(double(&device, &[3]).unwrap(), [12]);
        device.begin_service();
        let start = Instant::now();
        let error = double(&device.with_patience(start + Duration::from_millis(20)), &[3]).unwrap_err();
        assert!(matches!(error, DeviceError::Late { .. }) && device.is_alive(), "{error}");
        assert!(start.elapsed() < DEADLINE / 2, "{:?}", start.elapsed());
        assert_eq!(device.has_caught_up(), Ok(false));
        Some((device, start))
    };
    let wait = |device: &Device| {
        while device.has_caught_up() == Ok(false) {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let Some((device, start)) = patient("slow=300x1") else { return };
    wait(&device);
    assert_eq!(device.has_caught_up(), Ok(true));
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(double(&device, &[5]).unwrap(), [20]);

    let Some((device, start)) = patient("hang") else { return };
    wait(&device);
    assert!(start.elapsed() >= DEADLINE && !device.is_alive());
    assert!(matches!(device.has_caught_up(), Err(DeviceError::OutOfService { .. }) | Ok(true)));
}

#[test]
fn running_out_of_memory_is_an_error_and_the_device_lives() {
    let Some(device) = faulty(Fault::OutOfMemory) else { return };
    let error = double(&device, &[3]).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
    assert!(device.is_alive());
}

#[test]
fn a_buffer_beyond_the_adapters_limit_is_out_of_memory_not_a_crash() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    let words = usize::try_from(device.buffer_bytes_max() / 4).unwrap() + 1;
    let error = device.job("test", 1).buffer(words).unwrap_err();
    assert!(matches!(error, DeviceError::OutOfMemory { .. }), "{error}");
}

#[test]
fn items_can_be_given_their_neighbours_answers() {
    // Two limb-major words an item, read back beside a word.
    let answers = |fault: &str| {
        let fault = Some(fault.parse().unwrap());
        let device = device(DeviceOptions { fault, ..DeviceOptions::default() })?;
        device.begin_service();
        let mut job = device.job("test", 3);
        let [status, answer] =
            [vec![7, 7, 7], vec![1, 2, 3, 10, 20, 30]].map(|words| job.upload(&words).unwrap());
        let reads = [job.read(&status), job.read(&answer)];
        let mut outputs = job.run().unwrap();
        let [status, answer] = reads.map(|read| outputs.take(read));
        assert_eq!(status, [7, 7, 7]);
        Some(answer)
    };
    for (fault, expected) in [
        ("wrong-item=1", [1, 1, 3, 10, 10, 30]),
        ("wrong-every=2", [3, 2, 2, 30, 20, 20]),
        ("wrong-last", [1, 2, 2, 10, 20, 20]),
        ("wrong-item=3", [1, 2, 3, 10, 20, 30]),
    ] {
        let Some(answer) = answers(fault) else { return };
        assert_eq!(answer, expected, "{fault}");
    }
}

#[test]
fn wrong_answers_come_in_their_own_phase() {
    let Some(device) = faulty(Fault::WrongAnswer) else { return };
    assert_eq!(double(&device, &[3]).unwrap(), [13]);
}

#[test]
fn an_adapter_that_is_not_there_is_named_in_the_error() {
    let choice = DeviceChoice::Name("no such adapter".to_owned());
    let error = Device::open(&choice, DeviceOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchAdapter(_)), "{error}");
    assert!(error.to_string().contains("no such adapter"), "{error}");
}

#[test]
fn adapters_open_by_index_too() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    let all = adapters();
    assert_eq!(device.info(), &all[0]);
    for (index, info) in all.iter().enumerate() {
        assert_eq!(Device::open_index(index, DeviceOptions::default()).unwrap().info(), info);
    }
    let error = Device::open_index(all.len(), DeviceOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::NoSuchAdapter(_)), "{error}");
}

#[test]
fn a_broken_shader_names_itself() {
    let Some(device) = device(DeviceOptions::default()) else { return };
    let error = device.compile(&[Shader::new("double", DOUBLE), Shader::new("bad", "fn")]).unwrap_err();
    assert!(matches!(error, DeviceError::Shader { .. }), "{error}");
    assert!(error.to_string().contains("bad"), "{error}");
}

#[test]
fn no_other_room_names_the_api() {
    fn scan(folder: &std::path::Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("src/gpu") {
                    scan(&path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("wgpu::"), "{} names the API of gpu/", path.display());
        }
    }
    scan(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}
