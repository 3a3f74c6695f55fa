//! The items of a response by their `linkId`, to find the question that a condition means.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use fhir_model::tree::{Node, NodeId};

use crate::questionnaire::form::{items_of, text_of};

/// How many items may be looked at for all conditions of a response together; what is beyond is
/// not known. Forms with thousands of conditions on one repeating question do not come near.
const STEPS_MAX: usize = 2_000_000;

/// One item of the response.
struct Answered<'a> {
    node: Node<'a>,
    parent: Option<usize>,
    depth: usize,
}

/// The items of a response.
pub(super) struct Answers<'a> {
    items: Vec<Answered<'a>>,
    by_link_id: HashMap<Cow<'a, str>, Vec<usize>>,
    by_node: HashMap<NodeId, usize>,
    steps: Cell<usize>,
}

impl<'a> Answers<'a> {
    pub(super) fn of(response: Node<'a>) -> Self {
        let mut answers = Self {
            items: Vec::new(),
            by_link_id: HashMap::new(),
            by_node: HashMap::new(),
            steps: Cell::new(0),
        };
        let mut open: Vec<(Option<usize>, Node<'a>)> = vec![(None, response)];
        while let Some((parent, node)) = open.pop() {
            for item in children(node) {
                let at = answers.add(item, parent);
                open.push((Some(at), item));
            }
        }
        answers
    }

    fn add(&mut self, node: Node<'a>, parent: Option<usize>) -> usize {
        let at = self.items.len();
        let depth = parent
            .and_then(|parent| self.items.get(parent))
            .map_or(1, |parent| parent.depth + 1);
        if let Some(link_id) = text_of(node, "linkId") {
            self.by_link_id.entry(link_id).or_default().push(at);
        }
        self.by_node.insert(node.id(), at);
        self.items.push(Answered {
            node,
            parent,
            depth,
        });
        at
    }

    pub(super) fn at(&self, item: Node<'a>) -> Option<usize> {
        self.by_node.get(&item.id()).copied()
    }

    /// The items that answer a question and are nearest to an item: those that have most of what
    /// they stand in in common with it. `None` if that takes too long to find.
    pub(super) fn nearest(&self, question: &str, within: Option<usize>) -> Option<Vec<Node<'a>>> {
        let Some(occurrences) = self.by_link_id.get(question) else {
            return Some(Vec::new());
        };
        let mut best = 0;
        let mut found = Vec::new();
        for at in occurrences {
            let item = self.items.get(*at)?;
            let common = self.common_depth(*at, within)?;
            if common > best {
                found.clear();
                best = common;
            }
            if common == best {
                found.push(item.node);
            }
        }
        Some(found)
    }

    /// How many of the items around them two items share, themselves included.
    fn common_depth(&self, one: usize, other: Option<usize>) -> Option<usize> {
        let (mut one, mut other) = (Some(one), other);
        loop {
            self.steps.set(self.steps.get() + 1);
            if self.steps.get() > STEPS_MAX {
                return None;
            }
            let (Some(left), Some(right)) = (one, other) else {
                return Some(0);
            };
            if left == right {
                return Some(self.items.get(left)?.depth);
            }
            let (here, there) = (self.items.get(left)?, self.items.get(right)?);
            if here.depth >= there.depth {
                one = here.parent;
            }
            if there.depth >= here.depth {
                other = there.parent;
            }
        }
    }
}

/// The items within an item or a response, also those within answers.
fn children(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    let of_answers = items_of(node, "answer").flat_map(|answer| items_of(answer, "item"));
    items_of(node, "item").chain(of_answers)
}
