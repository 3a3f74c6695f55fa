//! What is to become of a message, decided before it is stored, and how it is answered.

use std::sync::Arc;

use hl7v2::acknowledgement::{AckError, Disposition, ErrorCondition};
use hl7v2::{Location, Message, Parsed, SegmentId};

use crate::adt::trigger_event::{self, Standing};
use crate::config::Feed;
use crate::store::MessageState;

/// What is decided about a message before it is stored.
pub(super) struct Verdict {
    pub(super) state: MessageState,
    pub(super) disposition: Disposition,
    pub(super) error: Option<AckError>,
    /// Why, in the words of the inbox.
    pub(super) reason: &'static str,
}

impl Verdict {
    const ACCEPTED: Self = Self {
        state: MessageState::Received,
        disposition: Disposition::Accepted,
        error: None,
        reason: "",
    };

    /// Acknowledged, kept, without effect.
    const fn ignored(reason: &'static str) -> Self {
        Self {
            state: MessageState::Ignored,
            reason,
            ..Self::ACCEPTED
        }
    }

    /// Sending it again will never help: AR.
    fn rejected(error: AckError, reason: &'static str) -> Self {
        Self {
            state: MessageState::SetAside,
            disposition: Disposition::Rejected,
            error: Some(error.saying(reason)),
            reason,
        }
    }

    /// Sending it again, corrected, helps: AE.
    fn refused(error: AckError, reason: &'static str) -> Self {
        Self {
            disposition: Disposition::Error,
            ..Self::rejected(error, reason)
        }
    }
}

/// What is to become of a message, before it is stored.
pub(super) fn verdict(parsed: &Parsed, feed: Option<&Arc<Feed>>) -> Verdict {
    let message = &parsed.message;
    let header = |field| location("MSH", field);
    if message.control_id().trim().is_empty() {
        let error = AckError::at(ErrorCondition::RequiredFieldMissing, header(10));
        return Verdict::refused(error, "MSH-10 is empty: an answer could not be told apart");
    }
    let Some(feed) = feed else {
        let error = AckError::at(ErrorCondition::ApplicationInternalError, header(3));
        return Verdict::rejected(error, "no feed is configured for this MSH-3 and MSH-4");
    };
    let processing_id = message.header().field(11).component(1).text();
    if !processing_id.is_empty() && !feed.processing_ids.iter().any(|id| *id == processing_id) {
        let error = AckError::at(ErrorCondition::UnsupportedProcessingId, header(11));
        return Verdict::rejected(error, "this processing id is not taken by the feed");
    }
    if message.version().is_none_or(|version| version.major != 2) {
        let error = AckError::at(ErrorCondition::UnsupportedVersionId, header(12));
        return Verdict::rejected(error, "this is no version 2 of HL7");
    }
    if message.message_code().as_deref() != Some("ADT") {
        let error = AckError::at(ErrorCondition::UnsupportedMessageType, header(9));
        return Verdict::rejected(error, "only ADT messages are taken");
    }
    if parsed.has_errors() {
        let error = AckError::new(ErrorCondition::SegmentSequenceError);
        return Verdict::refused(error, "the structure of the message is broken");
    }
    event_verdict(message, feed)
}

/// What a trigger event may do.
fn event_verdict(message: &Message, feed: &Feed) -> Verdict {
    let event = message.trigger_event().unwrap_or_default();
    if feed.events_ignored.contains(event.as_ref()) {
        return Verdict::ignored("the feed does not act on this event");
    }
    match trigger_event::standing(&event) {
        Standing::Unknown => {
            let error = AckError::at(ErrorCondition::UnsupportedEventCode, location("MSH", 9));
            Verdict::rejected(error, "this is no trigger event of an ADT message")
        }
        Standing::NotActedOn => Verdict::ignored("Baton does not act on this event yet"),
        Standing::ActedOn { .. } if !has_patient(message) => {
            let error = AckError::at(ErrorCondition::RequiredFieldMissing, location("PID", 3));
            Verdict::refused(
                error,
                "PID-3 is missing: nobody can tell whose message this is",
            )
        }
        Standing::ActedOn { .. } => Verdict::ACCEPTED,
    }
}

fn has_patient(message: &Message) -> bool {
    message.segment("PID").is_some_and(|pid| {
        [3, 2]
            .into_iter()
            .any(|field| pid.field(field).component(1).is_valued())
    })
}

fn location(segment: &str, field: usize) -> Location {
    SegmentId::new(segment).map_or_else(
        || Location::segment(SegmentId::MSH),
        |segment| Location::field(segment, field),
    )
}
