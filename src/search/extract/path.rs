//! TEMPORARY
use std::sync::Arc;

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::element::Element;

pub(super) struct Path {
    definitions: Arc<Definitions>,
    branches: Vec<Vec<String>>,
    resource_type: TypeId,
}

impl Path {
    pub(super) fn compile(
        definitions: &Arc<Definitions>,
        resource_type: TypeId,
        expression: &str,
    ) -> Result<Self, String> {
        let branches = expression
            .split('|')
            .map(|branch| {
                let branch = branch.trim().trim_start_matches('(');
                let branch = branch.split(" as ").next().unwrap_or_default();
                let branch = branch.split(".where(").next().unwrap_or_default();
                let branch = branch.split(".as(").next().unwrap_or_default();
                branch.split('.').skip(1).map(str::to_owned).collect()
            })
            .collect();
        Ok(Self {
            definitions: definitions.clone(),
            branches,
            resource_type,
        })
    }

    pub(super) fn each<'a>(
        &self,
        resource: Element<'a>,
        mut found: impl FnMut(Element<'a>, TypeId),
    ) -> Result<(), String> {
        for branch in &self.branches {
            let mut current = vec![(resource, self.resource_type)];
            for step in branch {
                let mut next = Vec::new();
                for (element, type_id) in current {
                    let Some(name) = self.definitions.names().get(step) else {
                        continue;
                    };
                    let own = self.definitions.property(type_id, name).into_iter();
                    for property in own.chain(self.definitions.choices(type_id, name)) {
                        next.extend(
                            element
                                .children(property.name)
                                .map(|child| (child, property.type_id)),
                        );
                    }
                }
                current = next;
            }
            for (element, type_id) in current {
                found(element, type_id);
            }
        }
        Ok(())
    }
}
