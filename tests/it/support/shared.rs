//! Data that lies outside the repository.

use std::io::Write as _;
use std::path::PathBuf;

/// The folder of shared data: `$BATON_SHARED_DATA`, else `../shared/data` beside the checkout.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("BATON_SHARED_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")),
        PathBuf::from,
    )
}

/// Says something past the test harness's capture.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
