//! `baton demo`: a server on a local file, and a client that plays a week of a hospital before it.
//!
//! The demo is a client of its own server: it loads a panel over HTTP, sends a feed over MLLP, moves
//! the clock by `$clock`, and prints what it is answered when it asks. No result that it prints is
//! written here. The week is one of 2026, because a due date says something only beside its holiday;
//! the server's clock is held there by hand.

mod client;
mod page;
mod panel;
mod story;

use std::process::ExitCode;

use anyhow::anyhow;

use crate::cli::demo::client::Client;
use crate::cli::demo::page::Page;
use crate::cli::demo::story::Story;
use crate::cli::{DEMO_FOLDER, Place, loopback_only, say, until_interrupted};
use crate::clock::Clock;
use crate::config::Config;
use crate::server::Server;

/// The configuration that the demo runs with, and that a user may start from.
const CONFIGURATION: &str = include_str!("../../docs/example.toml");

/// Starts a server, tells the story, serves until interrupted.
pub(super) async fn run(place: Place) -> anyhow::Result<ExitCode> {
    let mut config = configuration()?;
    place.apply(&mut config, DEMO_FOLDER)?;
    loopback_only(&config)?;
    let page = Page::new(config.care_organisation.zone, Box::new(say));
    let database = config.store.database.clone().unwrap_or_default();
    let server = Server::start(config, Clock::manual(story::start()?.into())).await?;
    let outcome = tokio::select! {
        told = tell(&server, page, &database) => told.map(|()| true),
        interrupted = until_interrupted() => interrupted.map(|()| false),
    };
    if matches!(outcome, Ok(true)) {
        until_interrupted().await?;
    }
    say("Stopping.");
    server.stop().await;
    outcome.map(|_| ExitCode::SUCCESS)
}

fn configuration() -> anyhow::Result<Config> {
    Config::parse(CONFIGURATION).map_err(|problems| anyhow!("docs/example.toml: {problems}"))
}

/// Tells the story to a server, or the rest of it that the server has not heard yet.
async fn tell(server: &Server, page: Page, database: &str) -> anyhow::Result<()> {
    let base = format!("http://{}/fhir", server.http);
    let client = Client::connect(&base, &server.mllp.to_string()).await?;
    let mut story = Story::new(client, page)?;
    story.open(database).await?;
    story.play().await?;
    story.close().await
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Runs the demo on a folder until its story is told; gives what it printed.
    async fn told(folder: &Path) -> String {
        let mut config = configuration().unwrap();
        config.listen.http = "127.0.0.1:0".into();
        config.listen.mllp = "127.0.0.1:0".into();
        let database = format!("sqlite:{}", folder.join("baton.sqlite").display());
        config.store.database = Some(database.clone());
        let printed = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&printed);
        let zone = config.care_organisation.zone;
        let page = Page::new(
            zone,
            Box::new(move |line| {
                let mut printed = sink.lock().unwrap();
                printed.push_str(line);
                printed.push('\n');
            }),
        );
        let clock = Clock::manual(story::start().unwrap().into());
        let server = Server::start(config, clock).await.unwrap();
        tell(&server, page, &database).await.unwrap();
        server.stop().await;
        printed.lock().unwrap().clone()
    }

    /// What stands between two words of the transcript.
    fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
        let from = text
            .find(start)
            .unwrap_or_else(|| panic!("no {start:?} in\n{text}"));
        let rest = &text[from..];
        &rest[..rest[1..].find(end).map_or(rest.len(), |length| length + 1)]
    }

    #[track_caller]
    fn check(text: &str, words: &[&str]) {
        let squeezed = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in words {
            assert!(squeezed.contains(words), "no {words:?} in\n{text}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_story_is_told_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = told(folder.path()).await;

        // Friday 4 September 2026; Monday the 7th is Labor Day, so the business days are 8 and 9.
        // LACE: 4 days (4), an emergency (3), heart failure and COPD (5), no visits before (0).
        let discharge = between(&first, "DEMO-14", "\n\n");
        check(
            discharge,
            &[
                "interactive-contact requested due Wed 9 Sep, urgent",
                "discharge-info requested due Sun 6 Sep",
                "face-to-face requested due Fri 11 Sep, urgent",
                "tcm-closeout requested due Sat 3 Oct",
                "inpatient-coordination cancelled",
                "LACE 12, high",
            ],
        );
        check(
            between(&first, "DEMO-11", "\n\n"),
            &["cancelled: discharge-cancelled"],
        );
        check(
            between(&first, "DEMO-13", "\n\n"),
            &["interactive-contact requested due Wed 9 Sep"],
        );
        check(
            &first,
            &[
                "answered AR DEMO-15",
                "ed-follow-up requested due Wed 9 Sep",
            ],
        );
        assert_eq!(first.matches("answered AA DEMO-14").count(), 2, "{first}");
        check(&first, &["interactive-contact completed: reached"]);
        for line in first.lines().filter(|line| !line.contains("://")) {
            assert!(line.chars().count() <= page::WIDTH, "{line}");
        }

        let second = told(folder.path()).await;
        assert!(!second.contains("DEMO-01"), "{second}");
        let worklist = between(&first, "The worklist", "\n\n");
        assert_eq!(between(&second, "The worklist", "\n\n"), worklist);
    }
}
