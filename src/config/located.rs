//! A TOML document as JSON for the schema, with the line of every value.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A document and where its values stand.
pub(super) struct Located {
    /// The document as JSON.
    pub(super) value: Value,
    /// JSON pointer → line, from 1.
    lines: HashMap<String, usize>,
}

impl Located {
    /// Reads TOML; the error names the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let table = DeTable::parse(text).map_err(|error| toml_problem(text, &error))?;
        let mut located = Self {
            value: Value::Null,
            lines: HashMap::new(),
        };
        located.value = located.table(text, "", &table);
        Ok(located)
    }

    /// The line of a value, or of the nearest value around it.
    pub(super) fn line(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(cut) => pointer = pointer.get(..cut).unwrap_or_default(),
                None => return 1,
            }
        }
    }

    fn table(&mut self, text: &str, pointer: &str, table: &Spanned<DeTable<'_>>) -> Value {
        self.note(text, pointer, table.span());
        let entries = table.get_ref().iter().map(|(key, value)| {
            let key = key.get_ref().to_string();
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let value = self.value(text, &pointer, value);
            (key, value)
        });
        Value::Object(entries.collect::<Map<_, _>>())
    }

    fn value(&mut self, text: &str, pointer: &str, value: &Spanned<DeValue<'_>>) -> Value {
        self.note(text, pointer, value.span());
        match value.get_ref() {
            DeValue::String(string) => Value::String(string.to_string()),
            DeValue::Integer(integer) => {
                let digits: String = integer
                    .as_str()
                    .chars()
                    .filter(|character| *character != '_')
                    .collect();
                i64::from_str_radix(&digits, integer.radix())
                    .map_or(Value::String(digits), |number| Value::Number(number.into()))
            }
            DeValue::Float(float) => float
                .as_str()
                .parse()
                .ok()
                .and_then(Number::from_f64)
                .map_or(Value::Null, Value::Number),
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(array) => {
                let items = array.iter().enumerate();
                Value::Array(
                    items
                        .map(|(index, item)| self.value(text, &format!("{pointer}/{index}"), item))
                        .collect(),
                )
            }
            DeValue::Table(table) => {
                let table = Spanned::new(value.span(), table.clone());
                self.table(text, pointer, &table)
            }
        }
    }

    fn note(&mut self, text: &str, pointer: &str, span: Range<usize>) {
        self.lines
            .insert(pointer.to_owned(), line_at(text, span.start));
    }
}

/// `line N: what is wrong` for an error of the TOML reader.
pub(super) fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    format!("line {line}: {}", error.message())
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.get(..offset).unwrap_or_default().matches('\n').count()
}
