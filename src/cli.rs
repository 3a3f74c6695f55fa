//! The commands and their help.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::clock::{Clock, Instant};
use crate::config::Config;
use crate::server::Server;
use crate::telemetry;

mod adt;
mod check;
mod demo;
mod export;
mod fhirpath;
mod import;
mod packages;
mod purge;
mod records;
mod schema;
mod validate;

/// Baton: takes the baton when a hospital discharges a patient.
///
/// A FHIR R4 server, an HL7 v2 ADT intake and a care-pathway engine over one store.
#[derive(Debug, Parser)]
#[command(name = "baton", version, max_term_width = 100)]
pub struct Arguments {
    /// What is logged, as a tracing filter (`debug`, `baton=debug,info`).
    #[arg(long, global = true, env = "BATON_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Log JSON lines.
    #[arg(long, global = true, env = "BATON_LOG_JSON")]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    Serve(Serve),
    /// Start the server on a local file, play a week of a hospital's feed, and keep serving.
    Demo(Place),
    /// HL7 v2 ADT messages.
    #[command(subcommand)]
    Adt(adt::Command),
    /// Validate resources, offline.
    Validate(validate::Validate),
    /// Evaluate a FHIRPath expression on a resource and print what it gives as JSON.
    #[command(name = "fhirpath")]
    FhirPath(fhirpath::FhirPath),
    /// Print a JSON Schema (draft 2020-12) for the resources of a type.
    Schema(schema::Schema),
    /// List the FHIR packages of a configuration; fetch one.
    Packages(packages::Packages),
    /// Write what is stored into files, NDJSON or Bundles.
    Export(export::Export),
    /// Store resources out of files: NDJSON, Bundles, archives of them.
    Import(import::Import),
    /// Compare everything stored with what it is found by.
    Check(check::Check),
    /// Take a resource or its history away for ever.
    Purge(purge::Purge),
}

/// Where `serve` keeps its records when nobody says otherwise.
const SERVE_FOLDER: &str = "data";
/// Where `demo` keeps its own, so that invented patients never stand among real ones.
const DEMO_FOLDER: &str = "data/demo";

/// Where to listen and where to keep records.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// Address of the FHIR API [default: 127.0.0.1:8080].
    #[arg(long, env = "BATON_HTTP", value_name = "ADDR")]
    http: Option<String>,
    /// Address of the MLLP listener [default: 127.0.0.1:2575].
    #[arg(long, env = "BATON_MLLP", value_name = "ADDR")]
    mllp: Option<String>,
    /// Folder of the embedded SQLite database [default: data, of the demo data/demo].
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

#[derive(Debug, Args)]
struct Serve {
    /// Configuration file (TOML; see docs/CONFIGURATION.md).
    #[arg(long, env = "BATON_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// Allow addresses that other machines reach, although nobody has to authenticate.
    #[arg(long, env = "BATON_WITHOUT_AUTHENTICATION")]
    without_authentication: bool,
    /// Hold the clock at this instant until `POST /fhir/$clock` moves it; for simulations, loopback
    /// only.
    #[arg(long, value_name = "INSTANT")]
    manual_clock: Option<Instant>,
}

/// Runs a command and prints why it failed.
pub fn run(arguments: Arguments) -> ExitCode {
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("baton: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let default = match arguments.command {
        Command::Serve(_) => telemetry::FILTER_DEFAULT,
        Command::Adt(_)
        | Command::Validate(_)
        | Command::FhirPath(_)
        | Command::Schema(_)
        | Command::Packages(_)
        | Command::Export(_)
        | Command::Import(_)
        | Command::Check(_)
        | Command::Purge(_) => "warn",
        // Its story has a message that is refused: no news for whoever reads it.
        Command::Demo(_) => "error",
    };
    telemetry::start(
        arguments.log.as_deref().unwrap_or(default),
        arguments.log_json,
    )?;
    match arguments.command {
        Command::Serve(options) => on_runtime(serve(options)),
        Command::Demo(place) => on_runtime(demo::run(place)),
        Command::Adt(command) => on_runtime(adt::run(command)),
        Command::Validate(options) => on_runtime(validate::run(options)),
        Command::FhirPath(options) => Ok(fhirpath::run(&options)),
        Command::Schema(options) => schema::run(&options),
        Command::Packages(options) => on_runtime(packages::run(options)),
        Command::Export(options) => on_runtime(export::run(options)),
        Command::Import(options) => on_runtime(import::run(options)),
        Command::Check(options) => on_runtime(check::run(options)),
        Command::Purge(options) => on_runtime(purge::run(options)),
    }
}

fn on_runtime(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

async fn serve(options: Serve) -> anyhow::Result<ExitCode> {
    let mut config = match &options.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    options.place.apply(&mut config, SERVE_FOLDER)?;
    config.listen.without_authentication |= options.without_authentication;
    let clock = match options.manual_clock {
        None => Clock::System,
        Some(instant) => {
            loopback_only(&config)?;
            tracing::warn!(
                "THE CLOCK IS HELD BY HAND at {instant}: this is a simulation, no server for patients"
            );
            Clock::manual(instant)
        }
    };
    let open = config.listen.without_authentication;
    let server = Server::start(config, clock).await?;
    if open {
        tracing::warn!(
            "NOBODY HAS TO AUTHENTICATE: whoever reaches this server reads and writes everything"
        );
    } else {
        tracing::info!("No authentication is configured: Baton listens on loopback only");
    }
    until_interrupted().await?;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

fn loopback_only(config: &Config) -> anyhow::Result<()> {
    for address in [&config.listen.http, &config.listen.mllp] {
        let loopback = address
            .parse::<SocketAddr>()
            .is_ok_and(|address| address.ip().is_loopback());
        anyhow::ensure!(
            loopback,
            "--manual-clock listens on loopback addresses only, not on {address}"
        );
    }
    Ok(())
}

/// Waits for Ctrl-C or a request to terminate.
async fn until_interrupted() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

impl Place {
    /// Puts the flags over what the file says; makes the folder of the database.
    fn apply(&self, config: &mut Config, folder: &str) -> anyhow::Result<()> {
        if let Some(http) = &self.http {
            config.listen.http.clone_from(http);
        }
        if let Some(mllp) = &self.mllp {
            config.listen.mllp.clone_from(mllp);
        }
        if let Some(database) = &self.database {
            config.store.database = Some(database.clone());
        }
        if self.data.is_some() || config.store.database.is_none() {
            let folder = self.data.as_deref().unwrap_or(Path::new(folder));
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
            config.store.database =
                Some(format!("sqlite:{}", folder.join("baton.sqlite").display()));
        }
        Ok(())
    }
}

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The bytes of a file, or of standard input.
fn input(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path != Path::new(STANDARD_INPUT) {
        return std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    Ok(bytes)
}

/// Prints a line of what went wrong.
#[expect(clippy::print_stderr, reason = "this is what a command line is for")]
fn complain(text: &str) {
    eprintln!("{text}");
}

/// Prints a line of a command's result.
pub(crate) fn say(text: &str) {
    use std::io::Write as _;
    if writeln!(std::io::stdout(), "{text}").is_err() {
        // Whoever reads has seen enough, as `head` has.
        std::process::exit(0);
    }
}
