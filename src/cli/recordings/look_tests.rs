use super::*;
use crate::event::Outcome;
use crate::store::{Person, Reason};
use std::collections::BTreeSet;

fn certificate(serial: u64) -> Certificate {
    Certificate {
        fingerprint: "SHA256:key".to_owned(),
        serial,
        ca: "SHA256:ca".to_owned(),
    }
}

#[test]
fn the_same_certificate_is_the_same_key_serial_and_ca() {
    let row = Row {
        id: "01935f3e-8a7b-7000-8000-000000000001".parse().unwrap(),
        who: Person {
            identity: Some("ana".parse().unwrap()),
            source_ip: None,
            certificates: BTreeSet::from([certificate(1), certificate(2)]),
        },
        target: None,
        login: None,
        node: None,
        door: "jump".to_owned(),
        start: DateTime::UNIX_EPOCH,
        end: None,
        outcome: Outcome::Success,
        why: Reason::default(),
        channels: 0,
        input_bytes: 0,
        output_bytes: 0,
        seen: crate::store::Seen::default(),
        last_seq: 0,
    };
    let user = "root".to_owned();
    let mut looker = Looker::new(Caller::Operator { user }, None, None);
    let other_ca = Certificate {
        ca: "SHA256:other".to_owned(),
        ..certificate(1)
    };
    for (held, same) in [
        (Some(certificate(1)), true),
        (Some(certificate(2)), true),
        (Some(certificate(3)), false),
        (Some(other_ca), false),
        (None, false),
    ] {
        looker.certificate = held.clone();
        let Resource::Session {
            owner,
            same_certificate,
        } = looker.resource(&row)
        else {
            panic!("not a session");
        };
        assert_eq!(owner.unwrap().as_str(), "ana");
        assert_eq!(same_certificate, same, "{held:?}");
    }
}
