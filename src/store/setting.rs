//! What belongs to a database, not to a process: the key that signs page tokens.
//!
//! Processes on one database agree on it, and so do a process and its successor.

use uuid::Uuid;

use crate::search::query::PageKey;
use crate::store::Error;
use crate::store::sql::{Bind, Connection, Sql};

/// The row of the key that signs page tokens.
const PAGE_KEY: &str = "page-key";

/// The key that signs page tokens; made at random by who opens the database first.
pub(crate) async fn page_key(connection: &mut Connection<'_>) -> Result<PageKey, Error> {
    const INSERT: &str = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    const SELECT: &str = "SELECT value FROM setting WHERE name = $1";
    let dialect = connection.dialect();
    let random = [Uuid::new_v4(), Uuid::new_v4()];
    let random = random.iter().flat_map(Uuid::as_bytes).copied().collect();
    let insert = Sql::fixed(dialect, INSERT, [PAGE_KEY.into(), Bind::Bytes(random)]);
    connection.execute(insert).await?;
    let select = Sql::fixed(dialect, SELECT, [PAGE_KEY.into()]);
    let row = connection.fetch_first(select).await?;
    let row = row.ok_or(Error::Corrupt("page key"))?;
    let key = row.bytes(0)?.try_into();
    key.map(PageKey).map_err(|_| Error::Corrupt("page key"))
}
