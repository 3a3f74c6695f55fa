//! Decimals that keep what was written: <https://hl7.org/fhir/R4/datatypes.html#decimal>.
//!
//! A resource keeps the text of a decimal; this is for comparing and for the range that a number
//! stands for in a search, exactly, which binary floating point cannot.

use std::cmp::Ordering;
use std::fmt;

/// The most significant digits of a [`Decimal`]; FHIR asks for 18.
pub const DIGITS_MAX: u32 = 37;

/// The greatest exponent of a [`Decimal`], either way; far beyond anything that is measured.
pub const EXPONENT_MAX: i32 = 100_000;

/// `coefficient · 10^exponent`, with the precision it was written with: `1.0` and `1.00` are equal
/// but differ in their [`Decimal::implicit_range`].
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    coefficient: i128,
    exponent: i32,
}

impl Decimal {
    /// The number `coefficient · 10^exponent`; nothing if it has more than [`DIGITS_MAX`] digits
    /// or an exponent beyond [`EXPONENT_MAX`].
    pub fn new(coefficient: i128, exponent: i32) -> Option<Self> {
        let is_small = digits(coefficient.unsigned_abs()) <= DIGITS_MAX;
        (is_small && exponent.unsigned_abs() <= EXPONENT_MAX.unsigned_abs()).then_some(Self {
            coefficient,
            exponent,
        })
    }

    /// Reads `-1.20`, `1.2E+2`: the form of a JSON number.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent_value(exponent)?),
            None => (text, 0),
        };
        let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (integer, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        if integer.is_empty() || (integer.len() > 1 && integer.starts_with('0')) {
            return None;
        }
        let magnitude = integer
            .bytes()
            .chain(fraction.bytes())
            .try_fold(0_i128, push_digit)?;
        let places = i32::try_from(fraction.len()).ok()?;
        Self::new(
            if is_negative { -magnitude } else { magnitude },
            exponent.checked_sub(places)?,
        )
    }

    /// All digits as one integer.
    pub const fn coefficient(self) -> i128 {
        self.coefficient
    }

    /// The power of ten that the coefficient is to be multiplied by.
    pub const fn exponent(self) -> i32 {
        self.exponent
    }

    /// The nearest binary number, for an index that need not be exact.
    pub fn to_f64(self) -> f64 {
        let text = format!("{}e{}", self.coefficient, self.exponent);
        // Rust reads any such text; what is too large becomes infinite.
        text.parse().unwrap_or(f64::INFINITY)
    }

    /// The half-open range of numbers that would be written like this: for `2.0`, 1.95 to 2.05.
    ///
    /// <https://hl7.org/fhir/R4/search.html#number>. Its ends have one digit more than a decimal
    /// may be read with.
    #[must_use]
    pub const fn implicit_range(self) -> (Self, Self) {
        let exponent = self.exponent - 1;
        let tenfold = self.coefficient * 10;
        (
            Self {
                coefficient: tenfold - 5,
                exponent,
            },
            Self {
                coefficient: tenfold + 5,
                exponent,
            },
        )
    }
}

/// Refuses what is no digit and what would be more than [`DIGITS_MAX`] of them.
fn push_digit(magnitude: i128, byte: u8) -> Option<i128> {
    let digit = char::from(byte).to_digit(10)?;
    (digits(magnitude.unsigned_abs()) < DIGITS_MAX).then(|| magnitude * 10 + i128::from(digit))
}

fn exponent_value(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// How many digits a number has; 0 has none.
fn digits(number: u128) -> u32 {
    number.checked_ilog10().map_or(0, |log| log + 1)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = self.coefficient.signum();
        match sign.cmp(&other.coefficient.signum()) {
            Ordering::Equal if sign < 0 => compare_magnitudes(*other, *self),
            Ordering::Equal if sign > 0 => compare_magnitudes(*self, *other),
            different => different,
        }
    }
}

/// Compares two numbers other than zero without their signs: first where the leading digit stands,
/// then digit by digit, by giving both coefficients the same length.
fn compare_magnitudes(left: Decimal, right: Decimal) -> Ordering {
    let (left_digits, right_digits) = (
        digits(left.coefficient.unsigned_abs()),
        digits(right.coefficient.unsigned_abs()),
    );
    let leading = |number: Decimal, digits: u32| i64::from(number.exponent) + i64::from(digits);
    let padded = |number: Decimal, digits: u32| {
        // At most DIGITS_MAX + 1 digits, which an u128 holds.
        number.coefficient.unsigned_abs() * 10_u128.pow(left_digits.max(right_digits) - digits)
    };
    leading(left, left_digits)
        .cmp(&leading(right, right_digits))
        .then_with(|| padded(left, left_digits).cmp(&padded(right, right_digits)))
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    /// Whether both are the same number, whatever the precision.
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl fmt::Display for Decimal {
    /// With an exponent, as JSON allows: `120e-2`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exponent {
            0 => write!(formatter, "{}", self.coefficient),
            exponent => write!(formatter, "{}e{exponent}", self.coefficient),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn decimals_compare_as_numbers() {
        use Ordering::{Equal, Greater, Less};
        for (left, expected, right) in [
            ("1.0", Equal, "1.00"),
            ("120", Equal, "1.2E+2"),
            ("0", Equal, "-0.00"),
            ("0e5", Equal, "0"),
            ("0.1", Less, "0.11"),
            ("-0.1", Greater, "-0.11"),
            ("-1", Less, "0.001"),
            ("9", Less, "1e1"),
            ("1e-9", Greater, "0"),
            ("1e99", Greater, "9999999999999999999999999999999999999"),
            (
                "9999999999999999999999999999999999999",
                Greater,
                "9999999999999999999999999999999999998",
            ),
            ("0.30000000000000004", Greater, "0.3"),
        ] {
            assert_eq!(
                decimal(left).cmp(&decimal(right)),
                expected,
                "{left} {right}"
            );
            assert_eq!(
                decimal(right).cmp(&decimal(left)),
                expected.reverse(),
                "{right} {left}"
            );
        }
    }

    #[test]
    fn a_range_follows_the_precision() {
        for (text, low, high) in [
            ("100", "99.5", "100.5"),
            ("100.00", "99.995", "100.005"),
            ("1e2", "50", "150"),
            ("0", "-0.5", "0.5"),
            ("-5.4", "-5.45", "-5.35"),
            (
                "9999999999999999999999999999999999999",
                "9999999999999999999999999999999999998e0",
                "1e37",
            ),
        ] {
            let range = decimal(text).implicit_range();
            if text.len() < 30 {
                assert_eq!(range, (decimal(low), decimal(high)), "{text}");
            } else {
                assert!(decimal(low) < range.0 && range.1 < decimal(high));
            }
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for wrong in [
            "",
            "-",
            "+1",
            "01",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1e1.5",
            "NaN",
            "1 ",
            "1e200000",
            "1e-200000",
        ] {
            assert!(Decimal::parse(wrong).is_none(), "{wrong}");
        }
        assert!(Decimal::parse(&"9".repeat(37)).is_some());
        assert!(Decimal::parse(&"9".repeat(38)).is_none());
    }

    #[test]
    fn a_decimal_has_a_nearest_binary_number() {
        assert!((decimal("-1.25E-1").to_f64() - -0.125).abs() < f64::EPSILON);
        assert!(decimal("1e9999").to_f64().is_infinite());
    }
}
