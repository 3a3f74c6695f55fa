//! A parsed message and its parts: segments, fields, repetitions, components, subcomponents
//! (HL7 v2.9, sections 2.5 and 2.6).
//!
//! The text is kept once; everything here is a view into it, and nothing is taken apart before it
//! is asked for. Making a message out of bytes is in `parse`; what its fields are called is in
//! `segment`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::charset::{Charset, Decision};
use crate::delimiter::{self, Delimiters};
use crate::escape::unescape;
use crate::location::Location;
use crate::segment::SegmentView;
use crate::timestamp::{Timestamp, TimestampError};

/// Where a segment stands in the text of its message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One HL7 message. `Debug` does not show its text.
#[derive(Clone)]
pub struct Message {
    pub(crate) text: String,
    pub(crate) delimiters: Delimiters,
    pub(crate) segments: Vec<Span>,
    pub(crate) decision: Decision,
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Message")
            .field("segments", &self.segments.len())
            .field("delimiters", &self.delimiters)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}

impl Message {
    /// The delimiters of its header.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// The character set it was read in.
    pub fn charset(&self) -> Charset {
        self.decision.charset
    }

    /// How that character set was chosen.
    pub fn charset_decision(&self) -> Decision {
        self.decision
    }

    /// How many segments it has.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// All segments in their order.
    pub fn all_segments(&self) -> impl DoubleEndedIterator<Item = Segment<'_>> {
        (0..self.segments.len()).filter_map(|index| self.segment_at(index))
    }

    /// The segments of one name.
    pub fn segments<'m>(&'m self, id: &'m str) -> impl Iterator<Item = Segment<'m>> {
        self.all_segments().filter(move |segment| segment.is(id))
    }

    /// The first segment of a name.
    pub fn segment<'m>(&'m self, id: &'m str) -> Option<Segment<'m>> {
        self.segments(id).next()
    }

    /// The segment with this index, from 0; the header is 0.
    pub fn segment_at(&self, index: usize) -> Option<Segment<'_>> {
        let span = self.segments.get(index)?;
        let text = self.text.get(span.start..span.end)?;
        Some(Segment {
            message: self,
            index,
            text,
        })
    }

    /// The first segment of a type: `message.view::<Pid>()`.
    pub fn view<'m, V: SegmentView<'m>>(&'m self) -> Option<V> {
        self.segment(V::ID).map(V::of)
    }

    /// All segments of a type: `message.views::<Nk1>()`.
    pub fn views<'m, V: SegmentView<'m>>(&'m self) -> impl Iterator<Item = V> {
        self.segments(V::ID).map(V::of)
    }

    /// Cuts the message at each segment of a name: `groups("PID")` of a merge is one group for
    /// each PID, with the MRG and PV1 that follow it.
    pub fn groups<'m>(&'m self, id: &'m str) -> impl Iterator<Item = Group<'m>> {
        let starts = move |from: usize| {
            (from..self.segments.len()).find(|index| {
                self.segment_at(*index)
                    .is_some_and(|segment| segment.is(id))
            })
        };
        let mut next = starts(0);
        std::iter::from_fn(move || {
            let start = next?;
            next = starts(start + 1);
            Some(Group {
                message: self,
                start,
                end: next.unwrap_or(self.segments.len()),
            })
        })
    }

    /// What stands at a location; `None` when there is no such segment.
    pub fn at(&self, location: &Location) -> Option<Element<'_>> {
        let segment = self
            .all_segments()
            .filter(|segment| segment.is(location.segment.as_str()))
            .nth(location.occurrence.checked_sub(1)?)?;
        let Some(field) = location.field else {
            return Some(segment.element(Some(segment.text)).literal());
        };
        let mut element = segment.field(field);
        if let Some(repetition) = location.repetition {
            element = element.repetition(repetition);
        }
        if let Some(component) = location.component {
            element = element.component(component);
        }
        if let Some(subcomponent) = location.subcomponent {
            element = element.subcomponent(subcomponent);
        }
        Some(element)
    }

    /// The value at a location written like `PID-3[2].4.1`; `None` when there is no value or the
    /// location cannot be read. See [`Element::value`].
    pub fn get(&self, location: &str) -> Option<Cow<'_, str>> {
        self.at(&location.parse().ok()?)?.value()
    }

    /// The header, MSH.
    pub fn header(&self) -> Segment<'_> {
        self.segment_at(0).unwrap_or(Segment {
            message: self,
            index: 0,
            text: "",
        })
    }

    /// MSH-10 exactly as it was written.
    pub fn control_id(&self) -> &str {
        self.header().field(10).raw()
    }

    /// The message code, MSH-9.1: `ADT`.
    pub fn message_code(&self) -> Option<Cow<'_, str>> {
        self.header().field(9).component(1).value()
    }

    /// The trigger event: MSH-9.2, and where that is empty EVN-1.
    pub fn trigger_event(&self) -> Option<Cow<'_, str>> {
        let in_header = self.header().field(9).component(2).value();
        in_header.or_else(|| self.segment("EVN")?.field(1).value())
    }

    /// The message structure, MSH-9.3; empty before version 2.3.1.
    pub fn message_structure(&self) -> Option<Cow<'_, str>> {
        self.header().field(9).component(3).value()
    }

    /// The version, MSH-12.1.
    pub fn version(&self) -> Option<Version> {
        self.header().field(12).component(1).value()?.parse().ok()
    }

    /// The message as text again: its segments, each ended by CR.
    pub fn to_er7(&self) -> String {
        let mut text = String::with_capacity(self.text.len() + 1);
        for segment in self.all_segments() {
            text.push_str(segment.text);
            text.push('\r');
        }
        text
    }
}

/// Some consecutive segments of a message.
#[derive(Clone, Copy)]
pub struct Group<'m> {
    message: &'m Message,
    start: usize,
    end: usize,
}

impl<'m> Group<'m> {
    /// All segments of the group in their order.
    pub fn all_segments(&self) -> impl Iterator<Item = Segment<'m>> + use<'m> {
        let message = self.message;
        (self.start..self.end).filter_map(move |index| message.segment_at(index))
    }

    /// The first segment of a type in the group.
    pub fn view<V: SegmentView<'m>>(&self) -> Option<V> {
        self.views().next()
    }

    /// All segments of a type in the group.
    pub fn views<V: SegmentView<'m>>(&self) -> impl Iterator<Item = V> + use<'m, V> {
        self.all_segments()
            .filter(|segment| segment.is(V::ID))
            .map(V::of)
    }
}

/// One segment of a message.
#[derive(Clone, Copy)]
pub struct Segment<'m> {
    message: &'m Message,
    index: usize,
    text: &'m str,
}

/// The segments whose first field is the field separator itself.
const HEADERS: &[&str] = &["MSH", "FHS", "BHS"];

impl<'m> Segment<'m> {
    /// The name of the segment: what stands before the first field separator.
    pub fn id(&self) -> &'m str {
        delimiter::part(self.text, Some(self.message.delimiters.field), 1).unwrap_or_default()
    }

    /// Whether this is its name.
    pub fn is(&self, id: &str) -> bool {
        let rest = self.text.strip_prefix(id).map(str::as_bytes);
        rest.is_some_and(|rest| {
            rest.first()
                .is_none_or(|byte| *byte == self.message.delimiters.field)
        })
    }

    /// Where it stands in the message, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The segment as it was written.
    pub fn raw(&self) -> &'m str {
        self.text
    }

    /// The message it belongs to.
    pub fn message(&self) -> &'m Message {
        self.message
    }

    /// The field with this number, from 1. MSH-1 is the field separator, MSH-2 the encoding
    /// characters; neither is ever taken apart.
    pub fn field(&self, number: usize) -> Element<'m> {
        let separator = self.message.delimiters.field;
        let part = |number| delimiter::part(self.text, Some(separator), number);
        if !self.is_header() {
            return self.element(number.checked_add(1).filter(|_| number > 0).and_then(part));
        }
        match number {
            0 => self.element(None),
            1 => {
                let after_name = self.id().len();
                self.element(self.text.get(after_name..=after_name))
                    .literal()
            }
            2 => self.element(part(2)).literal(),
            _ => self.element(part(number)),
        }
    }

    /// The number of the last field that was written.
    pub fn field_count(&self) -> usize {
        let separator = self.message.delimiters.field;
        let separators = memchr::memchr_iter(separator, self.text.as_bytes()).count();
        if self.is_header() && separators > 0 {
            separators + 1
        } else {
            separators
        }
    }

    fn is_header(&self) -> bool {
        HEADERS.iter().any(|header| self.is(header))
    }

    fn element(&self, raw: Option<&'m str>) -> Element<'m> {
        Element {
            message: self.message,
            raw,
            literal: false,
        }
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Segment")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

/// What a field says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Not written at all. Means the same as `Empty`.
    Absent,
    /// Written without content: nothing is said, what is known stays.
    Empty,
    /// Written as `""`: what is known is to be deleted.
    Null,
    /// Has a value.
    Valued,
}

/// A field, or a repetition, component or subcomponent of one.
///
/// One type serves for all: asking a component for its first component gives the component again,
/// just as a field without separators is also its own only repetition and component.
#[derive(Clone, Copy)]
pub struct Element<'m> {
    message: &'m Message,
    raw: Option<&'m str>,
    /// MSH-1 and MSH-2 consist of delimiters and are not delimited.
    literal: bool,
}

impl<'m> Element<'m> {
    /// What was written, escape sequences and all; empty when nothing was.
    pub fn raw(&self) -> &'m str {
        self.raw.unwrap_or_default()
    }

    /// Whether there is a value, none, or an order to delete it.
    pub fn presence(&self) -> Presence {
        match self.raw {
            None => Presence::Absent,
            Some("") => Presence::Empty,
            Some("\"\"") => Presence::Null,
            Some(_) => Presence::Valued,
        }
    }

    /// Whether there is a value: neither empty nor `""`.
    pub fn is_valued(&self) -> bool {
        self.presence() == Presence::Valued
    }

    /// Whether the value is to be deleted: `""`.
    pub fn is_null(&self) -> bool {
        self.presence() == Presence::Null
    }

    /// The element read as a single value: its first subcomponent of its first component of its
    /// first repetition, without escape sequences. `None` when that is empty or `""`.
    ///
    /// A receiver who expects one value reads the first part and ignores the others: so versions
    /// stay compatible (HL7 v2.9, section 2.8.2).
    pub fn value(&self) -> Option<Cow<'m, str>> {
        let first = self.subcomponent(1);
        first.is_valued().then(|| first.text())
    }

    /// Everything that was written, separators included, without escape sequences: for free text
    /// in which senders forget to escape.
    pub fn text(&self) -> Cow<'m, str> {
        if self.literal {
            return Cow::Borrowed(self.raw());
        }
        unescape(self.raw(), &self.message.delimiters, self.message.charset())
    }

    /// The value as a point in time; `None` when there is no value.
    pub fn timestamp(&self) -> Option<Result<Timestamp, TimestampError>> {
        self.value().map(|value| value.parse())
    }

    /// The value as a whole number; `None` when it is not one.
    pub fn number(&self) -> Option<u64> {
        self.value()?.trim().parse().ok()
    }

    /// The repetitions; none when nothing was written.
    pub fn repetitions(&self) -> impl Iterator<Item = Self> + use<'m> {
        self.split(self.message.delimiters.repetition)
    }

    /// The repetition with this number, from 1.
    #[must_use]
    pub fn repetition(&self, number: usize) -> Self {
        self.part(self.message.delimiters.repetition, number)
    }

    /// The components of the first repetition; none when nothing was written.
    pub fn components(&self) -> impl Iterator<Item = Self> + use<'m> {
        self.repetition(1)
            .split(Some(self.message.delimiters.component))
    }

    /// The component with this number, from 1, of the first repetition.
    #[must_use]
    pub fn component(&self, number: usize) -> Self {
        self.repetition(1)
            .part(Some(self.message.delimiters.component), number)
    }

    /// The subcomponents of the first component; none when nothing was written.
    pub fn subcomponents(&self) -> impl Iterator<Item = Self> + use<'m> {
        self.component(1)
            .split(self.message.delimiters.subcomponent)
    }

    /// The subcomponent with this number, from 1, of the first component.
    #[must_use]
    pub fn subcomponent(&self, number: usize) -> Self {
        self.component(1)
            .part(self.message.delimiters.subcomponent, number)
    }

    fn part(&self, delimiter: Option<u8>, number: usize) -> Self {
        let delimiter = delimiter.filter(|_| !self.literal);
        Self {
            raw: self
                .raw
                .and_then(|raw| delimiter::part(raw, delimiter, number)),
            ..*self
        }
    }

    fn split(&self, delimiter: Option<u8>) -> impl Iterator<Item = Self> + use<'m> {
        let whole = *self;
        let delimiter = delimiter.filter(|_| !whole.literal);
        let raw = whole.raw.filter(|raw| !raw.is_empty());
        raw.into_iter()
            .flat_map(move |raw| delimiter::parts(raw, delimiter))
            .map(move |part| Self {
                raw: Some(part),
                ..whole
            })
    }

    fn literal(self) -> Self {
        Self {
            literal: true,
            ..self
        }
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Element")
            .field("presence", &self.presence())
            .finish_non_exhaustive()
    }
}

/// A version of the standard, MSH-12: `2.5.1`. Versions are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Always 2 in the messages of this crate.
    pub major: u8,
    /// `5` of `2.5.1`.
    pub minor: u8,
    /// `1` of `2.5.1`; 0 when not written.
    pub patch: u8,
}

impl Version {
    /// A version by its numbers.
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

/// Text that is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is written like 2.5.1")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let mut numbers = text.trim().split('.').map(|part| part.parse::<u8>().ok());
        match (
            numbers.next(),
            numbers.next(),
            numbers.next(),
            numbers.next(),
        ) {
            (Some(Some(major)), Some(Some(minor)), None, None) => Ok(Self::new(major, minor, 0)),
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self::new(major, minor, patch))
            }
            _ => Err(VersionError),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 {
            write!(formatter, ".{}", self.patch)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
