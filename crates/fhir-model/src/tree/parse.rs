//! The reader: JSON text to nodes, strictly by <https://www.rfc-editor.org/rfc/rfc8259>.
//!
//! Stricter than most where a lenient reader would lose or invent data: duplicate keys, lone
//! surrogates and text after the object are refused. A byte order mark at the start is accepted.
//! It does not recurse; depth, size and number of values have limits that the error names.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::name::{Name, Names};
use crate::tree::parse_error::{Limits, ParseError, ParseErrorKind};
use crate::tree::{Entry, Flags, Kind, NONE, Tree, text};

/// Bytes of text per node, low enough that compact resources seldom make the vector grow.
const BYTES_PER_NODE: usize = 20;

/// An object with up to this many members is searched for a key; a larger one is checked by a set
/// when it ends. So one object costs no more than its length, and a usual one no allocation.
const SEARCHED_KEYS_MAX: u32 = 48;

const BYTE_ORDER_MARK: char = '\u{feff}';

pub(super) fn parse(source: Vec<u8>, names: &Names, limits: &Limits) -> Result<Tree, ParseError> {
    let limit_bytes = limits.bytes_max.min(Limits::BYTES_CEILING);
    if source.len() > limit_bytes {
        let kind = ParseErrorKind::TooLarge { limit_bytes };
        return Err(ParseError::new(kind, &source, 0, String::new()));
    }
    let text = String::from_utf8(source).map_err(|error| ParseError::not_utf8(&error))?;
    let mut reader = Reader::new(&text, names, limits);
    if let Err(kind) = reader.document() {
        return Err(reader.error(*kind));
    }
    let (nodes, verbatim) = (reader.nodes, reader.verbatim);
    Ok(Tree {
        source_len: offset(text.len()),
        text,
        nodes,
        verbatim,
        origin: None,
        places: OnceLock::new(),
    })
}

/// An offset as a node holds it; the text is not longer than [`Limits::BYTES_CEILING`].
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "limited by Limits::BYTES_CEILING and nodes_max"
)]
pub(super) const fn offset(position: usize) -> u32 {
    position as u32
}

/// What a value is called: by its own key, or by that of its array.
#[derive(Clone, Copy)]
struct Label {
    name: Name,
    flags: Flags,
    key: u32,
}

impl Label {
    const ROOT: Self = Self {
        name: Name::UNKNOWN,
        flags: Flags::EMPTY,
        key: NONE,
    };
}

/// An object or array that has not ended.
#[derive(Clone, Copy)]
struct Frame {
    node: u32,
    /// What its items are called.
    label: Label,
    is_object: bool,
    /// How many members or items there are so far.
    count: u32,
    /// Where its keys start in [`Reader::keys`].
    keys_from: usize,
}

struct Reader<'a> {
    text: &'a str,
    names: &'a Names,
    depth_max: usize,
    nodes_max: u32,
    /// The next byte; where it is wrong, when something is.
    position: usize,
    nodes: Vec<Entry>,
    /// The object or array that we are in, and those around it.
    frame: Option<Frame>,
    around: Vec<Frame>,
    /// The members so far of all open objects, as [`key_mark`] has them.
    keys: Vec<u32>,
    /// The key whose value has not been read, for the path of an error.
    pending_key: Option<Label>,
    verbatim: bool,
}

/// Boxed, so that what usually succeeds returns in a register.
type Step<T = ()> = Result<T, Box<ParseErrorKind>>;

impl<'a> Reader<'a> {
    fn new(text: &'a str, names: &'a Names, limits: &Limits) -> Self {
        let nodes_expected = text.len() / BYTES_PER_NODE + 8;
        Self {
            text,
            names,
            depth_max: limits.depth_max.min(Limits::DEPTH_CEILING) as usize,
            nodes_max: limits.nodes_max.min(Limits::CEILING.nodes_max),
            position: 0,
            nodes: Vec::with_capacity(nodes_expected.min(limits.nodes_max as usize)),
            frame: None,
            around: Vec::with_capacity(16),
            keys: Vec::with_capacity(64),
            pending_key: None,
            verbatim: true,
        }
    }

    fn document(&mut self) -> Step {
        if self.text.starts_with(BYTE_ORDER_MARK) {
            self.position = BYTE_ORDER_MARK.len_utf8();
        }
        self.skip_white_space();
        match self.peek() {
            Some(b'{') => self.open(Kind::Object, Label::ROOT)?,
            Some(_) => return Err(fault(ParseErrorKind::NotAnObject)),
            None => return Err(fault(ParseErrorKind::Empty)),
        }
        while let Some(frame) = self.frame {
            if frame.is_object {
                self.member_or_end(frame)?;
            } else {
                self.item_or_end(frame)?;
            }
        }
        // White space around the object does not make it less compact.
        let verbatim = self.verbatim;
        self.skip_white_space();
        self.verbatim = verbatim;
        match self.peek() {
            Some(_) => Err(fault(ParseErrorKind::TrailingData)),
            None => Ok(()),
        }
    }

    #[inline]
    fn member_or_end(&mut self, frame: Frame) -> Step {
        if self.has_more(frame, b'}')? {
            let label = self.key(frame)?;
            self.value(label)
        } else {
            self.close(frame)
        }
    }

    #[inline]
    fn item_or_end(&mut self, frame: Frame) -> Step {
        if self.has_more(frame, b']')? {
            self.value(frame.label)
        } else {
            self.close(frame)
        }
    }

    /// Steps over the `,` or the end of an object or array; whether there is another value.
    #[inline]
    fn has_more(&mut self, frame: Frame, close: u8) -> Step<bool> {
        self.skip_white_space();
        match self.peek() {
            Some(byte) if byte == close => {
                self.position += 1;
                Ok(false)
            }
            Some(b',') if frame.count > 0 => {
                self.position += 1;
                self.skip_white_space();
                Ok(true)
            }
            None => Err(fault(ParseErrorKind::UnexpectedEnd)),
            Some(_) if frame.count == 0 => Ok(true),
            Some(_) => Err(fault(ParseErrorKind::CommaExpected {
                close: char::from(close),
            })),
        }
    }

    #[inline]
    fn value(&mut self, label: Label) -> Step {
        match self.peek() {
            Some(b'"') => self.string(label),
            Some(b'{') => self.open(Kind::Object, label),
            Some(b'[') => self.open(Kind::Array, label),
            Some(b'-' | b'0'..=b'9') => self.number(label),
            Some(b't') => self.literal("true", Kind::Boolean, label),
            Some(b'f') => self.literal("false", Kind::Boolean, label),
            Some(b'n') => self.literal("null", Kind::Null, label),
            Some(b'+' | b'.') => Err(fault(ParseErrorKind::InvalidNumber)),
            Some(_) => Err(fault(ParseErrorKind::ValueExpected)),
            None => Err(fault(ParseErrorKind::UnexpectedEnd)),
        }
    }

    fn open(&mut self, kind: Kind, label: Label) -> Step {
        let depth = self.around.len() + usize::from(self.frame.is_some());
        if depth >= self.depth_max {
            return Err(fault(ParseErrorKind::TooDeep {
                limit: offset(self.depth_max),
            }));
        }
        let node = offset(self.nodes.len());
        self.push(kind, label, self.position, self.position)?;
        self.position += 1;
        self.around.extend(self.frame);
        self.frame = Some(Frame {
            node,
            label: Label {
                flags: label.flags.without(Flags::MEMBER),
                ..label
            },
            is_object: kind == Kind::Object,
            count: 0,
            keys_from: self.keys.len(),
        });
        Ok(())
    }

    fn close(&mut self, frame: Frame) -> Step {
        let next = offset(self.nodes.len());
        if let Some(entry) = self.nodes.get_mut(frame.node as usize) {
            entry.end = offset(self.position);
            entry.next = next;
        }
        if frame.is_object {
            if frame.count > SEARCHED_KEYS_MAX {
                self.check_many_keys(frame)?;
            }
            self.keys.truncate(frame.keys_from);
        }
        self.frame = self.around.pop();
        Ok(())
    }

    #[inline]
    fn push(&mut self, kind: Kind, label: Label, start: usize, end: usize) -> Step {
        let id = offset(self.nodes.len());
        if id >= self.nodes_max {
            return Err(fault(ParseErrorKind::TooManyNodes {
                limit: self.nodes_max,
            }));
        }
        self.nodes.push(Entry {
            name: label.name,
            kind,
            flags: label.flags,
            key: label.key,
            start: offset(start),
            end: offset(end),
            next: id + 1,
        });
        if let Some(frame) = &mut self.frame {
            frame.count += 1;
        }
        self.pending_key = None;
        Ok(())
    }

    /// Reads a key and its `:`.
    #[inline]
    fn key(&mut self, frame: Frame) -> Step<Label> {
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(fault(ParseErrorKind::KeyExpected)),
            None => return Err(fault(ParseErrorKind::UnexpectedEnd)),
        }
        let start = self.position + 1;
        let is_escaped = self.string_content()?;
        let raw = self.text.get(start..self.position).unwrap_or_default();
        let (label, mark) = if is_escaped {
            let flags = Flags::MEMBER.with(Flags::KEY_ESCAPED);
            self.label(&text::unescape(raw), offset(start), flags)
        } else {
            self.label(raw, offset(start), Flags::MEMBER)
        };
        if label.flags.has(Flags::SHADOW)
            && let Some(object) = self.nodes.get_mut(frame.node as usize)
        {
            object.flags = object.flags.with(Flags::HAS_SHADOW);
        }
        self.pending_key = Some(label);
        if frame.count < SEARCHED_KEYS_MAX {
            self.check_key(frame, label, mark)?;
        }
        self.position += 1;
        self.skip_white_space();
        match self.peek() {
            Some(b':') => self.position += 1,
            Some(_) => return Err(fault(ParseErrorKind::ColonExpected)),
            None => return Err(fault(ParseErrorKind::UnexpectedEnd)),
        }
        self.skip_white_space();
        Ok(label)
    }

    /// The label of a key, and the mark it leaves for the next ones.
    #[inline]
    fn label(&self, key: &str, start: u32, flags: Flags) -> (Label, u32) {
        let (text, flags) = match key.strip_prefix('_') {
            Some(text) => (text, flags.with(Flags::SHADOW)),
            None => (key, flags),
        };
        let name = self.names.get(text).unwrap_or(Name::UNKNOWN);
        let label = Label {
            name,
            flags,
            key: start,
        };
        (label, key_mark(name, text, flags.has(Flags::SHADOW)))
    }

    /// Refuses a key that its object already has.
    #[inline]
    fn check_key(&mut self, frame: Frame, label: Label, mark: u32) -> Step {
        let earlier = self.keys.get(frame.keys_from..).unwrap_or_default();
        if earlier.contains(&mark) && self.is_duplicate(frame, label) {
            self.position = label.key as usize - 1;
            return Err(fault(self.duplicate(label)));
        }
        self.keys.push(mark);
        Ok(())
    }

    /// Whether a key whose mark was seen was seen itself.
    #[cold]
    fn is_duplicate(&self, frame: Frame, label: Label) -> bool {
        let key = self.key_text(label.key);
        let mut index = frame.node + 1;
        while let Some(entry) = self.nodes.get(index as usize) {
            if self.key_text(entry.key) == key {
                return true;
            }
            index = entry.next;
        }
        false
    }

    #[cold]
    fn check_many_keys(&mut self, frame: Frame) -> Step {
        let mut seen = HashSet::with_capacity(frame.count as usize);
        let mut index = frame.node + 1;
        while let Some(entry) = self.nodes.get(index as usize).copied() {
            if !seen.insert(self.key_text(entry.key)) {
                let label = Label {
                    name: entry.name,
                    flags: entry.flags,
                    key: entry.key,
                };
                self.position = entry.key as usize - 1;
                self.pending_key = Some(label);
                return Err(fault(self.duplicate(label)));
            }
            index = entry.next;
        }
        Ok(())
    }

    fn duplicate(&self, label: Label) -> ParseErrorKind {
        ParseErrorKind::DuplicateKey {
            key: self.key_text(label.key),
        }
    }

    /// The key that starts here, without its escapes.
    fn key_text(&self, start: u32) -> String {
        let from = self.text.get(start as usize..).unwrap_or_default();
        let end = text::end_of_string(from.as_bytes());
        text::unescape(from.get(..end).unwrap_or_default())
    }

    #[inline]
    fn string(&mut self, label: Label) -> Step {
        let start = self.position + 1;
        let is_escaped = self.string_content()?;
        let label = Label {
            flags: if is_escaped {
                label.flags.with(Flags::ESCAPED)
            } else {
                label.flags
            },
            ..label
        };
        self.push(Kind::String, label, start, self.position)?;
        self.position += 1;
        Ok(())
    }

    /// Goes from the opening to the closing quote; whether there are escapes.
    #[inline]
    fn string_content(&mut self) -> Step<bool> {
        self.position += 1;
        let mut is_escaped = false;
        loop {
            let rest = self
                .text
                .as_bytes()
                .get(self.position..)
                .unwrap_or_default();
            let plain = text::plain_len(rest);
            self.position += plain;
            match rest.get(plain) {
                Some(b'"') => return Ok(is_escaped),
                Some(b'\\') => {
                    is_escaped = true;
                    self.position += self.escape_len()?;
                }
                Some(&code) => return Err(fault(ParseErrorKind::ControlCharacter { code })),
                None => return Err(fault(ParseErrorKind::UnexpectedEnd)),
            }
        }
    }

    /// How many bytes the escape sequence at the position has.
    fn escape_len(&self) -> Step<usize> {
        match self.byte_at(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => self.unicode_escape_len(),
            Some(_) => Err(fault(ParseErrorKind::InvalidEscape)),
            None => Err(fault(ParseErrorKind::UnexpectedEnd)),
        }
    }

    fn unicode_escape_len(&self) -> Step<usize> {
        match self.code_unit(2)? {
            0xd800..=0xdbff => {
                let is_pair = self.byte_at(6) == Some(b'\\')
                    && self.byte_at(7) == Some(b'u')
                    && matches!(self.code_unit(8)?, 0xdc00..=0xdfff);
                if is_pair {
                    Ok(12)
                } else {
                    Err(fault(ParseErrorKind::LoneSurrogate))
                }
            }
            0xdc00..=0xdfff => Err(fault(ParseErrorKind::LoneSurrogate)),
            _ => Ok(6),
        }
    }

    /// The four hexadecimal digits this far after the position.
    fn code_unit(&self, ahead: usize) -> Step<u32> {
        let mut unit = 0;
        for index in ahead..ahead + 4 {
            let byte = self
                .byte_at(index)
                .ok_or_else(|| fault(ParseErrorKind::UnexpectedEnd))?;
            let digit = char::from(byte)
                .to_digit(16)
                .ok_or_else(|| fault(ParseErrorKind::InvalidEscape))?;
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    fn number(&mut self, label: Label) -> Step {
        let start = self.position;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        let len = number_len(rest).ok_or_else(|| fault(ParseErrorKind::InvalidNumber))?;
        self.push(Kind::Number, label, start, start + len)?;
        self.position += len;
        Ok(())
    }

    fn literal(&mut self, word: &str, kind: Kind, label: Label) -> Step {
        let start = self.position;
        let rest = self.text.as_bytes().get(start..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(fault(ParseErrorKind::ValueExpected));
        }
        self.push(kind, label, start, start + word.len())?;
        self.position += word.len();
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.byte_at(0)
    }

    #[inline]
    fn byte_at(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position + ahead).copied()
    }

    #[inline]
    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.position += 1;
            self.verbatim = false;
        }
    }

    #[cold]
    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(kind, self.text.as_bytes(), self.position, self.path())
    }

    /// Where we are, as a FHIRPath; it starts with the type if that was read already.
    fn path(&self) -> String {
        let mut path = self.resource_type_so_far().unwrap_or_default();
        let open = || self.around.iter().chain(&self.frame);
        for (outer, inner) in open().zip(open().skip(1)) {
            if outer.is_object {
                push_property(&mut path, &self.key_text(inner.label.key));
            } else {
                push_position(&mut path, outer.count.saturating_sub(1));
            }
        }
        match (self.pending_key, self.frame) {
            (Some(label), _) => push_property(&mut path, &self.key_text(label.key)),
            (None, Some(frame)) if !frame.is_object => push_position(&mut path, frame.count),
            _ => {}
        }
        path
    }

    fn resource_type_so_far(&self) -> Option<String> {
        let mut index = 1;
        while let Some(entry) = self.nodes.get(index as usize) {
            if entry.kind == Kind::String && self.key_text(entry.key) == "resourceType" {
                let (start, end) = (entry.start as usize, entry.end as usize);
                return self.text.get(start..end).map(text::unescape);
            }
            index = entry.next;
        }
        None
    }
}

#[cold]
#[expect(clippy::unnecessary_box_returns, reason = "a Step holds it boxed")]
fn fault(kind: ParseErrorKind) -> Box<ParseErrorKind> {
    Box::new(kind)
}

fn push_property(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key.strip_prefix('_').unwrap_or(key));
}

fn push_position(path: &mut String, position: u32) {
    // Writing to a String cannot fail.
    let _ = write!(path, "[{position}]");
}

/// What a key leaves behind to recognise it by: exact for a known name, a hash for others.
#[inline]
fn key_mark(name: Name, text: &str, is_shadow: bool) -> u32 {
    const UNKNOWN: u32 = 1 << 31;
    const FACTOR: u32 = 0x0100_0193;
    let shadow = u32::from(is_shadow) << 30;
    if name.is_known() {
        return u32::from(name.number()) | shadow;
    }
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(FACTOR)
    });
    UNKNOWN | shadow | (hash >> 2)
}

/// Whether a text is a JSON number and nothing else.
#[inline]
pub(crate) fn is_number(text: &str) -> bool {
    number_len(text.as_bytes()) == Some(text.len())
}

/// How long the JSON number at the start is, if it is one.
#[inline]
fn number_len(bytes: &[u8]) -> Option<usize> {
    let mut len = usize::from(bytes.first() == Some(&b'-'));
    let integer = digits_from(bytes, len);
    if integer == 0 || (integer > 1 && bytes.get(len) == Some(&b'0')) {
        return None;
    }
    len += integer;
    if bytes.get(len) == Some(&b'.') {
        let fraction = digits_from(bytes, len + 1);
        if fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(len) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits_from(bytes, len + 1 + sign);
        if exponent == 0 {
            return None;
        }
        len += 1 + sign + exponent;
    }
    let goes_on =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_');
    (!bytes.get(len).is_some_and(goes_on)).then_some(len)
}

#[inline]
fn digits_from(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    rest.iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(rest.len())
}
