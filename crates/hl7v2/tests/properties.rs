//! Properties that hold for all inputs: nothing panics, nothing is lost, cutting does not matter.

use hl7v2::mllp::{Decoder, Event, Limits, encode};
use hl7v2::{Charset, Delimiters, Presence, Timestamp, batch, escape, parse};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes in which the characters that matter to HL7 are frequent.
fn hl7_like_bytes() -> impl Strategy<Value = Vec<u8>> {
    let telling = proptest::sample::select(
        b"|^~\\&#\r\n\x0b\x1c\" MSHPIDBTFX0189.\x1b\xc3\xbc\xfc".as_slice(),
    );
    vec(prop_oneof![4 => telling, 1 => any::<u8>()], 0..300)
}

/// A message whose header is right and whose other segments are anything but line ends.
fn message_text() -> impl Strategy<Value = String> {
    let segment =
        ("[A-Z][A-Z0-9]{2}", "(\\|[ -~éß]{0,12}){0,8}").prop_map(|(name, fields)| name + &fields);
    vec(segment, 0..8).prop_map(|segments| {
        let mut text = "MSH|^~\\&|APP|FAC|||2025||ADT^A01|M1|P|2.5\r".to_owned();
        for segment in segments {
            text.push_str(&segment);
            text.push('\r');
        }
        text
    })
}

fn events(pieces: &[&[u8]]) -> Vec<Event> {
    let mut decoder = Decoder::new(Limits {
        frame_bytes_max: 64,
        stray_bytes_max: 32,
    });
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        events.extend(std::iter::from_fn(|| decoder.next()));
    }
    decoder.finish();
    events.extend(std::iter::from_fn(|| decoder.next()));
    events
}

/// Asks a message for everything it has.
fn read_all(message: &hl7v2::Message) -> usize {
    let mut length = 0;
    for segment in message.all_segments() {
        for number in 0..=segment.field_count() + 1 {
            let field = segment.field(number);
            for part in field
                .repetitions()
                .flat_map(|repetition| repetition.components())
            {
                length += part
                    .subcomponents()
                    .map(|sub| sub.text().len())
                    .sum::<usize>();
            }
            length += field.value().map_or(0, |value| value.len());
            let _ = (field.timestamp(), field.number(), field.presence());
        }
    }
    length
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in hl7_like_bytes(), header in any::<bool>()) {
        let header: &[u8] = if header { b"MSH|^~\\&|" } else { b"" };
        let bytes = [header, &bytes].concat();
        if let Ok(parsed) = parse(&bytes) {
            read_all(&parsed.message);
            let _ = hl7v2::acknowledgement::read(&parsed.message);
            // Written once, it is read and written the same for ever.
            let written = parsed.message.to_er7();
            let again = hl7v2::parse_with(written.as_bytes(), &hl7v2::ParseOptions {
                charset: hl7v2::charset::Knowledge { forced: Some(Charset::UTF_8), default: None },
            }).unwrap().message;
            prop_assert_eq!(again.to_er7(), written);
        }
        let file = batch::split(&bytes);
        let _ = (file.issues(), batch::is_batch(&bytes));
        for message in file.messages() {
            let _ = parse(message);
        }
    }

    #[test]
    fn no_line_of_a_file_is_lost(lines in vec("(MSH|BHS|BTS|FHS|FTS|PID|NTE)\\|[a-z^&~\\\\]{0,6}", 0..20)) {
        let text = lines.join("\r");
        let file = batch::split(text.as_bytes());
        let in_messages: usize = file
            .messages()
            .map(|message| message.split(|byte| *byte == b'\r').filter(|line| !line.is_empty()).count())
            .sum();
        let around = file.batches.iter().flat_map(|batch| [batch.header, batch.trailer]);
        let around = around.chain([file.header, file.trailer]).flatten().count();
        prop_assert_eq!(in_messages + around + file.stray.len(), lines.len());
    }

    #[test]
    fn a_message_is_written_as_it_was_read(text in message_text(), end in "\r|\n|\r\n") {
        let parsed = parse(text.replace('\r', &end).as_bytes()).unwrap();
        prop_assert_eq!(parsed.message.to_er7(), text);
        prop_assert_eq!(parsed.issues.len(), parsed.message.segments("MSH").count() - 1);
    }

    #[test]
    fn fields_are_the_text_between_separators(text in message_text()) {
        let parsed = parse(text.as_bytes()).unwrap();
        for segment in parsed.message.all_segments().skip(1).filter(|segment| segment.id() != "MSH") {
            let numbers = 1..=segment.field_count();
            let fields: Vec<&str> = numbers.map(|number| segment.field(number).raw()).collect();
            let expected: Vec<&str> = segment.raw().split('|').skip(1).collect();
            let is_header = matches!(segment.id(), "FHS" | "BHS");
            prop_assert!(is_header || fields == expected);
            let beyond = segment.field(segment.field_count() + 1);
            prop_assert_eq!(beyond.presence(), Presence::Absent);
        }
    }

    #[test]
    fn cutting_the_bytes_does_not_change_the_events(
        bytes in vec(proptest::sample::select(b"\x0b\x1c\r\nGET /aMSH|\x16\x03".as_slice()), 0..200),
        cuts in vec(any::<proptest::sample::Index>(), 0..10),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> =
            cuts.windows(2).map(|cut| bytes.get(cut[0]..cut[1]).unwrap()).collect();
        prop_assert_eq!(events(&pieces), events(&[&bytes]));
    }

    #[test]
    fn what_is_framed_is_found(messages in vec("[A-Z|^\r]{0,40}[A-Z]", 0..5)) {
        let bytes: Vec<u8> = messages.iter().flat_map(|message| encode(message.as_bytes())).collect();
        let expected: Vec<Event> =
            messages.into_iter().map(|message| Event::Frame(message.into_bytes())).collect();
        prop_assert_eq!(events(&[&bytes]), expected);
    }

    #[test]
    fn what_is_escaped_is_unescaped(text in any::<String>()) {
        let delimiters = Delimiters { truncation: Some(b'#'), ..Delimiters::RECOMMENDED };
        let escaped = escape::escape(&text, &delimiters);
        let telling = ['|', '^', '~', '&', '#', '\r', '\n', '\u{b}', '\u{1c}'];
        prop_assert!(!escaped.contains(telling));
        let unescaped = escape::unescape(&escaped, &delimiters, Charset::UTF_8);
        prop_assert_eq!(unescaped, text.as_str());
    }

    #[test]
    fn timestamps_never_panic_and_are_written_as_read(text in "[0-9]{0,15}(\\.[0-9]{0,10})?([+-][0-9]{0,5})?") {
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            prop_assert_eq!(timestamp.to_string(), text.replace("-0000", "+0000"));
            timestamp.resolve(&chrono_tz::America::New_York);
            timestamp.resolve(&chrono_tz::Pacific::Apia);
        }
    }
}
