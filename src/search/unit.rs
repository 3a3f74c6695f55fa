//! Quantities in the canonical units of UCUM, so that 5 g is found as 5000 mg.
//!
//! <https://ucum.org/ucum>, <https://hl7.org/fhir/R4/search.html#quantity>. Units and their factors
//! are left to a library, which computes exactly; here its dimension becomes the name of a unit.

use std::fmt::Write as _;

use octofhir_ucum::{EvalResult, Number};

/// The system of UCUM units.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// How many digits of a value on a scale that is not linear (°C) are certain.
const CERTAIN_DIGITS: usize = 12;

/// The names of the base units, in the order of the exponents of a dimension.
const BASE_UNITS: [&str; 7] = octofhir_ucum::Dimension::BASE_UNITS;

/// A UCUM unit that can be converted.
#[derive(Debug)]
pub struct Unit {
    evaluated: EvalResult,
    code: String,
    canonical: String,
}

impl Unit {
    /// Reads a unit: `mg/dL`, `mm[Hg]`, `Cel`.
    pub fn parse(code: &str) -> Option<Self> {
        let expression = octofhir_ucum::parse_expression(code).ok()?;
        let evaluated = octofhir_ucum::evaluate(&expression).ok()?;
        Some(Self {
            canonical: canonical(&evaluated),
            code: code.to_owned(),
            evaluated,
        })
    }

    /// The canonical unit: base units with their exponents, `g.m-1.s-2`, and arbitrary ones.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether a greater number of this unit is less in the canonical unit, as of pH.
    pub fn is_descending(&self) -> bool {
        let ends = self.convert("1").zip(self.convert("2"));
        self.evaluated.special.is_some() && ends.is_some_and(|(one, two)| one > two)
    }

    /// A range in the canonical unit; an end that is not given is open, and becomes `f64::MIN` or
    /// `f64::MAX`.
    pub fn interval(&self, low: Option<&str>, high: Option<&str>) -> Option<(f64, f64)> {
        let (low, high) = if self.is_descending() {
            (high, low)
        } else {
            (low, high)
        };
        let end = |end: Option<&str>, open| end.map_or(Some(open), |end| self.convert(end));
        Some((end(low, f64::MIN)?, end(high, f64::MAX)?))
    }

    /// A number of this unit in the canonical unit; nothing where that has none.
    pub fn convert(&self, number: &str) -> Option<f64> {
        let converted = if self.evaluated.special.is_some() {
            let value = number.parse().ok()?;
            let converted = octofhir_ucum::convert(value, &self.code, &self.canonical).ok()?;
            // Logarithms and offsets leave noise in the last digits.
            format!("{converted:.CERTAIN_DIGITS$e}").parse().ok()?
        } else {
            let number = Number::parse(number)?;
            number.checked_mul(self.evaluated.factor)?.to_f64()
        };
        f64::is_finite(converted).then_some(converted)
    }
}

fn canonical(unit: &EvalResult) -> String {
    let base = BASE_UNITS.iter().copied();
    let base = base.zip(unit.dim.0.iter().map(|exponent| i32::from(*exponent)));
    let mut text = String::new();
    for (name, exponent) in base.chain(unit.arbitrary.iter().copied()) {
        if exponent == 0 {
            continue;
        }
        text.push_str(if text.is_empty() { "" } else { "." });
        text.push_str(name);
        if exponent != 1 {
            let _ = write!(text, "{exponent}"); // a String takes everything
        }
    }
    if text.is_empty() {
        text.push('1');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, code: &str, expected: &str) {
        let unit = Unit::parse(code).expect(code);
        let converted = unit.convert(number).expect(code);
        assert_eq!(format!("{converted} {}", unit.canonical()), expected);
    }

    #[test]
    fn a_quantity_has_one_canonical_form() {
        check("5", "g", "5 g");
        check("5000", "mg", "5 g");
        check("0.005", "kg", "5 g");
        check("120", "mm[Hg]", "15998640 m-1.s-2.g");
        check("15.99864", "kPa", "15998640 m-1.s-2.g");
        check("90", "mg/dL", "900 m-3.g");
        check("0.9", "g/L", "900 m-3.g");
        check("60", "/min", "1 s-1");
        check("98.6", "[degF]", "310.15 K");
        check("37", "Cel", "310.15 K");
        check("12", "{score}", "12 1");
        check("50", "%", "0.5 1");
        check("3", "[iU]/mL", "3000000 m-3.[iU]");
    }

    #[test]
    fn what_is_no_unit_is_none() {
        for code in ["", "mmHg", "furlongs", "mg/", "g g"] {
            assert!(Unit::parse(code).is_none(), "{code}");
        }
        assert_eq!(Unit::parse("g").unwrap().convert("1e999"), None);
    }
}
