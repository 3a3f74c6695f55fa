//! How far an engine has read the change feed, as works of their own.

use std::borrow::Cow;

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
#[derive(Debug, Clone)]
pub struct SetPosition(pub Cow<'static, str>, pub i64);

impl Work for SetPosition {
    type Output = ();
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<(), Error> {
        transaction.set_position(&self.0, self.1).await
    }
}

/// Reads all positions whose names begin so.
#[derive(Debug, Clone, Copy)]
pub struct Positions(pub &'static str);

impl Work for Positions {
    type Output = Vec<(String, i64)>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Vec<(String, i64)>, Error> {
        transaction.positions(self.0).await
    }
}
