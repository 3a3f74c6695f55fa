//! HL7 version 2 messages: framing, character sets, parsing, timestamps, typed segments and
//! acknowledgements (HL7 v2.1 to v2.9, chapters 2 and 3).
//!
//! The crate is pure: bytes in, values out. It opens no socket, asks for no time, makes no
//! identifier and knows nothing of FHIR; what a message *means* is left to its caller.
//!
//! ```
//! let parsed = hl7v2::parse(b"MSH|^~\\&|APP|FAC|||2025||ADT^A03|M1|P|2.5.1\rPID|1||7^^^FAC^MR")?;
//! let message = &parsed.message;
//! assert_eq!(message.trigger_event().as_deref(), Some("A03"));
//! assert_eq!(message.get("PID-3.5").as_deref(), Some("MR"));
//! # Ok::<(), hl7v2::ParseError>(())
//! ```

pub mod acknowledgement;
pub mod batch;
pub mod charset;
pub mod delimiter;
pub mod escape;
pub mod location;
pub mod message;
pub mod mllp;
pub mod parse;
pub mod segment;
pub mod timestamp;

pub use crate::charset::Charset;
pub use crate::delimiter::Delimiters;
pub use crate::location::{Location, SegmentId};
pub use crate::message::{Element, Group, Message, Presence, Segment, Version};
pub use crate::parse::{
    Issue, IssueCode, ParseError, ParseOptions, Parsed, Severity, parse, parse_with,
};
pub use crate::timestamp::{Precision, Timestamp, TimestampError};
