//! Stores against what was put into them: restarts, siblings, cuts of power, full and damaged disks.

mod crash;
mod disk;
mod history;
mod restart;
mod rows;
