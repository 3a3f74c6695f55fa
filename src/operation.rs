//! What Baton does with several resources at once, or computes from definitions.

pub mod pathway;
pub mod terminology;
