//! How far an engine has read the change feed, as a work of its own.

use crate::store::{Error, Transaction, Work};

/// Reads the position of an engine.
#[derive(Debug, Clone, Copy)]
pub struct ReadPosition(pub &'static str);

impl Work for ReadPosition {
    type Output = i64;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<i64, Error> {
        transaction.position(self.0).await
    }
}

/// Keeps the position of an engine.
#[derive(Debug, Clone, Copy)]
pub struct SetPosition(pub &'static str, pub i64);

impl Work for SetPosition {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.set_position(self.0, self.1).await
    }
}
