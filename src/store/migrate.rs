//! Brings a database to the schema of this Baton; refuses one that is newer.

use std::sync::Arc;

use sqlx::migrate::{MigrateError, Migrator};

use crate::store::Error;
use crate::store::sql::{Connection, Dialect, Sql};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Applies what is missing. Migrations go forward only.
pub(crate) async fn migrate(connection: &mut Connection<'_>) -> Result<(), Error> {
    let dialect = connection.dialect();
    let migrator = dialect.pick(&SQLITE, &POSTGRES);
    let known = migrator
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    let found = newest(connection).await?;
    if found > known {
        return Err(Error::NewerSchema { found, known });
    }
    let migrated = match connection {
        Connection::Sqlite(connection) => migrator.run_direct(None, &mut **connection, false).await,
        Connection::Postgres(connection) => {
            migrator.run_direct(None, &mut **connection, false).await
        }
    };
    migrated.map_err(|error: MigrateError| Error::Migration(Arc::new(error)))
}

/// The newest migration that was applied; 0 for an empty database.
async fn newest(connection: &mut Connection<'_>) -> Result<i64, Error> {
    let dialect = connection.dialect();
    let exists = dialect.pick(
        "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        "SELECT count(*) FROM pg_tables WHERE tablename = '_sqlx_migrations' \
         AND schemaname = current_schema()",
    );
    let row = connection
        .fetch_first(Sql::fixed(dialect, exists, []))
        .await?;
    if row.map(|row| row.integer(0)).transpose()? != Some(1) {
        return Ok(0);
    }
    let text = "SELECT max(version) FROM _sqlx_migrations";
    let row = connection
        .fetch_first(Sql::fixed(Dialect::Sqlite, text, []))
        .await?;
    Ok(row
        .map(|row| row.optional_integer(0))
        .transpose()?
        .flatten()
        .unwrap_or(0))
}
