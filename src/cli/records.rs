//! The records that a command works on, without a server: where they are, and the services.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use crate::cli::SERVE_FOLDER;
use crate::clock::Clock;
use crate::config::Config;
use crate::interaction::Services;
use crate::server;

/// Where the records are.
#[derive(Debug, Args)]
pub(super) struct Records {
    /// Configuration file of the server (TOML; see docs/CONFIGURATION.md).
    #[arg(long, env = "BATON_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Folder of the embedded SQLite database [default: data].
    #[arg(
        long,
        env = "BATON_DATA",
        value_name = "DIR",
        conflicts_with = "database"
    )]
    data: Option<PathBuf>,
    /// Database to use instead: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.
    #[arg(
        long,
        env = "BATON_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
}

/// Whether records may be made where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// They are made.
    Made,
    /// That is an error.
    Refused,
}

impl Records {
    /// The settings of these records.
    pub(super) fn settings(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(database) = &self.database {
            config.store.database = Some(database.clone());
        }
        if self.data.is_some() || config.store.database.is_none() {
            let folder = self.data.as_deref().unwrap_or(Path::new(SERVE_FOLDER));
            let file = folder.join("baton.sqlite");
            config.store.database = Some(format!("sqlite:{}", file.display()));
        }
        Ok(config)
    }

    /// Opens them.
    pub(super) async fn open(
        &self,
        config: &Config,
        absent: Absent,
    ) -> anyhow::Result<Arc<Services>> {
        let database = config.store.database.as_deref().unwrap_or_default();
        if let Some(path) = database.strip_prefix("sqlite:") {
            let path = Path::new(path.trim_start_matches("//"));
            match (absent, path.parent()) {
                (Absent::Refused, _) => {
                    anyhow::ensure!(path.is_file(), "there is no {}", path.display());
                }
                (Absent::Made, Some(folder)) if !folder.as_os_str().is_empty() => {
                    std::fs::create_dir_all(folder)
                        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
                }
                (Absent::Made, _) => {}
            }
        }
        server::offline(config, Clock::System).await
    }
}
