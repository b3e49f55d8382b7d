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
    /// The API reports that device memory ran out.
    OutOfMemory,
    /// Every word read back during the self-tests has a bit flipped.
    WrongSelfTest,
    /// Every word read back while in service has a bit flipped.
    WrongAnswer,
}

/// Which fault, and after how many jobs it strikes.
///
/// Parsed from `lost`, `hang`, `oom`, `selftest` or `wrong`, each with an optional `@N`: the first
/// N jobs (of the service; of the self-tests for `selftest`) go well.
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
#[error("unknown fault {0:?}: expected lost, hang, oom, selftest or wrong, then perhaps @N")]
pub struct ParseFaultError(String);

impl FromStr for FaultPlan {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseFaultError(text.to_owned());
        let (name, after) = text.split_once('@').unwrap_or((text, "0"));
        let fault = match name {
            "lost" => Fault::Lost,
            "hang" => Fault::Hang,
            "oom" => Fault::OutOfMemory,
            "selftest" => Fault::WrongSelfTest,
            "wrong" => Fault::WrongAnswer,
            _ => return Err(unknown()),
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
        (self.jobs.fetch_add(1, Ordering::Relaxed) >= plan.after_jobs).then_some(plan.fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_plans_parse() {
        assert_eq!("hang".parse(), Ok(FaultPlan { fault: Fault::Hang, after_jobs: 0 }));
        assert_eq!("oom@3".parse(), Ok(FaultPlan { fault: Fault::OutOfMemory, after_jobs: 3 }));
        for bad in ["", "hung", "lost@", "lost@x", "lost@-1"] {
            assert!(bad.parse::<FaultPlan>().is_err(), "{bad:?} parsed");
        }
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
