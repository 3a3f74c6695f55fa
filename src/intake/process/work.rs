//! One message as one unit of work: its visit is folded, what it causes is written, its state set.

use std::sync::Arc;

use hl7v2::Message;

use crate::adt::data_type::Identifier;
use crate::adt::trigger_event::Movement;
use crate::adt::visit::{self, Visit};
use crate::adt::{Arrival, VisitIdentifier};
use crate::config::{Config, Feed};
use crate::error::Error;
use crate::intake::process::effects::Effects;
use crate::interaction::{Context, search};
use crate::operation::pathway::Pathways;
use crate::store::{Claim, MessageState, StoredMessage, Transaction, VisitMessage, Work};

/// A message and its feed, read from the inbox.
struct Read {
    stored: StoredMessage,
    message: Message,
    feed: Arc<Feed>,
}

impl Read {
    fn arrival(&self) -> Arrival<'_> {
        Arrival {
            message: &self.message,
            feed: &self.feed,
            row: self.stored.row,
            received: self.stored.message.received,
        }
    }
}

/// Why a message of a visit is set aside although the person it names was brought up to date.
const NO_VISIT: &str = "no PV1, or neither PV1-19 nor PID-18 nor PV1-50 says which visit it is";

/// How much of a message took effect.
enum Effect {
    /// All that Baton makes of such a message.
    Whole,
    /// The message speaks of a visit and does not say of which: an operator has to.
    PersonOnly,
}

pub(super) struct Process {
    pub(super) context: Context,
    pub(super) config: Arc<Config>,
    pub(super) unclaimed: Arc<Feed>,
    pub(super) pathways: Arc<Pathways>,
    pub(super) row: i64,
}

impl Work for Process {
    /// The message that has to be processed before.
    type Output = Option<i64>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Option<i64>, Error> {
        let Some(stored) = transaction.message(self.row).await? else {
            return Ok(None);
        };
        if !matches!(
            stored.message.state,
            MessageState::Received | MessageState::Failed
        ) {
            return Ok(None);
        }
        let first = transaction.first_in_lane(stored.message.lane, self.row);
        let first = first.await?;
        if first != self.row {
            return Ok(Some(first));
        }
        let Some(read) = self.read(stored) else {
            let reason = "the message can no longer be read";
            transaction.set_message_state(self.row, MessageState::SetAside, reason);
            return Ok(None);
        };
        let (state, reason) = match self.take_effect(transaction, &read).await? {
            Effect::Whole => (MessageState::Processed, ""),
            Effect::PersonOnly => (MessageState::SetAside, NO_VISIT),
        };
        transaction.set_message_state(self.row, state, reason);
        Ok(None)
    }
}

impl Process {
    fn read(&self, stored: StoredMessage) -> Option<Read> {
        let message = hl7v2::parse(&stored.message.bytes).ok()?.message;
        let named = |feed: &&Arc<Feed>| feed.name == *stored.message.feed;
        let feed = self
            .config
            .feeds
            .iter()
            .find(named)
            .unwrap_or(&self.unclaimed);
        let feed = Arc::clone(feed);
        Some(Read {
            stored,
            message,
            feed,
        })
    }

    async fn take_effect(
        &self,
        transaction: &mut Transaction<'_>,
        read: &Read,
    ) -> Result<Effect, Error> {
        let arrival = read.arrival();
        let identifiers = arrival.patient_identifiers();
        let visit_identifier = arrival.visit_identifier();
        self.claim(transaction, &identifiers, visit_identifier.as_ref())
            .await?;

        let others = match &visit_identifier {
            Some(identifier) => self.enter_visit(transaction, read, identifier).await?,
            None => Vec::new(),
        };
        let mut arrivals: Vec<Arrival<'_>> = others.iter().map(Read::arrival).collect();
        if visit_identifier.is_some() {
            let place = arrivals.partition_point(|other| other.row < self.row);
            arrivals.insert(place, read.arrival());
        }
        let is_newest = arrivals
            .iter()
            .all(|other| visit::event_order(other, &arrival).is_le());
        let visit = visit_identifier
            .as_ref()
            .and_then(|identifier| visit::fold(identifier, &arrivals));
        let died_in_visit = visit.as_ref().is_some_and(Visit::ended_in_death);
        let mut effects = Effects::new(&self.context, transaction, self.row);
        let person = effects
            .patient(&arrival, &identifiers, is_newest, died_in_visit)
            .await?;
        let encounter = match &visit {
            Some(visit) => {
                let reused = read.stored.control_id_reused;
                Some(effects.visit(visit, &read.feed, &person, reused).await?)
            }
            None => None,
        };
        effects.relations(&arrival, &person).await?;
        effects
            .provenance(&arrival, read.stored.message.received)
            .await?;
        let (context, pathways) = (&self.context, &self.pathways);
        match encounter {
            Some(encounter) => {
                pathways
                    .visit_changed(transaction, context, &encounter, &person)
                    .await?;
            }
            None => {
                pathways
                    .patient_changed(transaction, context, &person)
                    .await?;
            }
        }
        let names_no_visit = visit_identifier.is_none()
            && arrival
                .event()
                .is_some_and(|event| event.movement != Movement::Person);
        Ok(if names_no_visit {
            Effect::PersonOnly
        } else {
            Effect::Whole
        })
    }

    /// Identities under construction, in one order: two messages never wait for each other.
    async fn claim(
        &self,
        transaction: &mut Transaction<'_>,
        identifiers: &[Identifier],
        visit: Option<&VisitIdentifier>,
    ) -> Result<(), Error> {
        let people = identifiers
            .iter()
            .map(|identifier| ("Patient", identifier.token()));
        let visits = visit.map(|visit| ("Encounter", visit.token()));
        let mut claims: Vec<Claim> = people
            .chain(visits)
            .map(|(name, token)| search::claim(name, &format!("identifier={token}")))
            .collect();
        claims.sort();
        claims.dedup();
        Ok(transaction.claim(&claims).await?)
    }

    /// Puts the message in its visit; gives the others that are there, in order of arrival.
    async fn enter_visit(
        &self,
        transaction: &mut Transaction<'_>,
        read: &Read,
        identifier: &VisitIdentifier,
    ) -> Result<Vec<Read>, Error> {
        let visit = identifier.token();
        let mut others = Vec::new();
        for stored in transaction.visit_messages(&visit).await? {
            if stored.row != self.row {
                let other = self.read(stored);
                others.extend(other.filter(|other| other.feed.name == read.feed.name));
            }
        }
        transaction.put_in_visit(VisitMessage {
            visit,
            row: self.row,
        });
        Ok(others)
    }
}
