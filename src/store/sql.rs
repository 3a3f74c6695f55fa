//! One way to ask both databases: a statement with its bound values, a connection, a row.
//!
//! Both speak `$1` for a bound value, so most statements are written once; where the two differ,
//! the statement asks [`Dialect`]. Values are always bound, never printed into the text.

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, PgConnection, Row as _, SqliteConnection};

use crate::store::Error;

/// The SQL that a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL, and engines that speak its protocol.
    Postgres,
}

impl Dialect {
    /// Whichever of the two texts is in this dialect.
    pub(crate) fn pick<T>(self, sqlite: T, postgres: T) -> T {
        match self {
            Self::Sqlite => sqlite,
            Self::Postgres => postgres,
        }
    }
}

/// A bound value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bind {
    /// An integer: keys, versions, microseconds, hashes.
    Integer(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// A text that others hold as well.
    Shared(Arc<str>),
    /// No text.
    NoText,
    /// Bytes.
    Bytes(Vec<u8>),
    /// No bytes.
    NoBytes,
    /// A list of integers: a JSON array on SQLite, an array on PostgreSQL.
    Integers(Vec<i64>),
    /// A column of numbers; PostgreSQL only.
    Reals(Vec<f64>),
    /// A column of texts; PostgreSQL only.
    Texts(Vec<Option<Arc<str>>>),
    /// A column of bytes; PostgreSQL only.
    Blobs(Vec<Option<Vec<u8>>>),
}

impl From<i64> for Bind {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Bind {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Bind {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Bind {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Arc<str>> for Bind {
    fn from(value: Arc<str>) -> Self {
        Self::Shared(value)
    }
}

impl From<Option<Arc<str>>> for Bind {
    fn from(value: Option<Arc<str>>) -> Self {
        value.map_or(Self::NoText, Self::Shared)
    }
}

/// A statement under construction.
#[derive(Debug, Clone)]
pub(crate) struct Sql {
    pub(crate) dialect: Dialect,
    text: String,
    binds: Vec<Bind>,
}

impl Sql {
    /// An empty statement.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            text: String::new(),
            binds: Vec::new(),
        }
    }

    /// A statement whose text stands in the source, with `$1`, `$2`, … for `binds`.
    pub(crate) fn fixed<const N: usize>(dialect: Dialect, text: &str, binds: [Bind; N]) -> Self {
        Self {
            dialect,
            text: text.to_owned(),
            binds: binds.into(),
        }
    }

    /// Adds text of the source.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a number that the source or a hash made: never input.
    pub(crate) fn push_number(&mut self, number: impl Into<i64>) -> &mut Self {
        let _ = write!(self.text, "{}", number.into());
        self
    }

    /// Adds a bound value.
    pub(crate) fn bind(&mut self, value: impl Into<Bind>) -> &mut Self {
        self.binds.push(value.into());
        let _ = write!(self.text, "${}", self.binds.len());
        self
    }

    /// Adds `( $n , … )`.
    pub(crate) fn bind_list(
        &mut self,
        values: impl IntoIterator<Item = impl Into<Bind>>,
    ) -> &mut Self {
        self.push("(");
        for (place, value) in values.into_iter().enumerate() {
            if place > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self.push(")")
    }

    /// Adds a list of keys to be used after `IN`.
    pub(crate) fn bind_keys(&mut self, keys: Vec<i64>) -> &mut Self {
        let (before, after) = self.dialect.pick(
            ("(SELECT value FROM json_each(", "))"),
            ("(SELECT unnest(", "::bigint[]))"),
        );
        self.push(before).bind(Bind::Integers(keys)).push(after)
    }

    /// Adds a list of logical ids, which need no escaping, to be used after `IN`.
    pub(crate) fn bind_ids<'i>(&mut self, ids: impl Iterator<Item = &'i str>) -> &mut Self {
        if self.dialect == Dialect::Sqlite {
            let quoted: Vec<String> = ids.map(|id| format!("\"{id}\"")).collect();
            self.push("(SELECT value FROM json_each(");
            self.bind(format!("[{}]", quoted.join(","))).push("))")
        } else {
            let ids = Bind::Texts(ids.map(|id| Some(id.into())).collect());
            self.push("(SELECT unnest(").bind(ids).push("::text[]))")
        }
    }

    /// The same behind a text of the source, which binds nothing.
    pub(crate) fn after(mut self, text: &str) -> Self {
        self.text.insert_str(0, text);
        self
    }

    /// Whether there is nothing to run.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The statement that tells how this one would be run.
    #[cfg(test)]
    pub(crate) fn explained(mut self) -> Self {
        self.text.insert_str(0, "EXPLAIN QUERY PLAN ");
        self
    }
}

/// A connection of either engine.
#[derive(Debug)]
pub(crate) enum Connection<'c> {
    /// To SQLite.
    Sqlite(&'c mut SqliteConnection),
    /// To PostgreSQL.
    Postgres(&'c mut PgConnection),
}

impl Connection<'_> {
    /// What it speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The rows that a statement gives.
    pub(crate) async fn fetch(&mut self, sql: Sql) -> Result<Vec<Row>, Error> {
        let Sql { text, binds, .. } = sql;
        match self {
            Self::Sqlite(connection) => {
                let query = sqlx::query_with(AssertSqlSafe(text), sqlite_arguments(binds)?);
                let rows = query
                    .fetch_all(&mut **connection)
                    .await
                    .map_err(Error::database)?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with(AssertSqlSafe(text), postgres_arguments(binds)?);
                let rows = query
                    .fetch_all(&mut **connection)
                    .await
                    .map_err(Error::database)?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row that a statement gives.
    pub(crate) async fn fetch_first(&mut self, sql: Sql) -> Result<Option<Row>, Error> {
        Ok(self.fetch(sql).await?.into_iter().next())
    }

    /// Runs a statement for its effect.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<(), Error> {
        let Sql { text, binds, .. } = sql;
        match self {
            Self::Sqlite(connection) => {
                let query = sqlx::query_with(AssertSqlSafe(text), sqlite_arguments(binds)?);
                query
                    .execute(&mut **connection)
                    .await
                    .map_err(Error::database)?;
            }
            Self::Postgres(connection) => {
                let query = sqlx::query_with(AssertSqlSafe(text), postgres_arguments(binds)?);
                query
                    .execute(&mut **connection)
                    .await
                    .map_err(Error::database)?;
            }
        }
        Ok(())
    }
}

fn encoding(error: BoxDynError) -> Error {
    Error::database(sqlx::Error::Encode(error))
}

fn sqlite_arguments(binds: Vec<Bind>) -> Result<SqliteArguments, Error> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(binds.len(), 0);
    for bind in binds {
        match bind {
            Bind::Integer(value) => arguments.add(value),
            Bind::Real(value) => arguments.add(value),
            Bind::Text(value) => arguments.add(value),
            Bind::Shared(value) => arguments.add(value),
            Bind::NoText => arguments.add(None::<String>),
            Bind::Bytes(value) => arguments.add(value),
            Bind::NoBytes => arguments.add(None::<Vec<u8>>),
            Bind::Integers(values) => arguments.add(json_array(&values)),
            Bind::Reals(_) | Bind::Texts(_) | Bind::Blobs(_) => {
                Err("columns are for PostgreSQL".into())
            }
        }
        .map_err(encoding)?;
    }
    Ok(arguments)
}

fn postgres_arguments(binds: Vec<Bind>) -> Result<PgArguments, Error> {
    let mut arguments = PgArguments::default();
    arguments.reserve(binds.len(), 0);
    for bind in binds {
        match bind {
            Bind::Integer(value) => arguments.add(value),
            Bind::Real(value) => arguments.add(value),
            Bind::Text(value) => arguments.add(value),
            Bind::Shared(value) => arguments.add(value),
            Bind::NoText => arguments.add(None::<String>),
            Bind::Bytes(value) => arguments.add(value),
            Bind::NoBytes => arguments.add(None::<Vec<u8>>),
            Bind::Integers(values) => arguments.add(values),
            Bind::Reals(values) => arguments.add(values),
            Bind::Blobs(values) => arguments.add(values),
            Bind::Texts(values) => arguments.add(
                values
                    .iter()
                    .map(Option::as_deref)
                    .collect::<Vec<Option<&str>>>(),
            ),
        }
        .map_err(encoding)?;
    }
    Ok(arguments)
}

fn json_array(values: &[i64]) -> String {
    let mut text = String::with_capacity(values.len() * 20 + 2);
    text.push('[');
    for (place, value) in values.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        let _ = write!(text, "{comma}{value}");
    }
    text.push(']');
    text
}

/// A row of either engine; columns are counted from 0.
#[derive(Debug)]
pub(crate) enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

macro_rules! column {
    ($row:expr, $column:expr, $type:ty) => {
        match $row {
            Row::Sqlite(row) => row.try_get_unchecked::<$type, _>($column),
            Row::Postgres(row) => row.try_get_unchecked::<$type, _>($column),
        }
        .map_err(Error::database)
    };
}

impl Row {
    /// An integer.
    pub(crate) fn integer(&self, column: usize) -> Result<i64, Error> {
        column!(self, column, i64)
    }

    /// An integer that may be missing.
    pub(crate) fn optional_integer(&self, column: usize) -> Result<Option<i64>, Error> {
        column!(self, column, Option<i64>)
    }

    /// A number that may be missing.
    pub(crate) fn optional_real(&self, column: usize) -> Result<Option<f64>, Error> {
        column!(self, column, Option<f64>)
    }

    /// A text.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Error> {
        column!(self, column, &str)
    }

    /// A text that may be missing.
    pub(crate) fn optional_text(&self, column: usize) -> Result<Option<&str>, Error> {
        column!(self, column, Option<&str>)
    }

    /// Bytes.
    pub(crate) fn bytes(&self, column: usize) -> Result<&[u8], Error> {
        column!(self, column, &[u8])
    }

    /// Bytes that may be missing.
    pub(crate) fn optional_bytes(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        column!(self, column, Option<&[u8]>)
    }
}
