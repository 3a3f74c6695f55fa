//! Values of resources compared as `FHIRPath` compares them: quantities in different units, dates
//! of different precision, decimals to the digit. <http://hl7.org/fhirpath/N1/#comparison>

use fhir_model::definition::Definitions;
use fhirpath::{Context, Expression, Item};

/// What may hold between a value and another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    Equal,
    Less,
    Greater,
    AtMost,
    AtLeast,
    /// The text as a whole is as the other, a regular expression, says.
    Matches,
}

/// Expressions of the relations, each at its place.
const EXPRESSIONS: &[(Relation, &str)] = &[
    (Relation::Equal, "$this = %other"),
    (Relation::Less, "$this < %other"),
    (Relation::Greater, "$this > %other"),
    (Relation::AtMost, "$this <= %other"),
    (Relation::AtLeast, "$this >= %other"),
    (Relation::Matches, "$this.matches('^(?:' + %other + ')$')"),
];

/// The relations, compiled once.
#[derive(Debug)]
pub(crate) struct Comparison(Box<[(Relation, Expression)]>);

impl Comparison {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        let compile = |(relation, text): &(Relation, &str)| {
            let expression = Expression::compile(text, definitions, None).ok()?;
            Some((*relation, expression))
        };
        Self(EXPRESSIONS.iter().filter_map(compile).collect())
    }

    /// Whether a relation holds; `None` if the two cannot be compared, or not to the precision
    /// that they are given in.
    pub(crate) fn holds(
        &self,
        definitions: &Definitions,
        relation: Relation,
        value: Item<'_>,
        other: Item<'_>,
    ) -> Option<bool> {
        let (_, expression) = self.0.iter().find(|(known, _)| *known == relation)?;
        let other = [other];
        let variables: [(&str, &[Item<'_>]); 1] = [("other", &other)];
        let mut context = Context::new(definitions);
        context.variables = &variables;
        expression.evaluate_truth(&context, value).ok().flatten()
    }
}
