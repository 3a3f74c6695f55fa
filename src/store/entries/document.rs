//! How the values of one kind stand in the document beside a resource: `{"<parameter>":[[value, …], …]}`.
//!
//! Parameters are often found by the same values (`subject` and `patient`, `code` and `combo-code`).
//! These are written once: `{"=":{"<parameter>":"<the one that has its values>"}, …}`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::store::entries::Values;

/// Under this it says which parameters have the values of another.
pub(crate) const SAME: &str = "=";

/// The digits of a key; neither JSON nor a path into it has to escape one.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
const BITS: u32 = 6;

/// A parameter as a key of the document.
pub(crate) fn key(parameter: i32) -> String {
    let mut rest = parameter.cast_unsigned();
    let mut digits = Vec::new();
    loop {
        let digit = DIGITS.get((rest & 0x3f) as usize);
        digits.extend(digit.copied().map(char::from));
        rest >>= BITS;
        if rest == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// Reads what [`key`] wrote.
fn parameter(key: &str) -> Option<i32> {
    let mut number: u32 = 0;
    for byte in key.bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        number = number.checked_mul(1 << BITS)?;
        number = number.checked_add(u32::try_from(digit).ok()?)?;
    }
    (!key.is_empty()).then_some(number.cast_signed())
}

/// Writes values.
pub(super) fn serialize<T, S>(values: &Values<T>, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Serialize + Ord,
    S: Serializer,
{
    let (mut own, mut same) = (BTreeMap::new(), BTreeMap::new());
    for (parameter, values) in values {
        match own.get(values) {
            Some(other) => {
                same.insert(key(*parameter), key(*other));
            }
            None => {
                own.insert(values, *parameter);
            }
        }
    }
    let mut map = serializer.serialize_map(None)?;
    if !same.is_empty() {
        map.serialize_entry(SAME, &same)?;
    }
    for (values, parameter) in own {
        map.serialize_entry(&key(parameter), values)?;
    }
    map.end()
}

/// Reads values.
pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Values<T>, D::Error>
where
    T: Deserialize<'de> + Ord + Clone,
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(OfKind(PhantomData))
}

struct OfKind<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Ord + Clone> Visitor<'de> for OfKind<T> {
    type Value = Values<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("values by parameter")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values<T>, A::Error> {
        let mut same = BTreeMap::<String, String>::new();
        let mut values = Values::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == SAME {
                same = map.next_value()?;
            } else {
                values.insert(read(&name)?, map.next_value::<BTreeSet<T>>()?);
            }
        }
        for (name, other) in same {
            let of_other = values.get(&read(&other)?).cloned();
            let of_other = of_other.ok_or_else(|| A::Error::custom("values of no parameter"))?;
            values.insert(read(&name)?, of_other);
        }
        Ok(values)
    }
}

fn read<E: serde::de::Error>(name: &str) -> Result<i32, E> {
    parameter(name).ok_or_else(|| E::custom("no parameter"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{key, parameter};
    use crate::store::entries::Entries;

    #[test]
    fn keys_are_short_and_read_again() {
        for (number, expected) in [
            (0, "0"),
            (9, "9"),
            (63, "_"),
            (64, "10"),
            (-1, "3_____"),
            (i32::MIN, "200000"),
        ] {
            assert_eq!(key(number), expected, "{number}");
            assert_eq!(parameter(expected), Some(number), "{expected}");
        }
        for wrong in ["", "=", "4_____", "é"] {
            assert_eq!(parameter(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn equal_values_are_written_once() {
        let of = |code: &str| [(code.to_owned(), 7)].into();
        let entries = Entries {
            tokens: BTreeMap::from([(1, of("a")), (2, of("b")), (3, of("a")), (4, of("a"))]),
            ..Entries::default()
        };
        let json = entries.to_json().unwrap();
        let expected = r#"{"t":{"=":{"3":"1","4":"1"},"1":[["a",7]],"2":[["b",7]]}}"#;
        assert_eq!(json, expected);
        assert_eq!(Entries::from_json(&json).unwrap(), entries);
        assert!(Entries::from_json(r#"{"t":{"=":{"3":"1"}}}"#).is_err());
    }
}
