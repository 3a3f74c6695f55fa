//! How Baton logs: set-up and names. What is never logged stands in `docs/LOGGING.md`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged when nobody says otherwise.
pub const FILTER_DEFAULT: &str = "info";

/// Starts logging to standard error; `filter` is a tracing filter such as `baton=debug,info`.
///
/// # Errors
/// When the filter cannot be read, or logging was started before.
pub fn start(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_span_events(FmtSpan::NONE)
        .with_target(false);
    let started = if json {
        lines.json().try_init()
    } else {
        lines.compact().try_init()
    };
    started.map_err(|error| anyhow::anyhow!(error))
}
