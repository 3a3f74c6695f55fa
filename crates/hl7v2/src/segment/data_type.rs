//! Named views of the composite data types of ADT fields (HL7 v2.9, chapter 2A).
//!
//! As with segments: borrowed, found by number, nothing copied. A view takes one repetition of a
//! field; where a type also stands inside a component ([`Hd`]), its parts are subcomponents.

use std::borrow::Cow;

use crate::message::Element;

/// A table of components for each data type: `name: number`, or `name: component.subcomponent`.
macro_rules! data_types {
    ($($(#[$doc:meta])* $type:ident { $($name:ident: $number:literal $(/ $sub:literal)? $(($of:ident))?,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $type<'m>(Element<'m>);

        impl<'m> $type<'m> {
            /// Takes one repetition of a field as this type.
            pub fn of(repetition: Element<'m>) -> Self {
                Self(repetition.repetition(1))
            }

            /// The repetition behind the view.
            pub fn element(&self) -> Element<'m> {
                self.0
            }

            $(data_types!(@part $name $number $(/ $sub)? $(($of))?);)*
        }
    )*};
    (@part $name:ident $number:literal) => {
        #[doc = concat!("Component ", $number, ".")]
        pub fn $name(&self) -> Element<'m> {
            self.0.component($number)
        }
    };
    (@part $name:ident $number:literal / $sub:literal) => {
        #[doc = concat!("Component ", $number, ", subcomponent ", $sub, ".")]
        pub fn $name(&self) -> Element<'m> {
            self.0.component($number).subcomponent($sub)
        }
    };
    (@part $name:ident $number:literal (Hd)) => {
        #[doc = concat!("Component ", $number, ".")]
        pub fn $name(&self) -> Hd<'m> {
            Hd::in_component(self.0.component($number))
        }
    };
}

data_types! {
    /// Extended composite identifier.
    Cx {
        id: 1,
        check_digit: 2,
        check_digit_scheme: 3,
        assigning_authority: 4 (Hd),
        identifier_type: 5,
        assigning_facility: 6 (Hd),
        effective_date: 7,
        expiration_date: 8,
        assigning_jurisdiction: 9,
        assigning_agency: 10,
    }
    /// Extended person name.
    Xpn {
        family_name: 1 / 1,
        own_surname_prefix: 1 / 2,
        own_surname: 1 / 3,
        given_name: 2,
        further_given_names: 3,
        suffix: 4,
        prefix: 5,
        degree: 6,
        name_type: 7,
        name_representation: 8,
        effective_date: 12,
        expiration_date: 13,
        professional_suffix: 14,
    }
    /// Extended address.
    Xad {
        street: 1 / 1,
        street_name: 1 / 2,
        dwelling_number: 1 / 3,
        other_designation: 2,
        city: 3,
        state: 4,
        postal_code: 5,
        country: 6,
        address_type: 7,
        other_geographic_designation: 8,
        county: 9,
        census_tract: 10,
        effective_date: 13,
        expiration_date: 14,
    }
    /// Extended telecommunication number.
    Xtn {
        telephone_number: 1,
        use_code: 2,
        equipment_type: 3,
        communication_address: 4,
        country_code: 5,
        area_code: 6,
        local_number: 7,
        extension: 8,
        any_text: 9,
        unformatted_number: 12,
    }
    /// Extended composite identifier and name: a person such as a doctor.
    Xcn {
        id: 1,
        family_name: 2 / 1,
        given_name: 3,
        further_given_names: 4,
        suffix: 5,
        prefix: 6,
        degree: 7,
        source_table: 8,
        assigning_authority: 9 (Hd),
        name_type: 10,
        identifier_type: 13,
        assigning_facility: 14 (Hd),
        professional_suffix: 21,
    }
    /// Extended composite name and identifier of an organization.
    Xon {
        name: 1,
        name_type: 2,
        id: 3,
        assigning_authority: 6 (Hd),
        identifier_type: 7,
        assigning_facility: 8 (Hd),
        organization_identifier: 10,
    }
    /// Person location.
    Pl {
        point_of_care: 1,
        room: 2,
        bed: 3,
        facility: 4 (Hd),
        location_status: 5,
        person_location_type: 6,
        building: 7,
        floor: 8,
        description: 9,
    }
    /// Coded with exceptions; also reads CE, CNE, IS and ID.
    Cwe {
        identifier: 1,
        text: 2,
        coding_system: 3,
        alternate_identifier: 4,
        alternate_text: 5,
        alternate_coding_system: 6,
        coding_system_version: 7,
        alternate_coding_system_version: 8,
        original_text: 9,
    }
}

/// Hierarchic designator: an application, facility or authority.
#[derive(Clone, Copy, Debug)]
pub struct Hd<'m> {
    element: Element<'m>,
    in_component: bool,
}

impl<'m> Hd<'m> {
    /// Takes a whole field, whose components are the parts.
    pub fn of(repetition: Element<'m>) -> Self {
        Self {
            element: repetition.repetition(1),
            in_component: false,
        }
    }

    /// Takes a component, whose subcomponents are the parts.
    pub fn in_component(component: Element<'m>) -> Self {
        Self {
            element: component,
            in_component: true,
        }
    }

    /// The field or component behind the view.
    pub fn element(&self) -> Element<'m> {
        self.element
    }

    /// Part 1: a local name.
    pub fn namespace_id(&self) -> Element<'m> {
        self.part(1)
    }

    /// Part 2: an identifier that is unique in the world.
    pub fn universal_id(&self) -> Element<'m> {
        self.part(2)
    }

    /// Part 3: what kind of identifier that is, `ISO` for an OID.
    pub fn universal_id_type(&self) -> Element<'m> {
        self.part(3)
    }

    /// The name by which it is best known here: the local name, else the universal identifier.
    pub fn name(&self) -> Option<Cow<'m, str>> {
        self.namespace_id()
            .value()
            .or_else(|| self.universal_id().value())
    }

    fn part(&self, number: usize) -> Element<'m> {
        if self.in_component {
            self.element.subcomponent(number)
        } else {
            self.element.component(number)
        }
    }
}
