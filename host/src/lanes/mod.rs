//! Lanes: the ways a transaction can be executed.

pub mod transfer;
