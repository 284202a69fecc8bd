use super::{From, Guess, KEPT_BYTES, Label};
use proptest::prelude::*;

/// What Python's `ssl` (OpenSSL 3.0) sends for `Db1.Example.com`, without the padding at its end.
const HELLO: &str = "1603010200010001fc0303dea24106c8b36dd231d22ca9f60f09f5014725d2ac4bf90ea30b1f5bc3c4\
    c42420b2ab680e586c201b566ff2d73e8dd319060272295b3bef03a30bf7cd8301b3f80024130213031301c02cc030\
    c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100018f00000014001200000f4462312e4578616d\
    706c652e636f6d000b000403000102000a00160014001d0017001e001900180100010101020103010400230000001600\
    0000170000000d002a0028040305030603080708080809080a080b0804080508060401050106010303030103020402\
    05020602002b00050403040303002d00020101003300260024001d002091026f9ae386356175a977e9ae5a51987436\
    21d410efe3da7637bc4f5fd6f56d001500de";

fn client_hello() -> Vec<u8> {
    let hex: Vec<u8> = HELLO.bytes().filter(|byte| *byte != b' ').collect();
    let digits = hex.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let mut bytes: Vec<u8> = digits
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect();
    bytes.resize(517, 0);
    bytes
}

/// The same message in records of so many bytes each.
fn in_records(hello: &[u8], n: usize) -> Vec<u8> {
    let records = hello[5..].chunks(n);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1][..], &length, part].concat()
    };
    records.flat_map(record).collect()
}

fn with_name(name: &[u8]) -> Vec<u8> {
    let mut hello = client_hello();
    let at = hello.windows(15).position(|w| w == b"Db1.Example.com");
    let at = at.unwrap();
    assert_eq!(name.len(), 15, "lengths are left as they are");
    hello[at..at + 15].copy_from_slice(name);
    hello
}

fn greeting() -> Vec<u8> {
    let body = [
        b"\x0a8.0.36-0ubuntu0.22.04.1\0".as_slice(),
        &[1, 0, 0, 0],
        b"saltsalt\0",
        &[0xff, 0xf7, 0xff, 2, 0, 0xff, 0xdf, 21],
        &[0; 10],
        b"saltsaltsalt\0caching_sha2_password\0",
    ]
    .concat();
    [&[u8::try_from(body.len()).unwrap(), 0, 0, 0][..], &body].concat()
}

fn tls(sni: Option<&str>) -> Label {
    Label::Tls {
        sni: sni.map(str::to_owned),
    }
}

#[track_caller]
fn says(opener: &[u8], answerer: &[u8], label: Label) {
    let mut guess = Guess::default();
    guess.feed(From::Opener, opener);
    guess.feed(From::Answerer, answerer);
    assert_eq!(
        guess.finish(),
        &label,
        "{:?}",
        String::from_utf8_lossy(opener)
    );
}

/// So that a reader who sees `postgres` can rely on more than a length.
#[test]
fn what_only_looks_like_it_is_unknown() {
    for opener in [
        b"".as_slice(),
        b"\0",
        b"SSH",
        b"SSHx2.0-x",
        b"SSH-x",
        b"get key\r\n",
        b"GET key\r\n",
        b"GET / FTP/1.0\r\n",
        b"GET  HTTP/1.1\r\n",
        b"GET /\r\n HTTP/1.1\r\n",
        b"AVERYLONGWORDTHATISNOMETHOD / HTTP/1.1\r\n",
        b"EHLO localhost\r\n",
        // A PostgreSQL packet of another version, too long, or with a length of another request.
        b"\0\0\0\x08\0\x02\0\0",
        b"\0\0\x27\x11\0\x03\0\0",
        b"\0\0\0\x09\x04\xd2\x16\x2f",
        // Siemens S7 asks over TPKT and X.224 as well.
        b"\x03\0\0\x16\x11\xe0\0\0\0\x01\0\xc1\x02\x01\0\xc2\x02\x01\x02\xc0\x01\x09",
        b"\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
        // Alerts and data of TLS, an SSLv2 hello, a record without bytes.
        b"\x15\x03\x01\0\x02\x02\x28",
        b"\x80\x2e\x01\0\x02",
        b"\x16\x03\x01\0\0",
        b"\x16\x03\x01\0\x05\x02\0\0\0\x03",
    ] {
        says(opener, b"", Label::Unknown);
        says(opener, b"+OK hello\r\n", Label::Unknown);
    }
    for answerer in [
        b"220 mail ESMTP\r\n".as_slice(),
        b"SSHx\r\n",
        b"\0SSH-2.0-x\r\n",
        b"\x4a\0\0\x01\x0a8.0\0",
        b"\x4a\0\0\0\x0a8.0\0aaaabbbbcccc\x01",
        b"\x4a\0\0\0\x0a\0aaaabbbbcccc\0",
        b"\x4a\0\0\0\x0a\xff\xff\0aaaabbbbcccc\0",
    ] {
        says(b"\0", answerer, Label::Unknown);
    }
}

#[test]
fn protocols_are_told_from_who_speaks_first() {
    says(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", b"", Label::Ssh);
    says(b"", b"SSH-2.0-OpenSSH_9.2p1\r\n", Label::Ssh);
    says(b"", b"welcome\r\n\r\nSSH-2.0-x\r\n", Label::Ssh);
    says(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"", Label::Http);
    says(b"CONNECT db1:22 HTTP/1.1\r\n\r\n", b"", Label::Http);
    says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"", Label::Http);
    says(b"\0\0\0\x08\x04\xd2\x16\x2f", b"S", Label::Postgres);
    says(b"\0\0\0\x08\x04\xd2\x16\x30", b"N", Label::Postgres);
    says(b"\0\0\0\x10\x04\xd2\x16\x2eppppkkkk", b"", Label::Postgres);
    says(b"\0\0\0\x12\0\x03\0\0user\0ana\0\0", b"R", Label::Postgres);
    let cookie = b"\x03\0\0\x2c\x27\xe0\0\0\0\0\0Cookie: mstshash=ana\r\n\x01\0\x08\0\x03\0\0\0";
    says(cookie, b"", Label::Rdp);
    let asks = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0";
    says(asks, b"", Label::Rdp);
    says(b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0", b"", Label::Rdp);
    says(b"", &greeting(), Label::Mysql);
    says(b"\x55\0\0\x01\x8d\xa6", &greeting(), Label::Mysql);
}

#[test]
fn a_client_hello_says_whom_it_asks_for() {
    let hello = client_hello();
    let name = Some("db1.example.com");
    says(&hello, b"", tls(name));
    for n in [1, 2, 5, 100, 170, 511] {
        let records = in_records(&hello, n);
        let fits = records.len() <= KEPT_BYTES;
        says(&records, b"", tls(name.filter(|_| fits)));
    }
    says(
        &with_name(b"DB1.example_com"),
        b"",
        tls(Some("db1.example_com")),
    );
    // It is a hello, whatever is written where the name should be.
    says(&with_name(b"db1\x1b[2Jmple.com"), b"", tls(None));
    says(&with_name("db1.exämple.cm".as_bytes()), b"", tls(None));
    says(&hello[..60], b"", tls(None));
    says(&in_records(&hello[..60], 7), b"", tls(None));
    // Something else follows before the name was said.
    says(
        &[&in_records(&hello[..60], 55)[..], b"\x17\x03\x03"].concat(),
        b"",
        tls(None),
    );
}

#[test]
fn it_is_decided_once_and_keeps_little() {
    let mut guess = Guess::default();
    assert_eq!(guess.feed(From::Answerer, &greeting()), None);
    assert_eq!(guess.feed(From::Opener, b"S"), None);
    assert_eq!(guess.feed(From::Opener, b"SH-2"), Some(&Label::Ssh));
    assert_eq!(
        guess.feed(From::Opener, b"GET / HTTP/1.1"),
        Some(&Label::Ssh)
    );
    assert_eq!(guess.finish(), &Label::Ssh);

    let mut endless = Guess::default();
    let path = vec![b'a'; KEPT_BYTES];
    assert_eq!(endless.feed(From::Opener, b"GET /"), None);
    assert_eq!(endless.feed(From::Answerer, b"welcome"), None);
    assert_eq!(endless.feed(From::Opener, &path), None);
    assert_eq!(endless.feed(From::Answerer, &path), Some(&Label::Unknown));
}

fn beginnings() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        client_hello(),
        in_records(&client_hello(), 30),
        greeting(),
        b"welcome\n\nSSH-2.0-OpenSSH\r\n".to_vec(),
        b"SSH-2.0-OpenSSH\r\n".to_vec(),
        b"GET /index HTTP/1.1\r\n\r\n".to_vec(),
        b"\0\0\0\x08\x04\xd2\x16\x2f".to_vec(),
        b"\0\0\0\x12\0\x03\0\0user\0ana\0\0".to_vec(),
        b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0".to_vec(),
        Vec::new(),
    ]);
    let spoilt = (known.clone(), any::<prop::sample::Index>(), any::<u8>());
    let spoilt = spoilt.prop_map(|(mut bytes, at, byte)| {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    let cut = (known.clone(), any::<prop::sample::Index>());
    let cut = cut.prop_map(|(bytes, at)| bytes[..at.index(bytes.len() + 1)].to_vec());
    let tail = prop::collection::vec(any::<u8>(), 0..40);
    let text = "[ -~\r\n]{0,80}".prop_map(String::into_bytes);
    let any_bytes = prop::collection::vec(any::<u8>(), 0..80);
    (prop_oneof![known, spoilt, cut, text, any_bytes], tail)
        .prop_map(|(bytes, tail)| [bytes, tail].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// In any cut, whoever's piece comes first, and whether or not anybody asked in between.
    #[test]
    fn a_label_does_not_depend_on_cuts(
        opener in beginnings(),
        answerer in beginnings(),
        order in prop::collection::vec((any::<bool>(), 1usize..40), 0..60),
    ) {
        let mut whole = Guess::default();
        whole.feed(From::Opener, &opener);
        whole.feed(From::Answerer, &answerer);
        let label = whole.finish().clone();

        let (mut opener, mut answerer) = (opener.as_slice(), answerer.as_slice());
        let mut pieces = Guess::default();
        let mut early = None;
        for (from_opener, n) in order.into_iter().chain([(true, 9999), (false, 9999)]) {
            let (from, side) = match from_opener {
                true => (From::Opener, &mut opener),
                false => (From::Answerer, &mut answerer),
            };
            let (piece, rest) = side.split_at(n.min(side.len()));
            *side = rest;
            let said = pieces.feed(from, piece).cloned();
            prop_assert!(early.is_none() || early == said);
            early = said;
        }
        prop_assert!(early.is_none() || early.as_ref() == Some(&label));
        prop_assert_eq!(pieces.finish(), &label);
    }
}
