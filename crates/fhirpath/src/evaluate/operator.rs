//! The operators: <http://hl7.org/fhirpath/N1/#operations>.

use std::borrow::Cow;
use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::ast::Operator;
use crate::code::{Binary, Code};
use crate::evaluate::{Evaluator, Failure, Flow, Scope, Sink, Stop, emit, is_through, to_integer};
use crate::function::distinct;
use crate::value::compare::number;
use crate::value::{Item, Temporal, TimeUnit, units};

/// Whether an operator gives a truth.
pub(crate) const fn is_logical(operator: Operator) -> bool {
    !matches!(
        operator,
        Operator::Multiply
            | Operator::Divide
            | Operator::Div
            | Operator::Mod
            | Operator::Add
            | Operator::Subtract
            | Operator::Concatenate
            | Operator::Union
    )
}

impl<'a> Evaluator<'_, 'a> {
    /// An operator of whatever kind.
    pub(crate) fn binary(
        &self,
        binary: &'a Binary,
        scope: &Scope<'_, 'a>,
        sink: Sink<'_, 'a>,
    ) -> Flow {
        if is_logical(binary.operator) {
            return emit(self.logical(binary, scope)?.map(Item::Boolean), sink);
        }
        if binary.operator == Operator::Union {
            let mut items = self.gather(&binary.left, scope)?;
            items.extend(self.gather(&binary.right, scope)?);
            return distinct(self, items)?.into_iter().try_for_each(sink);
        }
        let what = binary.operator.text();
        let left = self.single(&binary.left, scope, what, binary.position)?;
        let right = self.single(&binary.right, scope, what, binary.position)?;
        if binary.operator == Operator::Concatenate {
            return sink(self.concatenated(left, right, binary)?);
        }
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(());
        };
        emit(self.arithmetic(binary, &left, &right)?, sink)
    }

    /// An operator that gives a truth.
    pub(crate) fn logical(
        &self,
        binary: &'a Binary,
        scope: &Scope<'_, 'a>,
    ) -> Result<Option<bool>, Failure> {
        let (left, right) = (&binary.left, &binary.right);
        match binary.operator {
            Operator::And => match self.truth(left, scope)? {
                Some(false) => Ok(Some(false)),
                Some(true) => self.truth(right, scope),
                None => Ok(self.truth(right, scope)?.filter(|right| !right)),
            },
            Operator::Or => match self.truth(left, scope)? {
                Some(true) => Ok(Some(true)),
                Some(false) => self.truth(right, scope),
                None => Ok(self.truth(right, scope)?.filter(|right| *right)),
            },
            Operator::Implies => match self.truth(left, scope)? {
                Some(false) => Ok(Some(true)),
                Some(true) => self.truth(right, scope),
                None => Ok(self.truth(right, scope)?.filter(|right| *right)),
            },
            Operator::Xor => {
                let left = self.truth(left, scope)?;
                let right = self.truth(right, scope)?;
                Ok(left.zip(right).map(|(left, right)| left != right))
            }
            Operator::Equal => self.equal(left, right, scope),
            Operator::NotEqual => Ok(self.equal(left, right, scope)?.map(|equal| !equal)),
            Operator::Equivalent => self.equivalent(left, right, scope).map(Some),
            Operator::NotEquivalent => Ok(Some(!self.equivalent(left, right, scope)?)),
            Operator::In => self.contains(right, left, scope, binary),
            Operator::Contains => self.contains(left, right, scope, binary),
            _ => self.ordering(binary, scope),
        }
    }

    /// `=`
    fn equal(
        &self,
        left: &'a Code,
        right: &'a Code,
        scope: &Scope<'_, 'a>,
    ) -> Result<Option<bool>, Failure> {
        let left = self.gather(left, scope)?;
        if left.is_empty() {
            return Ok(None);
        }
        let right = self.gather(right, scope)?;
        if right.is_empty() {
            return Ok(None);
        }
        Ok(self.equal_items(&left, &right))
    }

    /// `=` of two collections that are not empty.
    fn equal_items(&self, left: &[Item<'a>], right: &[Item<'a>]) -> Option<bool> {
        if left.len() != right.len() {
            return Some(false);
        }
        let comparer = self.comparer();
        let mut is_known = true;
        for (left, right) in left.iter().zip(right) {
            match comparer.equal(left, right) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    /// `~`: in any order.
    fn equivalent(
        &self,
        left: &'a Code,
        right: &'a Code,
        scope: &Scope<'_, 'a>,
    ) -> Result<bool, Failure> {
        let left = self.gather(left, scope)?;
        let mut right = self.gather(right, scope)?;
        if left.len() != right.len() {
            return Ok(false);
        }
        let comparer = self.comparer();
        for item in &left {
            self.steps(right.len())?;
            let place = right
                .iter()
                .position(|other| comparer.equivalent(item, other));
            let Some(place) = place else {
                return Ok(false);
            };
            right.swap_remove(place);
        }
        Ok(true)
    }

    /// Whether a collection has an item: `contains`, and `in` the other way round.
    fn contains(
        &self,
        collection: &'a Code,
        item: &'a Code,
        scope: &Scope<'_, 'a>,
        binary: &'a Binary,
    ) -> Result<Option<bool>, Failure> {
        let what = binary.operator.text();
        let Some(item) = self.single(item, scope, what, binary.position)? else {
            return Ok(None);
        };
        let comparer = self.comparer();
        let mut is_found = false;
        let flow = self.each_repeated(collection, scope, &mut |candidate| {
            if comparer.equal(&candidate, &item) == Some(true) {
                is_found = true;
                return Err(Stop::Enough);
            }
            Ok(())
        });
        is_through(flow)?;
        Ok(Some(is_found))
    }

    /// `<`, `<=`, `>`, `>=`
    fn ordering(&self, binary: &'a Binary, scope: &Scope<'_, 'a>) -> Result<Option<bool>, Failure> {
        let what = binary.operator.text();
        if let Code::Call(count) = &binary.left
            && binary.is_count
        {
            return self.count_ordering(binary, &count.input, scope);
        }
        let left = self.single(&binary.left, scope, what, binary.position)?;
        let right = self.single(&binary.right, scope, what, binary.position)?;
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(None);
        };
        let ordering = match self.comparer().compare(&left, &right) {
            Ok(ordering) => ordering,
            Err(()) if self.lacks_value(&left) || self.lacks_value(&right) => None,
            Err(()) => return Err(self.wrong_type(&right, what, binary.position)),
        };
        Ok(ordering.map(|ordering| holds(binary.operator, ordering)))
    }

    /// `children().count() > id.count()`: the items on the left are counted only as far as it takes.
    fn count_ordering(
        &self,
        binary: &'a Binary,
        counted: &'a Code,
        scope: &Scope<'_, 'a>,
    ) -> Result<Option<bool>, Failure> {
        let what = binary.operator.text();
        let right = self.single(&binary.right, scope, what, binary.position)?;
        let limit = match &right {
            Some(Item::Integer(limit)) => usize::try_from(*limit).unwrap_or(0) + 1,
            _ => usize::MAX,
        };
        let mut count = 0;
        let flow = self.each(counted, scope, &mut |_| {
            count += 1;
            if count >= limit {
                return Err(Stop::Enough);
            }
            Ok(())
        });
        is_through(flow)?;
        let Some(right) = right else {
            return Ok(None);
        };
        let left = Item::Integer(to_integer(count));
        match self.comparer().compare(&left, &right) {
            Ok(ordering) => Ok(ordering.map(|ordering| holds(binary.operator, ordering))),
            Err(()) if self.lacks_value(&right) => Ok(None),
            Err(()) => Err(self.wrong_type(&right, what, binary.position)),
        }
    }

    /// `&`: empty counts as an empty string.
    fn concatenated(
        &self,
        left: Option<Item<'a>>,
        right: Option<Item<'a>>,
        binary: &Binary,
    ) -> Result<Item<'a>, Failure> {
        let text = |item: Option<Item<'a>>| match item {
            None => Ok(Cow::Borrowed("")),
            Some(item) => item
                .text(self.context.definitions, self.known)
                .or_else(|| self.is_without_value(&item).then_some(Cow::Borrowed("")))
                .ok_or_else(|| self.wrong_type(&item, "&", binary.position)),
        };
        let mut joined = text(left)?.into_owned();
        joined.push_str(&text(right)?);
        self.check_string(joined).map(Item::String)
    }

    /// Refuses a string that is longer than the limit.
    pub(crate) fn check_string(&self, text: String) -> Result<Cow<'a, str>, Failure> {
        let limit_bytes = self.context.limits.string_bytes_max;
        if text.len() > limit_bytes {
            let kind = crate::EvaluateErrorKind::TooLong { limit_bytes };
            return Err(Self::failure(0, kind));
        }
        Ok(Cow::Owned(text))
    }

    /// `+`, `-`, `*`, `/`, `div`, `mod`
    fn arithmetic(
        &self,
        binary: &Binary,
        left: &Item<'a>,
        right: &Item<'a>,
    ) -> Result<Option<Item<'a>>, Failure> {
        let system = |item: &Item<'a>| item.system(self.context.definitions, self.known);
        let (Some(first), Some(second)) = (system(left), system(right)) else {
            let missing = if system(left).is_none() { left } else { right };
            if self.is_without_value(missing) {
                return Ok(None);
            }
            return Err(self.wrong_type(missing, binary.operator.text(), binary.position));
        };
        match compute(binary.operator, &first, &second) {
            Computed::Value(item) => Ok(Some(item)),
            Computed::Empty => Ok(None),
            Computed::Undefined => {
                Err(self.wrong_type(right, binary.operator.text(), binary.position))
            }
        }
    }
}

/// Whether an operator of order is true of what was found to be the order.
fn holds(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    }
}

/// What arithmetic gives.
enum Computed<'a> {
    Value(Item<'a>),
    /// Division by zero, or more than fits.
    Empty,
    /// Not for these types.
    Undefined,
}

impl<'a> From<Option<Item<'a>>> for Computed<'a> {
    fn from(item: Option<Item<'a>>) -> Self {
        item.map_or(Self::Empty, Self::Value)
    }
}

/// <http://hl7.org/fhirpath/N1/#math-2>
fn compute<'a>(operator: Operator, left: &Item<'a>, right: &Item<'a>) -> Computed<'a> {
    match (left, right) {
        (Item::Integer(left), Item::Integer(right)) => integers(operator, *left, *right).into(),
        (Item::String(left), Item::String(right)) if operator == Operator::Add => {
            Computed::Value(Item::String(Cow::Owned(format!("{left}{right}"))))
        }
        (
            Item::Date(moment) | Item::DateTime(moment) | Item::Time(moment),
            Item::Quantity(step),
        ) => {
            let is_negative = match operator {
                Operator::Add => false,
                Operator::Subtract => true,
                _ => return Computed::Undefined,
            };
            let Some(unit) = TimeUnit::parse(step.unit.code()) else {
                return Computed::Undefined;
            };
            let count = step.value.trunc().to_i64();
            let count = count.map(|count| if is_negative { -count } else { count });
            moved(left, *moment, count, unit, step.value, is_negative).into()
        }
        (Item::Quantity(left), Item::Quantity(right)) => {
            let result = match operator {
                Operator::Add => units::add(left, right, false),
                Operator::Subtract => units::add(left, right, true),
                Operator::Multiply => units::multiply(left, right),
                Operator::Divide => units::divide(left, right),
                _ => return Computed::Undefined,
            };
            result
                .map(|quantity| Item::Quantity(Box::new(quantity)))
                .into()
        }
        (Item::Quantity(_), _) => match number(right) {
            Some(value) => compute(
                operator,
                left,
                &Item::Quantity(Box::new(units::plain(value))),
            ),
            None => Computed::Undefined,
        },
        (_, Item::Quantity(_)) => match number(left) {
            Some(value) => compute(
                operator,
                &Item::Quantity(Box::new(units::plain(value))),
                right,
            ),
            None => Computed::Undefined,
        },
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => decimals(operator, left, right).into(),
            _ => Computed::Undefined,
        },
    }
}

fn integers<'a>(operator: Operator, left: i32, right: i32) -> Option<Item<'a>> {
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Div => left.checked_div(right),
        Operator::Mod => left.checked_rem(right),
        _ => return decimals(operator, left.into(), right.into()),
    };
    result.map(Item::Integer)
}

fn decimals<'a>(operator: Operator, left: Decimal, right: Decimal) -> Option<Item<'a>> {
    let result = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right).map(|quotient| quotient.normalize()),
        Operator::Mod => left.checked_rem(right),
        _ => {
            let quotient = left.checked_div(right)?.trunc();
            return quotient.to_i32().map(Item::Integer);
        }
    };
    result.map(Item::Decimal)
}

/// A date or time and so many units: whole ones, but seconds may have a fraction.
fn moved<'a>(
    like: &Item<'a>,
    moment: Temporal,
    count: Option<i64>,
    unit: TimeUnit,
    value: Decimal,
    is_negative: bool,
) -> Option<Item<'a>> {
    let is_time = matches!(like, Item::Time(_));
    let (count, unit) = match unit {
        TimeUnit::Millis(1_000) if !value.fract().is_zero() => {
            let millis = value.checked_mul(1_000.into())?.trunc().to_i64()?;
            let millis = if is_negative { -millis } else { millis };
            (millis, TimeUnit::Millis(1))
        }
        _ => (count?, unit),
    };
    let moved = moment.add(count, unit, is_time)?;
    Some(match like {
        Item::Date(_) => Item::Date(moved),
        Item::Time(_) => Item::Time(moved),
        _ => Item::DateTime(moved),
    })
}
