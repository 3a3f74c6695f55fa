//! `baton packages`: what is loaded and from where, and `baton packages get` to fetch into the cache.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::say;
use crate::config::Config;
use crate::definitions;
use crate::package::{self, Sources, Wanted};

#[derive(Debug, Args)]
pub(super) struct Packages {
    /// Configuration file that names the packages (TOML; see docs/CONFIGURATION.md).
    #[arg(long, global = true, env = "BATON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find a package, or fetch it from the registry into the cache.
    Get {
        /// `hl7.fhir.us.core@6.1.0`, perhaps with `#sha256:…`.
        #[arg(value_name = "NAME@VERSION")]
        package: String,
        /// The registry to ask instead of the configured one.
        #[arg(long, value_name = "URL")]
        registry: Option<String>,
    },
}

/// Lists the packages of a configuration, or gets one.
pub(super) async fn run(options: Packages) -> anyhow::Result<ExitCode> {
    let config = match &options.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let mut sources = Sources::new(&config);
    let wanted = match options.command {
        Some(Command::Get { package, registry }) => {
            sources.registry = registry.or(sources.registry);
            vec![package]
        }
        None => {
            for embedded in definitions::packages() {
                say(&format!(
                    "{}@{} (embedded)",
                    embedded.name, embedded.version
                ));
            }
            config.packages
        }
    };
    let wanted: Result<Vec<Wanted>, _> = wanted.iter().map(|name| name.parse()).collect();
    let resolution = package::resolve(&wanted?, &sources).await?;
    for package in &resolution.packages {
        say(&format!(
            "{} #sha256:{} {}",
            package.coordinate,
            package.hash,
            package.content.path().display()
        ));
    }
    for note in &resolution.notes {
        say(&note.to_string());
    }
    Ok(ExitCode::SUCCESS)
}
