//! Text to tokens: <http://hl7.org/fhirpath/N1/grammar.html>.
//!
//! Strings and delimited identifiers lose their escapes here; numbers and dates become values.
//! Which words are operators is decided by the parser, since `as`, `is`, `in` and `contains` may
//! also be names.

use rust_decimal::Decimal;

use crate::error::{ParseError, ParseErrorKind};
use crate::value::Temporal;

/// The longest expression that is read; the longest of R4 has 2 kB.
pub const EXPRESSION_BYTES_MAX: usize = 64 << 10;

/// A token and where it starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) position: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// A word: an identifier or an operator.
    Word(String),
    /// `` `div` ``
    Delimited(String),
    String(String),
    Integer(i32),
    Decimal(Decimal),
    Date(Temporal),
    DateTime(Temporal),
    Time(Temporal),
    /// `%resource`, `` %`vs-name` ``
    External(String),
    /// `$this`, `$index`, `$total`, without the dollar sign.
    Special(&'static str),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

impl TokenKind {
    /// The token as an error message shows it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Delimited(name) => format!("`{name}`"),
            Self::String(_) => "a string".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
            Self::Date(_) => "a date".to_owned(),
            Self::DateTime(_) => "a date and time".to_owned(),
            Self::Time(_) => "a time".to_owned(),
            Self::External(name) => format!("%{name}"),
            Self::Special(name) => format!("${name}"),
            Self::Symbol(symbol) => format!("{symbol:?}"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Operators and brackets; of two that start alike, the longer comes first.
const SYMBOLS: &[&str] = &[
    "!=", "!~", "<=", ">=", "(", ")", "[", "]", "{", "}", ",", ".", "+", "-", "*", "/", "&", "|",
    "=", "~", "<", ">",
];

/// The words that may follow a dollar sign.
const SPECIALS: &[&str] = &["this", "index", "total"];

/// The escapes of strings, but for `\u`.
const ESCAPES: &[(char, char)] = &[
    ('\'', '\''),
    ('"', '"'),
    ('`', '`'),
    ('\\', '\\'),
    ('/', '/'),
    ('b', '\u{8}'),
    ('f', '\u{c}'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
];

/// A text without its escapes; `None` if one of them is wrong.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut lexer = Lexer { text, at: 0 };
    let mut plain = String::with_capacity(text.len());
    loop {
        plain.push_str(lexer.take_while(|next| next != '\\'));
        if lexer.peek().is_none() {
            return Some(plain);
        }
        plain.push(lexer.escape().ok()?);
    }
}

/// The tokens of an expression; the last is [`TokenKind::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let limit_bytes = EXPRESSION_BYTES_MAX;
        return Err(ParseError::new(
            limit_bytes,
            ParseErrorKind::TooLong { limit_bytes },
        ));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space()?;
        let position = lexer.at;
        let kind = lexer.next()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { kind, position });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn fail(&self, position: usize, kind: ParseErrorKind) -> ParseError {
        ParseError::new(position.min(self.text.len()), kind)
    }

    /// Takes the characters that satisfy a condition.
    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|next| !is_wanted(next)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Result<(), ParseError> {
        loop {
            self.take_while(char::is_whitespace);
            let rest = self.rest();
            if rest.starts_with("//") {
                self.take_while(|next| next != '\n' && next != '\r');
            } else if rest.starts_with("/*") {
                let Some(end) = rest.find("*/") else {
                    let unterminated = ParseErrorKind::Unterminated("the comment");
                    return Err(self.fail(self.at, unterminated));
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<TokenKind, ParseError> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            '\'' | '"' => self.quoted(first, "the string").map(TokenKind::String),
            '`' => self
                .quoted('`', "the delimited identifier")
                .map(TokenKind::Delimited),
            '0'..='9' => self.number(),
            '@' => self.moment(),
            '%' => self.external(),
            '$' => self.special(),
            _ if is_word_start(first) => {
                Ok(TokenKind::Word(self.take_while(is_word_part).to_owned()))
            }
            _ => self.symbol(first),
        }
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind, ParseError> {
        let rest = self.rest();
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let Some(symbol) = symbol else {
            return Err(self.fail(self.at, ParseErrorKind::UnexpectedCharacter(first)));
        };
        self.at += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }

    fn special(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        let word = self.take_while(is_word_part);
        let special = SPECIALS.iter().find(|special| **special == word);
        let Some(special) = special else {
            return Err(self.fail(start, ParseErrorKind::UnexpectedCharacter('$')));
        };
        Ok(TokenKind::Special(special))
    }

    fn external(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(quote @ ('`' | '\'' | '"')) => self
                .quoted(quote, "the name of the variable")
                .map(TokenKind::External),
            Some(first) if is_word_start(first) => Ok(TokenKind::External(
                self.take_while(is_word_part).to_owned(),
            )),
            _ => Err(self.fail(start, ParseErrorKind::UnexpectedCharacter('%'))),
        }
    }

    fn number(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.take_while(|next| next.is_ascii_digit());
        let mut fraction = self.rest().chars();
        let is_decimal = fraction.next() == Some('.')
            && fraction.next().is_some_and(|next| next.is_ascii_digit());
        if is_decimal {
            self.at += 1;
            self.take_while(|next| next.is_ascii_digit());
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if !is_decimal && let Ok(number) = text.parse() {
            return Ok(TokenKind::Integer(number));
        }
        Decimal::from_str_exact(text)
            .map(TokenKind::Decimal)
            .map_err(|_| self.literal(start, "number"))
    }

    /// The error for a literal from `start` to here.
    fn literal(&self, start: usize, kind: &'static str) -> ParseError {
        let text = self.text.get(start..self.at).unwrap_or_default().to_owned();
        self.fail(start, ParseErrorKind::Literal { kind, text })
    }

    /// `@2015-02-04`, `@2015T`, `@2015-02-04T14:34:28.123Z`, `@T14:34`
    fn moment(&mut self) -> Result<TokenKind, ParseError> {
        let start = self.at;
        self.at += 1;
        if self.take_prefix("T") {
            self.time_of_day();
            let text = self.text.get(start + 2..self.at).unwrap_or_default();
            return Temporal::parse_time(text)
                .map(TokenKind::Time)
                .ok_or_else(|| self.literal(start, "time"));
        }
        self.take_digits(4);
        if self.take_part('-', 2) {
            self.take_part('-', 2);
        }
        let date_end = self.at;
        if !self.take_prefix("T") {
            let text = self.text.get(start + 1..self.at).unwrap_or_default();
            return Temporal::parse_date(text)
                .map(TokenKind::Date)
                .ok_or_else(|| self.literal(start, "date"));
        }
        if self.time_of_day() && !self.take_prefix("Z") {
            self.zone();
        }
        let has_time = self.at > date_end + 1;
        let end = if has_time { self.at } else { date_end };
        let text = self.text.get(start + 1..end).unwrap_or_default();
        Temporal::parse_date_time(text)
            .map(TokenKind::DateTime)
            .ok_or_else(|| self.literal(start, "date and time"))
    }

    /// Takes `14`, `14:34`, `14:34:28` or `14:34:28.123`; whether there was anything.
    fn time_of_day(&mut self) -> bool {
        if !self.take_digits(2) {
            return false;
        }
        if self.take_part(':', 2) && self.take_part(':', 2) && self.take_part('.', 1) {
            self.take_while(|next| next.is_ascii_digit());
        }
        true
    }

    /// Takes `+10:00` or `-05:00`.
    fn zone(&mut self) {
        let start = self.at;
        let is_signed = self.take_prefix("+") || self.take_prefix("-");
        if !(is_signed && self.take_digits(2) && self.take_part(':', 2)) {
            self.at = start;
        }
    }

    fn take_prefix(&mut self, prefix: &str) -> bool {
        let is_there = self.rest().starts_with(prefix);
        if is_there {
            self.at += prefix.len();
        }
        is_there
    }

    /// Takes this many digits, if they are there.
    fn take_digits(&mut self, count: usize) -> bool {
        let digits = self.rest().as_bytes().get(..count);
        let is_there = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit));
        if is_there {
            self.at += count;
        }
        is_there
    }

    /// Takes a separator with this many digits after it, if both are there.
    fn take_part(&mut self, separator: char, digits: usize) -> bool {
        let start = self.at;
        if self.peek() == Some(separator) {
            self.at += 1;
            if self.take_digits(digits) {
                return true;
            }
        }
        self.at = start;
        false
    }

    /// Takes a quoted text and gives it without quotes and escapes.
    fn quoted(&mut self, quote: char, what: &'static str) -> Result<String, ParseError> {
        let start = self.at;
        self.at += quote.len_utf8();
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|next| next != quote && next != '\\'));
            match self.peek() {
                None => return Err(self.fail(start, ParseErrorKind::Unterminated(what))),
                Some('\\') => text.push(self.escape()?),
                Some(end) => {
                    self.at += end.len_utf8();
                    return Ok(text);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else {
            return Err(self.fail(start, ParseErrorKind::Unterminated("the escape sequence")));
        };
        self.at += letter.len_utf8();
        let meaning = match letter {
            'u' => self.unicode_escape(),
            _ => ESCAPES
                .iter()
                .find(|(spelling, _)| *spelling == letter)
                .map(|(_, meaning)| *meaning),
        };
        meaning.ok_or_else(|| {
            let text = self.text.get(start..self.at).unwrap_or_default();
            self.fail(start, ParseErrorKind::Escape(text.to_owned()))
        })
    }

    /// The four digits after `\u`, or two such escapes for a surrogate pair.
    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if !self.take_prefix("\\u") {
            return None;
        }
        let second = self.code_unit()?;
        (0xdc00..0xe000)
            .contains(&second)
            .then(|| 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            .and_then(char::from_u32)
    }

    fn code_unit(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

fn is_word_start(next: char) -> bool {
    next.is_ascii_alphabetic() || next == '_'
}

fn is_word_part(next: char) -> bool {
    next.is_ascii_alphanumeric() || next == '_'
}
