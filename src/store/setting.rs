//! What belongs to a database, not to a process: the key that signs page tokens.
//!
//! Processes on one database agree on it, and so do a process and its successor.

use uuid::Uuid;

use crate::search::query::PageKey;
use crate::store::Error;
use crate::store::sql::{Bind, Connection, Row, Sql};

/// The row of the key that signs page tokens.
const PAGE_KEY: &str = "page-key";

/// The key that signs page tokens, where the database has one already; else one that nobody has.
pub(crate) async fn known_page_key(connection: &mut Connection<'_>) -> Result<PageKey, Error> {
    let select = Sql::fixed(connection.dialect(), SELECT, [PAGE_KEY.into()]);
    match connection.fetch_first(select).await? {
        Some(row) => of_row(&row),
        None => Ok(PageKey(random())),
    }
}

/// The key that signs page tokens; made at random by who opens the database first.
pub(crate) async fn page_key(connection: &mut Connection<'_>) -> Result<PageKey, Error> {
    const INSERT: &str = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let dialect = connection.dialect();
    let random = Bind::Bytes(random().to_vec());
    let insert = Sql::fixed(dialect, INSERT, [PAGE_KEY.into(), random]);
    connection.execute(insert).await?;
    let select = Sql::fixed(dialect, SELECT, [PAGE_KEY.into()]);
    let row = connection.fetch_first(select).await?;
    of_row(&row.ok_or(Error::Corrupt("page key"))?)
}

const SELECT: &str = "SELECT value FROM setting WHERE name = $1";

fn of_row(row: &Row) -> Result<PageKey, Error> {
    let key = row.bytes(0)?.try_into();
    key.map(PageKey).map_err(|_| Error::Corrupt("page key"))
}

fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(Uuid::new_v4().as_bytes());
    second.copy_from_slice(Uuid::new_v4().as_bytes());
    bytes
}
