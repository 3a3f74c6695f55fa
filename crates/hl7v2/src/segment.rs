//! Named views of the segments that ADT messages consist of (HL7 v2.9, chapters 2, 3, 4, 6, 7).
//!
//! A view is a borrowed segment; asking it for a field by name finds the field by its number and
//! copies nothing. What the values mean is left to the caller.

pub mod data_type;

use crate::message::{Element, Segment};
use crate::segment::data_type::{Cwe, Cx, Hd, Pl, Xad, Xcn, Xon, Xpn, Xtn};

/// A segment under its own name.
pub trait SegmentView<'m> {
    /// The name of the segment.
    const ID: &'static str;

    /// Takes a segment of that name as this view.
    fn of(segment: Segment<'m>) -> Self;

    /// The segment behind the view.
    fn segment(&self) -> Segment<'m>;
}

/// A table of fields for each segment: `name: number`, with the data type unless the value is
/// plain, in brackets when the field repeats.
macro_rules! segment_views {
    ($($(#[$doc:meta])* $view:ident $id:literal {
        $($name:ident: $number:literal $([$many:ident])? $(($one:ident))?,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $view<'m>(Segment<'m>);

        impl<'m> SegmentView<'m> for $view<'m> {
            const ID: &'static str = $id;

            fn of(segment: Segment<'m>) -> Self {
                Self(segment)
            }

            fn segment(&self) -> Segment<'m> {
                self.0
            }
        }

        impl<'m> $view<'m> {
            $(segment_views!(@field $id $name $number $([$many])? $(($one))?);)*
        }
    )*};
    (@field $id:literal $name:ident $number:literal) => {
        #[doc = concat!($id, "-", $number, ".")]
        pub fn $name(&self) -> Element<'m> {
            self.0.field($number)
        }
    };
    (@field $id:literal $name:ident $number:literal [Element]) => {
        #[doc = concat!($id, "-", $number, ", repeating.")]
        pub fn $name(&self) -> impl Iterator<Item = Element<'m>> + use<'m> {
            self.0.field($number).repetitions()
        }
    };
    (@field $id:literal $name:ident $number:literal [$type:ident]) => {
        #[doc = concat!($id, "-", $number, ", repeating.")]
        pub fn $name(&self) -> impl Iterator<Item = $type<'m>> + use<'m> {
            self.0.field($number).repetitions().map($type::of)
        }
    };
    (@field $id:literal $name:ident $number:literal ($type:ident)) => {
        #[doc = concat!($id, "-", $number, ".")]
        pub fn $name(&self) -> $type<'m> {
            $type::of(self.0.field($number))
        }
    };
}

segment_views! {
    /// Message header.
    Msh "MSH" {
        field_separator: 1,
        encoding_characters: 2,
        sending_application: 3 (Hd),
        sending_facility: 4 (Hd),
        receiving_application: 5 (Hd),
        receiving_facility: 6 (Hd),
        date_time: 7,
        security: 8,
        message_type: 9,
        control_id: 10,
        processing_id: 11,
        version_id: 12,
        sequence_number: 13,
        continuation_pointer: 14,
        accept_acknowledgement_type: 15,
        application_acknowledgement_type: 16,
        country_code: 17,
        character_set: 18 [Element],
        principal_language: 19 (Cwe),
        alternate_character_set_handling: 20,
        message_profile_identifier: 21 [Element],
        sending_responsible_organization: 22 (Xon),
        receiving_responsible_organization: 23 (Xon),
    }
    /// Event type.
    Evn "EVN" {
        event_type_code: 1,
        recorded_date_time: 2,
        planned_event_date_time: 3,
        event_reason: 4 (Cwe),
        operator: 5 [Xcn],
        event_occurred: 6,
        event_facility: 7 (Hd),
    }
    /// Patient identification.
    Pid "PID" {
        set_id: 1,
        patient_id: 2 (Cx),
        patient_identifiers: 3 [Cx],
        alternate_patient_ids: 4 [Cx],
        names: 5 [Xpn],
        mothers_maiden_names: 6 [Xpn],
        birth_date_time: 7,
        administrative_sex: 8 (Cwe),
        aliases: 9 [Xpn],
        races: 10 [Cwe],
        addresses: 11 [Xad],
        county_code: 12,
        home_phones: 13 [Xtn],
        business_phones: 14 [Xtn],
        primary_language: 15 (Cwe),
        marital_status: 16 (Cwe),
        religion: 17 (Cwe),
        account_number: 18 (Cx),
        social_security_number: 19,
        drivers_license: 20,
        mothers_identifiers: 21 [Cx],
        ethnic_groups: 22 [Cwe],
        birth_place: 23,
        multiple_birth_indicator: 24,
        birth_order: 25,
        citizenships: 26 [Cwe],
        veterans_military_status: 27 (Cwe),
        nationality: 28 (Cwe),
        death_date_time: 29,
        death_indicator: 30,
        identity_unknown_indicator: 31,
        identity_reliability_codes: 32 [Cwe],
        last_update_date_time: 33,
        last_update_facility: 34 (Hd),
        telecommunication: 40 [Xtn],
    }
    /// Patient additional demographics.
    Pd1 "PD1" {
        living_dependencies: 1 [Cwe],
        living_arrangement: 2 (Cwe),
        primary_facilities: 3 [Xon],
        primary_care_providers: 4 [Xcn],
        student_indicator: 5 (Cwe),
        handicap: 6 (Cwe),
        living_will: 7 (Cwe),
        organ_donor: 8 (Cwe),
        separate_bill: 9,
        duplicate_patients: 10 [Cx],
        publicity_code: 11 (Cwe),
        protection_indicator: 12,
        protection_effective_date: 13,
        place_of_worship: 14 [Xon],
        advance_directives: 15 [Cwe],
    }
    /// Next of kin and associated parties.
    Nk1 "NK1" {
        set_id: 1,
        names: 2 [Xpn],
        relationship: 3 (Cwe),
        addresses: 4 [Xad],
        phones: 5 [Xtn],
        business_phones: 6 [Xtn],
        contact_role: 7 (Cwe),
        start_date: 8,
        end_date: 9,
        job_title: 10,
        employee_number: 12 (Cx),
        organizations: 13 [Xon],
        marital_status: 14 (Cwe),
        administrative_sex: 15 (Cwe),
        birth_date_time: 16,
        primary_language: 20 (Cwe),
        contact_reasons: 29 [Cwe],
        contact_names: 30 [Xpn],
        contact_phones: 31 [Xtn],
        contact_addresses: 32 [Xad],
        identifiers: 33 [Cx],
    }
    /// Patient visit.
    Pv1 "PV1" {
        set_id: 1,
        patient_class: 2 (Cwe),
        assigned_location: 3 (Pl),
        admission_type: 4 (Cwe),
        preadmit_number: 5 (Cx),
        prior_location: 6 (Pl),
        attending_doctors: 7 [Xcn],
        referring_doctors: 8 [Xcn],
        consulting_doctors: 9 [Xcn],
        hospital_service: 10 (Cwe),
        temporary_location: 11 (Pl),
        preadmit_test_indicator: 12 (Cwe),
        readmission_indicator: 13 (Cwe),
        admit_source: 14 (Cwe),
        ambulatory_statuses: 15 [Cwe],
        vip_indicator: 16 (Cwe),
        admitting_doctors: 17 [Xcn],
        patient_type: 18 (Cwe),
        visit_number: 19 (Cx),
        financial_classes: 20 [Element],
        discharge_disposition: 36 (Cwe),
        discharged_to_location: 37 (Cwe),
        diet_type: 38 (Cwe),
        servicing_facility: 39 (Cwe),
        bed_status: 40 (Cwe),
        account_status: 41 (Cwe),
        pending_location: 42 (Pl),
        prior_temporary_location: 43 (Pl),
        admit_date_time: 44,
        discharge_date_time: 45,
        alternate_visit_id: 50 (Cx),
        visit_indicator: 51 (Cwe),
        other_healthcare_providers: 52 [Xcn],
        service_episode_description: 53,
        service_episode_identifier: 54 (Cx),
    }
    /// Patient visit, additional information.
    Pv2 "PV2" {
        prior_pending_location: 1 (Pl),
        accommodation_code: 2 (Cwe),
        admit_reason: 3 (Cwe),
        transfer_reason: 4 (Cwe),
        visit_user_codes: 7 [Cwe],
        expected_admit_date_time: 8,
        expected_discharge_date_time: 9,
        estimated_length_of_stay: 10,
        actual_length_of_stay: 11,
        visit_description: 12,
        referral_source: 13 [Xcn],
        visit_publicity_code: 21 (Cwe),
        visit_protection_indicator: 22,
        clinic_organizations: 23 [Xon],
        visit_priority_code: 25 (Cwe),
        expected_discharge_disposition: 27 (Cwe),
        newborn_baby_indicator: 36,
        mode_of_arrival: 38 (Cwe),
        admission_level_of_care: 40 (Cwe),
        precautions: 41 [Cwe],
        patient_condition: 42 (Cwe),
        living_will: 43 (Cwe),
        organ_donor: 44 (Cwe),
        advance_directives: 45 [Cwe],
        patient_status_effective_date: 46,
        expected_loa_return_date_time: 47,
    }
    /// Diagnosis.
    Dg1 "DG1" {
        set_id: 1,
        coding_method: 2,
        diagnosis: 3 (Cwe),
        description: 4,
        date_time: 5,
        diagnosis_type: 6 (Cwe),
        priority: 15,
        clinicians: 16 [Xcn],
        classification: 17 (Cwe),
        confidential_indicator: 18,
        attestation_date_time: 19,
        identifier: 20,
        action_code: 21,
        parent_diagnosis: 22,
        onset_date: 25,
        present_on_admission: 26 (Cwe),
    }
    /// Insurance.
    In1 "IN1" {
        set_id: 1,
        plan: 2 (Cwe),
        company_ids: 3 [Cx],
        company_names: 4 [Xon],
        company_addresses: 5 [Xad],
        company_contacts: 6 [Xpn],
        company_phones: 7 [Xtn],
        group_number: 8,
        group_names: 9 [Xon],
        insured_group_employer_names: 11 [Xon],
        plan_effective_date: 12,
        plan_expiration_date: 13,
        authorization: 14,
        plan_type: 15 (Cwe),
        insured_names: 16 [Xpn],
        insured_relationship: 17 (Cwe),
        insured_birth_date_time: 18,
        insured_addresses: 19 [Xad],
        coordination_of_benefits_priority: 22,
        verification_date_time: 29,
        policy_number: 36,
        insured_administrative_sex: 43 (Cwe),
        insured_ids: 49 [Cx],
    }
    /// Merge patient information.
    Mrg "MRG" {
        prior_patient_identifiers: 1 [Cx],
        prior_alternate_patient_ids: 2 [Cx],
        prior_account_number: 3 (Cx),
        prior_patient_id: 4 (Cx),
        prior_visit_number: 5 (Cx),
        prior_alternate_visit_id: 6 (Cx),
        prior_names: 7 [Xpn],
    }
    /// Patient allergy information.
    Al1 "AL1" {
        set_id: 1,
        allergen_type: 2 (Cwe),
        allergen: 3 (Cwe),
        severity: 4 (Cwe),
        reactions: 5 [Element],
        identification_date: 6,
    }
    /// Observation or result.
    Obx "OBX" {
        set_id: 1,
        value_type: 2,
        observation_identifier: 3 (Cwe),
        observation_sub_id: 4,
        values: 5 [Element],
        units: 6 (Cwe),
        reference_range: 7,
        interpretation_codes: 8 [Cwe],
        probability: 9,
        nature_of_abnormal_test: 10 [Element],
        result_status: 11,
        effective_date_of_reference_range: 12,
        date_time: 14,
        producer: 15 (Cwe),
        responsible_observers: 16 [Xcn],
        observation_methods: 17 [Cwe],
        analysis_date_time: 19,
    }
    /// Message acknowledgement.
    Msa "MSA" {
        acknowledgement_code: 1,
        control_id: 2,
        text_message: 3,
        expected_sequence_number: 4,
        error_condition: 6 (Cwe),
    }
}

#[cfg(test)]
mod tests;
