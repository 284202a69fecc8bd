use super::messages::MESSAGE_BYTES_MAX;
use super::{Bad, Ruled, Talk};
use crate::event::{AgentSigned, Kind, Outcome, TextOrBytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// `ssh-keygen -t ed25519`, its certificate, and what `ssh-add -l` says of both.
const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIEixWtpqk6xjnqhtnMrW9dDxbx8LJ9VIMpjiQWhqzQ+i";
const CERTIFICATE: &str = "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIMW4RBgIFyd+HSUwbFXlLdP2wfT8i2sq6Rp/\
    9eqbV8HLAAAAIEixWtpqk6xjnqhtnMrW9dDxbx8LJ9VIMpjiQWhqzQ+iAAAAAAAAAAAAAAABAAAAA2FuYQAAAAgA\
    AAAEcm9vdAAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Bl\
    cm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQt\
    cHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACBIsVraapOsY56o\
    bZzK1vXQ8W8fCyfVSDKY4kFoas0PogAAAFMAAAALc3NoLWVkMjU1MTkAAABATWxx2fj50qp2OOTph5svHvzdFKwD\
    qug4+NbazzH8PSQZA+OEUJOcLfShLmsnZSZmKWzc3zMmWB9ui6s+RxaFCA==";
const FINGERPRINT: &str = "SHA256:srYyRD2j29KDNzGfGGEQjQA688OplHoGwDiEVQJMsSw";
const RSA_CERTIFICATE: &str = "AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgQptTPWlwciq9Ty19Vqmbu0bAKYbhyOFkaYgU2H7L\
    5mMAAAADAQABAAABgQDE2GY50BHpr/5/HmZjOf/a0XKTURQuSmTacCyTLbc8AhmNRVydNo7/PlgObrRhFG2htqC+\
    sv8w56CpHfiiN+9coSt8MgF1NedDrydbeDfD5Ho4VwSwsRDcGj36/peZ8/d+Dgf6Cg1taeS9NT4f9dmVwtfX9KYV\
    XZfaj9kUN2rVHHFvwQM8tRcvNRCbg6FpFk2/PDhQiiZ3rVe9lGKTwjz+NzrxudJK1m4JuNAXUC1dcKuTc4hyHKPD\
    5IQfKirtIektfEeZdcz1ZAOCP/BSs6W6Cbt09EakdR+wyQZNr8eGUAGEs93AvJ/IE0owuOy7L46Jpx0IsrP8Xx46\
    3eRw510uJ8sgPVjt+Y2lTnLL7IFjyNyHGq8XLm9TWmMDgURqZpV4XsNdj6e7DfpruNMZcfAhgje63KLP9aaCwVtG\
    bqAjmImjuSeL7t/e6dZnmV8u89oSlhHZY8+hEOE1uPn09zc1x3l6l69rY3fHyLdBui1Fv9vkfpXQmS7Znc1kY717\
    hj8AAAAAAAAAAAAAAAEAAAADYW5hAAAACAAAAARyb290AAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1p\
    dC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0\
    LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAA\
    C3NzaC1lZDI1NTE5AAAAIEixWtpqk6xjnqhtnMrW9dDxbx8LJ9VIMpjiQWhqzQ+iAAAAUwAAAAtzc2gtZWQyNTUx\
    OQAAAEBwxtCd4oyXfO2TIcfwmxUHASXEuUGuoyjaIYrINa1z4IFIiTschcZAd01i7VTWyU0yoiBaqIb6GdVGI9u5\
    E98I";
const RSA_FINGERPRINT: &str = "SHA256:dqjLZDAyS+x2II/9jcw5Kl3HXEZUhmeviBiJ7jPBzZw";

fn blob(base64: &str) -> Vec<u8> {
    STANDARD.decode(base64).unwrap()
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    string(&parts.concat())
}

fn sign(key: &[u8], data: &[u8]) -> Vec<u8> {
    framed(&[&[13], &string(key), &string(data), &4u32.to_be_bytes()])
}

/// A login over SSH, as ssh(1) signs it.
fn login(method: &[u8], host_key: Option<&[u8]>) -> Vec<u8> {
    let mut data = [string(b"session id"), vec![50], string(b"root")].concat();
    for text in [b"ssh-connection", method] {
        data.extend(string(text));
    }
    data.push(1);
    for text in [b"ssh-ed25519".to_vec(), blob(KEY)] {
        data.extend(string(&text));
    }
    data.extend(host_key.map(string).unwrap_or_default());
    data
}

fn message(namespace: &[u8]) -> Vec<u8> {
    let fields = [namespace, b"", b"sha512", &[7; 64]];
    [b"SSHSIG".to_vec(), fields.map(string).concat()].concat()
}

fn text(text: &str) -> TextOrBytes {
    TextOrBytes::from_bytes(text.as_bytes())
}

/// A request that goes on as it came, and its event.
#[track_caller]
fn passes(request: &[u8]) -> Kind {
    let mut rest = request;
    match Talk::default().request(&mut rest) {
        Ok(Some(Ruled::Forward { found, bytes })) => {
            assert_eq!(bytes, request);
            assert!(rest.is_empty());
            found.kind
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn signs(data: &[u8]) -> AgentSigned {
    let Kind::AgentSign(fact) = passes(&sign(&blob(KEY), data)) else {
        panic!("no request for a signature")
    };
    assert_eq!((fact.key.as_str(), fact.flags), (FINGERPRINT, 4));
    assert_eq!(fact.key_type, text("ssh-ed25519"));
    assert_eq!(fact.bytes, data.len() as u64);
    fact.signs
}

#[track_caller]
fn is_refused(request: &[u8], name: &str) {
    let mut talk = Talk::default();
    match talk.request(&mut &*request) {
        Ok(Some(Ruled::Refuse { found, bytes })) => {
            assert_eq!(bytes, [0, 0, 0, 1, 5], "SSH_AGENT_FAILURE");
            assert_eq!(found.outcome, Outcome::Denied);
            let Kind::AgentRefuse(fact) = found.kind else {
                panic!("{:?}", found.kind)
            };
            assert_eq!(fact.request, name);
        }
        other => panic!("{name}: {other:?}"),
    }
    assert!(!talk.is_waiting());
}

#[test]
fn what_changes_the_agent_or_is_not_known_is_refused() {
    let key = string(&blob(KEY));
    for (number, name) in [
        (1, "list-v1"),
        (17, "add"),
        (18, "remove"),
        (19, "remove-all"),
        (20, "add-smartcard"),
        (21, "remove-smartcard"),
        (22, "lock"),
        (23, "unlock"),
        (25, "add-constrained"),
        (26, "add-smartcard-constrained"),
        (0, "0"),
        (5, "5"),
        (14, "14"),
        (200, "200"),
    ] {
        is_refused(&framed(&[&[number]]), name);
        is_refused(&framed(&[&[number], &key]), name);
    }
    let add = b"add-identity@example.com";
    let extension = framed(&[&[27], &string(add)]);
    is_refused(&extension, "extension");
    match Talk::default().request(&mut &*extension) {
        Ok(Some(Ruled::Refuse { found, .. })) => {
            let Kind::AgentRefuse(fact) = found.kind else {
                panic!()
            };
            assert_eq!(fact.extension, Some(text("add-identity@example.com")));
        }
        other => panic!("{other:?}"),
    }
}

/// An agent may read less strictly than we do: what it would make of such a request is not known.
#[test]
fn a_request_that_does_not_fit_its_form_is_refused() {
    is_refused(&framed(&[&[11], b"x"]), "list");
    is_refused(&framed(&[&[13]]), "sign");
    is_refused(&framed(&[&[13], &string(b"key"), &string(b"data")]), "sign");
    let long = [&[0, 0, 0, 99][..], b"key"].concat();
    is_refused(&framed(&[&[13], &long]), "sign");
    let more = [string(b"key"), string(b"data"), vec![0; 5]].concat();
    is_refused(&framed(&[&[13], &more]), "sign");
    is_refused(&framed(&[&[27]]), "extension");
    is_refused(&framed(&[&[27], &string(b"query"), b"x"]), "extension");
    let bind = string(b"session-bind@openssh.com");
    is_refused(&framed(&[&[27], &bind]), "extension");
    let cut = [string(b"host"), string(b"id"), string(b"signature")].concat();
    is_refused(&framed(&[&[27], &bind, &cut]), "extension");
}

#[test]
fn what_is_asked_is_told() {
    assert_eq!(passes(&framed(&[&[11]])), Kind::AgentList);
    assert_eq!(
        passes(&framed(&[&[27], &string(b"query")])),
        Kind::AgentQuery
    );
    let bind = [
        string(b"session-bind@openssh.com"),
        string(&blob(KEY)),
        string(b"session id"),
        string(b"signature"),
        vec![1],
    ];
    let bound = Kind::AgentBind {
        host_key: FINGERPRINT.to_owned(),
        forwarding: true,
    };
    assert_eq!(passes(&framed(&[&[27], &bind.concat()])), bound);
}

#[test]
fn what_is_signed_is_told_and_never_its_bytes() {
    let root = |host_key: Option<&str>| AgentSigned::Login {
        user: text("root"),
        service: text("ssh-connection"),
        host_key: host_key.map(str::to_owned),
    };
    assert_eq!(signs(&login(b"publickey", None)), root(None));
    let bound = b"publickey-hostbound-v00@openssh.com";
    let host = blob(KEY);
    assert_eq!(signs(&login(bound, Some(&host))), root(Some(FINGERPRINT)));
    let git = AgentSigned::Message {
        namespace: text("git"),
    };
    assert_eq!(signs(&message(b"git")), git);
    for unknown in [
        b"".to_vec(),
        b"hello".to_vec(),
        b"SSHSIG".to_vec(),
        [message(b"git"), vec![0]].concat(),
        [login(b"publickey", None), vec![0]].concat(),
        login(b"publickey", Some(&host)),
        login(bound, None),
        login(b"password", None),
    ] {
        assert_eq!(signs(&unknown), AgentSigned::Unknown);
    }
}

#[test]
fn a_key_has_the_name_that_ssh_add_gives_it() {
    for (blobbed, wanted) in [
        (CERTIFICATE, FINGERPRINT),
        (RSA_CERTIFICATE, RSA_FINGERPRINT),
    ] {
        let Kind::AgentSign(fact) = passes(&sign(&blob(blobbed), b"")) else {
            panic!("no request for a signature")
        };
        assert_eq!(fact.key, wanted);
    }
    // One that is cut has some name, too.
    for cut in 0..60 {
        passes(&sign(&blob(CERTIFICATE)[..cut], b""));
    }
}

#[test]
fn long_names_are_cut() {
    let AgentSigned::Message { namespace } = signs(&message(&[b'x'; 1000])) else {
        panic!()
    };
    assert_eq!(namespace.n, 256);
}

#[track_caller]
fn answered(request: &[u8], answer: &[u8]) -> (String, Outcome, Vec<u8>) {
    let mut talk = Talk::default();
    assert!(matches!(talk.request(&mut &*request), Ok(Some(_))));
    assert!(talk.is_waiting());
    let said = talk.answer(&mut &*framed(&[answer])).unwrap().unwrap();
    assert!(!talk.is_waiting());
    let Kind::AgentAnswer(fact) = said.found.kind else {
        panic!("{:?}", said.found.kind)
    };
    (fact.answer, said.found.outcome, said.bytes)
}

#[test]
fn an_answer_goes_back_as_it_came_if_it_is_one() {
    let list = framed(&[&[11]]);
    let identities = [&[12][..], &2u32.to_be_bytes(), b"keys"].concat();
    let as_it_came = framed(&[&identities]);
    assert_eq!(
        answered(&list, &identities),
        ("identities".to_owned(), Outcome::Success, as_it_came)
    );
    let sign = sign(&blob(KEY), b"");
    let signature = [&[14][..], &string(b"signature")].concat();
    assert_eq!(answered(&sign, &signature).0, "signature");
    assert_eq!(answered(&sign, &[5]).1, Outcome::Failure);
    for unexpected in [&identities[..], &[6], &[29], &[200]] {
        let said = answered(&sign, unexpected);
        assert_eq!((said.0.as_str(), said.1), ("unexpected", Outcome::Error));
        assert_eq!(said.2, [0, 0, 0, 1, 5]);
    }
}

#[test]
fn a_target_that_is_too_early_and_an_agent_that_speaks_unasked_stop_it() {
    let list = framed(&[&[11]]);
    let mut talk = Talk::default();
    assert_eq!(talk.answer(&mut &*list), Err(Bad::Unasked));
    assert!(matches!(talk.request(&mut &*list), Ok(Some(_))));
    assert_eq!(talk.request(&mut &*list), Err(Bad::Early));
    for length in [0, MESSAGE_BYTES_MAX + 1, u32::MAX as usize] {
        let head = u32::try_from(length).unwrap().to_be_bytes();
        let asked = Talk::default().request(&mut &head[..]);
        assert_eq!(asked, Err(Bad::Length(length)));
        let mut talk = Talk::default();
        assert!(matches!(talk.request(&mut &*list), Ok(Some(_))));
        assert_eq!(talk.answer(&mut &head[..]), Err(Bad::Length(length)));
    }
}

/// Everything that a whole conversation gives, with the pieces cut as `cut` says.
fn told(script: &[(Vec<u8>, Vec<u8>)], cut: usize) -> (Vec<Ruled>, Vec<super::Said>, Option<Bad>) {
    let mut talk = Talk::default();
    let (mut ruled, mut said) = (Vec::new(), Vec::new());
    for (requests, answers) in script {
        for mut piece in requests.chunks(cut) {
            while !talk.is_waiting() {
                match talk.request(&mut piece) {
                    Ok(Some(one)) => ruled.push(one),
                    Ok(None) => break,
                    Err(bad) => return (ruled, said, Some(bad)),
                }
            }
        }
        for mut piece in answers.chunks(cut) {
            match talk.answer(&mut piece) {
                Ok(one) => said.extend(one),
                Err(bad) => return (ruled, said, Some(bad)),
            }
        }
    }
    (ruled, said, None)
}

fn requests() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..60);
    prop_oneof![
        Just(framed(&[&[11]])),
        Just(sign(&blob(KEY), &login(b"publickey", None))),
        Just(framed(&[&[27], &string(b"query")])),
        (any::<u8>(), body.clone()).prop_map(|(number, body)| framed(&[&[number], &body])),
        body.prop_map(|body| sign(b"key", &body)),
    ]
}

proptest! {
    /// One request, one answer: as they are cut, nothing changes, and nothing passes but what may.
    #[test]
    fn a_conversation_does_not_depend_on_cuts(
        script in prop::collection::vec((requests(), prop::collection::vec(any::<u8>(), 0..30)), 1..6),
        cut in 1usize..40,
    ) {
        let script: Vec<_> = script
            .into_iter()
            .map(|(request, answer)| {
                let passes = matches!(Talk::default().request(&mut &*request), Ok(Some(Ruled::Forward { .. })));
                let answer = if passes { framed(&[&[5], &answer]) } else { Vec::new() };
                (request, answer)
            })
            .collect();
        let whole = told(&script, usize::MAX);
        prop_assert_eq!(whole.0.len(), script.len());
        prop_assert!(whole.2.is_none());
        for ruled in &whole.0 {
            if let Ruled::Forward { bytes, .. } = ruled {
                prop_assert!([11, 13, 27].contains(&bytes[4]));
            }
        }
        prop_assert_eq!(told(&script, cut), whole);
    }

    #[test]
    fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), answers in prop::collection::vec(any::<u8>(), 0..50), cut in 1usize..40) {
        let script = [(bytes, answers)];
        told(&script, cut);
    }
}
