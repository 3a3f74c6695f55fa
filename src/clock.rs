//! The only place that asks for the time, and the source of server-made ids.
//!
//! Everything else takes an instant as an argument or a [`Clock`] to ask, so that thirty days of a
//! pathway run in a test in milliseconds.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
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

/// Makes logical ids of twenty letters and digits: milliseconds, the process, a count, in base 32.
///
/// Ids made later sort later. They are short, and alike when made together, because an id stands in
/// every reference and every index: a UUID is nearly twice as long and costs four times as much once
/// texts are compressed. An id says nothing about its resource, and it is no secret.
#[derive(Debug)]
pub struct Ids {
    process: u128,
    /// The milliseconds and the count of the newest id.
    last: Mutex<(u64, u16)>,
}

/// Crockford's digits: no letter is taken for another.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Digits of an id: 44 bits of milliseconds, 40 of the process, 16 of a count.
const ID_DIGITS: u32 = 20;
const PROCESS_BITS: u32 = 40;

impl Default for Ids {
    fn default() -> Self {
        Self {
            process: Uuid::new_v4().as_u128() & ((1 << PROCESS_BITS) - 1),
            last: Mutex::default(),
        }
    }
}

impl Ids {
    /// A new logical id, made at `now`; never the same twice, never sorting before an earlier one.
    pub fn next(&self, now: Instant) -> String {
        let ms = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        let (ms, count) = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = match *last {
                (last_ms, _) if ms > last_ms => (ms, 0),
                (last_ms, u16::MAX) => (last_ms + 1, 0),
                (last_ms, count) => (last_ms, count + 1),
            };
            *last
        };
        let above_process = u128::from(ms) << PROCESS_BITS;
        let number = ((above_process | self.process) << u16::BITS) | u128::from(count);
        let digit = |place: u32| {
            let five = usize::try_from(number >> (5 * place) & 0x1f).unwrap_or_default();
            DIGITS.get(five).copied().map_or('0', char::from)
        };
        (0..ID_DIGITS).rev().map(digit).collect()
    }

    /// A new UUID, made at `now`.
    pub fn uuid(now: Instant) -> Uuid {
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let at = Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos());
        Uuid::new_v7(at)
    }
}
