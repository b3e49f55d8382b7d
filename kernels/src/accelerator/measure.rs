//! Measuring how long kernels take.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::calibration::KernelTimes;
use super::curve::{Curve, Point};
use super::placement::cut;
use super::threads::DeviceThreads;
use crate::gpu::{Device, DeviceError, DeviceKernel};
use crate::simd::Backend;

/// How much time measuring may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A second or two for all kernels: enough to place batches, and what opening a device can wait for.
    Quick,
    /// Up to a minute: for people, and to be kept.
    Thorough,
}

impl Effort {
    /// Batch sizes, a geometric series.
    fn lens(self) -> impl Iterator<Item = usize> {
        let (factor, last) = match self {
            Self::Quick => (16, 16_384),
            Self::Thorough => (4, 65_536),
        };
        let series = std::iter::successors(Some(1), move |len| Some(len * factor));
        series.take_while(move |&len| len <= last).chain((self == Self::Quick).then_some(16_384))
    }

    /// Time of all repeats of a batch, fewest and most of them.
    const fn repeats(self) -> (Duration, usize, usize) {
        match self {
            Self::Quick => (Duration::from_millis(20), 3, 7),
            Self::Thorough => (Duration::from_millis(300), 3, 21),
        }
    }

    /// A way that takes longer for one batch is not tried with larger ones: its pace is known then.
    const fn longest(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(100),
            Self::Thorough => Duration::from_millis(1500),
        }
    }
}

/// One measured batch, for those who watch.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Where: `device`, a CPU backend, or `divided`, both side by side.
    pub way: &'static str,
    /// The batch and its median time.
    pub point: Point,
}

/// How to measure a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    /// How much time it may take.
    pub(super) effort: Effort,
    /// CPU forms to be measured.
    pub(super) backends: &'a [Backend],
    /// Whether a device's answers are checked all at once, where that can be.
    pub(super) is_checked: bool,
    /// Whether batches may be cut.
    pub(super) is_divisible: bool,
}

/// One way to do a kernel's batches.
struct Way<'a, K> {
    place: Place<'a, K>,
    points: Vec<Point>,
    is_done: bool,
}

/// Where batches are done.
enum Place<'a, K> {
    Device(&'a K, &'a Device),
    Cpu(Backend),
}

impl<K: DeviceKernel> Place<'_, K> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Device(..) => "device",
            Self::Cpu(backend) => backend.name(),
        }
    }

    fn run(&self, trial: &K::Trial, is_checked: bool) -> Result<(), DeviceError> {
        match self {
            Self::Device(kernel, device) => kernel.trial_on_device(device, trial, is_checked)?,
            Self::Cpu(backend) => K::trial_on_cpu(*backend, trial),
        }
        Ok(())
    }
}

/// Measures a kernel on a device, if there is one, and in the given CPU forms: all of them on the same batches, in
/// turns. Then, if its batches may be cut, device and CPU side by side.
///
/// # Errors
/// Any [`DeviceError`].
pub(super) fn measure<K: DeviceKernel>(
    device: Option<(&K, &Device)>,
    how: How<'_>,
    watch: &mut dyn FnMut(Measured),
) -> Result<KernelTimes, DeviceError> {
    let forms = K::cpu_backends();
    // A kernel with one CPU form has that whatever was asked for.
    let forms = forms.iter().filter(|&backend| forms.len() == 1 || how.backends.contains(backend));
    let on_device = device.map(|(kernel, device)| Place::Device(kernel, device));
    let places = on_device.into_iter().chain(forms.map(|backend| Place::Cpu(*backend)));
    let mut ways: Vec<Way<'_, K>> =
        places.map(|place| Way { place, points: Vec::new(), is_done: false }).collect();
    for len in how.effort.lens() {
        if ways.iter().all(|way| way.is_done) {
            break;
        }
        let trial = K::trial(len);
        for way in ways.iter_mut().filter(|way| !way.is_done) {
            let seconds = median(how.effort, || way.place.run(&trial, how.is_checked))?;
            let point = Point { items: len, seconds };
            watch(Measured { kernel: K::NAME, way: way.place.name(), point });
            way.points.push(point);
            way.is_done = seconds > how.effort.longest().as_secs_f64();
        }
    }
    let mut times = KernelTimes { device: None, cpu: BTreeMap::new(), divided: None };
    for way in ways {
        let curve = Curve::new(way.points).expect("ascending sizes, and every batch takes time");
        match way.place {
            Place::Device(..) => times.device = Some(curve),
            Place::Cpu(backend) => {
                times.cpu.insert(backend.name().to_owned(), curve);
            }
        }
    }
    if let Some((kernel, device)) = device.filter(|_| how.is_divisible) {
        times.divided = divided(kernel, device, &times, how, watch)?;
    }
    Ok(times)
}

/// Measures device and CPU side by side, each with its part of a batch.
fn divided<K: DeviceKernel>(
    kernel: &K,
    device: &Device,
    times: &KernelTimes,
    how: How<'_>,
    watch: &mut dyn FnMut(Measured),
) -> Result<Option<Curve>, DeviceError> {
    let serving = Backend::selected();
    let Some((on_device, on_cpu)) = times.device.as_ref().zip(times.cpu_serving(serving)) else {
        return Ok(None);
    };
    let threads = DeviceThreads::default();
    let mut points = Vec::new();
    for len in how.effort.lens() {
        let items = cut(on_device, on_cpu, len);
        if items == 0 || items == len {
            continue;
        }
        let [front, back] = [items, len - items].map(K::trial);
        let seconds = median(how.effort, || {
            let on_device = || kernel.trial_on_device(device, &front, how.is_checked);
            let (asked, ()) = threads.side_by_side(on_device, || K::trial_on_cpu(serving, &back));
            asked.unwrap_or(Ok(()))
        })?;
        let point = Point { items: len, seconds };
        watch(Measured { kernel: K::NAME, way: "divided", point });
        points.push(point);
        if seconds > how.effort.longest().as_secs_f64() {
            break;
        }
    }
    // No points are no curve: it is not to be cut.
    Ok(Curve::new(points).ok())
}

/// Median seconds of some runs, after one that warms up.
fn median(effort: Effort, mut run: impl FnMut() -> Result<(), DeviceError>) -> Result<f64, DeviceError> {
    let (budget, fewest, most) = effort.repeats();
    run()?;
    let begin = Instant::now();
    let mut seconds = Vec::with_capacity(most);
    while seconds.len() < fewest || (seconds.len() < most && begin.elapsed() < budget) {
        let start = Instant::now();
        run()?;
        // A clock may stand still for a very short batch.
        seconds.push(start.elapsed().max(Duration::from_nanos(1)).as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::DeviceOptions;
    use crate::keccak::KeccakKernel;
    use crate::registry;

    #[test]
    fn sizes_are_series() {
        assert_eq!(Effort::Quick.lens().collect::<Vec<_>>(), [1, 16, 256, 4096, 16_384]);
        assert_eq!(Effort::Thorough.lens().count(), 9);
        assert_eq!(Effort::Thorough.lens().last(), Some(65_536));
    }

    #[test]
    fn every_backend_and_the_device_are_measured_on_the_same_sizes() {
        let device = crate::gpu::tests::device(DeviceOptions::default());
        let kernel = device.as_ref().map(|device| registry::ready::<KeccakKernel>(device).unwrap());
        let backends: Vec<_> = Backend::available().collect();
        let how = How { effort: Effort::Quick, backends: &backends, is_checked: false, is_divisible: true };
        let mut seen = Vec::new();
        let pair = kernel.as_ref().zip(device.as_ref());
        let times = measure(pair, how, &mut |m| seen.push((m.way.to_owned(), m.point.items))).unwrap();
        assert_eq!(times.device.is_some(), device.is_some());
        assert!(times.cpu.keys().eq({
            let mut names: Vec<_> = backends.iter().map(|backend| backend.name()).collect();
            names.sort_unstable();
            names
        }));
        for backend in backends {
            let curve = times.cpu_serving(backend).unwrap();
            assert!(curve.points().len() >= 4, "{curve:?}");
            let sizes = seen.iter().filter(|(way, _)| way == backend.name()).map(|(_, items)| *items);
            assert!(sizes.eq(curve.points().iter().map(|point| point.items)));
        }
    }
}
