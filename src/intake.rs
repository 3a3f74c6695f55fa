//! The ADT intake: an HL7 message becomes durable, is acknowledged, and takes effect.
//!
//! Receiving and processing are apart. [`Intake::receive`] commits the bytes and answers: a positive
//! acknowledgement means "it is ours now". Processing reads the inbox, one message after another for
//! a patient, many patients at once, and commits what a message causes together with its state, so
//! that a crash loses nothing and repeats nothing.
//!
//! Requirements R1 to R25 of the receivers we learn from; the numbers stand at the code.

use std::sync::Arc;
use std::time::Duration;

use hl7v2::acknowledgement::{
    AckCode, AckError, AckPolicy, Acknowledgement, Disposition, ErrorCondition, is_acknowledgement,
    mode,
};
use hl7v2::{Message, ParseError, Parsed, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::clock::Instant;
use crate::config::{Acknowledge, Config, Feed, UnknownSender};
use crate::error;
use crate::intake::verdict::verdict;
use crate::interaction::live::Live;
use crate::interaction::{Context, Services};
use crate::operation::pathway::Pathways;
use crate::store::{self, MessageState, NewMessage, Received, StoredMessage, Transaction, Work};

mod lanes;
mod process;
mod verdict;

pub use lanes::{Lanes, Queue};

/// Receives messages and hands them to the lanes that process them.
pub struct Intake {
    live: Arc<Live>,
    config: Arc<Config>,
    unclaimed: Arc<Feed>,
    pathways: Arc<Pathways>,
    lanes: Lanes,
    store_timeout: Duration,
}

/// What the sender of a message gets back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The acknowledgement, unframed; `None` where none may be sent.
    pub acknowledgement: Option<Vec<u8>>,
}

impl Reply {
    const SILENCE: Self = Self {
        acknowledgement: None,
    };
}

impl Intake {
    /// An intake over the services in force; `lanes` process what it receives.
    pub fn new(
        live: Arc<Live>,
        config: Arc<Config>,
        pathways: Arc<Pathways>,
        lanes: Lanes,
    ) -> Self {
        let store_timeout = Duration::from_secs(config.intake.store_timeout_secs);
        Self {
            live,
            config,
            unclaimed: Arc::new(Feed::unclaimed()),
            pathways,
            lanes,
            store_timeout,
        }
    }

    fn services(&self) -> Arc<Services> {
        self.live.current()
    }

    /// Takes the bytes of one frame: durable before a positive answer (R1), answered after the
    /// store and not after processing (R2), one answer for a frame (R3).
    pub async fn receive(&self, bytes: Vec<u8>) -> Reply {
        let received = self.services().clock.now();
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        match hl7v2::parse(&bytes) {
            Ok(parsed) => self.receive_message(&parsed, bytes, hash, received).await,
            Err(error) => self.receive_unreadable(error, bytes, hash, received).await,
        }
    }

    /// The answer to a frame over the limit, of which only the start was kept: AR, nothing stored.
    pub fn refuse_oversized(&self, head: &[u8]) -> Reply {
        let error = AckError::new(ErrorCondition::ApplicationInternalError)
            .saying("the message is larger than this receiver takes");
        let answer = match hl7v2::parse(head) {
            Ok(parsed) => {
                let code =
                    mode(&parsed.message, AckPolicy::AsAsked).immediate(Disposition::Rejected);
                code.map(|code| self.answer(&parsed.message, code, Some(error)))
            }
            Err(_) => Some(self.answer_unreadable(AckCode::AR, error)),
        };
        Reply {
            acknowledgement: answer,
        }
    }

    async fn receive_message(
        &self,
        parsed: &Parsed,
        bytes: Vec<u8>,
        hash: [u8; 32],
        received: Instant,
    ) -> Reply {
        let message = &parsed.message;
        if is_acknowledgement(message) {
            // Answering an acknowledgement makes a loop (R11).
            tracing::info!("An acknowledgement arrived as a message; it is not answered");
            return Reply::SILENCE;
        }
        let feed = self.feed(message);
        let verdict = verdict(parsed, feed);
        let policy = match feed.map(|feed| feed.acknowledge) {
            Some(Acknowledge::Always) => AckPolicy::Application,
            Some(Acknowledge::AsAsked) | None => AckPolicy::AsAsked,
        };
        let plan = mode(message, policy);
        let code = plan.immediate(verdict.disposition);
        let new = NewMessage {
            feed: feed.map_or("", |feed| feed.name.as_str()).into(),
            sender: sender(message),
            control_id: message.control_id().to_owned(),
            hash,
            received,
            event: event(message),
            bytes,
            lane: lane(message, feed),
            state: verdict.state,
            acknowledgement: code.map(AckCode::as_str).unwrap_or_default().to_owned(),
            reason: verdict.reason.to_owned(),
        };
        match self.keep(new).await {
            Ok(Received::New(stored)) => {
                note(&stored);
                if stored.message.state == MessageState::Received {
                    self.lanes.push(stored.message.lane, stored.row).await;
                }
                let answer = code.map(|code| self.answer(message, code, verdict.error));
                Reply {
                    acknowledgement: answer,
                }
            }
            // The acknowledgement got lost: the same answer again, no second effect (R12).
            Ok(Received::Duplicate(earlier)) => {
                let code = AckCode::read(&earlier.message.acknowledgement);
                let error = verdict
                    .error
                    .filter(|_| code.is_some_and(|code| !code.is_positive()));
                Reply {
                    acknowledgement: code.map(|code| self.answer(message, code, error)),
                }
            }
            Err(error) => {
                tracing::error!(
                    error = error::chain(&error),
                    "A message could not be stored"
                );
                let error = AckError::new(ErrorCondition::ApplicationInternalError)
                    .saying("the message could not be stored; send it again");
                let code = plan.immediate(Disposition::Error);
                Reply {
                    acknowledgement: code.map(|code| self.answer(message, code, Some(error))),
                }
            }
        }
    }

    /// What has no header is kept for an operator and answered AE: never a positive answer that
    /// nobody can correlate (R4).
    async fn receive_unreadable(
        &self,
        error: ParseError,
        bytes: Vec<u8>,
        hash: [u8; 32],
        received: Instant,
    ) -> Reply {
        let (code, reason) = match error {
            ParseError::Empty => return Reply::SILENCE,
            ParseError::Batch => (
                AckCode::AR,
                "a batch came in one frame; send its messages one by one",
            ),
            ParseError::HeaderMissing => (
                AckCode::AE,
                "the message does not begin with an MSH segment",
            ),
            ParseError::TooManySegments { .. } => {
                (AckCode::AR, "the message has too many segments")
            }
        };
        let new = NewMessage {
            feed: "".into(),
            sender: String::new(),
            control_id: String::new(),
            hash,
            received,
            event: String::new(),
            bytes,
            lane: 0,
            state: MessageState::SetAside,
            acknowledgement: code.as_str().to_owned(),
            reason: reason.to_owned(),
        };
        if let Err(error) = self.keep(new).await {
            tracing::error!(
                error = error::chain(&error),
                "A message could not be stored"
            );
        }
        let error = AckError::new(ErrorCondition::SegmentSequenceError).saying(reason);
        Reply {
            acknowledgement: Some(self.answer_unreadable(code, error)),
        }
    }

    /// The feed that claims a message, or the built-in one where unknown senders are accepted.
    fn feed(&self, message: &Message) -> Option<&Arc<Feed>> {
        let part = |field| {
            message
                .header()
                .field(field)
                .component(1)
                .text()
                .into_owned()
        };
        let unclaimed = match self.config.intake.unknown_sender {
            UnknownSender::Accept => Some(&self.unclaimed),
            UnknownSender::Reject => None,
        };
        self.config.feed(&part(3), &part(4)).or(unclaimed)
    }

    async fn keep(&self, message: NewMessage) -> Result<Received, store::Error> {
        let services = self.services();
        let keeping = services.store.transact(Keep { message });
        // A store that does not answer must not keep the sender waiting to its time-out (R1, R20).
        tokio::time::timeout(self.store_timeout, keeping)
            .await
            .unwrap_or(Err(store::Error::TooSlow))
    }

    fn answer(&self, message: &Message, code: AckCode, error: Option<AckError>) -> Vec<u8> {
        let now = self.services().clock.now();
        Acknowledgement {
            code,
            control_id: &self.control_id(now),
            created: Timestamp::from_instant(now.fixed_offset()),
            errors: error.as_slice(),
        }
        .answer(message)
    }

    fn answer_unreadable(&self, code: AckCode, error: AckError) -> Vec<u8> {
        let now = self.services().clock.now();
        Acknowledgement {
            code,
            control_id: &self.control_id(now),
            created: Timestamp::from_instant(now.fixed_offset()),
            errors: &[error],
        }
        .answer_unreadable()
    }

    /// MSH-10 of an answer: unique among all that we send, at most 20 characters (v2.3).
    fn control_id(&self, now: Instant) -> String {
        let id = self.services().ids.next(now);
        // Its end counts, its start is the time: many answers share a millisecond.
        let random = id.get(id.len().saturating_sub(19)..).unwrap_or(&id);
        format!("B{random}").to_uppercase()
    }

    /// Waits until every message received so far is processed.
    pub async fn settle(&self) {
        self.lanes.settle().await;
    }
}

fn note(stored: &StoredMessage) {
    let message = &stored.message;
    if message.state == MessageState::SetAside {
        tracing::warn!(
            feed = %message.feed,
            message.row = stored.row,
            reason = message.reason,
            "A message was set aside: {}",
            message.reason
        );
    }
    if stored.control_id_reused {
        tracing::warn!(
            feed = %message.feed,
            message.row = stored.row,
            "A control id came again with other content; the message is taken as new"
        );
    }
}

fn sender(message: &Message) -> String {
    let header = message.header();
    format!("{}|{}", header.field(3).raw(), header.field(4).raw())
}

fn event(message: &Message) -> String {
    let code = message.message_code().unwrap_or_default();
    match message.trigger_event() {
        Some(event) => format!("{code}^{event}"),
        None => code.into_owned(),
    }
}

/// The lane of a message, the same in every process: messages of one patient by one feed are
/// processed one after another (R13). What does not say whose it is shares lane 0.
fn lane(message: &Message, feed: Option<&Arc<Feed>>) -> i64 {
    let patient = message.get("PID-3.1").or_else(|| message.get("PID-2.1"));
    let (Some(patient), Some(feed)) = (patient, feed) else {
        return 0;
    };
    let digest = Sha256::digest(format!("{}|{patient}", feed.name));
    let first = digest.first_chunk().copied().unwrap_or_default();
    i64::from_be_bytes(first)
}

/// The surroundings in which messages take effect.
fn context(services: &Arc<Services>) -> Context {
    Context::engine(services, "intake")
}

struct Keep {
    message: NewMessage,
}

impl Work for Keep {
    type Output = Received;
    type Error = store::Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Received, store::Error> {
        let received = transaction.receive(&self.message).await?;
        let Received::Duplicate(earlier) = &received else {
            return Ok(received);
        };
        // Refused before, acceptable now: somebody configured its feed in between.
        let was_refused =
            AckCode::read(&earlier.message.acknowledgement).is_some_and(|code| !code.is_positive());
        if !was_refused || self.message.state == MessageState::SetAside {
            return Ok(received);
        }
        transaction.take_in(earlier.row, &self.message).await?;
        Ok(Received::New(StoredMessage {
            message: self.message.clone(),
            ..earlier.clone()
        }))
    }
}
