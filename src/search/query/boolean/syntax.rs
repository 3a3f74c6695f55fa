//! The grammar of `_filter`: <https://hl7.org/fhir/R4/search_filter.html>.
//!
//! Read by descent, from left to right: `and` and `or` have no precedence, parentheses do. What names
//! and operators mean is left to `boolean`.

/// How deep parentheses and brackets may be nested.
pub(super) const NESTING_MAX: usize = 16;

/// The most conditions of one expression.
pub(super) const CONDITIONS_MAX: usize = 100;

/// An expression, or a part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node<'t> {
    /// All of these.
    And(Vec<Node<'t>>),
    /// One of these.
    Or(Vec<Node<'t>>),
    /// Not this.
    Not(Box<Node<'t>>),
    /// `path operator value`.
    Condition(Condition<'t>),
}

/// `path operator value`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Condition<'t> {
    /// Names between `.`; one at least.
    pub(super) path: Vec<Step<'t>>,
    /// Two letters, as a rule.
    pub(super) operator: &'t str,
    /// Where the operator is.
    pub(super) operator_at: usize,
    /// What is compared with.
    pub(super) value: Value<'t>,
}

/// One name of a path, and what holds of what it leads to: `name[filter]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'t> {
    /// Where it begins.
    pub(super) at: usize,
    /// The name of a parameter; it may have a type, as in `subject:Patient`.
    pub(super) name: &'t str,
    /// What stands in brackets.
    pub(super) filter: Option<Box<Node<'t>>>,
}

/// A value as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value<'t> {
    /// Between quotation marks, as JSON has it.
    Text(String),
    /// Up to the next space, parenthesis or bracket.
    Token(&'t str),
}

/// Why an expression cannot be read, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) at: usize,
    pub(super) reason: String,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Node<'_>, Problem> {
    let mut reader = Reader {
        text,
        at: 0,
        conditions: 0,
    };
    let node = reader.expression(0)?;
    match reader.rest() {
        "" => Ok(node),
        _ => Err(reader.problem("'and', 'or' or the end was expected")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    conditions: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn problem(&self, reason: impl Into<String>) -> Problem {
        Problem {
            at: self.at,
            reason: reason.into(),
        }
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes the characters that are wanted; perhaps none.
    fn take(&mut self, is_wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|char| !is_wanted(char)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// Takes a mark, if it comes next.
    fn takes(&mut self, mark: char) -> bool {
        let is_next = self.rest().starts_with(mark);
        self.at += if is_next { mark.len_utf8() } else { 0 };
        is_next
    }

    /// Takes a word, if it comes next and is not the beginning of another.
    fn takes_word(&mut self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word);
        let is_next = after.is_some_and(|after| !after.starts_with(is_of_name));
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn expect(&mut self, mark: char) -> Result<(), Problem> {
        self.skip_space();
        if self.takes(mark) {
            return Ok(());
        }
        Err(self.problem(format!("'{mark}' was expected")))
    }

    fn expression(&mut self, depth: usize) -> Result<Node<'t>, Problem> {
        let mut all = self.operand(depth)?;
        loop {
            self.skip_space();
            all = if self.takes_word("and") {
                and(all, self.operand(depth)?)
            } else if self.takes_word("or") {
                or(all, self.operand(depth)?)
            } else {
                return Ok(all);
            }
        }
    }

    /// A condition, or an expression in parentheses; the latter may have `not` before it.
    fn operand(&mut self, depth: usize) -> Result<Node<'t>, Problem> {
        self.skip_space();
        if depth == NESTING_MAX {
            return Err(self.problem(format!("it is nested deeper than {NESTING_MAX}")));
        }
        let start = self.at;
        let is_negated = self.takes_word("not");
        self.skip_space();
        if !self.takes('(') {
            // a parameter may be called `not`
            self.at = start;
            return self.condition(depth).map(Node::Condition);
        }
        let inner = self.expression(depth + 1)?;
        self.expect(')')?;
        Ok(if is_negated {
            Node::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn condition(&mut self, depth: usize) -> Result<Condition<'t>, Problem> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(self.problem(format!("it has more than {CONDITIONS_MAX} conditions")));
        }
        let mut path = vec![self.step(depth)?];
        while self.takes('.') {
            path.push(self.step(depth)?);
        }
        if path.last().is_some_and(|last| last.filter.is_some()) {
            return Err(self.problem("'.' was expected"));
        }
        self.skip_space();
        let operator_at = self.at;
        let operator = self.take(|char| char.is_ascii_alphanumeric());
        Ok(Condition {
            path,
            operator,
            operator_at,
            value: self.value()?,
        })
    }

    fn step(&mut self, depth: usize) -> Result<Step<'t>, Problem> {
        let at = self.at;
        let name = self.take(|char| is_of_name(char) || char == ':');
        if name.is_empty() {
            return Err(self.problem("the name of a parameter was expected"));
        }
        let filter = if self.takes('[') {
            let inner = self.expression(depth + 1)?;
            self.expect(']')?;
            Some(Box::new(inner))
        } else {
            None
        };
        Ok(Step { at, name, filter })
    }

    fn value(&mut self) -> Result<Value<'t>, Problem> {
        self.skip_space();
        if self.rest().starts_with('"') {
            let mut strings = serde_json::Deserializer::from_str(self.rest()).into_iter();
            let Some(Ok(text)) = strings.next() else {
                return Err(self.problem("the string is not one of JSON"));
            };
            self.at += strings.byte_offset();
            return Ok(Value::Text(text));
        }
        match self.take(|char| !char.is_whitespace() && char != ')' && char != ']') {
            "" => Err(self.problem("a value was expected")),
            token => Ok(Value::Token(token)),
        }
    }
}

fn is_of_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || char == '_'
}

fn and<'t>(one: Node<'t>, other: Node<'t>) -> Node<'t> {
    match one {
        Node::And(mut all) => {
            all.push(other);
            Node::And(all)
        }
        one => Node::And(vec![one, other]),
    }
}

fn or<'t>(one: Node<'t>, other: Node<'t>) -> Node<'t> {
    match one {
        Node::Or(mut all) => {
            all.push(other);
            Node::Or(all)
        }
        one => Node::Or(vec![one, other]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn describe(node: &Node<'_>) -> String {
        let all = |nodes: &[Node<'_>], between: &str| {
            let nodes: Vec<String> = nodes.iter().map(describe).collect();
            format!("({})", nodes.join(between))
        };
        match node {
            Node::And(nodes) => all(nodes, " & "),
            Node::Or(nodes) => all(nodes, " | "),
            Node::Not(node) => format!("!{}", describe(node)),
            Node::Condition(condition) => {
                let steps = condition.path.iter().map(|step| match &step.filter {
                    Some(filter) => format!("{}[{}]", step.name, describe(filter)),
                    None => step.name.to_owned(),
                });
                let path = steps.collect::<Vec<_>>().join(".");
                format!("{path} {} {:?}", condition.operator, condition.value)
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(
            parse(text).map(|node| describe(&node)).as_deref(),
            Ok(expected),
            "{text}"
        );
    }

    #[track_caller]
    fn check_problem(text: &str, at: usize, reason: &str) {
        let problem = parse(text).expect_err(text);
        assert_eq!(
            (problem.at, problem.reason.as_str()),
            (at, reason),
            "{text}"
        );
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        check(r#"name co "pet""#, r#"name co Text("pet")"#);
        check(
            r#"given eq "peter" and birthdate ge 2014-10-10"#,
            r#"(given eq Text("peter") & birthdate ge Token("2014-10-10"))"#,
        );
        check(
            "code eq http://loinc.org|1234-5",
            r#"code eq Token("http://loinc.org|1234-5")"#,
        );
        check(r#"subject.name co "pet""#, r#"subject.name co Text("pet")"#);
        check(
            r#"related[type eq "has-component"].target pr true"#,
            r#"related[type eq Text("has-component")].target pr Token("true")"#,
        );
        check(
            "related[type eq has-component].target re Observation/4",
            r#"related[type eq Token("has-component")].target re Token("Observation/4")"#,
        );
    }

    #[test]
    fn and_and_or_are_read_from_left_to_right() {
        let token = |name: &str| format!(r#"{name} eq Token("1")"#);
        let (a, b, c) = (token("a"), token("b"), token("c"));
        check(
            "a eq 1 or b eq 1 and c eq 1",
            &format!("(({a} | {b}) & {c})"),
        );
        check(
            "a eq 1 and b eq 1 and c eq 1",
            &format!("({a} & {b} & {c})"),
        );
        check(
            "a eq 1 or (b eq 1 and c eq 1)",
            &format!("({a} | ({b} & {c}))"),
        );
        check("not (a eq 1 or b eq 1)", &format!("!({a} | {b})"));
        check(" ( ( a  eq  1 ) ) ", &a);
        check("not(a eq 1) and b eq 1", &format!("(!{a} & {b})"));
        check("not eq 1", &token("not"));
        check(r#"a eq "1) \"or\" é""#, r#"a eq Text("1) \"or\" é")"#);
    }

    #[test]
    fn a_problem_has_a_place() {
        check_problem("", 0, "the name of a parameter was expected");
        check_problem("a eq", 4, "a value was expected");
        check_problem("a eq 1 b eq 2", 7, "'and', 'or' or the end was expected");
        check_problem("(a eq 1", 7, "')' was expected");
        check_problem("a eq 1)", 6, "'and', 'or' or the end was expected");
        check_problem(r#"a eq "x"#, 5, "the string is not one of JSON");
        check_problem("a[b eq 1] eq 2", 9, "'.' was expected");
        check_problem("a. eq 2", 2, "the name of a parameter was expected");
        check_problem("a eq 1 and", 10, "the name of a parameter was expected");
        let deep = format!("{}a eq 1{}", "(".repeat(16), ")".repeat(16));
        check_problem(&deep, 16, "it is nested deeper than 16");
        let long = vec!["a eq 1"; 101].join(" and ");
        check_problem(&long, 1100, "it has more than 100 conditions");
    }

    proptest! {
        #[test]
        fn any_text_is_an_expression_or_has_a_problem_inside(text in "[a-c(){}\\[\\]. \"\\\\éand or not eq1]{0,40}") {
            if let Err(problem) = parse(&text) {
                prop_assert!(text.is_char_boundary(problem.at));
            }
        }
    }
}
