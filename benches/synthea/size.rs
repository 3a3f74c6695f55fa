//! How large a database is, table by table and index by index.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

/// The size of a database.
pub(crate) struct Size {
    pub(crate) resources: i64,
    pub(crate) bytes: i64,
    /// The largest first.
    pub(crate) parts: Vec<(String, i64)>,
}

pub(crate) async fn sqlite(path: &str) -> Size {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(&mut connection)
        .await
        .unwrap();
    let resources = sqlx::query_scalar("SELECT count(*) FROM resource")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let parts =
        sqlx::query_as("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    let bytes = std::fs::metadata(path).unwrap().len();
    Size {
        resources,
        bytes: bytes.try_into().unwrap(),
        parts,
    }
}

pub(crate) async fn postgres(url: &str) -> Size {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let resources = sqlx::query_scalar("SELECT count(*) FROM resource")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let parts: Vec<(String, i64)> = sqlx::query_as(
        "SELECT c.relname::text, pg_relation_size(c.oid) + \
         coalesce(pg_total_relation_size(nullif(c.reltoastrelid, 0)), 0) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i') ORDER BY 2 DESC",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    Size {
        resources,
        bytes: parts.iter().map(|(_, bytes)| bytes).sum(),
        parts,
    }
}
