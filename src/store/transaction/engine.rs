//! What engines keep: timers, and how far each has read the change feed.

use crate::store::read;
use crate::store::sql::{Dialect, Sql};
use crate::store::transaction::Transaction;
use crate::store::transaction::buffer::TimerChange;
use crate::store::{Error, Timer};

impl Transaction<'_> {
    /// Takes a timer away; `None` when there is none, or somebody else took it.
    pub async fn take_timer(&mut self, name: &str) -> Result<Option<Timer>, Error> {
        let timer = match self.buffer.latest_timer(name) {
            Some(TimerChange::Set(timer)) => Some(timer.clone()),
            Some(TimerChange::Cancel(_)) => None,
            None => {
                let sql = read::timer_for_update(self.connection.dialect(), name);
                self.fetch(sql)
                    .await?
                    .first()
                    .map(read::timer)
                    .transpose()?
            }
        };
        if timer.is_some() {
            self.buffer
                .timers
                .push(TimerChange::Cancel(name.to_owned()));
        }
        Ok(timer)
    }

    /// How far an engine has read the change feed, 0 at first; locked until the end.
    pub async fn position(&mut self, engine: &str) -> Result<i64, Error> {
        let dialect = self.connection.dialect();
        let locked = || read::position_for_update(dialect, engine);
        if let Some(row) = self.fetch(locked()).await?.first() {
            return row.integer(0);
        }
        if dialect == Dialect::Postgres {
            let text = "INSERT INTO engine_position (engine, sequence) VALUES ($1, 0) \
                        ON CONFLICT DO NOTHING";
            self.write(Sql::fixed(dialect, text, [engine.into()]))
                .await?;
            if let Some(row) = self.fetch(locked()).await?.first() {
                return row.integer(0);
            }
        }
        Ok(0)
    }

    /// Says how far an engine has read the change feed.
    pub async fn set_position(&mut self, engine: &str, sequence: i64) -> Result<(), Error> {
        let text = "INSERT INTO engine_position (engine, sequence) VALUES ($1, $2) \
                    ON CONFLICT (engine) DO UPDATE SET sequence = excluded.sequence";
        let binds = [engine.into(), sequence.into()];
        self.write(Sql::fixed(self.connection.dialect(), text, binds))
            .await
    }

    /// The positions whose names begin so.
    pub async fn positions(&mut self, prefix: &str) -> Result<Vec<(String, i64)>, Error> {
        let text = "SELECT engine, sequence FROM engine_position \
                    WHERE substr(engine, 1, length($1)) = $1 ORDER BY engine";
        let sql = Sql::fixed(self.connection.dialect(), text, [prefix.into()]);
        let rows = self.fetch(sql).await?;
        rows.iter()
            .map(|row| Ok((row.text(0)?.to_owned(), row.integer(1)?)))
            .collect()
    }
}
