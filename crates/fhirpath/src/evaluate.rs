//! Evaluation: code, a scope, and where the items go.
//!
//! Items are pushed, not collected: a path calls its sink with each element it finds, and whoever
//! has enough says so by [`Stop::Enough`]. What is asked for decides the way: [`Evaluator::each`]
//! for items, [`Evaluator::truth`] for a truth, [`Evaluator::single`] for one item. So a test like
//! `name.exists()` touches one element and keeps nothing.
//!
//! Recursion is bounded by the depth of expressions, work by [`crate::Limits`].

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use fhir_model::definition::{Definitions, TypeId, TypeKind};
use fhir_model::element::Element;
use fhir_model::tree::Node;

use crate::ast::{Literal, Operator};
use crate::code::{Access, Binary, Call, Code, Let, Meaning, Member, Sign, TypeStep, Variable};
use crate::compile::Known;
use crate::context::Context;
use crate::error::{EvaluateError, EvaluateErrorKind};
use crate::expression::Options;
use crate::function::{Invocation, Run};
use crate::value::compare::{Comparer, Work};
use crate::value::{Collection, Item, Quantity, TypeInfo, is_object, name_of};

mod operator;

/// Why evaluation failed; boxed, since it hardly ever does.
#[derive(Debug)]
pub(crate) struct Failure(Box<EvaluateError>);

/// Why no more items are wanted.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Whoever takes the items has what it needs.
    Enough,
    /// Something is wrong.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Whether to go on.
pub(crate) type Flow = Result<(), Stop>;

/// Where items go.
pub(crate) type Sink<'s, 'a> = &'s mut dyn FnMut(Item<'a>) -> Flow;

/// Whether the items came to an end, rather than the taker having enough.
pub(crate) fn is_through(flow: Flow) -> Result<bool, Failure> {
    match flow {
        Ok(()) => Ok(true),
        Err(Stop::Enough) => Ok(false),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// What the special names mean at a place in the expression.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s, 'a> {
    /// `$this`: one item, but for the criterion of `iif()`.
    pub(crate) this: &'s [Item<'a>],
    /// `$index`
    pub(crate) index: usize,
    /// `$total`
    pub(crate) total: &'s [Item<'a>],
}

impl<'s, 'a> Scope<'s, 'a> {
    /// The same with another `$this` and `$index`.
    pub(crate) fn with(&self, this: &'s [Item<'a>], index: usize) -> Self {
        Self {
            this,
            index,
            total: self.total,
        }
    }
}

/// One evaluation.
pub(crate) struct Evaluator<'c, 'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) known: &'a Known,
    /// `%context`
    pub(crate) focus: &'c [Item<'a>],
    pub(crate) is_exact: bool,
    /// Whether a choice may be named as in JSON.
    has_json_names: bool,
    steps: Cell<u32>,
    steps_max: u32,
    /// What `defineVariable()` keeps.
    slots: RefCell<Vec<Collection<'a>>>,
}

impl<'c, 'a> Evaluator<'c, 'a> {
    pub(crate) fn new(
        context: &'a Context<'a>,
        known: &'a Known,
        focus: &'c [Item<'a>],
        options: Options,
    ) -> Self {
        let steps_left = context.steps_left.map_or(u64::MAX, Cell::get);
        Self {
            context,
            known,
            focus,
            is_exact: options.exact,
            has_json_names: options.json_names,
            steps: Cell::new(0),
            steps_max: u32::try_from(steps_left)
                .unwrap_or(u32::MAX)
                .min(context.limits.steps_max),
            slots: RefCell::default(),
        }
    }

    /// The scope of the whole expression.
    pub(crate) fn scope(&self) -> Scope<'c, 'a> {
        Scope {
            this: self.focus,
            index: 0,
            total: &[],
        }
    }

    pub(crate) fn comparer(&self) -> Comparer<'_, 'a> {
        Comparer {
            definitions: self.context.definitions,
            known: self.known,
            work: Work {
                steps: &self.steps,
                steps_max: self.steps_max,
            },
        }
    }

    /// What came out, unless the steps were used up on the way.
    pub(crate) fn finish<T>(&self, result: Result<T, Failure>) -> Result<T, EvaluateError> {
        let finished = result.and_then(|value| self.steps(0).map(|()| value));
        if let Some(left) = self.context.steps_left {
            left.set(left.get().saturating_sub(self.steps.get().into()));
        }
        finished.map_err(|failure| *failure.0)
    }

    #[cold]
    pub(crate) fn failure(position: usize, kind: EvaluateErrorKind) -> Failure {
        Failure(Box::new(EvaluateError::new(position, kind)))
    }

    /// Counts one step of work.
    #[inline]
    pub(crate) fn step(&self) -> Result<(), Failure> {
        self.steps(1)
    }

    /// Counts several steps of work.
    #[inline]
    pub(crate) fn steps(&self, count: usize) -> Result<(), Failure> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let steps = self.steps.get().saturating_add(count);
        self.steps.set(steps);
        let limit = self.steps_max;
        if steps > limit {
            let kind = EvaluateErrorKind::TooManySteps { limit };
            return Err(Self::failure(0, kind));
        }
        Ok(())
    }

    /// Refuses a collection that grows beyond the limit.
    pub(crate) fn check_items(&self, count: usize) -> Result<(), Failure> {
        let limit = self.context.limits.items_max;
        if count > limit {
            let kind = EvaluateErrorKind::TooManyItems { limit };
            return Err(Self::failure(0, kind));
        }
        Ok(())
    }

    /// Calls a function with each item that the code gives.
    pub(crate) fn each(&self, code: &'a Code, scope: &Scope<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
        self.step()?;
        match code {
            Code::Empty => Ok(()),
            Code::Literal(literal) => sink(literal_item(literal)),
            Code::This => scope.this.iter().cloned().try_for_each(sink),
            Code::Index => sink(Item::Integer(to_integer(scope.index))),
            Code::Total => scope.total.iter().cloned().try_for_each(sink),
            Code::Variable(variable) => self.variable(variable, sink),
            Code::Slot(slot) => self.slot(*slot).into_iter().try_for_each(sink),
            Code::Let(binding) => self.bind(binding, scope, sink),
            Code::Start(type_id) => {
                let is_meant = |item: &&Item<'a>| self.is_of(item, *type_id);
                scope
                    .this
                    .iter()
                    .filter(is_meant)
                    .cloned()
                    .try_for_each(sink)
            }
            Code::Member(member) => match &member.input {
                Code::This => scope
                    .this
                    .iter()
                    .try_for_each(|item| self.member(member, item, sink)),
                input => self.each(input, scope, &mut |item| self.member(member, &item, sink)),
            },
            Code::Indexer(indexer) => self.indexer(indexer, scope, sink),
            Code::Sign(sign) => emit(self.sign(sign, scope)?, sink),
            Code::Binary(binary) => self.binary(binary, scope, sink),
            Code::Type(step) => self.type_step(step, scope, sink),
            Code::Call(call) => {
                let invocation = self.invocation(call, scope);
                match call.function.run {
                    Run::Each(run) => run(&invocation, sink),
                    Run::Single(run) => emit(run(&invocation)?, sink),
                    Run::Truth(run) => emit(run(&invocation)?.map(Item::Boolean), sink),
                }
            }
        }
    }

    /// As [`Evaluator::each`], for whoever does not mind items that are equal: a union need not be
    /// kept to tell them apart.
    pub(crate) fn each_repeated(
        &self,
        code: &'a Code,
        scope: &Scope<'_, 'a>,
        sink: Sink<'_, 'a>,
    ) -> Flow {
        match code {
            Code::Binary(union) if union.operator == Operator::Union => {
                self.each_repeated(&union.left, scope, sink)?;
                self.each_repeated(&union.right, scope, sink)
            }
            _ => self.each(code, scope, sink),
        }
    }

    /// All items that the code gives.
    pub(crate) fn gather(
        &self,
        code: &'a Code,
        scope: &Scope<'_, 'a>,
    ) -> Result<Collection<'a>, Failure> {
        let mut items = Collection::new();
        let flow = self.each(code, scope, &mut |item| {
            items.push(item);
            self.check_items(items.len()).map_err(Stop::Failed)
        });
        is_through(flow).map(|_| items)
    }

    /// The only item that the code gives; several are refused.
    pub(crate) fn single(
        &self,
        code: &'a Code,
        scope: &Scope<'_, 'a>,
        what: &'static str,
        position: usize,
    ) -> Result<Option<Item<'a>>, Failure> {
        if let Code::Call(call) = code
            && let Run::Single(run) = call.function.run
        {
            self.step()?;
            return run(&self.invocation(call, scope));
        }
        let mut found = None;
        let flow = self.each(code, scope, &mut |item| {
            if found.is_some() {
                let kind = EvaluateErrorKind::NotSingle { what };
                return Err(Stop::Failed(Self::failure(position, kind)));
            }
            found = Some(item);
            Ok(())
        });
        is_through(flow).map(|_| found)
    }

    /// Whether the code gives any item.
    pub(crate) fn exists(&self, code: &'a Code, scope: &Scope<'_, 'a>) -> Result<bool, Failure> {
        let flow = self.each_repeated(code, scope, &mut |_| Err(Stop::Enough));
        is_through(flow).map(|is_through| !is_through)
    }

    /// The truth of the code; `None` if it is empty.
    pub(crate) fn truth(
        &self,
        code: &'a Code,
        scope: &Scope<'_, 'a>,
    ) -> Result<Option<bool>, Failure> {
        match code {
            Code::Call(call) => {
                if let Run::Truth(run) = call.function.run {
                    self.step()?;
                    return run(&self.invocation(call, scope));
                }
                self.singleton(code, scope, call.position)
            }
            Code::Binary(binary) if operator::is_logical(binary.operator) => {
                self.step()?;
                self.logical(binary, scope)
            }
            Code::Type(step) if step.is_test => {
                self.step()?;
                self.type_test(step, scope)
            }
            _ => self.singleton(code, scope, position_of(code)),
        }
    }

    /// The truth of whatever the code gives: <http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections>.
    fn singleton(
        &self,
        code: &'a Code,
        scope: &Scope<'_, 'a>,
        position: usize,
    ) -> Result<Option<bool>, Failure> {
        let item = self.single(code, scope, "a condition", position)?;
        Ok(item.and_then(|item| self.truth_of(&item)))
    }

    fn truth_of(&self, item: &Item<'a>) -> Option<bool> {
        match item {
            Item::Boolean(truth) => Some(*truth),
            Item::Node { element, type_id } if self.known.is_boolean(*type_id) => {
                element.value().and_then(Node::as_bool)
            }
            _ => Some(true),
        }
    }

    pub(crate) fn invocation<'s>(
        &'s self,
        call: &'a Call,
        scope: &'s Scope<'s, 'a>,
    ) -> Invocation<'s, 'a> {
        Invocation {
            evaluator: self,
            call,
            scope,
        }
    }

    /// Whether an item is an element of a type, or of one that specialises it.
    pub(crate) fn is_of(&self, item: &Item<'_>, wanted: TypeId) -> bool {
        match item {
            Item::Node { type_id, .. } | Item::Resource(type_id) => {
                *type_id == wanted || self.context.definitions.is_subtype_of(*type_id, wanted)
            }
            _ => false,
        }
    }

    /// Whether an item is an element of a type that stands for a value, which it need not have.
    pub(crate) fn is_without_value(&self, item: &Item<'_>) -> bool {
        let Item::Node { element, type_id } = item else {
            return false;
        };
        let kind = self.context.definitions.type_of(*type_id).kind;
        matches!(kind, TypeKind::Primitive(_) | TypeKind::System(_))
            || is_object(*element) && self.known.is_quantity(*type_id, self.context.definitions)
    }

    /// Whether an item is such an element, and indeed has no value.
    pub(crate) fn lacks_value(&self, item: &Item<'_>) -> bool {
        self.is_without_value(item) && item.system(self.context.definitions, self.known).is_none()
    }

    fn variable(&self, variable: &'a Variable, sink: Sink<'_, 'a>) -> Flow {
        let resource = || self.context.resource.as_ref();
        let focus = || self.focus.first();
        let item = match &variable.meaning {
            Meaning::Context => focus(),
            Meaning::Resource => resource().or_else(focus),
            Meaning::RootResource => self.root_resource(),
            Meaning::Text(text) => return sink(Item::String(Cow::Borrowed(text))),
            Meaning::External => return self.external(variable, sink),
        };
        emit(item.cloned(), sink)
    }

    /// `%rootResource`
    pub(crate) fn root_resource(&self) -> Option<&Item<'a>> {
        let root = self.context.root_resource.as_ref();
        root.or(self.context.resource.as_ref())
            .or_else(|| self.focus.first())
    }

    /// What is kept in a slot: nothing before its [`Let`] has filled it.
    fn slot(&self, slot: usize) -> Collection<'a> {
        self.slots.borrow().get(slot).cloned().unwrap_or_default()
    }

    fn fill(&self, slot: usize, items: Collection<'a>) {
        let mut slots = self.slots.borrow_mut();
        if slots.len() <= slot {
            slots.resize(slot + 1, Collection::new());
        }
        if let Some(place) = slots.get_mut(slot) {
            *place = items;
        }
    }

    /// `defineVariable()` and what follows it.
    fn bind(&self, binding: &'a Let, scope: &Scope<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
        let input = self.gather(&binding.input, scope)?;
        let value = match &binding.value {
            Some(code) => self.gather(code, &scope.with(&input, scope.index))?,
            None => input.clone(),
        };
        self.fill(binding.input_slot, input);
        self.fill(binding.value_slot, value);
        self.each(&binding.body, scope, sink)
    }

    /// What the caller says that a variable holds.
    pub(crate) fn variable_named(&self, name: &str) -> Option<&'a [Item<'a>]> {
        let mut variables = self.context.variables.iter();
        let found = variables.find(|(own, _)| *own == name);
        found.map(|(_, items)| *items)
    }

    fn external(&self, variable: &'a Variable, sink: Sink<'_, 'a>) -> Flow {
        let Some(items) = self.variable_named(&variable.name) else {
            let kind = EvaluateErrorKind::UnknownVariable(variable.name.clone().into());
            return Err(Stop::Failed(Self::failure(variable.position, kind)));
        };
        items.iter().cloned().try_for_each(sink)
    }

    /// The elements of an item with a name.
    fn member(&self, member: &'a Member, item: &Item<'a>, sink: Sink<'_, 'a>) -> Flow {
        let (element, type_id) = match item {
            Item::Node { element, type_id } => (*element, *type_id),
            Item::Type(info) => return self.type_member(*info, &member.text, sink),
            _ => return Ok(()),
        };
        let expected = member.expected.iter().find(|(id, _)| *id == type_id);
        if let Some((_, access)) = expected {
            return self.access(element, member, access, sink);
        }
        self.dynamic_member(member, element, type_id, sink)
    }

    /// The elements of a name, where nothing was known of the type beforehand.
    fn dynamic_member(
        &self,
        member: &Member,
        element: Element<'a>,
        type_id: TypeId,
        sink: Sink<'_, 'a>,
    ) -> Flow {
        let definitions = self.context.definitions;
        // Most elements do not have what is asked for: the type is asked only for those that do.
        let mut children = element.children(member.name);
        if let Some(first) = children.next() {
            return match definitions.property(type_id, member.name) {
                Some(property) if !property.is_choice || self.has_json_names => {
                    self.emit_child(first, property.type_id, sink)?;
                    children.try_for_each(|child| self.emit_child(child, property.type_id, sink))
                }
                _ => Ok(()),
            };
        }
        let choices = definitions.choices(type_id, member.name);
        if choices.is_empty() {
            return Ok(());
        }
        element.all_children().try_for_each(|child| {
            let name = child.name();
            match choices.iter().find(|choice| choice.name == name) {
                Some(choice) => self.emit_child(child, choice.type_id, sink),
                None => Ok(()),
            }
        })
    }

    /// The elements of a name, where it was known beforehand how the type has them.
    fn access(
        &self,
        element: Element<'a>,
        member: &Member,
        access: &Access,
        sink: Sink<'_, 'a>,
    ) -> Flow {
        match access {
            Access::Property(type_id) => {
                for element in element.children(member.name) {
                    self.step()?;
                    let type_id = *type_id;
                    sink(Item::Node { element, type_id })?;
                }
                Ok(())
            }
            Access::Resource(type_id) => element
                .children(member.name)
                .try_for_each(|child| self.emit_child(child, *type_id, sink)),
            Access::Choice(choices) => {
                for element in element.all_children() {
                    let name = element.name();
                    let found = choices.binary_search_by_key(&name, |(name, _)| *name);
                    if let Some((_, type_id)) = found.ok().and_then(|place| choices.get(place)) {
                        self.step()?;
                        let type_id = *type_id;
                        sink(Item::Node { element, type_id })?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Passes an element on, a resource with its own type.
    pub(crate) fn emit_child(
        &self,
        element: Element<'a>,
        type_id: TypeId,
        sink: Sink<'_, 'a>,
    ) -> Flow {
        self.step()?;
        let type_id = own_type(element, type_id, self.context.definitions);
        sink(Item::Node { element, type_id })
    }

    /// `type().name`, `type().namespace`: <http://hl7.org/fhirpath/N1/#reflection>.
    fn type_member(&self, info: TypeInfo, name: &str, sink: Sink<'_, 'a>) -> Flow {
        let (namespace, type_name) = name_of(info, self.context.definitions);
        let text = match name {
            "namespace" => namespace,
            "name" => type_name,
            _ => return Ok(()),
        };
        sink(Item::String(Cow::Borrowed(text)))
    }

    fn indexer(&self, indexer: &'a Binary, scope: &Scope<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
        let index = self.single(&indexer.right, scope, "[]", indexer.position)?;
        let index = index.and_then(|item| item.system(self.context.definitions, self.known));
        let wanted = match index {
            None => return Ok(()),
            Some(Item::Integer(number)) => number,
            Some(other) => return Err(self.wrong_type(&other, "[]", indexer.position).into()),
        };
        let mut place = 0;
        let mut found = None;
        let flow = self.each(&indexer.left, scope, &mut |item| {
            if place == wanted {
                found = Some(item);
                return Err(Stop::Enough);
            }
            place += 1;
            Ok(())
        });
        is_through(flow)?;
        emit(found, sink)
    }

    fn sign(&self, sign: &'a Sign, scope: &Scope<'_, 'a>) -> Result<Option<Item<'a>>, Failure> {
        let what = if sign.is_negative { "-" } else { "+" };
        let item = self.single(&sign.operand, scope, what, sign.position)?;
        let Some(item) = item else {
            return Ok(None);
        };
        let value = item.system(self.context.definitions, self.known);
        match value {
            Some(Item::Integer(number)) if sign.is_negative => {
                Ok(number.checked_neg().map(Item::Integer))
            }
            Some(Item::Decimal(number)) if sign.is_negative => Ok(Some(Item::Decimal(-number))),
            Some(Item::Quantity(mut quantity)) if sign.is_negative => {
                quantity.value = -quantity.value;
                Ok(Some(Item::Quantity(quantity)))
            }
            Some(value @ (Item::Integer(_) | Item::Decimal(_) | Item::Quantity(_))) => {
                Ok(Some(value))
            }
            _ => Err(self.wrong_type(&item, what, sign.position)),
        }
    }

    fn type_step(&self, step: &'a TypeStep, scope: &Scope<'_, 'a>, sink: Sink<'_, 'a>) -> Flow {
        if step.is_test {
            return emit(self.type_test(step, scope)?.map(Item::Boolean), sink);
        }
        if self.is_exact {
            let item = self.single(&step.operand, scope, "as", step.position)?;
            let selected = item.filter(|item| step.test.selects(item, self.context.definitions));
            return emit(selected, sink);
        }
        self.each(&step.operand, scope, &mut |item| {
            if step.test.selects(&item, self.context.definitions) {
                sink(item)
            } else {
                Ok(())
            }
        })
    }

    fn type_test(
        &self,
        step: &'a TypeStep,
        scope: &Scope<'_, 'a>,
    ) -> Result<Option<bool>, Failure> {
        let item = self.single(&step.operand, scope, "is", step.position)?;
        Ok(item.map(|item| step.test.is(&item, self.context.definitions)))
    }

    /// The error for an item that an operator is not defined for.
    #[cold]
    pub(crate) fn wrong_type(
        &self,
        item: &Item<'_>,
        what: &'static str,
        position: usize,
    ) -> Failure {
        let found = item.type_name(self.context.definitions).to_owned();
        Self::failure(position, EvaluateErrorKind::WrongType { what, found })
    }
}

/// The type of an element; of a resource its own, where the definition says `Resource`.
pub(crate) fn own_type(element: Element<'_>, type_id: TypeId, definitions: &Definitions) -> TypeId {
    if definitions.type_of(type_id).kind != TypeKind::Resource {
        return type_id;
    }
    let own = element.resource_type();
    own.and_then(|name| definitions.resource_type(&name))
        .unwrap_or(type_id)
}

/// Passes on what there is.
pub(crate) fn emit<'a>(item: Option<Item<'a>>, sink: Sink<'_, 'a>) -> Flow {
    item.map_or(Ok(()), sink)
}

/// A count as an integer of `FHIRPath`; collections are limited far below.
pub(crate) fn to_integer(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A literal as an item; strings are borrowed.
pub(crate) fn literal_item(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Boolean(truth) => Item::Boolean(*truth),
        Literal::Integer(number) => Item::Integer(*number),
        Literal::Decimal(number) => Item::Decimal(*number),
        Literal::String(text) => Item::String(Cow::Borrowed(text)),
        Literal::Date(date) => Item::Date(*date),
        Literal::DateTime(moment) => Item::DateTime(*moment),
        Literal::Time(time) => Item::Time(*time),
        Literal::Quantity(value, unit) => Item::Quantity(Box::new(Quantity {
            value: *value,
            unit: unit.clone(),
        })),
    }
}

/// Where code stands in its expression, as far as it remembers.
fn position_of(code: &Code) -> usize {
    match code {
        Code::Variable(variable) => variable.position,
        Code::Indexer(binary) | Code::Binary(binary) => binary.position,
        Code::Sign(sign) => sign.position,
        Code::Let(binding) => binding.position,
        Code::Type(step) => step.position,
        Code::Call(call) => call.position,
        Code::Member(member) => position_of(&member.input),
        _ => 0,
    }
}
