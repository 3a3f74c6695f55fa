//! Keys and places in the feeds, made by the application so that rows append.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Milliseconds at which the keys' clock starts: 2020-01-01T00:00:00Z.
const EPOCH_MS: i64 = 1_577_836_800_000;
/// Bits of a key below its milliseconds: 10 for the process, 12 to count.
const BELOW_MS_BITS: u32 = 22;
/// Bits that count within a millisecond.
const COUNT_BITS: u32 = 12;

/// Makes time-ordered keys: 41 bits of milliseconds, 10 of the process, 12 of a count. Two
/// processes that draw the same 10 bits meet the primary key and try again.
#[derive(Debug)]
pub(crate) struct Keys {
    process: i64,
    last: AtomicI64,
    sequence: AtomicI64,
}

impl Keys {
    /// Goes on after `last`, the greatest key so far, and `sequence`, the last place in the feeds.
    pub(crate) fn new(last: i64, sequence: i64) -> Self {
        let random = i64::from(Uuid::new_v4().as_fields().1 & 0x3ff);
        Self {
            process: random << COUNT_BITS,
            last: AtomicI64::new(last),
            sequence: AtomicI64::new(sequence),
        }
    }

    /// A key for a row written at `instant`; greater than every key made before.
    pub(crate) fn next(&self, instant: DateTime<Utc>) -> i64 {
        let ms = (instant.timestamp_millis() - EPOCH_MS).clamp(0, 1 << 40);
        let wanted = (ms << BELOW_MS_BITS) | self.process;
        let step = |last: i64| Some(wanted.max(last + 1));
        match self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        {
            Ok(last) | Err(last) => wanted.max(last + 1),
        }
    }

    /// The next place in the feeds, where one writer exists.
    pub(crate) fn next_sequence(&self) -> i64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }
}
