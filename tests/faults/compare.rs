//! What peers got against what is recorded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use serde_json::Value;
use std::collections::BTreeMap;

const MIB: usize = 1024 * 1024;

/// One session, as its chunks have it.
#[derive(Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) input: Way,
    pub(crate) output: Way,
    pub(crate) end: Option<String>,
    pub(crate) gaps: usize,
}

/// One direction.
#[derive(Clone, Default)]
pub(crate) struct Way {
    pub(crate) bytes: Vec<u8>,
    /// Of the last `stream.progress`.
    progress: Option<(usize, String)>,
}

impl Recorded {
    pub(crate) fn read(lines: &str) -> Self {
        let mut found = Self::default();
        for line in lines.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let bytes = || match event["data"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => STANDARD
                    .decode(event["base64"].as_str().unwrap_or(""))
                    .unwrap(),
            };
            match event["kind"].as_str().unwrap() {
                "input" => found.input.bytes.extend(bytes()),
                "output" if event["fd"] == 1 => found.output.bytes.extend(bytes()),
                "stream.progress" => {
                    let bytes = usize::try_from(event["bytes"].as_u64().unwrap()).unwrap();
                    let sha256 = event["sha256"].as_str().unwrap().to_owned();
                    let way = match event["direction"].as_str() {
                        Some("input") => &mut found.input,
                        _ => &mut found.output,
                    };
                    way.progress = Some((bytes, sha256));
                }
                "session.end" => found.end = event["reason"].as_str().map(str::to_owned),
                "gap" => found.gaps += 1,
                _ => {}
            }
        }
        found
    }

    /// What is wrong, if anything: `got` is what the person's program received, `took` what the
    /// target's did.
    pub(crate) fn misses(&self, got: &[u8], took: &[u8]) -> Option<String> {
        let output = self
            .output
            .misses(got)
            .map(|text| format!("the person: {text}"));
        output.or_else(|| {
            self.input
                .misses(took)
                .map(|text| format!("the target: {text}"))
        })
    }
}

impl Way {
    fn misses(&self, got: &[u8]) -> Option<String> {
        let kept = got.len().min(self.bytes.len());
        if got[..kept] != self.bytes[..kept] {
            let at = first_difference(&self.bytes, got);
            return Some(format!("other bytes than recorded, from {at} on"));
        }
        let Some((bytes, sha256)) = &self.progress else {
            let missing = got.len() - kept;
            // Past what is kept, and before the next mark.
            let excused = self.bytes.len() >= MIB && missing <= MIB;
            return (missing > 0 && !excused).then(|| format!("{missing} bytes are not recorded"));
        };
        if got.len() > bytes + MIB {
            return Some(format!("{} bytes, counted only to {bytes}", got.len()));
        }
        let seen = got.get(..*bytes)?;
        (sum(seen) != *sha256).then(|| format!("the first {bytes} bytes are others than hashed"))
    }
}

fn first_difference(a: &[u8], b: &[u8]) -> usize {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b);
    same.count()
}

fn sum(bytes: &[u8]) -> String {
    let sum = digest::digest(&digest::SHA256, bytes);
    sum.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The session whose command has `marker` in it.
pub(crate) fn find(streams: &BTreeMap<String, String>, marker: &str) -> Option<Recorded> {
    let of = |text: &&String| {
        let mut execs = text
            .lines()
            .filter(|line| line.contains("\"kind\":\"exec\""));
        execs.any(|line| line.contains(marker))
    };
    streams.values().find(of).map(|text| Recorded::read(text))
}

#[test]
fn a_comparison_can_fail() {
    let way = |bytes: &[u8], progress| Way {
        bytes: bytes.to_vec(),
        progress,
    };
    let recorded = Recorded {
        input: way(b"typed", None),
        output: way(b"shown", None),
        ..Recorded::default()
    };
    assert_eq!(recorded.misses(b"shown", b"typed"), None);
    assert_eq!(recorded.misses(b"sho", b""), None);
    assert!(recorded.misses(b"shown!", b"").is_some());
    assert!(recorded.misses(b"shawn", b"").is_some());
    assert!(recorded.misses(b"", b"typed!").is_some());
    let kept = vec![b'x'; MIB];
    let long = Recorded {
        output: way(&kept, Some((2 * MIB, sum(&vec![b'x'; 2 * MIB])))),
        ..Recorded::default()
    };
    assert_eq!(long.misses(&vec![b'x'; 3 * MIB], b""), None);
    assert!(long.misses(&vec![b'x'; 3 * MIB + 1], b"").is_some());
    let mut other = vec![b'x'; 2 * MIB];
    other[MIB + 7] = b'y';
    assert!(long.misses(&other, b"").is_some());
}
