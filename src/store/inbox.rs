//! Messages whose process died, as a work of its own.

use crate::store::{Error, Transaction, Work};

/// Makes waiting messages of dead processes this process's. Gives their rows and lanes, in order of
/// arrival.
#[derive(Debug, Clone, Copy)]
pub struct TakeOrphans {
    /// At most so many.
    pub count: u32,
    /// Look through the inbox also where no process is known to have died since the last look.
    pub is_thorough: bool,
}

impl Work for TakeOrphans {
    type Output = Vec<(i64, i64)>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Vec<(i64, i64)>, Error> {
        let has_died = transaction.has_dead_processes().await?;
        if !has_died && !self.is_thorough {
            return Ok(Vec::new());
        }
        let taken = transaction.take_orphans(self.count).await?;
        if has_died && taken.is_empty() {
            transaction.forget_dead_processes().await?;
        }
        Ok(taken)
    }
}
