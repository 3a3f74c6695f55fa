//! The reads that both engines answer with the same statements, and how rows become values.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use fhir_model::key::{LogicalId, ResourceKey, ResourceType, VersionId};

use crate::store::sql::{Bind, Connection, Dialect, Row, Sql};
use crate::store::text;
use crate::store::{
    AuditRecord, ChangeKind, ChangeRow, Error, HistoryPage, HistoryQuery, HistoryScope, Job,
    JobState, JobStep, MessageQuery, MessageState, NewMessage, SEQUENCES_PER_TRANSACTION_BITS,
    Stored, StoredMessage, Timer, VERSIONS_COUNTED_MAX,
};

/// The columns of [`stored`], of a table `r`.
pub(crate) const STORED_COLUMNS: &str =
    "r.row_key, r.resource_type, r.id, r.version, r.last_updated, r.kind, r.text";
/// How many they are.
pub(crate) const STORED_WIDTH: usize = 7;

/// The version in a row that starts with [`STORED_COLUMNS`].
pub(crate) fn stored(row: &Row) -> Result<Stored, Error> {
    Ok(Stored {
        row: row.integer(0)?,
        key: key(row, 1)?,
        version: version(row, 3)?,
        last_updated: instant(row.integer(4)?)?,
        kind: kind(row, 5)?,
        text: row.optional_bytes(6)?.map(text::decode).transpose()?,
    })
}

fn key(row: &Row, column: usize) -> Result<ResourceKey, Error> {
    let resource_type = ResourceType::parse(row.text(column)?);
    let id = LogicalId::parse(row.text(column + 1)?);
    Ok(ResourceKey {
        resource_type: resource_type.map_err(|_| Error::Corrupt("resource type"))?,
        id: id.map_err(|_| Error::Corrupt("logical id"))?,
    })
}

fn version(row: &Row, column: usize) -> Result<VersionId, Error> {
    let number = u64::try_from(row.integer(column)?).ok();
    number
        .and_then(VersionId::new)
        .ok_or(Error::Corrupt("version"))
}

fn kind(row: &Row, column: usize) -> Result<ChangeKind, Error> {
    ChangeKind::from_code(row.integer(column)?).ok_or(Error::Corrupt("kind of change"))
}

fn instant(micros: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_micros(micros).ok_or(Error::Corrupt("instant"))
}

/// Reads the current version of a resource.
pub(crate) async fn read(
    connection: &mut Connection<'_>,
    key: &ResourceKey,
) -> Result<Option<Stored>, Error> {
    const TEXT: &str = "SELECT r.row_key, r.resource_type, r.id, r.version, r.last_updated, \
                        r.kind, r.text FROM resource r WHERE r.resource_type = $1 AND r.id = $2";
    let binds = [key.resource_type.as_str().into(), key.id.as_str().into()];
    let sql = Sql::fixed(connection.dialect(), TEXT, binds);
    connection
        .fetch_first(sql)
        .await?
        .as_ref()
        .map(stored)
        .transpose()
}

/// Reads one version of a resource.
pub(crate) async fn vread(
    connection: &mut Connection<'_>,
    key: &ResourceKey,
    version: VersionId,
) -> Result<Option<Stored>, Error> {
    const TEXT: &str = "SELECT r.row_key, r.resource_type, r.id, r.version, r.last_updated, r.kind, r.text \
         FROM resource r WHERE r.resource_type = $1 AND r.id = $2 AND r.version = $3 \
         UNION ALL \
         SELECT r.row_key, r.resource_type, r.id, v.version, v.last_updated, v.kind, v.text \
         FROM resource r JOIN resource_version v ON v.row_key = r.row_key \
         WHERE r.resource_type = $1 AND r.id = $2 AND v.version = $3";
    let Ok(number) = i64::try_from(version.number()) else {
        return Ok(None);
    };
    let binds = [
        key.resource_type.as_str().into(),
        key.id.as_str().into(),
        number.into(),
    ];
    let sql = Sql::fixed(connection.dialect(), TEXT, binds);
    connection
        .fetch_first(sql)
        .await?
        .as_ref()
        .map(stored)
        .transpose()
}

/// Selects the rows of these resources with their search entries, and locks them in the order of
/// type and id. The keys are sorted.
pub(crate) fn for_update(dialect: Dialect, keys: &[ResourceKey]) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push("SELECT ").push(STORED_COLUMNS);
    sql.push(dialect.pick(", r.entries", ", r.entries::text"));
    if let [key] = keys {
        sql.push(" FROM resource r WHERE r.resource_type = ");
        sql.bind(key.resource_type.as_str())
            .push(" AND r.id = ")
            .bind(key.id.as_str());
    } else {
        push_keyed(
            &mut sql,
            keys.iter()
                .map(|key| (key.resource_type.as_str(), key.id.as_str())),
        );
        sql.push(" ORDER BY r.resource_type, r.id");
    }
    sql.push(dialect.pick("", " FOR UPDATE OF r"));
    sql
}

/// Adds ` FROM resource r` joined with a list of (type, id).
pub(crate) fn push_keyed<'k>(sql: &mut Sql, keys: impl Iterator<Item = (&'k str, &'k str)>) {
    if sql.dialect == Dialect::Sqlite {
        // types and ids consist of letters, digits, - and . only: nothing to escape
        let mut json = String::from("[");
        for (resource_type, id) in keys {
            let comma = if json.len() > 1 { "," } else { "" };
            let _ = write!(json, r#"{comma}["{resource_type}","{id}"]"#);
        }
        json.push(']');
        sql.push(" FROM json_each(").bind(json);
        sql.push(
            ") k CROSS JOIN resource r ON r.resource_type = k.value->>0 AND r.id = k.value->>1",
        );
    } else {
        let (types, ids) = keys
            .map(|(resource_type, id)| (Some(resource_type.into()), Some(id.into())))
            .unzip();
        sql.push(" FROM unnest(")
            .bind(Bind::Texts(types))
            .push("::text[], ");
        sql.bind(Bind::Texts(ids))
            .push("::text[]) k (resource_type, id) ");
        sql.push("JOIN resource r ON r.resource_type = k.resource_type AND r.id = k.id");
    }
}

/// One page of a history, newest first.
pub(crate) async fn history(
    connection: &mut Connection<'_>,
    query: &HistoryQuery,
) -> Result<HistoryPage, Error> {
    let dialect = connection.dialect();
    let rows = match query.count {
        0 => Vec::new(),
        _ => connection.fetch(history_page(dialect, query)).await?,
    };
    let count = usize::try_from(query.count).unwrap_or(usize::MAX);
    let mut page = HistoryPage::default();
    for row in rows.iter().take(count) {
        page.versions.push(stored(row)?);
    }
    if rows.len() > count {
        let last = count.checked_sub(1).and_then(|last| rows.get(last));
        page.next = last.map(|row| row.integer(STORED_WIDTH)).transpose()?;
    }
    if query.is_counted
        && let Some(row) = connection
            .fetch_first(history_total(dialect, query))
            .await?
    {
        let total = row.integer(0)?;
        let is_complete = total <= i64::from(VERSIONS_COUNTED_MAX);
        page.total = u64::try_from(total).ok().filter(|_| is_complete);
    }
    Ok(page)
}

fn history_page(dialect: Dialect, query: &HistoryQuery) -> Sql {
    let mut sql = Sql::new(dialect);
    let limit = i64::from(query.count) + 1;
    if let HistoryScope::Instance(key) = &query.scope {
        push_instance_part(&mut sql, query, key, "r.", "");
        sql.push(" UNION ALL ");
        let join = " JOIN resource_version v ON v.row_key = r.row_key";
        push_instance_part(&mut sql, query, key, "v.", join);
        sql.push(" ORDER BY 8 DESC LIMIT ").bind(limit);
        return sql;
    }
    sql.push(
        "SELECT c.row_key, r.resource_type, r.id, c.version, c.at, c.kind, \
         CASE WHEN r.sequence = c.sequence THEN r.text ELSE v.text END, c.sequence \
         FROM change c JOIN resource r ON r.row_key = c.row_key \
         LEFT JOIN resource_version v ON v.sequence = c.sequence",
    );
    push_change_scope(&mut sql, query);
    push_during(&mut sql, query, "c.", "at");
    if let Some(before) = query.before {
        sql.push(" AND c.sequence < ").bind(before);
    }
    // with `_since` the index by time finds the few rows; without it, the feed is walked backwards
    let by_time = query.since.is_some() && dialect == Dialect::Sqlite;
    sql.push(if by_time {
        " ORDER BY +c.sequence DESC"
    } else {
        " ORDER BY c.sequence DESC"
    });
    sql.push(" LIMIT ").bind(limit);
    sql
}

/// Selects versions of one resource from `resource` (`r.`) or `resource_version` (`v.`). Pages
/// are counted by version, which orders one resource as its place in the feed does.
fn push_instance_part(
    sql: &mut Sql,
    query: &HistoryQuery,
    key: &ResourceKey,
    from: &str,
    join: &str,
) {
    sql.push("SELECT r.row_key, r.resource_type, r.id");
    for column in ["version", "last_updated", "kind", "text", "version"] {
        sql.push(", ").push(from).push(column);
    }
    sql.push(" FROM resource r").push(join);
    sql.push(" WHERE r.resource_type = ")
        .bind(key.resource_type.as_str());
    sql.push(" AND r.id = ").bind(key.id.as_str());
    if let Some(before) = query.before {
        sql.push(" AND ").push(from).push("version < ").bind(before);
    }
    if let Some(since) = query.since {
        sql.push(" AND ")
            .push(from)
            .push("last_updated >= ")
            .bind(since.timestamp_micros());
    }
    push_during(sql, query, from, "last_updated");
}

/// Adds the condition of `_at` on versions in a table, beside `resource r`: written within the
/// period, or in force at its start, which ends when the next version is written.
fn push_during(sql: &mut Sql, query: &HistoryQuery, from: &str, written: &str) {
    let Some((low, high)) = query.during else {
        return;
    };
    sql.push(" AND ")
        .push(from)
        .push(written)
        .push(" < ")
        .bind(high);
    sql.push(" AND (")
        .push(from)
        .push(written)
        .push(" >= ")
        .bind(low);
    sql.push(" OR (").push(from).push("kind <> ");
    sql.bind(ChangeKind::Delete.code())
        .push(" AND coalesce(CASE");
    sql.push(" WHEN r.version = ")
        .push(from)
        .push("version THEN NULL");
    sql.push(" WHEN r.version = ")
        .push(from)
        .push("version + 1 THEN r.last_updated");
    sql.push(" ELSE (SELECT n.last_updated FROM resource_version n WHERE n.row_key = r.row_key");
    sql.push(" AND n.version = ")
        .push(from)
        .push("version + 1) END, ");
    sql.bind(i64::MAX).push(") > ").bind(low).push("))");
}

fn push_change_scope(sql: &mut Sql, query: &HistoryQuery) {
    sql.push(" WHERE 1 = 1");
    if let HistoryScope::Type(resource_type) = &query.scope {
        let no_index = if query.since.is_some() && sql.dialect == Dialect::Sqlite {
            "+"
        } else {
            ""
        };
        sql.push(" AND ")
            .push(no_index)
            .push("c.resource_type = ")
            .bind(resource_type.as_str());
    }
    if let Some(since) = query.since {
        sql.push(" AND c.at >= ").bind(since.timestamp_micros());
    }
}

fn history_total(dialect: Dialect, query: &HistoryQuery) -> Sql {
    let mut sql = Sql::new(dialect);
    if let HistoryScope::Instance(key) = &query.scope {
        let all = HistoryQuery {
            before: None,
            ..query.clone()
        };
        sql.push("SELECT count(*) FROM (");
        push_instance_part(&mut sql, &all, key, "r.", "");
        sql.push(" UNION ALL ");
        let join = " JOIN resource_version v ON v.row_key = r.row_key";
        push_instance_part(&mut sql, &all, key, "v.", join);
    } else {
        sql.push("SELECT count(*) FROM (SELECT 1 FROM change c");
        if query.during.is_some() {
            sql.push(" JOIN resource r ON r.row_key = c.row_key");
        }
        push_change_scope(&mut sql, query);
        push_during(&mut sql, query, "c.", "at");
    }
    sql.push(" LIMIT ")
        .bind(i64::from(VERSIONS_COUNTED_MAX) + 1)
        .push(") versions");
    sql
}

/// The changes after a place in the feed. On PostgreSQL only those of transactions before which
/// none is still running: nothing can come to stand before them any more.
pub(crate) async fn changes_after(
    connection: &mut Connection<'_>,
    sequence: i64,
    count: u32,
    epoch: i64,
) -> Result<Vec<ChangeRow>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push(
        "SELECT s.sequence, r.resource_type, r.id, s.version, s.kind, s.cause, s.at \
         FROM change s JOIN resource r ON r.row_key = s.row_key",
    );
    push_settled(&mut sql, sequence, count, epoch);
    let rows = connection.fetch(sql).await?;
    let change = |row: &Row| {
        Ok(ChangeRow {
            sequence: row.integer(0)?,
            key: key(row, 1)?,
            version: version(row, 3)?,
            kind: kind(row, 4)?,
            cause: row.text(5)?.to_owned(),
            at: instant(row.integer(6)?)?,
        })
    };
    rows.iter().map(change).collect()
}

/// The place of the newest change that is committed.
pub(crate) async fn changes_end(connection: &mut Connection<'_>) -> Result<i64, Error> {
    let sql = Sql::fixed(connection.dialect(), "SELECT max(sequence) FROM change", []);
    let row = connection.fetch_first(sql).await?;
    let end = row
        .map(|row| row.optional_integer(0))
        .transpose()?
        .flatten();
    Ok(end.unwrap_or(0))
}

/// The audit rows after a place in the trail.
pub(crate) async fn audit_after(
    connection: &mut Connection<'_>,
    sequence: i64,
    count: u32,
    epoch: i64,
) -> Result<Vec<AuditRecord>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push(
        "SELECT s.sequence, s.at, s.caller, s.interaction, s.resource_type, s.id, s.version \
         FROM audit s",
    );
    push_settled(&mut sql, sequence, count, epoch);
    let rows = connection.fetch(sql).await?;
    let record = |row: &Row| {
        Ok(AuditRecord {
            row: row.integer(0)?,
            at: instant(row.integer(1)?)?,
            caller: row.text(2)?.to_owned(),
            interaction: row.text(3)?.to_owned(),
            key: key(row, 4)?,
            version: version(row, 6)?,
        })
    };
    rows.iter().map(record).collect()
}

fn push_settled(sql: &mut Sql, after: i64, count: u32, epoch: i64) {
    sql.push(" WHERE s.sequence > ").bind(after);
    if sql.dialect == Dialect::Postgres {
        sql.push(" AND s.sequence < (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + ");
        sql.bind(epoch)
            .push(") << ")
            .push_number(SEQUENCES_PER_TRANSACTION_BITS);
    }
    sql.push(" ORDER BY s.sequence LIMIT ")
        .bind(i64::from(count));
}

const TIMER_COLUMNS: &str = "SELECT name, due, subject_type, subject_id, kind FROM timer WHERE ";

/// The timer in a row.
pub(crate) fn timer(row: &Row) -> Result<Timer, Error> {
    Ok(Timer {
        name: row.text(0)?.to_owned(),
        due: instant(row.integer(1)?)?,
        subject: key(row, 2)?,
        kind: row.text(4)?.to_owned(),
    })
}

/// Selects and locks a timer.
pub(crate) fn timer_for_update(dialect: Dialect, name: &str) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push(TIMER_COLUMNS)
        .push("name = ")
        .bind(name)
        .push(dialect.pick("", " FOR UPDATE"));
    sql
}

/// The timers due at or before an instant.
pub(crate) async fn due_timers(
    connection: &mut Connection<'_>,
    until: DateTime<Utc>,
    count: u32,
) -> Result<Vec<Timer>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push(TIMER_COLUMNS)
        .push("due <= ")
        .bind(until.timestamp_micros());
    sql.push(" ORDER BY due, name LIMIT ")
        .bind(i64::from(count));
    connection.fetch(sql).await?.iter().map(timer).collect()
}

/// When the next timer is due.
pub(crate) async fn next_timer(
    connection: &mut Connection<'_>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let sql = Sql::fixed(connection.dialect(), "SELECT min(due) FROM timer", []);
    let row = connection.fetch_first(sql).await?;
    let due = row
        .map(|row| row.optional_integer(0))
        .transpose()?
        .flatten();
    due.map(instant).transpose()
}

/// Selects and locks how far an engine is.
pub(crate) fn position_for_update(dialect: Dialect, engine: &str) -> Sql {
    let text = dialect.pick(
        "SELECT sequence FROM engine_position WHERE engine = $1",
        "SELECT sequence FROM engine_position WHERE engine = $1 FOR UPDATE",
    );
    Sql::fixed(dialect, text, [engine.into()])
}

const MESSAGE_COLUMNS: &str = "SELECT m.row_key, m.feed, m.sender, m.control_id, m.hash, m.received, m.event, m.bytes, \
     m.state, m.acknowledgement, m.reason, m.attempts, m.control_id_reused, m.lane \
     FROM adt_message m";

/// The message in a row.
pub(crate) fn message(row: &Row) -> Result<StoredMessage, Error> {
    let hash = row
        .bytes(4)?
        .try_into()
        .map_err(|_| Error::Corrupt("hash"))?;
    let state = MessageState::from_code(row.integer(8)?).ok_or(Error::Corrupt("message state"))?;
    Ok(StoredMessage {
        row: row.integer(0)?,
        message: NewMessage {
            feed: row.text(1)?.into(),
            sender: row.text(2)?.to_owned(),
            control_id: row.text(3)?.to_owned(),
            hash,
            received: instant(row.integer(5)?)?,
            event: row.text(6)?.to_owned(),
            bytes: row.bytes(7)?.to_owned(),
            lane: row.integer(13)?,
            state,
            acknowledgement: row.text(9)?.to_owned(),
            reason: row.text(10)?.to_owned(),
        },
        attempts: u32::try_from(row.integer(11)?).unwrap_or(u32::MAX),
        control_id_reused: row.integer(12)? != 0,
    })
}

/// Text of a message as a column can hold it: PostgreSQL has no NUL.
fn column_text(text: &str) -> Bind {
    if text.contains('\0') {
        text.replace('\0', " ").into()
    } else {
        text.into()
    }
}

/// Selects an earlier message with the same content, or else one with the same control id.
pub(crate) fn earlier_message(dialect: Dialect, message: &NewMessage) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push(MESSAGE_COLUMNS)
        .push(" WHERE m.feed = ")
        .bind(message.feed.clone());
    sql.push(" AND m.hash = ")
        .bind(Bind::Bytes(message.hash.to_vec()));
    if !message.control_id.is_empty() {
        sql.push(" UNION ALL SELECT * FROM (");
        sql.push(MESSAGE_COLUMNS)
            .push(" WHERE m.feed = ")
            .bind(message.feed.clone());
        sql.push(" AND m.sender = ")
            .bind(column_text(&message.sender));
        sql.push(" AND m.control_id = ")
            .bind(column_text(&message.control_id));
        sql.push(" LIMIT 1) reused");
    }
    sql
}

/// Inserts a message that a process has to see to.
pub(crate) fn insert_message(dialect: Dialect, stored: &StoredMessage, process: i64) -> Sql {
    let message = &stored.message;
    let mut sql = Sql::new(dialect);
    sql.push(
        "INSERT INTO adt_message (row_key, feed, sender, control_id, hash, received, event, \
         bytes, state, acknowledgement, reason, attempts, control_id_reused, process, lane) \
         VALUES ",
    );
    sql.bind_list([
        Bind::Integer(stored.row),
        message.feed.clone().into(),
        column_text(&message.sender),
        column_text(&message.control_id),
        Bind::Bytes(message.hash.to_vec()),
        message.received.timestamp_micros().into(),
        column_text(&message.event),
        Bind::Bytes(message.bytes.clone()),
        message.state.code().into(),
        message.acknowledgement.as_str().into(),
        column_text(&message.reason),
        i64::from(stored.attempts).into(),
        i64::from(stored.control_id_reused).into(),
        process.into(),
        message.lane.into(),
    ]);
    sql
}

/// Selects and locks a message.
pub(crate) fn message_for_update(dialect: Dialect, row: i64) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push(MESSAGE_COLUMNS)
        .push(" WHERE m.row_key = ")
        .bind(row);
    sql.push(dialect.pick("", " FOR UPDATE"));
    sql
}

/// Selects the messages of a visit in order of arrival.
pub(crate) fn visit_messages(dialect: Dialect, visit: &str) -> Sql {
    let mut sql = Sql::new(dialect);
    sql.push(MESSAGE_COLUMNS);
    sql.push(" JOIN adt_visit_message s ON s.row_key = m.row_key WHERE s.visit = ")
        .bind(visit);
    sql.push(" ORDER BY s.row_key");
    sql
}

/// Messages of the inbox in order of arrival.
pub(crate) async fn messages(
    connection: &mut Connection<'_>,
    query: &MessageQuery,
) -> Result<Vec<StoredMessage>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push(MESSAGE_COLUMNS)
        .push(" WHERE m.row_key > ")
        .bind(query.after.unwrap_or(i64::MIN));
    if let Some(state) = query.state {
        sql.push(" AND m.state = ").bind(state.code());
    }
    if let Some(feed) = &query.feed {
        sql.push(" AND m.feed = ").bind(feed.as_str());
    }
    sql.push(" ORDER BY m.row_key LIMIT ")
        .bind(i64::from(query.count));
    connection.fetch(sql).await?.iter().map(message).collect()
}

/// Messages of a process that wait and were received at or before an instant: rows and lanes, in
/// order of arrival.
pub(crate) async fn waiting_messages(
    connection: &mut Connection<'_>,
    process: i64,
    until: DateTime<Utc>,
    after: Option<i64>,
    count: u32,
) -> Result<Vec<(i64, i64)>, Error> {
    let mut sql = Sql::new(connection.dialect());
    sql.push("SELECT row_key, lane FROM adt_message WHERE state IN (0, 4) AND process = ")
        .bind(process);
    sql.push(" AND received <= ").bind(until.timestamp_micros());
    sql.push(" AND row_key > ").bind(after.unwrap_or(i64::MIN));
    sql.push(" ORDER BY row_key LIMIT ").bind(i64::from(count));
    let rows = connection.fetch(sql).await?;
    let waiting = rows.iter();
    waiting
        .map(|row| Ok((row.integer(0)?, row.integer(1)?)))
        .collect()
}

/// A job, as it is asked for.
pub(crate) async fn job(connection: &mut Connection<'_>, id: &str) -> Result<Option<Job>, Error> {
    let text = "SELECT state, progress, status, result, expires FROM job WHERE id = $1";
    let sql = Sql::fixed(connection.dialect(), text, [id.into()]);
    let Some(row) = connection.fetch_first(sql).await? else {
        return Ok(None);
    };
    Ok(Some(Job {
        state: JobState::from_code(row.integer(0)?).ok_or(Error::Corrupt("job state"))?,
        progress: row.text(1)?.to_owned(),
        status: u16::try_from(row.integer(2)?).map_err(|_| Error::Corrupt("job status"))?,
        result: row.optional_text(3)?.map(str::to_owned),
        expires: row.optional_integer(4)?.map(instant).transpose()?,
    }))
}

/// What the steps of a job have made.
pub(crate) async fn job_steps(
    connection: &mut Connection<'_>,
    job: i64,
) -> Result<Vec<JobStep>, Error> {
    let text = "SELECT step, resource_type, id, version FROM job_step WHERE job = $1 \
                ORDER BY step, place";
    let rows = connection
        .fetch(Sql::fixed(connection.dialect(), text, [job.into()]))
        .await?;
    let step = |row: &Row| {
        Ok(JobStep {
            step: u32::try_from(row.integer(0)?).map_err(|_| Error::Corrupt("job step"))?,
            key: key(row, 1)?,
            version: version(row, 3)?,
        })
    };
    rows.iter().map(step).collect()
}

/// How many messages each feed has in each state.
pub(crate) async fn message_counts(
    connection: &mut Connection<'_>,
) -> Result<Vec<(String, MessageState, u64)>, Error> {
    let text = "SELECT feed, state, count(*) FROM adt_message GROUP BY state, feed \
                ORDER BY feed, state";
    let rows = connection
        .fetch(Sql::fixed(connection.dialect(), text, []))
        .await?;
    let count = |row: &Row| {
        let state = MessageState::from_code(row.integer(1)?);
        let state = state.ok_or(Error::Corrupt("message state"))?;
        let count = u64::try_from(row.integer(2)?).unwrap_or_default();
        Ok((row.text(0)?.to_owned(), state, count))
    };
    rows.iter().map(count).collect()
}
