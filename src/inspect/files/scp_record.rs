//! One line of scp's old protocol (see scp.rs), read. Pure.

/// A record, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    Times {
        mtime: u64,
        atime: u64,
    },
    File {
        mode: &'a str,
        size: u64,
        name: &'a [u8],
    },
    Directory {
        mode: &'a str,
        name: &'a [u8],
    },
    Out,
}

/// A line without its end. `None`: no record.
pub(super) fn record(line: &[u8]) -> Option<Record<'_>> {
    let (kind, rest) = line.split_first()?;
    match kind {
        b'T' => {
            let text = std::str::from_utf8(rest).ok()?;
            let mut parts = text.split(' ');
            let mtime = parts.next()?.parse().ok()?;
            let _micros: u64 = parts.next()?.parse().ok()?;
            let atime = parts.next()?.parse().ok()?;
            let _micros: u64 = parts.next()?.parse().ok()?;
            parts
                .next()
                .is_none()
                .then_some(Record::Times { mtime, atime })
        }
        b'C' | b'D' => {
            let mut parts = rest.splitn(3, |byte| *byte == b' ');
            let mode = std::str::from_utf8(parts.next()?).ok()?;
            let octal = mode.len() == 4 && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
            let size = std::str::from_utf8(parts.next()?).ok()?;
            let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
            let size = size.parse().ok()?;
            let name = parts.next()?;
            match (octal && digits && !name.is_empty(), kind) {
                (false, _) => None,
                (true, b'C') => Some(Record::File { mode, size, name }),
                (true, _) => Some(Record::Directory { mode, name }),
            }
        }
        b'E' => rest.is_empty().then_some(Record::Out),
        _ => None,
    }
}
