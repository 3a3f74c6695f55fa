//! The occurrences of one element in an object: both halves of a primitive together, so that `given`
//! and `_given` change alike: <https://hl7.org/fhir/R4/json.html#primitive>.

use std::borrow::Cow;

use fhir_model::tree::Kind;

use crate::patch::draft::{Draft, Member};

/// An element: its value, and what `_name` says about it.
#[derive(Clone, Default)]
pub(super) struct Occurrence<'t> {
    pub(super) value: Option<Draft<'t>>,
    pub(super) shadow: Option<Draft<'t>>,
}

/// The occurrences of an element, taken out of their object.
pub(super) struct Occurrences<'t> {
    pub(super) list: Vec<Occurrence<'t>>,
    /// Where among the members it stood, or is to stand.
    at: usize,
}

impl<'t> Occurrences<'t> {
    /// Takes an element out of an object.
    pub(super) fn take(members: &mut Vec<Member<'t>>, name: &str) -> Self {
        let (value_at, values) = take(members, |key| key == name);
        let (shadow_at, shadows) = take(members, |key| key.strip_prefix('_') == Some(name));
        let count = values.len().max(shadows.len());
        let (mut values, mut shadows) = (values.into_iter(), shadows.into_iter());
        let list = (0..count).map(|_| Occurrence {
            value: values.next().flatten(),
            shadow: shadows.next().flatten(),
        });
        Self {
            list: list.collect(),
            at: value_at.or(shadow_at).unwrap_or(members.len()),
        }
    }

    /// Puts the element back, under this name.
    pub(super) fn put(self, members: &mut Vec<Member<'t>>, name: &str, is_array: bool) {
        let (values, shadows): (Vec<_>, Vec<_>) = self
            .list
            .into_iter()
            .map(|occurrence| (occurrence.value, occurrence.shadow))
            .unzip();
        let halves = [(name.to_owned(), values), (format!("_{name}"), shadows)];
        let mut at = self.at.min(members.len());
        for (key, half) in halves {
            if half.iter().all(Option::is_none) {
                continue;
            }
            let mut items: Vec<Draft<'t>> = half
                .into_iter()
                .map(|item| item.unwrap_or(Draft::Null))
                .collect();
            let value = match items.pop() {
                Some(only) if !is_array && items.is_empty() => only,
                last => {
                    items.extend(last);
                    Draft::Array(items)
                }
            };
            members.insert(
                at,
                Member {
                    key: Cow::Owned(key),
                    value,
                },
            );
            at += 1;
        }
    }
}

/// Takes a member out and gives its items; a value that is no array is one item.
fn take<'t>(
    members: &mut Vec<Member<'t>>,
    is_wanted: impl Fn(&str) -> bool,
) -> (Option<usize>, Vec<Option<Draft<'t>>>) {
    let Some(at) = members.iter().position(|member| is_wanted(&member.key)) else {
        return (None, Vec::new());
    };
    let mut value = members.remove(at).value;
    let items = match value.items() {
        Some(items) => std::mem::take(items),
        None => vec![value],
    };
    let present = |item: Draft<'t>| (item.kind() != Kind::Null).then_some(item);
    (Some(at), items.into_iter().map(present).collect())
}
