//! Times of messages as FHIR dates: their precision kept, zoneless ones placed in the feed's zone.

use chrono::{DateTime, Datelike as _, FixedOffset, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use hl7v2::segment::Msh;
use hl7v2::timestamp::LocalTimeFlag;
use hl7v2::{Element, Precision, Timestamp};

use crate::adt::Arrival;

/// Before this year nothing on a feed happened.
const YEAR_MIN: i32 = 1900;
/// So far ahead of its arrival an event is believed.
const AHEAD_MAX: TimeDelta = TimeDelta::hours(24);

/// A point in time as FHIR writes it, and the instant it starts at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    instant: DateTime<FixedOffset>,
    /// FHIR `dateTime`.
    text: String,
    /// What was odd about the local time.
    flag: Option<LocalTimeFlag>,
}

impl When {
    /// Reads a field of a message; the offset of MSH-7 holds for fields without one, else the zone
    /// of the feed. `None` without a readable value.
    pub fn read(field: Element<'_>, arrival: &Arrival<'_>) -> Option<Self> {
        let header: Option<Msh<'_>> = arrival.message.view();
        let offset = header
            .and_then(|header| header.date_time().timestamp()?.ok())
            .and_then(|created| created.offset());
        let timestamp: Timestamp = field.timestamp()?.ok()?;
        Some(Self::of(timestamp.or_offset(offset), arrival.feed.zone))
    }

    fn of(timestamp: Timestamp, zone: Tz) -> Self {
        let resolved = timestamp.resolve(&zone);
        let text = match timestamp.precision() {
            Precision::Year => timestamp.date().format("%Y").to_string(),
            Precision::Month => timestamp.date().format("%Y-%m").to_string(),
            Precision::Day => timestamp.date().to_string(),
            _ => resolved
                .instant
                .to_rfc3339_opts(SecondsFormat::AutoSi, false),
        };
        Self {
            instant: resolved.instant,
            text,
            flag: resolved.flag,
        }
    }

    /// An instant, told in `zone`.
    pub fn from_instant(instant: DateTime<Utc>, zone: Tz) -> Self {
        let instant = instant.with_timezone(&zone).fixed_offset();
        let text = instant.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        Self {
            instant,
            text,
            flag: None,
        }
    }

    /// The first instant it can mean.
    pub fn instant(&self) -> DateTime<Utc> {
        self.instant.to_utc()
    }

    /// FHIR `dateTime`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// FHIR `date`: the day, or what is known of it.
    pub fn date(&self) -> &str {
        self.text.get(..10).unwrap_or(&self.text)
    }

    /// Whether a time of day is known.
    pub fn has_time(&self) -> bool {
        self.text.len() > 10
    }

    /// What was odd about the local time.
    pub fn flag(&self) -> Option<LocalTimeFlag> {
        self.flag
    }

    /// Whether it can be true, seen from its arrival: neither before 1900 nor far in the future.
    pub fn is_plausible(&self, received: DateTime<Utc>) -> bool {
        self.instant.year() >= YEAR_MIN && self.instant() <= received + AHEAD_MAX
    }
}
