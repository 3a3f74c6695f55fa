//! Minimal Lower Layer Protocol framing (HL7 v2.x, appendix C; transport specification MLLP R1).
//!
//! A frame is `<VT> message <FS> <CR>`. This module finds frames in the bytes of one connection,
//! however they are cut into pieces, and says what was wrong with them. Reading bytes from a
//! socket, timers and answers are the business of the listener.

use std::collections::VecDeque;

/// Start of a frame.
pub const VT: u8 = 0x0B;
/// End of the message inside a frame.
pub const FS: u8 = 0x1C;
/// End of a frame.
pub const CR: u8 = 0x0D;

/// What one connection may ask of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message in a frame.
    pub frame_bytes_max: usize,
    /// How many bytes in a row may stand outside frames before we stop listening.
    pub stray_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 4 * 1024 * 1024,
            stray_bytes_max: 64 * 1024,
        }
    }
}

/// What the decoder found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The message of a complete frame, without its framing bytes; never empty.
    Frame(Vec<u8>),
    /// Something was wrong, and reading goes on.
    Warning(Warning),
    /// The connection is of no more use: close it. Always the last event.
    Fatal(Fatal),
}

/// A fault that the decoder repaired. One that belongs to a frame comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Bytes outside a frame were skipped; said once for each run of such bytes.
    BytesOutsideFrame,
    /// A new frame began, or the connection ended, inside a frame: its message is lost and must
    /// never be acknowledged.
    PartialFrameDropped {
        /// How much of the lost message had arrived.
        bytes: usize,
    },
    /// A frame ended by FS without the CR that must follow.
    CarriageReturnMissing,
    /// FS stood inside a message and was kept as a part of it.
    EndByteInsideMessage,
}

impl Warning {
    /// A name for logs and counters.
    pub fn code(self) -> &'static str {
        match self {
            Self::BytesOutsideFrame => "bytes-outside-frame",
            Self::PartialFrameDropped { .. } => "partial-frame-dropped",
            Self::CarriageReturnMissing => "carriage-return-missing",
            Self::EndByteInsideMessage => "end-byte-inside-message",
        }
    }
}

/// Why a connection must be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// A message grew over the limit.
    #[error("message is larger than {limit_bytes} bytes")]
    FrameTooLarge {
        /// The limit it met: [`Limits::frame_bytes_max`].
        limit_bytes: usize,
        /// The first segment of the message as far as it was read, so that the sender can be
        /// told; the rest is forgotten.
        head: Vec<u8>,
    },
    /// Too many bytes in a row without a frame.
    #[error("more than {limit_bytes} bytes outside a frame")]
    NoStartByte {
        /// The limit it met: [`Limits::stray_bytes_max`].
        limit_bytes: usize,
    },
    /// The peer speaks HTTP: a load balancer's check or a scanner.
    #[error("the peer speaks HTTP")]
    Http,
    /// The peer starts a TLS handshake on a plain port.
    #[error("the peer speaks TLS")]
    Tls,
}

impl Fatal {
    /// A name for logs and counters.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FrameTooLarge { .. } => "frame-too-large",
            Self::NoStartByte { .. } => "no-start-byte",
            Self::Http => "http",
            Self::Tls => "tls",
        }
    }
}

/// How much of an oversized message is kept for the answer to its sender.
const HEAD_BYTES_MAX: usize = 1024;

/// What other protocols send first.
const PROBES: &[(&[u8], Fatal)] = &[
    (b"GET ", Fatal::Http),
    (b"HEAD ", Fatal::Http),
    (b"POST ", Fatal::Http),
    (b"PUT ", Fatal::Http),
    (b"PATCH ", Fatal::Http),
    (b"DELETE ", Fatal::Http),
    (b"OPTIONS ", Fatal::Http),
    (b"CONNECT ", Fatal::Http),
    (b"TRACE ", Fatal::Http),
    (b"PRI * HTTP", Fatal::Http),
    (b"\x16\x03", Fatal::Tls),
];

#[derive(Clone, Debug)]
enum State {
    /// Between frames.
    Outside(Stray),
    /// After VT.
    Inside,
    /// After an FS inside a frame, before the byte that decides what it means.
    AfterEndByte,
    /// After a fatal event.
    Closed,
}

/// A run of bytes outside a frame.
#[derive(Clone, Debug, Default)]
struct Stray {
    bytes: usize,
    /// The first bytes of the run while they can still be the start of another protocol.
    prefix: Vec<u8>,
    warned: bool,
}

/// Finds the frames in the bytes of one connection.
///
/// Call [`push`](Self::push) with what was read and then [`next`](Self::next) until it is `None`.
/// The events do not depend on how the bytes are cut. Every byte is looked at once, and no more
/// than the limit and one read is ever held.
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    frame: Vec<u8>,
    events: VecDeque<Event>,
}

impl Decoder {
    /// A decoder for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Outside(Stray::default()),
            frame: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// Takes the bytes of one read.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            rest = match self.state {
                State::Outside(_) => self.outside(first, after),
                State::Inside => self.inside(rest),
                State::AfterEndByte => self.after_end_byte(first, rest, after),
                State::Closed => return,
            };
        }
    }

    /// The next event, if there is one.
    #[expect(
        clippy::should_implement_trait,
        reason = "more events come with the next push"
    )]
    pub fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether a frame has begun and not ended: the time for one frame is running.
    pub fn is_mid_frame(&self) -> bool {
        matches!(self.state, State::Inside | State::AfterEndByte)
    }

    /// Whether the last byte was an FS: the CR should follow within the grace time.
    pub fn awaits_carriage_return(&self) -> bool {
        matches!(self.state, State::AfterEndByte)
    }

    /// Whether a fatal event was found; more bytes are then ignored.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Takes a frame whose FS has arrived as complete, because its CR has not come in time.
    pub fn flush_after_grace(&mut self) {
        if self.awaits_carriage_return() {
            self.complete(false);
        }
    }

    /// The peer sends no more: completes a frame that lacks only its CR, drops one that lacks more.
    pub fn finish(&mut self) {
        self.flush_after_grace();
        match &self.state {
            State::Inside => {
                self.drop_partial();
                self.state = State::Outside(Stray::default());
            }
            State::Outside(stray) if !stray.prefix.is_empty() && !stray.warned => {
                self.events
                    .push_back(Event::Warning(Warning::BytesOutsideFrame));
                self.state = State::Outside(Stray::default());
            }
            _ => {}
        }
    }

    fn outside<'b>(&mut self, byte: u8, after: &'b [u8]) -> &'b [u8] {
        let State::Outside(stray) = &mut self.state else {
            return after;
        };
        if byte == VT {
            if !stray.prefix.is_empty() && !stray.warned {
                self.events
                    .push_back(Event::Warning(Warning::BytesOutsideFrame));
            }
            self.state = State::Inside;
            return after;
        }
        stray.bytes += 1;
        if stray.bytes > self.limits.stray_bytes_max {
            let limit_bytes = self.limits.stray_bytes_max;
            return self.close(Fatal::NoStartByte { limit_bytes });
        }
        let line_end = matches!(byte, CR | b'\n');
        if stray.warned || (line_end && stray.prefix.is_empty()) {
            return after;
        }
        stray.prefix.push(byte);
        let begun = |probe: &&(&[u8], Fatal)| probe.0.starts_with(&stray.prefix);
        match PROBES.iter().find(begun) {
            Some((probe, fatal)) if probe.len() == stray.prefix.len() => self.close(fatal.clone()),
            Some(_) => after,
            None => {
                stray.warned = true;
                stray.prefix = Vec::new();
                self.events
                    .push_back(Event::Warning(Warning::BytesOutsideFrame));
                after
            }
        }
    }

    fn inside<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        let end = memchr::memchr2(VT, FS, rest).unwrap_or(rest.len());
        let (message, from_end) = rest.split_at(end);
        if !self.keep(message) {
            return &[];
        }
        let Some((&end_byte, after)) = from_end.split_first() else {
            return from_end;
        };
        if end_byte == VT {
            self.drop_partial();
        } else {
            self.state = State::AfterEndByte;
        }
        after
    }

    fn after_end_byte<'b>(&mut self, byte: u8, rest: &'b [u8], after: &'b [u8]) -> &'b [u8] {
        match byte {
            CR => {
                self.complete(true);
                after
            }
            b'\n' => {
                self.complete(false);
                after
            }
            VT => {
                self.complete(false);
                rest
            }
            _ => {
                self.state = State::Inside;
                self.events
                    .push_back(Event::Warning(Warning::EndByteInsideMessage));
                if self.keep(&[FS]) { rest } else { &[] }
            }
        }
    }

    /// Adds to the message of the frame; false when that closed the connection.
    fn keep(&mut self, message: &[u8]) -> bool {
        let limit_bytes = self.limits.frame_bytes_max;
        let room = limit_bytes.saturating_sub(self.frame.len());
        if message.len() <= room {
            self.frame.extend_from_slice(message);
            return true;
        }
        let mut head = std::mem::take(&mut self.frame);
        head.extend(message.iter().take(room.min(HEAD_BYTES_MAX)));
        head.truncate(HEAD_BYTES_MAX);
        head.truncate(memchr::memchr2(CR, b'\n', &head).unwrap_or(head.len()));
        head.shrink_to_fit();
        self.close(Fatal::FrameTooLarge { limit_bytes, head });
        false
    }

    fn complete(&mut self, carriage_return: bool) {
        self.state = State::Outside(Stray::default());
        let message = std::mem::take(&mut self.frame);
        if message.iter().all(|byte| matches!(*byte, CR | b'\n')) {
            return; // an empty frame is some engines' sign of life
        }
        if !carriage_return {
            self.events
                .push_back(Event::Warning(Warning::CarriageReturnMissing));
        }
        self.events.push_back(Event::Frame(message));
    }

    fn drop_partial(&mut self) {
        let bytes = std::mem::take(&mut self.frame).len();
        self.events
            .push_back(Event::Warning(Warning::PartialFrameDropped { bytes }));
    }

    fn close(&mut self, fatal: Fatal) -> &'static [u8] {
        self.frame = Vec::new();
        self.state = State::Closed;
        self.events.push_back(Event::Fatal(fatal));
        &[]
    }
}

/// Puts a message into a frame.
pub fn encode(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 3);
    frame.push(VT);
    frame.extend_from_slice(message);
    frame.extend_from_slice(&[FS, CR]);
    frame
}

#[cfg(test)]
mod tests;
