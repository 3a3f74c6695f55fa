//! The only place that asks for the time, and the source of server-made ids.
//!
//! Everything else takes an instant as an argument or a [`Clock`] to ask, so that thirty days of a
//! pathway run in a test in milliseconds.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use uuid::{NoContext, Timestamp, Uuid};

/// An instant in UTC; FHIR's `instant` is this with an offset of the writer's choice.
pub type Instant = DateTime<Utc>;

/// Tells the time, and wakes who waits for it to move by hand. A clone is the same clock.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is moved: simulations and acceptance tests.
    Manual(ManualClock),
}

impl Clock {
    /// A clock held at `instant` until [`ManualClock::advance`] moves it.
    pub fn manual(instant: Instant) -> Self {
        Self::Manual(ManualClock(watch::Sender::new(instant)))
    }

    /// The present instant.
    pub fn now(&self) -> Instant {
        match self {
            #[expect(clippy::disallowed_methods, reason = "this is the clock")]
            Self::System => Utc::now(),
            Self::Manual(clock) => *clock.0.borrow(),
        }
    }

    /// The clock to move by hand, if this is one.
    pub fn as_manual(&self) -> Option<&ManualClock> {
        match self {
            Self::System => None,
            Self::Manual(clock) => Some(clock),
        }
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(watch::Sender<Instant>);

impl ManualClock {
    /// Moves the clock forward to `instant`. Errs, unchanged, when that lies in the past.
    ///
    /// # Errors
    /// Gives back the present instant when `instant` is before it.
    pub fn advance(&self, instant: Instant) -> Result<(), Instant> {
        let mut refused = None;
        self.0.send_if_modified(|now| {
            if instant < *now {
                refused = Some(*now);
                return false;
            }
            let moved = *now != instant;
            *now = instant;
            moved
        });
        refused.map_or(Ok(()), Err)
    }
}

/// Makes logical ids: `UUIDv7`, so that ids made later sort later.
#[derive(Debug, Default)]
pub struct Ids {
    last: Mutex<Option<(Instant, u32)>>,
}

/// Ids made for one instant before the next microsecond is borrowed.
const IDS_PER_INSTANT_MAX: u32 = 4096;

impl Ids {
    /// A new logical id, made at `now`; never the same twice, never sorting before an earlier one.
    pub fn next(&self, now: Instant) -> String {
        let instant = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let next = match *last {
                Some((instant, count)) if now <= instant && count < IDS_PER_INSTANT_MAX => {
                    (instant, count + 1)
                }
                Some((instant, _)) if now <= instant => (instant + TimeDelta::milliseconds(1), 0),
                _ => (now, 0),
            };
            *last = Some(next);
            next.0
        };
        let seconds = u64::try_from(instant.timestamp()).unwrap_or(0);
        Uuid::new_v7(Timestamp::from_unix(
            NoContext,
            seconds,
            instant.timestamp_subsec_nanos(),
        ))
        .to_string()
    }
}
