//! The `outrider` command line.
fn main() {}
