//! Batches: `[FHS] { [BHS] { message } [BTS] } [FTS]` (HL7 v2.9, section 2.10.3).
//!
//! Works on bytes, before any character set is known, and is as lenient as senders are careless:
//! headers and trailers may be missing, and a file of bare messages is a batch too. Nothing is
//! lost: every line is in a header, a message or a trailer, or is told to be stray. Reading the
//! messages is left to `parse`.

use crate::delimiter::Delimiters;

/// A file of batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchFile<'b> {
    /// FHS.
    pub header: Option<&'b [u8]>,
    /// The batches in their order.
    pub batches: Vec<Batch<'b>>,
    /// FTS.
    pub trailer: Option<&'b [u8]>,
    /// Lines that belong to nothing: before the first message, or after a trailer.
    pub stray: Vec<&'b [u8]>,
}

/// A batch of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch<'b> {
    /// BHS.
    pub header: Option<&'b [u8]>,
    /// The bytes of each message, from its MSH to what follows its last segment.
    pub messages: Vec<&'b [u8]>,
    /// BTS.
    pub trailer: Option<&'b [u8]>,
}

/// Something odd about a file of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchIssue {
    /// BTS-1 does not say how many messages there are.
    MessageCountMismatch {
        /// Which batch, from 0.
        batch: usize,
        /// What BTS-1 says.
        declared: u64,
        /// How many there are.
        found: usize,
    },
    /// FTS-1 does not say how many batches there are.
    BatchCountMismatch {
        /// What FTS-1 says.
        declared: u64,
        /// How many there are.
        found: usize,
    },
    /// A batch with BHS has no BTS: it may have been cut off.
    BatchTrailerMissing {
        /// Which batch, from 0.
        batch: usize,
    },
    /// A file with FHS has no FTS: it may have been cut off.
    FileTrailerMissing,
    /// There are lines that belong to nothing.
    StrayLines {
        /// How many.
        count: usize,
    },
}

impl BatchIssue {
    /// A name for reports and records.
    pub fn code(self) -> &'static str {
        match self {
            Self::MessageCountMismatch { .. } => "message-count-mismatch",
            Self::BatchCountMismatch { .. } => "batch-count-mismatch",
            Self::BatchTrailerMissing { .. } => "batch-trailer-missing",
            Self::FileTrailerMissing => "file-trailer-missing",
            Self::StrayLines { .. } => "stray-lines",
        }
    }
}

/// What a line is to a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    FileHeader,
    BatchHeader,
    MessageHeader,
    BatchTrailer,
    FileTrailer,
    /// A segment of a message.
    Segment,
    /// Nothing but blanks and framing bytes.
    Blank,
}

const LINES: &[(&[u8], Line)] = &[
    (b"FHS", Line::FileHeader),
    (b"BHS", Line::BatchHeader),
    (b"MSH", Line::MessageHeader),
    (b"BTS", Line::BatchTrailer),
    (b"FTS", Line::FileTrailer),
];

/// Whether the bytes begin with a batch or file header.
pub fn is_batch(bytes: &[u8]) -> bool {
    let first = lines(bytes)
        .map(|(_, line)| kind(line))
        .find(|kind| *kind != Line::Blank);
    matches!(first, Some(Line::FileHeader | Line::BatchHeader))
}

/// Splits a file into batches and messages.
pub fn split(bytes: &[u8]) -> BatchFile<'_> {
    let mut splitter = Splitter {
        bytes,
        ..Splitter::default()
    };
    for (start, line) in lines(bytes) {
        splitter.take(start, line);
    }
    splitter.end_message(bytes.len());
    splitter.end_batch();
    splitter.file
}

impl<'b> BatchFile<'b> {
    /// All messages in their order.
    pub fn messages(&self) -> impl Iterator<Item = &'b [u8]> + '_ {
        self.batches
            .iter()
            .flat_map(|batch| batch.messages.iter().copied())
    }

    /// What is odd about the file.
    pub fn issues(&self) -> Vec<BatchIssue> {
        let mut issues = Vec::new();
        for (index, batch) in self.batches.iter().enumerate() {
            let found = batch.messages.len();
            match batch.trailer.map(declared_count) {
                None if batch.header.is_some() => {
                    issues.push(BatchIssue::BatchTrailerMissing { batch: index });
                }
                Some(Some(declared)) if u64::try_from(found) != Ok(declared) => {
                    issues.push(BatchIssue::MessageCountMismatch {
                        batch: index,
                        declared,
                        found,
                    });
                }
                _ => {}
            }
        }
        let found = self.batches.len();
        match self.trailer.map(declared_count) {
            None if self.header.is_some() => issues.push(BatchIssue::FileTrailerMissing),
            Some(Some(declared)) if u64::try_from(found) != Ok(declared) => {
                issues.push(BatchIssue::BatchCountMismatch { declared, found });
            }
            _ => {}
        }
        if !self.stray.is_empty() {
            issues.push(BatchIssue::StrayLines {
                count: self.stray.len(),
            });
        }
        issues
    }
}

#[derive(Default)]
struct Splitter<'b> {
    bytes: &'b [u8],
    file: BatchFile<'b>,
    batch: Batch<'b>,
    /// Where the message begins that is being read.
    message: Option<usize>,
}

impl<'b> Splitter<'b> {
    fn take(&mut self, start: usize, line: &'b [u8]) {
        let kind = kind(line);
        if matches!(kind, Line::Blank) {
            return;
        }
        let line = trim(line);
        if kind == Line::Segment {
            if self.message.is_none() {
                self.file.stray.push(line);
            }
            return;
        }
        self.end_message(start);
        match kind {
            Line::MessageHeader => {
                if self.batch.trailer.is_some() {
                    self.end_batch();
                }
                self.message = Some(start);
            }
            Line::BatchHeader => {
                self.end_batch();
                self.batch.header = Some(line);
            }
            Line::BatchTrailer if self.batch.trailer.is_none() => self.batch.trailer = Some(line),
            Line::FileHeader if self.file.header.is_none() => {
                self.end_batch();
                self.file.header = Some(line);
            }
            Line::FileTrailer if self.file.trailer.is_none() => {
                self.end_batch();
                self.file.trailer = Some(line);
            }
            _ => self.file.stray.push(line), // a second header or trailer of the same kind
        }
    }

    fn end_message(&mut self, end: usize) {
        if let Some(start) = self.message.take() {
            self.batch.messages.extend(self.bytes.get(start..end));
        }
    }

    fn end_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch != Batch::default() {
            self.file.batches.push(batch);
        }
    }
}

/// The lines of the file, each with where it starts and without its end.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(next..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let start = next;
        next += length + 1;
        Some((start, rest.get(..length)?))
    })
}

fn kind(line: &[u8]) -> Line {
    let line = trim(line);
    if line.is_empty() {
        return Line::Blank;
    }
    let ends = line
        .get(3)
        .is_none_or(|byte| Delimiters::is_field_separator(*byte));
    let row = LINES
        .iter()
        .find(|(name, _)| ends && line.starts_with(name));
    match row {
        // A header says what the delimiters are; without them it is none.
        Some((_, Line::FileHeader | Line::BatchHeader | Line::MessageHeader))
            if line.len() == 3 =>
        {
            Line::Segment
        }
        Some((_, kind)) => *kind,
        None => Line::Segment,
    }
}

/// A line without blanks, a byte order mark and the framing of MLLP around it.
fn trim(line: &[u8]) -> &[u8] {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let is_wrapping = |byte: &u8| matches!(byte, b' ' | b'\t' | 0x0B | 0x1C | 0);
    let start = |line: &[u8]| line.iter().position(|byte| !is_wrapping(byte));
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let line = start(line)
        .and_then(|start| line.get(start..))
        .unwrap_or_default();
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let end = line
        .iter()
        .rposition(|byte| !is_wrapping(byte))
        .map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

/// BTS-1 or FTS-1.
fn declared_count(trailer: &[u8]) -> Option<u64> {
    let separator = trailer.get(3)?;
    let field = trailer.split(|byte| byte == separator).nth(1)?;
    str::from_utf8(field).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file as text: messages by MSH-10 in their batches, then the issues.
    #[track_caller]
    fn check(lines: &[&str], batches: &[&[&str]], issues: &[&str]) {
        for end in ["\r", "\n", "\r\n"] {
            let text = lines.join(end);
            let file = split(text.as_bytes());
            let id = |message: &&[u8]| {
                let parsed = crate::parse::parse(message).unwrap();
                parsed.message.control_id().to_owned()
            };
            let found: Vec<Vec<String>> = file
                .batches
                .iter()
                .map(|batch| batch.messages.iter().map(id).collect())
                .collect();
            assert_eq!(found, batches);
            let found: Vec<_> = file.issues().into_iter().map(BatchIssue::code).collect();
            assert_eq!(found, issues);
        }
    }

    const A: &str = "MSH|^~\\&|||||||ADT^A01|a|P|2.5";
    const B: &str = "MSH|^~\\&|||||||ADT^A01|b|P|2.5";
    const C: &str = "MSH|^~\\&|||||||ADT^A01|c|P|2.5";

    #[test]
    fn files_are_split_into_batches_and_messages() {
        let file = [
            "FHS|^~\\&",
            "BHS|^~\\&",
            A,
            "PID|1",
            B,
            "BTS|2",
            "BHS|^~\\&",
            C,
            "BTS|1",
            "FTS|2",
        ];
        check(&file, &[&["a", "b"], &["c"]], &[]);
        check(&["BHS|^~\\&", A, B, "BTS|2"], &[&["a", "b"]], &[]);
        check(&["FHS|^~\\&", A, B, "FTS|1"], &[&["a", "b"]], &[]);
        check(&[A, "PID|1", B], &[&["a", "b"]], &[]);
        check(&[A], &[&["a"]], &[]);
        check(
            &["", "\u{b}MSH|^~\\&|||||||ADT|a|P|2.5", "\u{1c}", ""],
            &[&["a"]],
            &[],
        );
        check(&["BHS|^~\\&", "BTS|0"], &[&[]], &[]);
        check(&[""], &[], &[]);
    }

    #[test]
    fn wrong_counts_and_missing_trailers_are_told() {
        check(
            &["BHS|^~\\&", A, B, "BTS|3"],
            &[&["a", "b"]],
            &["message-count-mismatch"],
        );
        check(&["BHS|^~\\&", A, "BTS"], &[&["a"]], &[]);
        check(&["BHS|^~\\&", A, "BTS|"], &[&["a"]], &[]);
        check(&["BHS|^~\\&", A], &[&["a"]], &["batch-trailer-missing"]);
        let cut = ["batch-trailer-missing", "file-trailer-missing"];
        check(&["FHS|^~\\&", "BHS|^~\\&", A], &[&["a"]], &cut);
        let count = ["batch-count-mismatch"];
        check(
            &["FHS|^~\\&", "BHS|^~\\&", A, "BTS|1", "FTS|9"],
            &[&["a"]],
            &count,
        );
    }

    #[test]
    fn lines_that_belong_to_nothing_are_told() {
        check(&["PID|1", A], &[&["a"]], &["stray-lines"]);
        check(
            &["BHS|^~\\&", A, "BTS|1", "PID|1"],
            &[&["a"]],
            &["stray-lines"],
        );
        check(&[A, "BTS|1", "BTS|1"], &[&["a"]], &["stray-lines"]);
        check(&["MSH", A], &[&["a"]], &["stray-lines"]);
        check(&[A, "BTS|1", B], &[&["a"], &["b"]], &[]);
    }

    #[test]
    fn a_batch_is_recognised() {
        assert!(is_batch(b"FHS|^~\\&"));
        assert!(is_batch(b"\xEF\xBB\xBF\r\nBHS|^~\\&"));
        assert!(!is_batch(A.as_bytes()));
        assert!(!is_batch(b""));
    }
}
