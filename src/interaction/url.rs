//! Query strings: `application/x-www-form-urlencoded`, as URLs and forms have them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What may stand in a query unescaped, so that links stay readable.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b',')
    .remove(b'*')
    .remove(b'$');

/// Parameters of every request, which say how the answer is wanted; `rest::negotiate` sees to them.
pub const GENERAL: &[&str] = &["_format", "_pretty", "_summary", "_elements"];

/// The names and values of a query string, decoded.
pub fn decode(query: &str) -> Vec<(String, String)> {
    query
        .trim_start_matches('?')
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_part(name), decode_part(value))
        })
        .collect()
}

fn decode_part(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// A query string of names and values.
pub fn encode(pairs: &[(String, String)]) -> String {
    let parts: Vec<String> = pairs
        .iter()
        .map(|(name, value)| {
            let [name, value] = [name, value].map(|part| utf8_percent_encode(part, ESCAPED));
            format!("{name}={value}")
        })
        .collect();
    parts.join("&")
}

/// The value of a parameter, if the query has it.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = decode(query).into_iter();
    pairs.find_map(|(found, value)| (found == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_encoded() {
        let pairs = decode("name=M%C3%BCller+Anna&identifier=urn:oid:1.2|7&_pretty");
        let expected = [
            ("name", "Müller Anna"),
            ("identifier", "urn:oid:1.2|7"),
            ("_pretty", ""),
        ];
        assert!(
            pairs
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .eq(expected)
        );
        assert_eq!(
            encode(&pairs),
            "name=M%C3%BCller%20Anna&identifier=urn:oid:1.2%7C7&_pretty="
        );
        assert_eq!(decode(&encode(&pairs)), pairs);
    }
}
