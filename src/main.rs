//! The Baton command.

fn main() {}
