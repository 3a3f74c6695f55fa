//! One message of all named segments.

use std::borrow::Cow;

use crate::parse::parse;
use crate::segment::{Dg1, In1, Mrg, Msh, Nk1, Pid, Pv1, SegmentView};

const MESSAGE: &str = "MSH|^~\\&|APP^1.2^ISO|FAC|||2025||ADT^A03^ADT_A03|M1|P|2.5.1|||AL|NE||8859/1~\r\
     PID|1||7^^^FAC&1.2.3&ISO^MR~8^^^^SS||van Beethoven&van&Beethoven^Ludwig^^Jr~Nick|||F|||\
     12 High St&High St&12^^Bonn^NW^53111^DE^H||^PRN^PH^^49^228^1234\r\
     NK1|1|A^B|SPO^Spouse\rNK1|2|C^D\r\
     PV1|1|I^Inpatient|4E^412^A^GEN&9.8^^^T1|||3W|1234567893^Jekyll&von^Henry^^^Dr^MD^^NPI&2.16^L^^^NPI~9^Hyde\r\
     DG1|1||I50.9^Heart failure^I10\r\
     IN1|1|P1|C1|Payer^L^77\r\
     MRG|99^^^FAC^MR";

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "the rows read better without borrowing"
)]
fn check(found: Option<Cow<'_, str>>, expected: &str) {
    assert_eq!(found.as_deref(), Some(expected));
}

#[test]
fn fields_are_called_by_name() {
    let message = parse(MESSAGE.as_bytes()).unwrap().message;
    let msh: Msh<'_> = message.view().unwrap();
    check(msh.sending_application().name(), "APP");
    check(msh.sending_application().universal_id().value(), "1.2");
    check(msh.accept_acknowledgement_type().value(), "AL");
    assert_eq!(msh.character_set().count(), 2);

    let pid: Pid<'_> = message.view().unwrap();
    let ids: Vec<_> = pid.patient_identifiers().collect();
    check(ids[0].id().value(), "7");
    check(ids[0].assigning_authority().namespace_id().value(), "FAC");
    check(ids[0].assigning_authority().universal_id().value(), "1.2.3");
    check(
        ids[0].assigning_authority().universal_id_type().value(),
        "ISO",
    );
    check(ids[1].identifier_type().value(), "SS");
    assert_eq!(ids[1].assigning_authority().name(), None);
    let names: Vec<_> = pid.names().collect();
    check(names[0].family_name().value(), "van Beethoven");
    check(names[0].own_surname_prefix().value(), "van");
    check(names[0].given_name().value(), "Ludwig");
    check(names[0].suffix().value(), "Jr");
    check(names[1].family_name().value(), "Nick");
    let address = pid.addresses().next().unwrap();
    check(address.street().value(), "12 High St");
    check(address.street_name().value(), "High St");
    check(address.postal_code().value(), "53111");
    let phone = pid.home_phones().next().unwrap();
    check(phone.use_code().value(), "PRN");
    check(phone.local_number().value(), "1234");
    assert_eq!(pid.business_phones().count(), 0);
    check(pid.administrative_sex().identifier().value(), "F");
}

#[test]
fn visits_and_what_follows_are_read() {
    let message = parse(MESSAGE.as_bytes()).unwrap().message;
    let relatives: Vec<_> = message.views::<Nk1<'_>>().collect();
    assert_eq!(relatives.len(), 2);
    check(relatives[0].relationship().text().value(), "Spouse");

    let pv1: Pv1<'_> = message.view().unwrap();
    check(pv1.patient_class().identifier().value(), "I");
    check(pv1.assigned_location().bed().value(), "A");
    check(pv1.assigned_location().facility().name(), "GEN");
    check(pv1.prior_location().point_of_care().value(), "3W");
    let doctors: Vec<_> = pv1.attending_doctors().collect();
    check(doctors[0].id().value(), "1234567893");
    check(doctors[0].family_name().value(), "Jekyll");
    check(doctors[0].assigning_authority().name(), "NPI");
    check(doctors[0].identifier_type().value(), "NPI");
    check(doctors[1].family_name().value(), "Hyde");

    check(
        message
            .view::<Dg1<'_>>()
            .unwrap()
            .diagnosis()
            .coding_system()
            .value(),
        "I10",
    );
    let insurance: In1<'_> = message.view().unwrap();
    check(insurance.company_names().next().unwrap().id().value(), "77");
    let merge: Mrg<'_> = message.view().unwrap();
    check(
        merge
            .prior_patient_identifiers()
            .next()
            .unwrap()
            .id()
            .value(),
        "99",
    );
    assert_eq!(merge.segment().index(), message.segment_count() - 1);
}
