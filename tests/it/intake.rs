//! What becomes of messages over a change of the configuration.

use baton::store::{MessageQuery, MessageState};

use crate::support::mllp::Sender;
use crate::support::server::Baton;

const FEED: &str = "[[feed]]\nname = \"GENHOSP\"\nzone = \"America/New_York\"\n\
    visit_system = \"urn:visit\"\n";
const AUTHORITIES: &str = "[feed.authorities]\nGENHOSP = \"urn:patient\"\n";
const TEST_MESSAGE: &str = "MSH|^~\\&|APP|GENHOSP|BATON|RPC|20260304100000||ADT^A01|T-1|T|2.5.1\r\
    EVN|A01|20260304100000\rPID|1||1^^^GENHOSP^MR||EXAMPLE^ANNA||19500131|F\r\
    PV1|1|I|4N^401^1||||||||||||||||V1\r";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_is_taken_when_it_comes_again_and_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("intake.db").display());
    let production = format!("{FEED}{AUTHORITIES}");
    let with_tests = format!("{FEED}processing_ids = [\"P\", \"T\"]\n{AUTHORITIES}");
    check(&url, &production, "AR", MessageState::SetAside).await;
    check(&url, &production, "AR", MessageState::SetAside).await;
    check(&url, &with_tests, "AA", MessageState::Processed).await;
    check(&url, &with_tests, "AA", MessageState::Processed).await;
}

/// Sends the message to a server with these settings; it is in the inbox once, whatever happened.
async fn check(url: &str, settings: &str, code: &str, state: MessageState) {
    let baton = Baton::start(url, settings, "2026-03-04T16:00:00Z").await;
    let address = baton.mllp();
    let answer = tokio::task::spawn_blocking(move || {
        Sender::connect(address)
            .unwrap()
            .send(TEST_MESSAGE)
            .unwrap()
    });
    assert_eq!(answer.await.unwrap(), (code.to_owned(), "T-1".to_owned()));
    baton.settle().await;
    let query = MessageQuery {
        count: 10,
        ..MessageQuery::default()
    };
    let inbox = baton.services().store.messages(&query).await.unwrap();
    let states: Vec<MessageState> = inbox.iter().map(|stored| stored.message.state).collect();
    assert_eq!(states, [state]);
    let encounters = usize::from(state == MessageState::Processed);
    assert_eq!(
        baton
            .search("Encounter?identifier=urn:visit%7CV1")
            .await
            .len(),
        encounters
    );
    baton.stop().await;
}
