//! Many rows of many tables, written in few statements.
//!
//! SQLite gets rows as JSON, so that the prepared statements stay the same whatever their number,
//! and all statements at once, because handing each to the driver's thread costs more than most of
//! them do. Rows with real numbers go as `VALUES`: JSON would round them. PostgreSQL gets columns as
//! arrays, and everything in one statement.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fhir_model::tree::push_json_string;

use crate::store::sql::{Bind, Connection, Dialect, Sql};
use crate::store::{Error, SEQUENCES_PER_TRANSACTION_BITS};

/// The tables that rows are written to in batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// `resource`: inserted. A key that another row has is an error, never that row's end.
    NewResource,
    /// `resource`: the new version put in place of the old.
    Resource,
    /// `resource_version`.
    ResourceVersion,
    /// `search_token`.
    Token,
    /// `search_string`.
    String,
    /// `search_date`.
    Date,
    /// `search_reference`.
    Reference,
    /// `search_quantity`.
    Quantity,
    /// `search_number`.
    Number,
    /// `search_uri`.
    Uri,
    /// `compartment`.
    Compartment,
    /// `change`.
    Change,
    /// `audit`.
    Audit,
    /// `timer`: set, or moved.
    Timer,
    /// `adt_visit_message`.
    VisitMessage,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// An integer.
    Integer,
    /// A number.
    Real,
    /// A text.
    Text,
    /// A JSON document.
    Json,
    /// Bytes; on SQLite they travel as hexadecimal digits.
    Bytes,
    /// A place in an ordered feed; on PostgreSQL the bound value counts within the transaction.
    Sequence,
}

struct Layout {
    name: &'static str,
    columns: &'static [(&'static str, Column)],
    conflict: &'static str,
}

impl Layout {
    fn has_reals(&self) -> bool {
        self.columns
            .iter()
            .any(|(_, column)| *column == Column::Real)
    }
}

impl Table {
    /// The tables that say what resources are found by; each has a `row_key`.
    pub(crate) const SEARCH: [Self; 8] = [
        Self::Token,
        Self::String,
        Self::Date,
        Self::Reference,
        Self::Quantity,
        Self::Number,
        Self::Uri,
        Self::Compartment,
    ];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        self.layout().name
    }

    /// Its columns, in the order in which rows have their values.
    pub(crate) fn columns(self) -> &'static [(&'static str, Column)] {
        self.layout().columns
    }

    fn layout(self) -> &'static Layout {
        match self {
            Self::NewResource => &NEW_RESOURCE,
            Self::Resource => &RESOURCE,
            Self::ResourceVersion => &RESOURCE_VERSION,
            Self::Token => &TOKEN,
            Self::String => &STRING,
            Self::Date => &DATE,
            Self::Reference => &REFERENCE,
            Self::Quantity => &QUANTITY,
            Self::Number => &NUMBER,
            Self::Uri => &URI,
            Self::Compartment => &COMPARTMENT,
            Self::Change => &CHANGE,
            Self::Audit => &AUDIT,
            Self::Timer => &TIMER,
            Self::VisitMessage => &VISIT_MESSAGE,
        }
    }
}

const RESOURCE_COLUMNS: &[(&str, Column)] = &[
    ("row_key", Column::Integer),
    ("resource_type", Column::Text),
    ("id", Column::Text),
    ("version", Column::Integer),
    ("last_updated", Column::Integer),
    ("kind", Column::Integer),
    ("sequence", Column::Sequence),
    ("entries", Column::Json),
    ("text", Column::Bytes),
];

static NEW_RESOURCE: Layout = Layout {
    name: "resource",
    columns: RESOURCE_COLUMNS,
    conflict: "",
};

static RESOURCE: Layout = Layout {
    name: "resource",
    columns: RESOURCE_COLUMNS,
    conflict: " ON CONFLICT (row_key) DO UPDATE SET version = excluded.version, \
        last_updated = excluded.last_updated, kind = excluded.kind, \
        sequence = excluded.sequence, entries = excluded.entries, text = excluded.text",
};

static RESOURCE_VERSION: Layout = Layout {
    name: "resource_version",
    columns: &[
        ("sequence", Column::Sequence),
        ("row_key", Column::Integer),
        ("version", Column::Integer),
        ("last_updated", Column::Integer),
        ("kind", Column::Integer),
        ("text", Column::Bytes),
    ],
    conflict: "",
};

static TOKEN: Layout = Layout {
    name: "search_token",
    columns: &[
        ("parameter", Column::Integer),
        ("code", Column::Text),
        ("system", Column::Integer),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static STRING: Layout = Layout {
    name: "search_string",
    columns: &[
        ("parameter", Column::Integer),
        ("normalised", Column::Text),
        ("exact", Column::Text),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static DATE: Layout = Layout {
    name: "search_date",
    columns: &[
        ("parameter", Column::Integer),
        ("low", Column::Integer),
        ("high", Column::Integer),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static REFERENCE: Layout = Layout {
    name: "search_reference",
    columns: &[
        ("parameter", Column::Integer),
        ("target_id", Column::Text),
        ("target_type", Column::Text),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static QUANTITY: Layout = Layout {
    name: "search_quantity",
    columns: &[
        ("parameter", Column::Integer),
        ("low", Column::Real),
        ("high", Column::Real),
        ("system", Column::Integer),
        ("code", Column::Text),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static NUMBER: Layout = Layout {
    name: "search_number",
    columns: &[
        ("parameter", Column::Integer),
        ("low", Column::Real),
        ("high", Column::Real),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static URI: Layout = Layout {
    name: "search_uri",
    columns: &[
        ("parameter", Column::Integer),
        ("uri", Column::Text),
        ("row_key", Column::Integer),
    ],
    conflict: "",
};

static COMPARTMENT: Layout = Layout {
    name: "compartment",
    columns: &[("patient", Column::Text), ("row_key", Column::Integer)],
    conflict: "",
};

static CHANGE: Layout = Layout {
    name: "change",
    columns: &[
        ("sequence", Column::Sequence),
        ("row_key", Column::Integer),
        ("resource_type", Column::Text),
        ("version", Column::Integer),
        ("kind", Column::Integer),
        ("at", Column::Integer),
        ("cause", Column::Text),
    ],
    conflict: "",
};

static AUDIT: Layout = Layout {
    name: "audit",
    columns: &[
        ("sequence", Column::Sequence),
        ("at", Column::Integer),
        ("caller", Column::Text),
        ("interaction", Column::Text),
        ("resource_type", Column::Text),
        ("id", Column::Text),
        ("version", Column::Integer),
    ],
    conflict: "",
};

static TIMER: Layout = Layout {
    name: "timer",
    columns: &[
        ("name", Column::Text),
        ("due", Column::Integer),
        ("subject_type", Column::Text),
        ("subject_id", Column::Text),
        ("kind", Column::Text),
    ],
    conflict: " ON CONFLICT (name) DO UPDATE SET due = excluded.due, \
        subject_type = excluded.subject_type, subject_id = excluded.subject_id, \
        kind = excluded.kind",
};

static VISIT_MESSAGE: Layout = Layout {
    name: "adt_visit_message",
    columns: &[("visit", Column::Text), ("row_key", Column::Integer)],
    conflict: " ON CONFLICT DO NOTHING",
};

/// How messages of the inbox stand, with the attempts to add.
static MESSAGE_STATE: Layout = Layout {
    name: "adt_message",
    columns: &[
        ("row_key", Column::Integer),
        ("state", Column::Integer),
        ("attempts", Column::Integer),
        ("reason", Column::Text),
    ],
    conflict: "",
};

const SET_MESSAGE_STATE: &str = "UPDATE adt_message SET state = u.state, \
     attempts = adt_message.attempts + u.attempts, reason = u.reason FROM ";

/// Rows to write, each a list of values in the order of the table's columns.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// Resources whose current version moves to `resource_version` first.
    pub(crate) superseded: Vec<i64>,
    /// Timers taken back, by name.
    pub(crate) timers_cancelled: Vec<String>,
    /// States of messages: row key, state, attempts to add, reason.
    pub(crate) message_states: Vec<Vec<Bind>>,
    deletes: BTreeMap<Table, Vec<Vec<Bind>>>,
    inserts: BTreeMap<Table, Vec<Vec<Bind>>>,
}

/// Rows with real numbers that one SQLite statement writes; what is left over goes in the next
/// smaller size.
const STATEMENT_ROWS: [usize; 4] = [128, 32, 8, 1];

/// Bytes of rows that one SQLite statement takes, and a row more.
const JSON_BYTES_MAX: usize = 1 << 20;

const MOVE_SUPERSEDED: &str = "INSERT INTO resource_version \
     (sequence, row_key, version, last_updated, kind, text) \
     SELECT sequence, row_key, version, last_updated, kind, text FROM resource WHERE row_key IN ";

impl Batches {
    /// Writes a row.
    pub(crate) fn insert(&mut self, table: Table, row: Vec<Bind>) {
        self.inserts.entry(table).or_default().push(row);
    }

    /// Deletes the row that has all these values.
    pub(crate) fn delete(&mut self, table: Table, row: Vec<Bind>) {
        self.deletes.entry(table).or_default().push(row);
    }

    /// The rows to insert into a table.
    pub(crate) fn take_inserts(&mut self, table: Table) -> Vec<Vec<Bind>> {
        self.inserts.remove(&table).unwrap_or_default()
    }

    /// Sends everything. True when a resource was changed by a transaction that began later: then
    /// the feed would tell its versions in the wrong order, and the work has to run again.
    /// SQLite gets it behind a text of statements that bind nothing.
    pub(crate) async fn send(
        self,
        connection: &mut Connection<'_>,
        epoch: i64,
        before: &str,
    ) -> Result<bool, Error> {
        match connection.dialect() {
            Dialect::Sqlite => self.send_sqlite(connection, before).await.map(|()| false),
            Dialect::Postgres => match self.postgres(epoch) {
                Some(sql) => match connection.fetch_first(sql).await? {
                    Some(row) => Ok(row.integer(0)? > 0),
                    None => Ok(false),
                },
                None => Ok(false),
            },
        }
    }

    /// Everything in one text of several statements, but for tables with real numbers.
    async fn send_sqlite(self, connection: &mut Connection<'_>, before: &str) -> Result<(), Error> {
        let mut sql = Sql::new(Dialect::Sqlite);
        sql.push(before);
        let mut by_value = Vec::new();
        if !self.superseded.is_empty() {
            sql.push(MOVE_SUPERSEDED)
                .bind_keys(self.superseded)
                .push(";");
        }
        if !self.timers_cancelled.is_empty() {
            let names = self
                .timers_cancelled
                .into_iter()
                .map(|name| vec![name.into()]);
            for json in json_arrays(names) {
                sql.push("DELETE FROM timer WHERE name IN (SELECT value ->> 0 FROM json_each(");
                sql.bind(json).push("));");
            }
        }
        for json in json_arrays(self.message_states) {
            sql.push(SET_MESSAGE_STATE).push("(SELECT ");
            push_json_columns(&mut sql, &MESSAGE_STATE);
            sql.push(" FROM json_each(").bind(json);
            sql.push(")) u WHERE adt_message.row_key = u.row_key;");
        }
        for (table, rows) in self.deletes {
            let layout = table.layout();
            if layout.has_reals() {
                by_value.extend(in_statements(rows).map(|rows| sqlite_delete(layout, rows)));
                continue;
            }
            for json in json_arrays(rows) {
                sql.push("DELETE FROM ").push(layout.name).push(" WHERE ");
                push_names(&mut sql, layout, "");
                sql.push(" IN (");
                push_json_rows(&mut sql, layout, json);
                sql.push(");");
            }
        }
        for (table, rows) in self.inserts {
            let layout = table.layout();
            if layout.has_reals() {
                by_value.extend(in_statements(rows).map(|rows| sqlite_insert(layout, rows)));
                continue;
            }
            for json in json_arrays(rows) {
                sql.push("INSERT INTO ").push(layout.name).push(" ");
                push_names(&mut sql, layout, "");
                sql.push(" ");
                push_json_rows(&mut sql, layout, json);
                // Without a condition the parser takes ON CONFLICT for that of a join.
                sql.push(" WHERE true").push(layout.conflict).push(";");
            }
        }
        if !sql.is_empty() {
            connection.execute(sql).await?;
        }
        for statement in by_value {
            connection.execute(statement).await?;
        }
        Ok(())
    }

    /// All of it as one statement: a chain of `WITH` parts, each of which sees the tables as they
    /// were before.
    fn postgres(self, epoch: i64) -> Option<Sql> {
        let mut sql = Sql::new(Dialect::Postgres);
        let mut parts = 0;
        let mut part = |sql: &mut Sql| {
            sql.push(if parts == 0 { "WITH p" } else { "), p" });
            sql.push_number(parts).push(" AS (");
            parts += 1;
        };
        let superseded = self.superseded;
        if !superseded.is_empty() {
            part(&mut sql);
            sql.push(MOVE_SUPERSEDED).bind_keys(superseded.clone());
        }
        if !self.timers_cancelled.is_empty() {
            part(&mut sql);
            let names = self
                .timers_cancelled
                .into_iter()
                .map(|name| Some(name.into()))
                .collect();
            sql.push("DELETE FROM timer WHERE name = ANY(")
                .bind(Bind::Texts(names))
                .push(")");
        }
        if !self.message_states.is_empty() {
            part(&mut sql);
            sql.push(SET_MESSAGE_STATE).push("(SELECT *");
            push_unnest(&mut sql, &MESSAGE_STATE, self.message_states);
            sql.push(") u WHERE adt_message.row_key = u.row_key");
        }
        for (table, rows) in self.deletes {
            part(&mut sql);
            postgres_delete(&mut sql, table.layout(), rows);
        }
        for (table, rows) in self.inserts {
            part(&mut sql);
            postgres_insert(&mut sql, table.layout(), rows, epoch);
        }
        if parts == 0 {
            return None;
        }
        sql.push(") SELECT count(*) FROM resource WHERE row_key IN ")
            .bind_keys(superseded);
        sql.push(" AND sequence >> ")
            .push_number(SEQUENCES_PER_TRANSACTION_BITS);
        sql.push(" > pg_current_xact_id()::text::bigint + ")
            .bind(epoch);
        Some(sql)
    }
}

/// Rows as JSON arrays of arrays, none much longer than [`JSON_BYTES_MAX`].
fn json_arrays(rows: impl IntoIterator<Item = Vec<Bind>>) -> Vec<String> {
    let mut arrays = Vec::new();
    let mut json = String::new();
    for row in rows {
        json.push(if json.is_empty() { '[' } else { ',' });
        for (place, value) in row.iter().enumerate() {
            json.push(if place == 0 { '[' } else { ',' });
            push_json(&mut json, value);
        }
        json.push(']');
        if json.len() >= JSON_BYTES_MAX {
            json.push(']');
            arrays.push(std::mem::take(&mut json));
        }
    }
    if !json.is_empty() {
        json.push(']');
        arrays.push(json);
    }
    arrays
}

fn push_json(json: &mut String, value: &Bind) {
    match value {
        Bind::Integer(value) => {
            let _ = write!(json, "{value}"); // a String takes everything
        }
        Bind::Text(text) => push_json_string(json, text),
        Bind::Shared(text) => push_json_string(json, text),
        Bind::Bytes(bytes) => push_json_hex(json, bytes),
        _ => json.push_str("null"),
    }
}

fn push_json_hex(json: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| {
        DIGITS
            .get(usize::from(half))
            .map_or('0', |it| char::from(*it))
    };
    json.reserve(bytes.len() * 2 + 2);
    json.push('"');
    for byte in bytes {
        json.push(digit(byte >> 4));
        json.push(digit(byte & 0xf));
    }
    json.push('"');
}

/// Adds a `SELECT` of the rows of a JSON array.
fn push_json_rows(sql: &mut Sql, layout: &Layout, json: String) {
    sql.push("SELECT ");
    push_json_columns(sql, layout);
    sql.push(" FROM json_each(").bind(json).push(")");
}

/// Adds the columns of a row that is a JSON array.
fn push_json_columns(sql: &mut Sql, layout: &Layout) {
    for (place, (name, column)) in layout.columns.iter().enumerate() {
        let (before, after) = match column {
            Column::Bytes => ("unhex(value ->> ", ")"),
            _ => ("value ->> ", ""),
        };
        sql.push(if place == 0 { "" } else { ", " }).push(before);
        sql.push_number(i64::try_from(place).unwrap_or_default());
        sql.push(after).push(" AS ").push(name);
    }
}

/// Splits rows into statements of the sizes of [`STATEMENT_ROWS`].
fn in_statements(mut rows: Vec<Vec<Bind>>) -> impl Iterator<Item = Vec<Vec<Bind>>> {
    let mut statements = Vec::new();
    for size in STATEMENT_ROWS {
        while rows.len() >= size {
            let rest = rows.split_off(size);
            statements.push(std::mem::replace(&mut rows, rest));
        }
    }
    statements.into_iter()
}

fn sqlite_insert(layout: &Layout, rows: Vec<Vec<Bind>>) -> Sql {
    let mut sql = Sql::new(Dialect::Sqlite);
    sql.push("INSERT INTO ").push(layout.name).push(" ");
    push_names(&mut sql, layout, "");
    push_values(&mut sql, rows);
    sql.push(layout.conflict);
    sql
}

fn sqlite_delete(layout: &Layout, rows: Vec<Vec<Bind>>) -> Sql {
    let mut sql = Sql::new(Dialect::Sqlite);
    sql.push("DELETE FROM ").push(layout.name).push(" WHERE ");
    push_names(&mut sql, layout, "");
    sql.push(" IN (");
    push_values(&mut sql, rows);
    sql.push(")");
    sql
}

fn push_names(sql: &mut Sql, layout: &Layout, prefix: &str) {
    for (place, (name, _)) in layout.columns.iter().enumerate() {
        sql.push(if place == 0 { "(" } else { ", " })
            .push(prefix)
            .push(name);
    }
    sql.push(")");
}

fn push_values(sql: &mut Sql, rows: Vec<Vec<Bind>>) {
    for (place, row) in rows.into_iter().enumerate() {
        sql.push(if place == 0 { " VALUES " } else { ", " });
        sql.bind_list(row);
    }
}

fn postgres_insert(sql: &mut Sql, layout: &Layout, rows: Vec<Vec<Bind>>, epoch: i64) {
    sql.push("INSERT INTO ").push(layout.name).push(" ");
    push_names(sql, layout, "");
    for (place, (name, column)) in layout.columns.iter().enumerate() {
        sql.push(if place == 0 { " SELECT " } else { ", " });
        sql.push("u.").push(name);
        match column {
            Column::Json => {
                sql.push("::jsonb");
            }
            Column::Sequence => {
                sql.push(" + ((pg_current_xact_id()::text::bigint + ")
                    .bind(epoch)
                    .push(") << ");
                sql.push_number(SEQUENCES_PER_TRANSACTION_BITS).push(")");
            }
            Column::Integer | Column::Real | Column::Text | Column::Bytes => {}
        }
    }
    push_unnest(sql, layout, rows);
    sql.push(layout.conflict);
}

fn postgres_delete(sql: &mut Sql, layout: &Layout, rows: Vec<Vec<Bind>>) {
    sql.push("DELETE FROM ")
        .push(layout.name)
        .push(" t USING (SELECT *");
    push_unnest(sql, layout, rows);
    sql.push(") u WHERE ");
    for (place, (name, _)) in layout.columns.iter().enumerate() {
        sql.push(if place == 0 { "t." } else { " AND t." });
        sql.push(name).push(" = u.").push(name);
    }
}

/// Adds ` FROM unnest(columns…) u (names…)`.
fn push_unnest(sql: &mut Sql, layout: &Layout, rows: Vec<Vec<Bind>>) {
    let mut columns: Vec<Vec<Bind>> = layout
        .columns
        .iter()
        .map(|_| Vec::with_capacity(rows.len()))
        .collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    sql.push(" FROM unnest(");
    for (place, ((_, column), values)) in layout.columns.iter().zip(columns).enumerate() {
        if place > 0 {
            sql.push(", ");
        }
        match column {
            Column::Integer | Column::Sequence => {
                sql.bind(Bind::Integers(
                    values.into_iter().map(|value| as_integer(&value)).collect(),
                ));
                sql.push("::bigint[]");
            }
            Column::Real => {
                sql.bind(Bind::Reals(
                    values.into_iter().map(|value| as_real(&value)).collect(),
                ));
                sql.push("::float8[]");
            }
            Column::Bytes => {
                sql.bind(Bind::Blobs(values.into_iter().map(as_bytes).collect()));
                sql.push("::bytea[]");
            }
            Column::Text | Column::Json => {
                sql.bind(Bind::Texts(values.into_iter().map(as_text).collect()));
                sql.push("::text[]");
            }
        }
    }
    sql.push(") u ");
    push_names(sql, layout, "");
}

fn as_integer(bind: &Bind) -> i64 {
    if let Bind::Integer(value) = bind {
        *value
    } else {
        0
    }
}

fn as_real(bind: &Bind) -> f64 {
    if let Bind::Real(value) = bind {
        *value
    } else {
        0.0
    }
}

fn as_text(bind: Bind) -> Option<Arc<str>> {
    match bind {
        Bind::Text(value) => Some(value.into()),
        Bind::Shared(value) => Some(value),
        _ => None,
    }
}

fn as_bytes(bind: Bind) -> Option<Vec<u8>> {
    match bind {
        Bind::Bytes(value) => Some(value),
        _ => None,
    }
}
