//! Tests of the room as a whole: every format from bytes to cases, on data of our own making, on
//! the shared data where it is present, and on damaged data.

mod differential;
mod formats;
mod hostile;
mod sample;
mod shared_data;
mod witness;
