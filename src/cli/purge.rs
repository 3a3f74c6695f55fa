//! `baton purge`: takes a resource, or its earlier versions, away for ever.
//!
//! For operators, where the law wants data gone. The audit trail says that it was purged, by the
//! command line, and when. On SQLite the server must not be running: it is the one writer.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::access::Caller;
use crate::cli::records::{Absent, Records};
use crate::cli::say;
use crate::operation::purge::{self, Request};
use crate::store::Purge as What;

#[derive(Debug, Args)]
pub(super) struct Purge {
    /// What is purged: Type/id.
    #[arg(value_name = "TYPE/ID")]
    resource: String,
    #[command(flatten)]
    records: Records,
    /// Purge the versions before the current one only.
    #[arg(long)]
    history: bool,
    /// Purge also what other resources refer to.
    #[arg(long, conflicts_with = "history")]
    force: bool,
}

/// Purges and prints how many versions that were.
pub(super) async fn run(options: Purge) -> anyhow::Result<ExitCode> {
    let config = options.records.settings()?;
    let services = options.records.open(&config, Absent::Refused).await?;
    let (resource_type, id) = options
        .resource
        .split_once('/')
        .context("name the resource as TYPE/ID")?;
    let request = Request {
        key: services
            .key(resource_type, id)
            .context("that is no TYPE/ID")?,
        what: if options.history {
            What::History
        } else {
            What::Everything
        },
        force: options.force,
        caller: Caller::engine("command-line"),
        at: services.clock.now(),
    };
    let key = request.key.clone();
    let purged = purge::purge(&services.store, &services.definitions, request).await;
    services.store.close().await;
    say(&format!("{key}: {} versions purged", purged?));
    Ok(ExitCode::SUCCESS)
}
