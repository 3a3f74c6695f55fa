//! What Baton does with several resources at once, inside one transaction.

pub mod pathway;
