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
/// The bits of the process within a key.
const PROCESS_MASK: i64 = 0x3ff << COUNT_BITS;

/// Makes time-ordered keys: 41 bits of milliseconds, 10 of the process, 12 of a count. A process keeps
/// to keys with its own bits, also where its clock stands or is behind that of another. Two processes
/// that draw the same bits meet the primary key, and the later write is tried again.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The number of the process, drawn at its start.
    process: i64,
    own_bits: i64,
    last: AtomicI64,
    sequence: AtomicI64,
}

impl Keys {
    /// Goes on after `last`, the greatest key so far, and `sequence`, the last place in the feeds.
    pub(crate) fn new(last: i64, sequence: i64) -> Self {
        let number = i64::from_be_bytes(Uuid::new_v4().as_u64_pair().1.to_be_bytes()) & i64::MAX;
        Self {
            process: number,
            own_bits: (number & 0x3ff) << COUNT_BITS,
            last: AtomicI64::new(last),
            sequence: AtomicI64::new(sequence),
        }
    }

    /// The number of the process.
    pub(crate) fn process(&self) -> i64 {
        self.process
    }

    /// A key for a row written at `instant`; greater than every key made before.
    pub(crate) fn next(&self, instant: DateTime<Utc>) -> i64 {
        let ms = (instant.timestamp_millis() - EPOCH_MS).clamp(0, 1 << 40);
        let step = |last: i64| Some(self.after(last, ms));
        match self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        {
            Ok(last) | Err(last) => self.after(last, ms),
        }
    }

    /// A key where one writer exists: one more than the last. It stands in every row of every index,
    /// and a small number takes few bytes.
    pub(crate) fn count(&self) -> i64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The first key with the bits of this process that is greater than `last` and of `ms` or later.
    fn after(&self, last: i64, ms: i64) -> i64 {
        let first = |ms: i64| (ms << BELOW_MS_BITS) | self.own_bits;
        let last_ms = last >> BELOW_MS_BITS;
        let is_own = (last & PROCESS_MASK) == self.own_bits;
        if last < first(ms) {
            first(ms)
        } else if is_own && (last + 1) & PROCESS_MASK == self.own_bits {
            last + 1
        } else if last < first(last_ms) {
            first(last_ms)
        } else {
            first(last_ms + 1)
        }
    }

    /// The next place in the feeds, where one writer exists.
    pub(crate) fn next_sequence(&self) -> i64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Keys of the process with these bits, after `last`.
    fn keys(process: i64, last: i64) -> Keys {
        Keys {
            own_bits: process << COUNT_BITS,
            ..Keys::new(last, 0)
        }
    }

    #[test]
    fn processes_make_different_growing_keys_also_when_the_clock_stands() {
        let now: DateTime<Utc> = "2026-03-06T16:10:00Z".parse().unwrap();
        for (one, other) in [(5, 9), (9, 5), (0, 0x3ff), (0x3ff, 0)] {
            let one = keys(one, 0);
            let before = one.next(now);
            // The other starts with the greatest key that it finds, which is the first one's.
            let other = keys(other, before);
            let mut seen = HashSet::from([before]);
            for keys in [&one, &other] {
                let mut last = 0;
                for _ in 0..3 << COUNT_BITS {
                    let key = keys.next(now);
                    assert!(key > last && seen.insert(key), "{key}");
                    last = key;
                }
            }
        }
    }
}
