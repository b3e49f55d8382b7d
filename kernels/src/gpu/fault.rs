//! Faults on demand: each makes a real failure path run, in tests and on the command line.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A failure that the seam between this crate and the device can play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The device is really destroyed under the job; the driver's lost callback does the rest.
    Lost,
    /// The job's end is never seen; the deadline does the rest.
    Hang,
    /// The end of so many jobs is seen only some time after their submission; those after them go well.
    Slow {
        /// Milliseconds from the submission on.
        millis: u32,
        /// How many jobs.
        jobs: u64,
    },
    /// The API reports that device memory ran out.
    OutOfMemory,
    /// Every word read back during the self-tests has a bit flipped.
    WrongSelfTest,
    /// Every word read back while in service has a bit flipped.
    WrongAnswer,
    /// While in service, items are given the well-formed answer of their neighbour.
    WrongItems(Items),
    /// While in service, bytes that are uploaded have a bit of the first flipped: payloads, but not numbers.
    CorruptUpload,
}

/// Which items of each job a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// The item of an index, in jobs that have so many.
    One(usize),
    /// Each whose index is a multiple of this (at least 1): faults of lanes are periodic.
    Every(usize),
    /// The last.
    Last,
}

impl Items {
    /// Their indices in a job of so many items.
    pub(super) fn of(self, len: usize) -> impl Iterator<Item = usize> {
        let (first, step) = match self {
            Self::One(item) => (item, usize::MAX),
            Self::Every(period) => (0, period.max(1)),
            Self::Last => (len.saturating_sub(1), usize::MAX),
        };
        (first..len).step_by(step)
    }
}

/// Which fault, and after how many jobs it strikes.
///
/// Parsed from `lost`, `hang`, `slow=MS` (or `slow=MSxJOBS`), `oom`, `selftest`, `wrong`, `wrong-item=N`,
/// `wrong-every=N`, `wrong-last` or `upload`, each with an optional `@N`: the first N jobs (of the service; of
/// the self-tests for `selftest`) go well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// What happens.
    pub fault: Fault,
    /// Jobs that still go well.
    pub after_jobs: u64,
}

impl From<Fault> for FaultPlan {
    fn from(fault: Fault) -> Self {
        Self { fault, after_jobs: 0 }
    }
}

/// A fault that no one knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown fault {0:?}: expected lost, hang, slow=MS, oom, selftest, wrong, wrong-item=N, wrong-every=N, \
     wrong-last or upload, then perhaps @N"
)]
pub struct ParseFaultError(String);

impl FromStr for FaultPlan {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseFaultError(text.to_owned());
        let (name, after) = text.split_once('@').unwrap_or((text, "0"));
        let fault = match name.split_once('=') {
            None => match name {
                "lost" => Fault::Lost,
                "hang" => Fault::Hang,
                "oom" => Fault::OutOfMemory,
                "selftest" => Fault::WrongSelfTest,
                "wrong" => Fault::WrongAnswer,
                "wrong-last" => Fault::WrongItems(Items::Last),
                "upload" => Fault::CorruptUpload,
                _ => return Err(unknown()),
            },
            Some((name, value)) => {
                let number = || value.parse().map_err(|_| unknown());
                match name {
                    "slow" => {
                        let (millis, jobs) = match value.split_once('x') {
                            None => (value, u64::MAX),
                            Some((millis, jobs)) => (millis, jobs.parse().map_err(|_| unknown())?),
                        };
                        Fault::Slow { millis: millis.parse().map_err(|_| unknown())?, jobs }
                    }
                    "wrong-item" => Fault::WrongItems(Items::One(number()?)),
                    "wrong-every" => Fault::WrongItems(Items::Every(number()?)),
                    _ => return Err(unknown()),
                }
            }
        };
        Ok(Self { fault, after_jobs: after.parse().map_err(|_| unknown())? })
    }
}

/// A plan at work: counts jobs and says when to strike.
#[derive(Debug)]
pub(super) struct Injector {
    plan: Option<FaultPlan>,
    jobs: AtomicU64,
}

impl Injector {
    pub(super) const fn new(plan: Option<FaultPlan>) -> Self {
        Self { plan, jobs: AtomicU64::new(0) }
    }

    /// To be asked once a job; `in_service` is false while self-tests run.
    pub(super) fn strike(&self, in_service: bool) -> Option<Fault> {
        let plan = self.plan?;
        if (plan.fault == Fault::WrongSelfTest) == in_service {
            return None;
        }
        let since = self.jobs.fetch_add(1, Ordering::Relaxed).checked_sub(plan.after_jobs)?;
        match plan.fault {
            Fault::Slow { jobs, .. } if since >= jobs => None,
            fault => Some(fault),
        }
    }

    /// Whether bytes uploaded now are corrupted: before the job that uploads them is counted.
    pub(super) fn corrupts_upload(&self, in_service: bool) -> bool {
        let is_due = |plan: FaultPlan| self.jobs.load(Ordering::Relaxed) >= plan.after_jobs;
        in_service && self.plan.is_some_and(|plan| plan.fault == Fault::CorruptUpload && is_due(plan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_plans_parse() {
        assert_eq!("hang".parse(), Ok(FaultPlan { fault: Fault::Hang, after_jobs: 0 }));
        assert_eq!("oom@3".parse(), Ok(FaultPlan { fault: Fault::OutOfMemory, after_jobs: 3 }));
        let slow = |millis, jobs| FaultPlan { fault: Fault::Slow { millis, jobs }, after_jobs: 0 };
        assert_eq!("slow=70".parse(), Ok(slow(70, u64::MAX)));
        assert_eq!("slow=70x2".parse(), Ok(slow(70, 2)));
        let one = FaultPlan { fault: Fault::WrongItems(Items::One(9)), after_jobs: 2 };
        assert_eq!("wrong-item=9@2".parse(), Ok(one));
        assert_eq!("wrong-every=32".parse(), Ok(FaultPlan::from(Fault::WrongItems(Items::Every(32)))));
        assert_eq!("wrong-last".parse(), Ok(FaultPlan::from(Fault::WrongItems(Items::Last))));
        assert_eq!("upload".parse(), Ok(FaultPlan::from(Fault::CorruptUpload)));
        let bad =
            ["", "hung", "lost@", "lost@x", "lost@-1", "slow", "slow=", "slow=1x", "wrong-item", "lost=1"];
        for bad in bad {
            assert!(bad.parse::<FaultPlan>().is_err(), "{bad:?} parsed");
        }
    }

    #[test]
    fn items_of_a_fault_are_within_the_job() {
        let of = |items: Items, len| items.of(len).collect::<Vec<_>>();
        assert_eq!(of(Items::One(3), 4), [3]);
        assert_eq!(of(Items::One(4), 4), [0; 0]);
        assert_eq!(of(Items::Every(2), 5), [0, 2, 4]);
        assert_eq!(of(Items::Last, 5), [4]);
        assert_eq!(of(Items::Last, 0), [0; 0]);
    }

    #[test]
    fn a_slow_device_recovers_after_its_jobs() {
        let injector = Injector::new(Some("slow=5x2@1".parse().unwrap()));
        let slow = Some(Fault::Slow { millis: 5, jobs: 2 });
        let struck: Vec<_> = (0..5).map(|_| injector.strike(true)).collect();
        assert_eq!(struck, [None, slow, slow, None, None]);
    }

    #[test]
    fn injector_strikes_in_its_own_phase_after_its_count() {
        let injector = Injector::new(Some("lost@1".parse().unwrap()));
        assert_eq!(injector.strike(false), None);
        assert_eq!(injector.strike(true), None);
        assert_eq!(injector.strike(true), Some(Fault::Lost));
        let injector = Injector::new(Some(Fault::WrongSelfTest.into()));
        assert_eq!(injector.strike(true), None);
        assert_eq!(injector.strike(false), Some(Fault::WrongSelfTest));
    }
}
