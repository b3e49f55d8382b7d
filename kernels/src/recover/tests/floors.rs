//! How fast the shaders must be on a software adapter: floors against regressions of their code, not a claim about GPUs.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::device::bench;
use super::*;
use crate::gpu::{DeviceKernel as _, IntegerForm};

/// Items of a batch, which is one dispatch: enough to leave what a dispatch costs out of account, and few enough to be
/// done between two interruptions.
const LEN: usize = 4096;

/// The best of so many rounds counts: what else the machine does only ever takes time.
const ROUNDS: usize = 40;
/// So many more are run for a form that is slow so far: a machine may be busy for a while.
const MORE_ROUNDS: usize = 160;

/// The least rate of a form, as a multiple of libsecp256k1's on all cores.
const fn floor(form: IntegerForm) -> f64 {
    match form {
        IntegerForm::U64 => 1.5,
        IntegerForm::U32 => 0.6,
    }
}

#[test]
#[ignore = "measures for some ten seconds, for which the machine should be quiet"]
fn shaders_on_a_software_adapter_keep_up_with_libsecp256k1_on_the_same_cores() {
    let trial = RecoverKernel::trial(LEN);
    let batch = trial.batch();
    let mut library = Duration::MAX;
    let mut forms = [(IntegerForm::U64, Duration::MAX), (IntegerForm::U32, Duration::MAX)];
    let rate = |library: Duration, best: Duration| library.as_secs_f64() / best.as_secs_f64();
    for round in 0..ROUNDS + MORE_ROUNDS {
        if round >= ROUNDS && forms.iter().all(|&(form, best)| rate(library, best) >= floor(form)) {
            break;
        }
        let start = Instant::now();
        let expected: Vec<Verdict> = (0..LEN).into_par_iter().map(|index| batch.recover_one(index)).collect();
        library = library.min(start.elapsed());
        for (form, best) in &mut forms {
            let Some(bench) = bench(*form) else { return };
            let start = Instant::now();
            let answer = bench.kernel.recover(&bench.device, None, &batch).unwrap();
            *best = (*best).min(start.elapsed());
            assert!(answer.verdicts == expected && answer.redone == 0, "{form}");
        }
    }
    let ratios = forms.map(|(form, best)| (form, rate(library, best)));
    for (form, ratio) in ratios {
        let (floor, cores) = (floor(form), rayon::current_num_threads());
        eprintln!("{form}: {ratio:.2} times libsecp256k1 on {cores} threads, of at least {floor}");
    }
    let is_software = bench(IntegerForm::U64).is_some_and(|bench| bench.device.info().is_software());
    for (form, ratio) in ratios {
        assert!(
            !is_software || ratio >= floor(form),
            "{form}: {ratio:.2} times libsecp256k1, of {}",
            floor(form)
        );
    }
}
