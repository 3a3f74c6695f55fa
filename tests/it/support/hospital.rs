//! Hospitals that send ADT messages over MLLP: a line of a scenario becomes a whole message.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::server::Baton;

/// A facility whose feed is configured, with its identifier systems.
pub(crate) struct Site {
    /// Name of the feed, MSH-4 and the assigning authority.
    pub(crate) name: &'static str,
    application: &'static str,
    zone: Tz,
    kind: &'static str,
    pub(crate) patients: &'static str,
    pub(crate) visits: &'static str,
}

pub(crate) const GENHOSP: Site = Site {
    name: "GENHOSP",
    application: "EPICADT",
    zone: chrono_tz::America::New_York,
    kind: "acute",
    patients: "urn:oid:2.16.840.1.113883.3.9999.1",
    visits: "urn:oid:2.16.840.1.113883.3.9999.2",
};
pub(crate) const LAKEHOSP: Site = Site {
    name: "LAKEHOSP",
    application: "LAKEADT",
    zone: chrono_tz::America::Chicago,
    kind: "acute",
    patients: "urn:oid:2.16.840.1.113883.3.9999.3",
    visits: "urn:oid:2.16.840.1.113883.3.9999.4",
};
pub(crate) const OAKSNF: Site = Site {
    name: "OAKSNF",
    application: "OAKADT",
    zone: chrono_tz::America::New_York,
    kind: "skilled-nursing",
    patients: "urn:oid:2.16.840.1.113883.3.9999.5",
    visits: "urn:oid:2.16.840.1.113883.3.9999.6",
};
pub(crate) const HARBORBH: Site = Site {
    name: "HARBORBH",
    application: "HARBORADT",
    zone: chrono_tz::America::New_York,
    kind: "psychiatric",
    patients: "urn:oid:2.16.840.1.113883.3.9999.7",
    visits: "urn:oid:2.16.840.1.113883.3.9999.8",
};

impl Site {
    /// The feed as configuration. PV1-2 `V` means observation.
    pub(crate) fn settings(&self) -> String {
        let Self {
            name,
            application,
            zone,
            kind,
            patients,
            visits,
        } = self;
        format!(
            "[[feed]]\nname = \"{name}\"\napplication = \"{application}\"\nfacility = \"{name}\"\n\
             zone = \"{zone}\"\nkind = \"{kind}\"\nvisit_system = \"{visits}\"\n\
             [feed.authorities]\n{name} = \"{patients}\"\n[feed.classes]\nV = \"OBSENC\"\n"
        )
    }
}

/// MSH-9.3 where it is not the event's own name.
const STRUCTURES: &[(&str, &str)] = &[
    ("A04", "ADT_A01"),
    ("A08", "ADT_A01"),
    ("A11", "ADT_A09"),
    ("A13", "ADT_A01"),
    ("A28", "ADT_A05"),
    ("A31", "ADT_A05"),
];

/// A message that is ready to be sent.
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) control_id: String,
    /// When it arrives: five seconds after MSH-7.
    received: String,
}

/// A connection from a site.
pub(crate) struct Hospital<'b> {
    baton: &'b Baton,
    site: &'static Site,
    stream: TcpStream,
    sent: AtomicU32,
}

impl<'b> Hospital<'b> {
    pub(crate) async fn connect(baton: &'b Baton, site: &'static Site) -> Self {
        Self {
            baton,
            site,
            stream: TcpStream::connect(baton.mllp()).await.unwrap(),
            sent: AtomicU32::new(0),
        }
    }

    /// Sends the message of a line such as `A03 MSH-7 20260306161200, PV1-36 01` about the patient
    /// with this number; it is accepted, and has had its effects when this returns.
    pub(crate) async fn send(&mut self, patient: &str, line: &str) {
        let message = self.message(patient, line);
        let received = message.received.clone();
        self.send_at(&received, &message).await;
    }

    /// Sends a message that arrives at `received`; gives the acknowledgement's MSA.
    pub(crate) async fn send_at(&mut self, received: &str, message: &Message) -> String {
        self.baton.clock(received).await;
        let acknowledgement = self.deliver(&message.text).await;
        let msa = acknowledgement
            .split('\r')
            .find(|line| line.starts_with("MSA"))
            .unwrap();
        let fields: Vec<&str> = msa.split('|').collect();
        assert_eq!(
            fields[..3],
            ["MSA", "AA", &message.control_id],
            "{acknowledgement:?}"
        );
        self.baton.settle().await;
        msa.to_owned()
    }

    /// Sends a frame; gives what comes back.
    async fn deliver(&mut self, text: &str) -> String {
        let frame = [b"\x0b", text.as_bytes(), b"\x1c\r"].concat();
        self.stream.write_all(&frame).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\x1c\r") {
            assert_ne!(
                self.stream.read_buf(&mut answer).await.unwrap(),
                0,
                "closed: {answer:?}"
            );
        }
        String::from_utf8(answer[1..answer.len() - 2].to_vec()).unwrap()
    }

    /// The whole message of an abbreviated line; what every real message has is added.
    pub(crate) fn message(&self, patient: &str, line: &str) -> Message {
        let (event, rest) = line.split_once(' ').unwrap();
        let mut fields: BTreeMap<(&str, usize), String> = rest
            .split(", ")
            .map(|part| {
                let (place, value) = part.split_once(' ').unwrap();
                let (segment, field) = place.split_once('-').unwrap();
                ((segment, field.parse().unwrap()), value.to_owned())
            })
            .collect();
        let structure = STRUCTURES.iter().find(|(of, _)| *of == event);
        let structure = structure.map_or(format!("ADT_{event}"), |(_, name)| (*name).to_owned());
        let site = self.site;
        let created = fields[&("MSH", 7)].clone();
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let usual = [
            (("MSH", 3), site.application.to_owned()),
            (("MSH", 4), site.name.to_owned()),
            (("MSH", 5), "BATON".to_owned()),
            (("MSH", 6), "RPC".to_owned()),
            (("MSH", 9), format!("ADT^{event}^{structure}")),
            (("MSH", 10), format!("{}-{number}", site.name)),
            (("MSH", 11), "P".to_owned()),
            (("MSH", 12), "2.5.1".to_owned()),
            (("EVN", 1), event.to_owned()),
            (("EVN", 2), created.clone()),
            (("PID", 1), "1".to_owned()),
            (("PID", 3), format!("{patient}^^^{}^MR", site.name)),
            (("PID", 5), format!("Example^Patient{patient}")),
            (("PID", 7), "19500131".to_owned()),
            (("PID", 8), "F".to_owned()),
        ];
        for (place, value) in usual {
            let field = fields.entry(place).or_default();
            if field.is_empty() {
                *field = value;
            }
        }
        if fields.contains_key(&("PV1", 19)) {
            fields.entry(("PV1", 1)).or_insert_with(|| "1".to_owned());
            fields.entry(("PV1", 2)).or_insert_with(|| "I".to_owned());
        }
        Message {
            text: text(&fields),
            control_id: fields[&("MSH", 10)].clone(),
            received: arrival(&created, site.zone),
        }
    }
}

fn text(fields: &BTreeMap<(&str, usize), String>) -> String {
    let mut message = String::new();
    for segment in ["MSH", "EVN", "PID", "PV1", "DG1"] {
        let of_segment = || fields.iter().filter(|((name, _), _)| *name == segment);
        let Some(last) = of_segment().map(|((_, field), _)| *field).max() else {
            continue;
        };
        let value = |field: usize| fields.get(&(segment, field)).map_or("", String::as_str);
        message.push_str(if segment == "MSH" {
            "MSH|^~\\&"
        } else {
            segment
        });
        let first = if segment == "MSH" { 3 } else { 1 };
        for field in first..=last {
            message.push('|');
            message.push_str(value(field));
        }
        message.push('\r');
    }
    message
}

/// Five seconds after MSH-7, which is in the zone of the facility unless it says otherwise.
fn arrival(created: &str, zone: Tz) -> String {
    let later = TimeDelta::seconds(5);
    if let Ok(created) = chrono::DateTime::parse_from_str(created, "%Y%m%d%H%M%S%z") {
        return (created + later).to_rfc3339();
    }
    let created = NaiveDateTime::parse_from_str(created, "%Y%m%d%H%M%S").unwrap();
    let created = zone.from_local_datetime(&created).unwrap();
    (created + later).to_rfc3339()
}
