//! Strings: <http://hl7.org/fhirpath/N1/#string-manipulation>, and those of later versions that
//! guides use. Places are counted in characters, not bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

use fhir_model::definition::SystemKind;
use regex::{Regex, RegexBuilder};

use crate::evaluate::{Failure, Flow, Sink, to_integer};
use crate::function::string::base64::{Alphabet, decode_base64, encode_base64};
use crate::function::{Function, Invocation, Output};
use crate::value::Item;

mod base64;

const STRING: Output = Output::System(SystemKind::String);
const INTEGER: Output = Output::System(SystemKind::Integer);

pub(super) const FUNCTIONS: &[Function] = &[
    Function::single("indexOf", (1, 1), INTEGER, |at| {
        index_of(at, |text, part| text.find(part))
    })
    .on_value(),
    Function::single("lastIndexOf", (1, 1), INTEGER, |at| {
        index_of(at, |text, part| text.rfind(part))
    })
    .on_value(),
    Function::single("substring", (1, 2), STRING, substring).on_value(),
    Function::truth("startsWith", (1, 1), |at| {
        test(at, |text, part| text.starts_with(part))
    })
    .on_value(),
    Function::truth("endsWith", (1, 1), |at| {
        test(at, |text, part| text.ends_with(part))
    })
    .on_value(),
    Function::truth("contains", (1, 1), |at| {
        test(at, |text, part| text.contains(part))
    })
    .on_value(),
    Function::single("upper", (0, 0), STRING, |at| {
        map(at, |text| Some(text.to_uppercase()))
    })
    .on_value(),
    Function::single("lower", (0, 0), STRING, |at| {
        map(at, |text| Some(text.to_lowercase()))
    })
    .on_value(),
    Function::single("trim", (0, 0), STRING, |at| {
        map(at, |text| Some(text.trim().to_owned()))
    })
    .on_value(),
    Function::single("replace", (2, 2), STRING, replace).on_value(),
    Function::truth("matches", (1, 2), |at| matches(at, 1))
        .on_value()
        .with_regex(partial),
    Function::truth("matchesFull", (1, 2), |at| matches(at, 1))
        .on_value()
        .with_regex(full),
    Function::single("replaceMatches", (2, 3), STRING, replace_matches)
        .on_value()
        .with_regex(partial),
    Function::single("length", (0, 0), INTEGER, length).on_value(),
    Function::each("toChars", (0, 0), STRING, to_chars).on_value(),
    Function::each("split", (1, 1), STRING, split).on_value(),
    Function::single("join", (0, 1), STRING, join).on_value(),
    Function::single("encode", (1, 1), STRING, |at| {
        coded(at, |coding| coding.encode)
    })
    .on_value(),
    Function::single("decode", (1, 1), STRING, |at| {
        coded(at, |coding| coding.decode)
    })
    .on_value(),
    Function::single("escape", (1, 1), STRING, |at| {
        escaped(at, |escape| escape.apply)
    })
    .on_value(),
    Function::single("unescape", (1, 1), STRING, |at| {
        escaped(at, |escape| escape.undo)
    })
    .on_value(),
];

/// The most memory that a regular expression of an expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The flags that a regular expression may have: case does not matter; `^` and `$` match at lines.
const REGEX_FLAGS: &str = "im";

/// A regular expression that may match anywhere; `.` matches ends of lines too.
fn partial(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .size_limit(REGEX_BYTES_MAX)
        .build()
        .ok()
}

/// A regular expression that must match the whole text.
fn full(pattern: &str) -> Option<Regex> {
    partial(&format!("^(?:{pattern})$"))
}

/// A string as an item, if it is not longer than the limit.
fn checked<'a>(invocation: &Invocation<'_, 'a>, text: String) -> Result<Option<Item<'a>>, Failure> {
    let text = invocation.evaluator.check_string(text)?;
    Ok(Some(Item::String(text)))
}

/// The input and the first argument as texts.
type Pair<'a> = Option<(Cow<'a, str>, Cow<'a, str>)>;

fn pair<'a>(invocation: &Invocation<'_, 'a>) -> Result<Pair<'a>, Failure> {
    let text = invocation.input_text()?;
    let argument = invocation.argument_text(0)?;
    Ok(text.zip(argument))
}

fn test(
    invocation: &Invocation<'_, '_>,
    holds: fn(&str, &str) -> bool,
) -> Result<Option<bool>, Failure> {
    Ok(pair(invocation)?.map(|(text, part)| holds(&text, &part)))
}

fn map<'a>(
    invocation: &Invocation<'_, 'a>,
    mapping: fn(&str) -> Option<String>,
) -> Result<Option<Item<'a>>, Failure> {
    match invocation.input_text()?.and_then(|text| mapping(&text)) {
        Some(text) => checked(invocation, text),
        None => Ok(None),
    }
}

/// The place of a part, or -1.
fn index_of<'a>(
    invocation: &Invocation<'_, 'a>,
    find: fn(&str, &str) -> Option<usize>,
) -> Result<Option<Item<'a>>, Failure> {
    let Some((text, part)) = pair(invocation)? else {
        return Ok(None);
    };
    let place = find(&text, &part).and_then(|byte| text.get(..byte));
    Ok(Some(Item::Integer(
        place.map_or(-1, |before| to_integer(before.chars().count())),
    )))
}

fn substring<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let (text, start) = (invocation.input_text()?, invocation.argument_integer(0)?);
    let length = invocation.argument_integer(1)?;
    let (Some(text), Some(start)) = (text, start) else {
        return Ok(None);
    };
    let Some(from) = usize::try_from(start)
        .ok()
        .and_then(|start| text.char_indices().nth(start))
    else {
        return Ok(None);
    };
    let rest = text.get(from.0..).unwrap_or_default();
    let end = match length {
        None => rest.len(),
        Some(length) => {
            let length = usize::try_from(length).unwrap_or(0);
            rest.char_indices()
                .nth(length)
                .map_or(rest.len(), |(byte, _)| byte)
        }
    };
    let range = from.0..from.0 + end;
    Ok(Some(Item::String(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or_default().to_owned()),
    })))
}

fn length<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let text = invocation.input_text()?;
    Ok(text.map(|text| Item::Integer(to_integer(text.chars().count()))))
}

fn replace<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let (Some((text, pattern)), Some(substitution)) =
        (pair(invocation)?, invocation.argument_text(1)?)
    else {
        return Ok(None);
    };
    let times = text.matches(&*pattern).count();
    check_growth(invocation, text.len(), times, substitution.len())?;
    checked(invocation, text.replace(&*pattern, &substitution))
}

/// Refuses a replacement that would grow beyond the limit, before it is made.
fn check_growth(
    invocation: &Invocation<'_, '_>,
    len: usize,
    times: usize,
    each: usize,
) -> Result<(), Failure> {
    let limit_bytes = invocation.evaluator.context.limits.string_bytes_max;
    if len.saturating_add(times.saturating_mul(each)) > limit_bytes {
        return Err(invocation.failure(crate::EvaluateErrorKind::TooLong { limit_bytes }));
    }
    Ok(())
}

/// Calls a function with the regular expression of the first argument; `None` if that is empty.
/// The argument at `flags` says how it is to be read.
fn with_regex<T>(
    invocation: &Invocation<'_, '_>,
    flags: usize,
    run: impl FnOnce(&Regex) -> T,
) -> Result<Option<T>, Failure> {
    let flags = invocation.argument_text(flags)?.unwrap_or_default();
    if let Some(regex) = invocation.call.regex.as_ref().filter(|_| flags.is_empty()) {
        return Ok(Some(run(regex)));
    }
    let (Some(pattern), Some(prepare)) =
        (invocation.argument_text(0)?, invocation.call.function.regex)
    else {
        return Ok(None);
    };
    if !flags.chars().all(|flag| REGEX_FLAGS.contains(flag)) {
        return Err(invocation.wrong_argument("the flags are not among i and m"));
    }
    let pattern = match &*flags {
        "" => pattern,
        flags => Cow::Owned(format!("(?{flags}:{pattern})")),
    };
    match prepare(&pattern) {
        Some(regex) => Ok(Some(run(&regex))),
        None => Err(invocation.wrong_argument("the regular expression is not supported")),
    }
}

fn matches(invocation: &Invocation<'_, '_>, flags: usize) -> Result<Option<bool>, Failure> {
    let Some(text) = invocation.input_text()? else {
        return Ok(None);
    };
    with_regex(invocation, flags, |regex| regex.is_match(&text))
}

fn replace_matches<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let (Some(text), Some(substitution)) = (invocation.input_text()?, invocation.argument_text(1)?)
    else {
        return Ok(None);
    };
    let limit_bytes = invocation.evaluator.context.limits.string_bytes_max;
    let replaced = with_regex(invocation, 2, |regex| {
        replaced_all(regex, &text, &substitution, limit_bytes)
    })?;
    match replaced {
        Some(replaced) => checked(invocation, replaced),
        None => Ok(None),
    }
}

/// The text with every match replaced; it stops growing soon after the limit.
fn replaced_all(regex: &Regex, text: &str, substitution: &str, limit_bytes: usize) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut end = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else {
            continue;
        };
        replaced.push_str(text.get(end..whole.start()).unwrap_or_default());
        found.expand(substitution, &mut replaced);
        end = whole.end();
        if replaced.len() > limit_bytes {
            return replaced;
        }
    }
    replaced.push_str(text.get(end..).unwrap_or_default());
    replaced
}

fn to_chars<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some(text) = invocation.input_text()? else {
        return Ok(());
    };
    text.chars().try_for_each(|next| {
        invocation.evaluator.step()?;
        sink(Item::String(Cow::Owned(next.to_string())))
    })
}

fn split<'a>(invocation: &Invocation<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
    let Some((text, separator)) = pair(invocation)? else {
        return Ok(());
    };
    text.split(&*separator).try_for_each(|part| {
        invocation.evaluator.step()?;
        sink(Item::String(Cow::Owned(part.to_owned())))
    })
}

fn join<'a>(invocation: &Invocation<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
    let separator = invocation.argument_text(0)?.unwrap_or_default();
    let mut joined = String::new();
    let items = invocation.input()?;
    if items.is_empty() {
        return Ok(None);
    }
    for (place, item) in items.iter().enumerate() {
        let Some(text) = item.string(invocation.definitions()) else {
            return Err(invocation.wrong_type(item));
        };
        if place > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&text);
        check_growth(invocation, joined.len(), 0, 0)?;
    }
    checked(invocation, joined)
}

/// A mapping of texts; `None` for a text that it cannot map.
type Mapping = fn(&str) -> Option<String>;

/// `encode()` and `decode()`.
struct Coding {
    name: &'static str,
    encode: Mapping,
    decode: Mapping,
}

const CODINGS: &[Coding] = &[
    Coding {
        name: "hex",
        encode: |text| {
            Some(text.bytes().fold(String::new(), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            }))
        },
        decode: decode_hex,
    },
    Coding {
        name: "base64",
        encode: |text| Some(encode_base64(text.as_bytes(), Alphabet::Standard)),
        decode: |text| String::from_utf8(decode_base64(text, Alphabet::Standard)?).ok(),
    },
    Coding {
        name: "urlbase64",
        encode: |text| Some(encode_base64(text.as_bytes(), Alphabet::Url)),
        decode: |text| String::from_utf8(decode_base64(text, Alphabet::Url)?).ok(),
    },
];

/// The bytes that a `base64Binary` stands for; white space in it does not count.
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    decode_base64(&text, Alphabet::Standard)
}

fn decode_hex(text: &str) -> Option<String> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| {
        let byte = digit(*high)? * 16 + digit(*low)?;
        u8::try_from(byte).ok()
    });
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

fn coded<'a>(
    invocation: &Invocation<'_, 'a>,
    direction: fn(&Coding) -> Mapping,
) -> Result<Option<Item<'a>>, Failure> {
    let Some((text, name)) = pair(invocation)? else {
        return Ok(None);
    };
    let coding = CODINGS.iter().find(|coding| coding.name == name);
    match coding.and_then(|coding| direction(coding)(&text)) {
        Some(mapped) => checked(invocation, mapped),
        None => Ok(None),
    }
}

/// `escape()` and `unescape()`.
struct Escape {
    name: &'static str,
    apply: Mapping,
    undo: Mapping,
}

/// The characters that HTML gives a name, and the names.
const ENTITIES: &[(char, &str)] = &[
    ('&', "&amp;"),
    ('<', "&lt;"),
    ('>', "&gt;"),
    ('"', "&quot;"),
    ('\'', "&#39;"),
];

const ESCAPES: &[Escape] = &[
    Escape {
        name: "html",
        apply: |text| {
            Some(text.chars().fold(String::new(), |mut html, next| {
                match ENTITIES.iter().find(|(plain, _)| *plain == next) {
                    Some((_, entity)) => html.push_str(entity),
                    None => html.push(next),
                }
                html
            }))
        },
        undo: |text| Some(unescape_html(text)),
    },
    Escape {
        name: "json",
        apply: |text| {
            let mut json = String::new();
            fhir_model::tree::push_json_string(&mut json, text);
            let inner = json.strip_prefix('"')?.strip_suffix('"')?;
            Some(inner.to_owned())
        },
        undo: unescape_json,
    },
];

fn unescape_html(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        let (before, from) = rest.split_at(start);
        plain.push_str(before);
        let entity = ENTITIES.iter().find(|(_, entity)| from.starts_with(entity));
        let (meaning, len) = entity.map_or(('&', 1), |(meaning, entity)| (*meaning, entity.len()));
        plain.push(meaning);
        rest = from.get(len..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The escapes of JSON are among those of `FHIRPath`.
fn unescape_json(text: &str) -> Option<String> {
    crate::lexer::unescape(text)
}

fn escaped<'a>(
    invocation: &Invocation<'_, 'a>,
    direction: fn(&Escape) -> Mapping,
) -> Result<Option<Item<'a>>, Failure> {
    let Some((text, name)) = pair(invocation)? else {
        return Ok(None);
    };
    let escape = ESCAPES.iter().find(|escape| escape.name == name);
    match escape.and_then(|escape| direction(escape)(&text)) {
        Some(mapped) => checked(invocation, mapped),
        None => Ok(None),
    }
}
