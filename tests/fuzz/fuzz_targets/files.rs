//! Conversations about files, nearly right and not at all: no panic, bounded memory, the same events
//! however the bytes are cut, and no hash for more than passed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::event::{Direction, FileContent, Kind, Scope};
use portcullis::inspect::files::{Files, Finding};

/// From the user?; what: a packet's type or a word of scp; id and handle; offset; bytes.
type Step = (bool, u8, u8, u8, u16, Vec<u8>);

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = [&[kind][..], &fields.concat()].concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

fn sftp(step: &Step) -> Vec<u8> {
    let (input, what, id, handle, offset, bytes) = step;
    let id = u32::from(id % 8).to_be_bytes();
    let handle = string(&[handle % 4]);
    let offset = u64::from(*offset).to_be_bytes();
    let flags = u32::from(id[3] * 11).to_be_bytes();
    let attributes = [&1u32.to_be_bytes()[..], &offset].concat();
    match (input, what % 16) {
        (true, 0) => packet(3, &[&id, &string(bytes), &flags, &attributes]),
        (true, 1) => packet(4, &[&id, &handle]),
        (true, 2) => packet(5, &[&id, &handle, &offset, &flags]),
        (true, 3..6) => packet(6, &[&id, &handle, &offset, &string(bytes)]),
        (true, 6) => packet(10, &[&id, &handle, &attributes]),
        (true, 7) => packet(
            200,
            &[
                &id,
                &string(b"copy-data"),
                &handle,
                &offset,
                &offset,
                &handle,
            ],
        ),
        (true, 8) => packet(18, &[&id, &string(bytes), &string(bytes)]),
        (true, 9) => packet(11, &[&id, &string(bytes)]),
        (false, 0..4) => packet(101, &[&id, &u32::from(what >> 4).to_be_bytes()]),
        (false, 4..7) => packet(102, &[&id, &handle]),
        (false, 7..10) => packet(103, &[&id, &string(bytes)]),
        (false, 10) => packet(104, &[&id, &flags, bytes]),
        _ => bytes.clone(),
    }
}

fn scp(step: &Step) -> Vec<u8> {
    let (_, what, _, _, size, bytes) = step;
    match what % 8 {
        0..3 => vec![0],
        3 => [format!("C0644 {} ", size % 64).as_bytes(), bytes, b"\n"].concat(),
        4 => b"D0755 0 d\n".to_vec(),
        5 => b"E\n".to_vec(),
        6 => [&[1][..], bytes, b"\n"].concat(),
        _ => bytes.clone(),
    }
}

fn told(subsystem: bool, script: &[(Direction, Vec<u8>)], cut: usize) -> Vec<Finding> {
    let mut files = match subsystem {
        true => Files::sftp(),
        false => Files::of_command(b"rsync --server . x"),
    };
    let mut found = Vec::new();
    for (direction, bytes) in script {
        for piece in bytes.chunks(cut) {
            found.extend(files.feed(*direction, piece));
        }
    }
    found.extend(files.finish());
    found
}

fn honest(content: &FileContent) {
    assert!(content.from <= content.to && content.to - content.from <= content.bytes);
    assert_eq!(content.sha256.is_some(), content.scope != Scope::None);
    if content.scope == Scope::Range {
        assert_eq!(content.to - content.from, content.bytes);
    }
}

fuzz_target!(|input: (bool, u8, Vec<Step>)| {
    let (subsystem, cut, steps) = input;
    let mut script = match subsystem {
        true => vec![
            (Direction::Input, packet(1, &[&3u32.to_be_bytes()])),
            (Direction::Output, packet(2, &[&3u32.to_be_bytes()])),
        ],
        false => Vec::new(),
    };
    for step in &steps {
        let direction = if step.0 {
            Direction::Input
        } else {
            Direction::Output
        };
        script.push((direction, if subsystem { sftp(step) } else { scp(step) }));
    }
    let whole = told(subsystem, &script, usize::MAX);
    for finding in &whole {
        match &finding.kind {
            Kind::SftpFile(file) => file.read.iter().chain(&file.written).for_each(honest),
            Kind::ScpFile(file) => honest(&file.content),
            _ => {}
        }
    }
    let pieces = told(subsystem, &script, usize::from(cut).max(1));
    // scp may answer records that were not sent; then it matters which piece came first.
    if subsystem {
        assert_eq!(whole, pieces);
    }
});
