//! The inbox of HL7 messages, and the visits they are in.

use crate::store::sql::{Dialect, Sql};
use crate::store::transaction::Transaction;
use crate::store::transaction::buffer::StateChange;
use crate::store::{Error, MessageState, NewMessage, Received, StoredMessage, VisitMessage};
use crate::store::{process, read};

impl Transaction<'_> {
    /// Puts a message into the inbox, unless the same bytes came before by the same feed.
    pub async fn receive(&mut self, message: &NewMessage) -> Result<Received, Error> {
        let sql = read::earlier_message(self.connection.dialect(), message);
        let earlier = match self.fetch(sql).await?.first() {
            Some(row) => Some(self.buffer.with_state(read::message(row)?)),
            None => None,
        };
        let control_id_reused = match earlier {
            Some(earlier) if earlier.message.hash == message.hash => {
                return Ok(Received::Duplicate(earlier));
            }
            earlier => earlier.is_some(),
        };
        let stored = StoredMessage {
            row: self.next_key(message.received),
            message: message.clone(),
            attempts: 0,
            control_id_reused,
        };
        let process = self.keys.process();
        self.write(read::insert_message(
            self.connection.dialect(),
            &stored,
            process,
        ))
        .await?;
        Ok(Received::New(stored))
    }

    /// A message of the inbox, locked until the end.
    pub async fn message(&mut self, row: i64) -> Result<Option<StoredMessage>, Error> {
        let sql = read::message_for_update(self.connection.dialect(), row);
        let rows = self.fetch(sql).await?;
        let found = rows.first().map(read::message).transpose()?;
        Ok(found.map(|stored| self.buffer.with_state(stored)))
    }

    /// The first message that waits in a lane, up to `row`: messages of a lane take effect one after
    /// another, whichever process received them. On SQLite there is one process, whose lanes see to it.
    pub async fn first_in_lane(&mut self, lane: i64, row: i64) -> Result<i64, Error> {
        if self.connection.dialect() == Dialect::Sqlite {
            return Ok(row);
        }
        let text = "SELECT min(row_key) FROM adt_message \
                    WHERE lane = $1 AND state = 0 AND row_key <= $2";
        let sql = Sql::fixed(Dialect::Postgres, text, [lane.into(), row.into()]);
        let rows = self.fetch(sql).await?;
        let first = rows
            .first()
            .map(|row| row.optional_integer(0))
            .transpose()?;
        Ok(first.flatten().unwrap_or(row))
    }

    /// Makes messages that wait and whose process is dead this process's. Gives their rows and lanes,
    /// in order of arrival.
    pub(crate) async fn take_orphans(&mut self, count: u32) -> Result<Vec<(i64, i64)>, Error> {
        let dialect = self.connection.dialect();
        let mut sql = Sql::new(dialect);
        sql.push("UPDATE adt_message SET process = ")
            .bind(self.keys.process())
            .push(
                " WHERE row_key IN (SELECT m.row_key FROM adt_message m WHERE m.state IN (0, 4) \
                 AND NOT ",
            );
        process::push_lives(&mut sql, "m.process");
        sql.push(" ORDER BY m.row_key LIMIT ")
            .bind(i64::from(count));
        sql.push(dialect.pick("", " FOR UPDATE OF m SKIP LOCKED"))
            .push(") RETURNING row_key, lane");
        let rows = self.write_fetching(sql).await?;
        let mut taken = rows
            .iter()
            .map(|row| Ok((row.integer(0)?, row.integer(1)?)))
            .collect::<Result<Vec<_>, Error>>()?;
        taken.sort_unstable();
        Ok(taken)
    }

    /// Whether a process is dead that is not forgotten yet.
    pub(crate) async fn has_dead_processes(&mut self) -> Result<bool, Error> {
        let dialect = self.connection.dialect();
        let mut sql = Sql::new(dialect);
        sql.push("SELECT process FROM process WHERE expires <= ")
            .push(process::now(dialect))
            .push(" LIMIT 1");
        Ok(!self.fetch(sql).await?.is_empty())
    }

    /// Forgets dead processes of which no message waits.
    pub(crate) async fn forget_dead_processes(&mut self) -> Result<(), Error> {
        let dialect = self.connection.dialect();
        let mut sql = Sql::new(dialect);
        sql.push("DELETE FROM process WHERE expires <= ")
            .push(process::now(dialect))
            .push(
                " AND NOT EXISTS (SELECT 1 FROM adt_message m \
                 WHERE m.process = process.process AND m.state IN (0, 4))",
            );
        self.write(sql).await
    }

    /// Says how a message stands after one more attempt.
    pub fn set_message_state(&mut self, row: i64, state: MessageState, reason: &str) {
        self.buffer.states.push(StateChange {
            row,
            state,
            reason: reason.to_owned(),
        });
    }

    /// Takes in a message that was refused before: it has a feed, a state and an answer now.
    pub async fn take_in(&mut self, row: i64, message: &NewMessage) -> Result<(), Error> {
        let text = "UPDATE adt_message SET feed = $2, state = $3, acknowledgement = $4, reason = $5 \
                    WHERE row_key = $1";
        let binds = [
            row.into(),
            message.feed.as_ref().into(),
            message.state.code().into(),
            message.acknowledgement.as_str().into(),
            message.reason.as_str().into(),
        ];
        self.write(Sql::fixed(self.connection.dialect(), text, binds))
            .await
    }

    /// Puts a message into a visit; nothing happens when it is there already.
    pub fn put_in_visit(&mut self, place: VisitMessage) {
        self.buffer.places.push(place);
    }

    /// The messages of a visit in order of arrival.
    pub async fn visit_messages(&mut self, visit: &str) -> Result<Vec<StoredMessage>, Error> {
        if self.buffer.places.iter().any(|place| place.visit == visit) {
            self.expose().await?;
        }
        let sql = read::visit_messages(self.connection.dialect(), visit);
        let rows = self.fetch(sql).await?;
        let messages = rows.iter().map(read::message);
        messages
            .map(|found| found.map(|stored| self.buffer.with_state(stored)))
            .collect()
    }
}
