//! How much of a batch a device gets.

use std::time::Duration;

use super::curve::Curve;
use crate::gpu::WORKGROUP_LEN;

/// Share of the CPU's time in which a batch must be done with the device's help for that to be a win: measured times
/// are noisy, and a device that wins little wins it for no long.
const WIN: f64 = 0.9;

/// Largest batch that is looked at for the crossover.
const CROSSOVER_MAX: usize = 1 << 20;

/// Which batches of a kernel a device gets, or parts of them.
#[derive(Clone, Debug)]
pub(super) enum Placement {
    /// All: somebody asked for the device by name.
    Whole,
    /// What pays by measurement.
    Measured {
        /// Time on the device.
        device: Curve,
        /// Time on the CPU.
        cpu: Curve,
        /// Time of a batch that was cut as [`cut`] says; `None` if it is not to be cut.
        divided: Option<Curve>,
    },
}

/// The device's part of a batch: its first items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Share {
    /// How many. The CPU does the rest meanwhile.
    pub(super) items: usize,
    /// How long the device is expected to take; `None` where nothing was measured.
    pub(super) expected: Option<Duration>,
}

impl Share {
    const NOTHING: Self = Self { items: 0, expected: None };
}

impl Placement {
    /// Part of a batch of independent items, all of it, or nothing: whichever takes least time by measurement. The CPU
    /// keeps what it would not lose by a tenth.
    pub(super) fn divide(&self, len: usize) -> Share {
        let whole = self.whole(len);
        let Self::Measured { device, cpu, divided: Some(divided) } = self else { return whole };
        let items = cut(device, cpu, len);
        let best_other = if whole.items > 0 { device.seconds(len) } else { cpu.seconds(len) };
        if items == 0 || items == len || divided.seconds(len) > WIN * best_other {
            return whole;
        }
        Share { items, expected: Some(Duration::from_secs_f64(device.seconds(items))) }
    }

    /// The whole batch or nothing of it.
    pub(super) fn whole(&self, len: usize) -> Share {
        match self {
            Self::Whole => Share { items: len, expected: None },
            Self::Measured { device, cpu, .. } => {
                let seconds = device.seconds(len);
                if seconds > WIN * cpu.seconds(len) {
                    return Share::NOTHING;
                }
                Share { items: len, expected: Some(Duration::from_secs_f64(seconds)) }
            }
        }
    }

    /// The least batch of which the device gets something by `share`, if there is one of up to 2^20 items.
    pub(super) fn crossover(&self, share: impl Fn(&Self, usize) -> Share) -> Option<usize> {
        let gets = |len: usize| share(self, len).items > 0;
        let mut high = std::iter::successors(Some(1), |len| Some(len * 2))
            .take_while(|&len| len <= CROSSOVER_MAX)
            .find(|&len| gets(len))?;
        let mut low = high / 2;
        while low + 1 < high {
            let middle = low.midpoint(high);
            if gets(middle) { high = middle } else { low = middle }
        }
        Some(high)
    }
}

/// The part of a batch that a device must get so that both are expected to end together, in whole workgroups.
///
/// That is from times which were measured in turns. Side by side, packing and unpacking the device's part costs the CPU
/// something, and a device that computes on the CPU's own cores everything: so what comes of it is measured, too.
pub(super) fn cut(device: &Curve, cpu: &Curve, len: usize) -> usize {
    // The device's time grows with its part and the CPU's shrinks: find where they meet.
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low.midpoint(high);
        if device.seconds(middle) < cpu.seconds(len - middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let step = WORKGROUP_LEN as usize;
    let below = low / step * step;
    let ends = |items: usize| device.seconds(items).max(cpu.seconds(len - items));
    let candidates = [0, below, (below + step).min(len), len];
    candidates.into_iter().min_by(|&a, &b| ends(a).total_cmp(&ends(b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::curve::tests::curve;
    use super::*;

    /// A fixed time and one for each item, in microseconds.
    fn line(fixed: f64, item: f64) -> Curve {
        curve(&[(1, (fixed + item) * 1e-6), (1_000_001, (fixed + item * 1_000_001.0) * 1e-6)])
    }

    /// As if cutting cost nothing: both parts take as long side by side as in turns.
    fn measured(device: [f64; 2], cpu: [f64; 2]) -> Placement {
        let [device, cpu] = [device, cpu].map(|[fixed, item]| line(fixed, item));
        let points = [64, 256, 1 << 10, 1 << 13, 1 << 16, 1 << 20].map(|len| {
            let items = cut(&device, &cpu, len);
            (len, device.seconds(items).max(cpu.seconds(len - items)))
        });
        Placement::Measured { divided: Some(curve(&points)), device, cpu }
    }

    #[test]
    fn both_parts_end_together() {
        // 100 µs and 0.25 an item against 1 an item: 100 + d/4 = 10,000 - d where d = 7,920.
        let items = cut(&line(100.0, 0.25), &line(0.0, 1.0), 10_000);
        assert!(items.is_multiple_of(64) && items.abs_diff(7_920) <= 64, "{items}");
        // Nothing has a fixed cost, and the CPU is a third as fast.
        assert_eq!(cut(&line(0.0, 1.0), &line(0.0, 3.0), 6_400), 4_800);
        // One side alone, where the other cannot even begin.
        assert_eq!(cut(&line(1.0, 0.0001), &line(20.0, 20.0), 640), 640);
        assert_eq!(cut(&line(9000.0, 1.0), &line(0.0, 1.0), 640), 0);
        let share = measured([100.0, 0.25], [0.0, 1.0]).divide(10_000);
        assert_eq!(share.items, items_of_both(&share));
    }

    /// What a share's expected time says of its items: 100 µs and 0.25 each.
    fn items_of_both(share: &Share) -> usize {
        let micros = share.expected.unwrap().as_secs_f64() * 1e6;
        format!("{:.0}", (micros - 100.0) / 0.25).parse().unwrap()
    }

    #[test]
    fn no_choice_is_expected_to_be_slower_than_the_cpu_alone() {
        let cpu = line(5.0, 2.0);
        for fixed in [0.0, 50.0, 400.0, 30_000.0] {
            for item in [0.02, 0.5, 2.0, 20.0] {
                let placement = measured([fixed, item], [5.0, 2.0]);
                let device = line(fixed, item);
                for len in [1, 2, 63, 64, 65, 100, 1_000, 4_097, 65_536, 300_000] {
                    for share in [placement.divide(len), placement.whole(len)] {
                        assert!(share.items <= len);
                        let ends = device.seconds(share.items).max(cpu.seconds(len - share.items));
                        assert!(ends <= cpu.seconds(len), "{fixed} + {item} an item, {share:?} of {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_does_not_pay_side_by_side_is_not_cut() {
        let Placement::Measured { device, cpu, divided: Some(divided) } = measured([50.0, 1.0], [0.0, 1.0])
        else {
            panic!("measured")
        };
        // Half each, by times taken in turns; a device on the CPU's own cores gains nothing by that.
        let placement = |divided| Placement::Measured { device: device.clone(), cpu: cpu.clone(), divided };
        assert!(placement(Some(divided)).divide(8192).items.abs_diff(4096) <= 64);
        assert_eq!(placement(Some(cpu.clone())).divide(8192), Share::NOTHING);
        assert_eq!(placement(None).divide(8192), Share::NOTHING);
    }

    #[test]
    fn a_slow_start_keeps_short_batches_on_the_cpu() {
        // A whole batch of n pays where 100 + n/10 < 0.9 n: from 125 on.
        let placement = measured([100.0, 0.1], [0.0, 1.0]);
        let whole = placement.crossover(Placement::whole).unwrap();
        assert!(whole.abs_diff(125) <= 1, "{whole}");
        assert!(placement.crossover(Placement::divide).unwrap() <= whole);
        // As slow as the CPU for each item: no whole batch ever, half of a large one.
        let placement = measured([100.0, 1.0], [0.0, 1.0]);
        assert_eq!(placement.crossover(Placement::whole), None);
        assert!(placement.divide(10_000).items.abs_diff(4_950) <= 64);
        // Twenty times as slow: its help would save less than a tenth.
        assert_eq!(measured([0.0, 20.0], [0.0, 1.0]).crossover(Placement::divide), None);
    }

    #[test]
    fn a_device_that_was_asked_for_gets_everything() {
        let everything = Share { items: 7, expected: None };
        assert_eq!([Placement::Whole.divide(7), Placement::Whole.whole(7)], [everything; 2]);
        assert_eq!(Placement::Whole.crossover(Placement::divide), Some(1));
    }
}
