//! What must come of a frame, by the requirements of the intake: a table, first row that holds.
//!
//! Where the requirements leave a choice (a batch may be answered AE or AR; an event beyond those
//! that are promised may be acted on or only kept), the row allows both.

use baton::store::MessageState::{self, Ignored, Processed, SetAside};

/// What must come of a frame.
pub(crate) struct Expectation {
    /// Which rule says so.
    pub(crate) rule: &'static str,
    /// One of these for MSA-1.
    pub(crate) answers: Vec<&'static str>,
    /// One of these in the inbox.
    pub(crate) states: &'static [Option<MessageState>],
}

/// What an answer says, before MSH-15 and MSH-16 have a say in it.
#[derive(Clone, Copy)]
enum Verdict {
    Accepted,
    /// AE: sent again, corrected, it will do.
    Refused,
    /// AR: it will never do.
    Rejected,
    /// AE or AR.
    Negative,
    Silence,
}

struct Rule {
    text: &'static str,
    holds: fn(&Message<'_>) -> bool,
    verdict: Verdict,
    states: &'static [Option<MessageState>],
}

const fn rule(
    text: &'static str,
    holds: fn(&Message<'_>) -> bool,
    verdict: Verdict,
    states: &'static [Option<MessageState>],
) -> Rule {
    Rule {
        text,
        holds,
        verdict,
        states,
    }
}

const NOWHERE: &[Option<MessageState>] = &[None];
const FOR_AN_OPERATOR: &[Option<MessageState>] = &[Some(SetAside)];
const DONE: &[Option<MessageState>] = &[Some(Processed)];
const ANY: &[Option<MessageState>] = &[Some(Processed), Some(Ignored), Some(SetAside)];
const DONE_OR_KEPT: &[Option<MessageState>] = &[Some(Processed), Some(Ignored)];

/// First what cannot be read or correlated, then what is not for us, then what has effects.
#[rustfmt::skip]
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a path to a method is good for one lifetime, a rule must be for all"
)]
const RULES: &[Rule] = &[
    rule("R4: a batch in one frame", |message| message.is_batch(), Verdict::Negative, FOR_AN_OPERATOR),
    rule("R4: no MSH", |message| !message.is_message(), Verdict::Negative, FOR_AN_OPERATOR),
    rule("R11: an acknowledgement", |message| message.is_acknowledgement(), Verdict::Silence, NOWHERE),
    rule("R4: MSH-10 is empty", |message| blank(message.header(10)), Verdict::Negative, FOR_AN_OPERATOR),
    rule("R4: two messages in one frame", |message| message.count("MSH") > 1, Verdict::Negative, FOR_AN_OPERATOR),
    rule("R9: MSH-11 is not P, T or D", |message| !known_processing_id(message), Verdict::Rejected, FOR_AN_OPERATOR),
    rule("R9: MSH-12 is not 2.x", |message| !is_version_2(first(message.header(12), message.component)), Verdict::Rejected, FOR_AN_OPERATOR),
    rule("R9: MSH-9.1 is not ADT", |message| first(message.header(9), message.component) != b"ADT", Verdict::Rejected, FOR_AN_OPERATOR),
    rule("R9: a segment without a name of three characters", |message| message.has_misnamed_segment(), Verdict::Negative, FOR_AN_OPERATOR),
    rule("R9: MSH-9.2 is not in table 0003", |message| !known_event(message.event()), Verdict::Rejected, FOR_AN_OPERATOR),
    rule("AA: an event that is not among the promised, and no visit", |message| !message.is_promised() && message.lacks_visit(), Verdict::Accepted, ANY),
    rule("AA: an event that is not among the promised", |message| !message.is_promised(), Verdict::Accepted, DONE_OR_KEPT),
    rule("R9: nobody is named by PID-3 or PID-2", |message| !message.has("PID", &[3, 2]), Verdict::Refused, FOR_AN_OPERATOR),
    rule("R14: no PV1, or no visit named by PV1-19, PID-18 or PV1-50", |message| message.lacks_visit(), Verdict::Accepted, FOR_AN_OPERATOR),
    rule("R1, R2: accepted and processed", |_| true, Verdict::Accepted, DONE),
];

/// The events that are acted on.
const PROMISED: &[&[u8]] = &[
    b"A01", b"A02", b"A03", b"A04", b"A05", b"A06", b"A07", b"A08", b"A11", b"A13", b"A31",
];
/// Those of them that speak of a person and no visit.
const OF_A_PERSON: &[&[u8]] = &[b"A31"];
/// ADT has the events A01 to A62.
const EVENT_LAST: u8 = 62;

/// What must come of this frame.
pub(crate) fn of(frame: &[u8]) -> Expectation {
    let message = Message::read(frame);
    let rule = RULES.iter().find(|rule| (rule.holds)(&message)).unwrap();
    Expectation {
        rule: rule.text,
        answers: answers(&message, rule.verdict),
        states: rule.states,
    }
}

/// R10: neither field valued, an application acknowledgement; else an accept acknowledgement if
/// MSH-15 asks for it, else an application acknowledgement if MSH-16 does, else none.
fn answers(message: &Message<'_>, verdict: Verdict) -> Vec<&'static str> {
    let (codes, is_success): (&[[&str; 2]], bool) = match verdict {
        Verdict::Accepted => (&[["CA", "AA"]], true),
        Verdict::Refused => (&[["CE", "AE"]], false),
        Verdict::Rejected => (&[["CR", "AR"]], false),
        Verdict::Negative => (&[["CE", "AE"], ["CR", "AR"]], false),
        Verdict::Silence => return vec!["none"],
    };
    let wanted = [15, 16].map(|field| message.header(field));
    let is_known = |condition: &[u8]| matches!(condition, b"AL" | b"NE" | b"ER" | b"SU");
    if !wanted.iter().any(|condition| is_known(condition)) {
        return codes.iter().map(|[_, application]| *application).collect();
    }
    let is_wanted = wanted.map(|condition| match condition {
        b"AL" => true,
        b"ER" => !is_success,
        b"SU" => is_success,
        _ => false,
    });
    match is_wanted.iter().position(|wanted| *wanted) {
        Some(kind) => codes.iter().map(|pair| pair[kind]).collect(),
        None => vec!["none"],
    }
}

fn known_processing_id(message: &Message<'_>) -> bool {
    let id = first(message.header(11), message.component);
    matches!(id, b"" | b"P" | b"T" | b"D")
}

fn is_version_2(version: &[u8]) -> bool {
    matches!(version, [b'2', b'.', minor, ..] if minor.is_ascii_digit())
}

fn known_event(event: &[u8]) -> bool {
    let number = event
        .strip_prefix(b"A")
        .filter(|digits| digits.len() == 2)
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u8>().ok());
    number.is_some_and(|number| (1..=EVENT_LAST).contains(&number))
}

/// A message split at its separators, and no more than that. Blanks before a segment are the
/// indentation of the file that the sample was taken from.
pub(crate) struct Message<'m> {
    segments: Vec<Vec<&'m [u8]>>,
    component: u8,
}

impl<'m> Message<'m> {
    pub(crate) fn read(frame: &'m [u8]) -> Self {
        let frame = frame.strip_prefix(b"\xef\xbb\xbf").unwrap_or(frame);
        let lines: Vec<&[u8]> = frame
            .split(|byte| matches!(byte, b'\r' | b'\n'))
            .map(<[u8]>::trim_ascii_start)
            .filter(|line| !line.is_empty())
            .collect();
        let at = |index: usize| lines.first().and_then(|line| line.get(index)).copied();
        let separator = at(3).unwrap_or(b'|');
        Self {
            segments: lines
                .iter()
                .map(|line| line.split(|byte| *byte == separator).collect())
                .collect(),
            component: at(4).unwrap_or(b'^'),
        }
    }

    /// MSH-`field`; MSH-1 is the separator itself.
    pub(crate) fn header(&self, field: usize) -> &'m [u8] {
        let header = self.segments.first();
        header
            .and_then(|header| header.get(field - 1))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn is_batch(&self) -> bool {
        matches!(self.name(0), b"FHS" | b"BHS")
    }

    pub(crate) fn is_message(&self) -> bool {
        self.name(0) == b"MSH"
    }

    fn is_acknowledgement(&self) -> bool {
        first(self.header(9), self.component) == b"ACK" || self.count("MSA") > 0
    }

    fn has_misnamed_segment(&self) -> bool {
        (0..self.segments.len()).any(|index| self.name(index).len() != 3)
    }

    fn is_promised(&self) -> bool {
        PROMISED.contains(&self.event())
    }

    fn lacks_visit(&self) -> bool {
        !OF_A_PERSON.contains(&self.event())
            && (self.count("PV1") == 0 || !self.has("PV1", &[19, 50]) && !self.has("PID", &[18]))
    }

    /// MSH-9.2, or what older senders say in EVN-1.
    fn event(&self) -> &'m [u8] {
        let mut parts = self.header(9).split(|byte| *byte == self.component);
        match parts.nth(1) {
            Some(event) if !event.is_empty() => event,
            _ => self.field("EVN", 1),
        }
    }

    fn name(&self, index: usize) -> &'m [u8] {
        self.segments
            .get(index)
            .map(|segment| segment[0])
            .unwrap_or_default()
    }

    fn count(&self, name: &str) -> usize {
        self.segments
            .iter()
            .filter(|segment| segment[0] == name.as_bytes())
            .count()
    }

    fn has(&self, segment: &str, fields: &[usize]) -> bool {
        fields
            .iter()
            .any(|field| !blank(first(self.field(segment, *field), self.component)))
    }

    /// A field of the first segment with this name.
    pub(crate) fn field(&self, name: &str, field: usize) -> &'m [u8] {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment[0] == name.as_bytes());
        segment
            .and_then(|segment| segment.get(field))
            .copied()
            .unwrap_or_default()
    }
}

fn first(field: &[u8], separator: u8) -> &[u8] {
    field
        .split(|byte| *byte == separator)
        .next()
        .unwrap_or_default()
}

fn blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}
