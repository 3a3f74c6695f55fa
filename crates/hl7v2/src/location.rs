//! Where something stands in a message: `PID-3[2].4.1` (HL7 v2.9, data type ERL, ERR-2).
//!
//! The written form is ours: segment, occurrence in brackets, field, repetition in brackets,
//! component, subcomponent, all counted from 1. Without brackets the first segment of the name is
//! meant, and of a field all its repetitions.

use std::fmt;
use std::str::FromStr;

/// The three characters that name a segment: an upper-case letter, then letters or digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId([u8; 3]);

impl SegmentId {
    /// Message header.
    pub const MSH: Self = Self(*b"MSH");
    /// Event type.
    pub const EVN: Self = Self(*b"EVN");
    /// Patient identification.
    pub const PID: Self = Self(*b"PID");
    /// Patient visit.
    pub const PV1: Self = Self(*b"PV1");
    /// Merge patient information.
    pub const MRG: Self = Self(*b"MRG");

    /// Checks a segment name.
    pub fn new(name: &str) -> Option<Self> {
        let bytes: [u8; 3] = name.as_bytes().try_into().ok()?;
        let [first, rest @ ..] = bytes;
        let rest_is_right = rest
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        (first.is_ascii_uppercase() && rest_is_right).then_some(Self(bytes))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A place in a message; everything is counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The name of the segment.
    pub segment: SegmentId,
    /// Which segment of that name.
    pub occurrence: usize,
    /// The field, unless the whole segment is meant.
    pub field: Option<usize>,
    /// Which repetition of the field, unless the whole field is meant.
    pub repetition: Option<usize>,
    /// The component, unless the whole repetition is meant.
    pub component: Option<usize>,
    /// The subcomponent, unless the whole component is meant.
    pub subcomponent: Option<usize>,
}

/// A location that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a location is written like PID-3[2].4.1")]
pub struct LocationError;

impl Location {
    /// The first segment of a name.
    pub fn segment(segment: SegmentId) -> Self {
        Self {
            segment,
            occurrence: 1,
            field: None,
            repetition: None,
            component: None,
            subcomponent: None,
        }
    }

    /// A field of the first segment of a name.
    pub fn field(segment: SegmentId, field: usize) -> Self {
        Self {
            field: Some(field),
            ..Self::segment(segment)
        }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let (segment, place) = match text.split_once('-') {
            Some((segment, place)) => (segment, Some(place)),
            None => (text, None),
        };
        let (name, occurrence) = bracketed(segment)?;
        let occurrence = occurrence.unwrap_or(1);
        let segment = SegmentId::new(name).ok_or(LocationError)?;
        let mut location = Self {
            occurrence,
            ..Self::segment(segment)
        };
        let Some(place) = place else {
            return Ok(location);
        };
        let mut numbers = place.split('.');
        let (field, repetition) = bracketed(numbers.next().ok_or(LocationError)?)?;
        location.field = Some(number(field)?);
        location.repetition = repetition;
        location.component = numbers.next().map(number).transpose()?;
        location.subcomponent = numbers.next().map(number).transpose()?;
        if numbers.next().is_some() {
            Err(LocationError)
        } else {
            Ok(location)
        }
    }
}

/// `PID[2]` → (`PID`, 2); `PID` → (`PID`, none).
fn bracketed(text: &str) -> Result<(&str, Option<usize>), LocationError> {
    match text.split_once('[') {
        None => Ok((text, None)),
        Some((name, rest)) => {
            let inside = rest.strip_suffix(']').ok_or(LocationError)?;
            Ok((name, Some(number(inside)?)))
        }
    }
}

fn number(text: &str) -> Result<usize, LocationError> {
    let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits_only && number > 0 => Ok(number),
        _ => Err(LocationError),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.segment)?;
        if self.occurrence > 1 {
            write!(formatter, "[{}]", self.occurrence)?;
        }
        let Some(field) = self.field else {
            return Ok(());
        };
        write!(formatter, "-{field}")?;
        if let Some(repetition) = self.repetition {
            write!(formatter, "[{repetition}]")?;
        }
        let Some(component) = self.component else {
            return Ok(());
        };
        write!(formatter, ".{component}")?;
        match self.subcomponent {
            Some(subcomponent) => write!(formatter, ".{subcomponent}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let written = text
            .parse::<Location>()
            .ok()
            .map(|location| location.to_string());
        assert_eq!(written.as_deref(), expected, "{text}");
    }

    #[test]
    fn locations_are_read_and_written() {
        check("PID", Some("PID"));
        check("PID-3", Some("PID-3"));
        check("PID[1]-3[1].1", Some("PID-3[1].1"));
        check("NK1[2]-5[3].1.2", Some("NK1[2]-5[3].1.2"));
        for wrong in [
            "",
            "pid-3",
            "PI-3",
            "PIDX-3",
            "PID-",
            "PID-0",
            "PID-x",
            "PID-+3",
            "PID-3.",
            "PID-3.0",
            "PID-3.1.1.1",
            "PID[-3",
            "PID[0]-3",
            "PID-3[1",
            "3PI-1",
            "PÜD",
        ] {
            check(wrong, None);
        }
    }
}
