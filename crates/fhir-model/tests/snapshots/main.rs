//! Generated snapshots beside those that the publishers made, and the official cases.

mod compare;
mod official;
mod packages;
