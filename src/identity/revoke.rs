use super::check::utc_of;
use super::krl::{BadKrl, Contents, parse};
use super::refusal::quoted;
use super::rules::Rule;
use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use russh::keys::ssh_key::Certificate;
use std::fmt;
use std::sync::Arc;

/// Loaded KRLs and lists of revoked keys. Immutable; cloning shares the files.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    files: Vec<Arc<KrlFile>>,
}

/// One file, read.
#[derive(Clone, Debug)]
pub struct KrlFile {
    name: String,
    sha256: String,
    pub(super) contents: Contents,
}

/// What revokes a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    pub file: String,
    pub rule: Rule,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // People outside read this too: the list's name, not where the bastion keeps it.
        let name = self.file.rsplit('/').next().unwrap_or_default();
        write!(f, "{} is in `{}`", self.rule, quoted(name))
    }
}

impl Revocations {
    /// Reads one file: an OpenSSH KRL, or public keys a line. `name` is what messages call it.
    pub fn load(bytes: &[u8], name: &str) -> Result<KrlFile, BadKrl> {
        Ok(KrlFile {
            name: name.to_owned(),
            sha256: hex::encode(digest(&SHA256, bytes).as_ref()),
            contents: parse(bytes)?,
        })
    }

    /// At start, when nothing is in force yet.
    pub fn of(files: Vec<KrlFile>) -> Self {
        Self {
            files: files.into_iter().map(Arc::new).collect(),
        }
    }

    /// With `file` in place of the one of its name, or added. An older one is refused, so that
    /// somebody who can put back yesterday's file cannot put back yesterday's rights.
    pub fn replace(&self, file: KrlFile) -> Result<Self, BadKrl> {
        let mut next = self.clone();
        let file = Arc::new(file);
        match next.files.iter_mut().find(|known| known.name == file.name) {
            Some(known) if file.is_older_than(known) => {
                return Err(BadKrl::Older {
                    number: file.number(),
                    in_force: known.number(),
                });
            }
            Some(known) => *known = file,
            None => next.files.push(file),
        }
        Ok(next)
    }

    /// The first file and rule that revokes it.
    pub fn revoked(&self, certificate: &Certificate) -> Option<Revoked> {
        self.files.iter().find_map(|file| {
            let rule = file.contents.rules.revoking(certificate)?;
            Some(Revoked {
                file: file.name.clone(),
                rule,
            })
        })
    }

    pub fn files(&self) -> impl Iterator<Item = &KrlFile> {
        self.files.iter().map(AsRef::as_ref)
    }
}

impl KrlFile {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `krl_version`; 0 for a list of public keys.
    pub fn number(&self) -> u64 {
        self.contents
            .header
            .as_ref()
            .map_or(0, |header| header.number)
    }

    /// Absent for a list of public keys.
    pub fn generated(&self) -> Option<DateTime<Utc>> {
        self.contents
            .header
            .as_ref()
            .map(|header| utc_of(header.generated))
    }

    /// Rules in it; a range of serials counts as one.
    pub fn entries(&self) -> u64 {
        self.contents.rules.count()
    }

    /// Of the file, hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// One line a rule, for people.
    pub fn lines(&self) -> Vec<String> {
        self.contents.rules.lines()
    }

    /// By number, then by date: `ssh-keygen -k -u` without `-z` keeps the number.
    fn is_older_than(&self, other: &Self) -> bool {
        let order = |file: &Self| {
            file.contents
                .header
                .as_ref()
                .map(|header| (header.number, header.generated))
        };
        // A list of keys (`None`) is before every KRL: a KRL is not replaced by one.
        order(self) < order(other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Revoke, krl_write};
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn krl(existing: Option<&KrlFile>, add: &[Revoke], second: u64) -> KrlFile {
        let bytes = krl_write(existing, add, UNIX_EPOCH + Duration::from_secs(second)).unwrap();
        Revocations::load(&bytes, "revoked.krl").unwrap()
    }

    #[test]
    fn an_older_list_does_not_replace_a_newer_one() {
        let first = krl(None, &[], 100);
        let second = krl(Some(&first), &[], 50);
        assert_eq!((first.number(), second.number()), (1, 2));
        assert!(second.generated() >= first.generated());

        let in_force = Revocations::of(vec![second.clone()]);
        let refused = in_force.replace(first.clone()).unwrap_err();
        assert_eq!(
            refused,
            BadKrl::Older {
                number: 1,
                in_force: 2
            }
        );
        assert!(
            in_force
                .replace(Revocations::load(b"# none\n", "revoked.krl").unwrap())
                .is_err()
        );
        assert!(
            Revocations::of(vec![krl(None, &[], 100)])
                .replace(krl(None, &[], 99))
                .is_err()
        );

        let again = in_force.replace(second).unwrap();
        assert_eq!(again.files().count(), 1);
        let beside = Revocations::load(b"# none\n", "keys.txt").unwrap();
        assert_eq!(again.replace(beside).unwrap().files().count(), 2);
        assert!(
            Revocations::of(vec![first])
                .replace(krl(None, &[], 101))
                .is_ok()
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let mut whole = krl_write(None, &[], UNIX_EPOCH).unwrap();
        let load = |bytes: &[u8]| Revocations::load(bytes, "x").map(|_| ());
        assert_eq!(load(&whole), Ok(()));
        for length in 0..whole.len() {
            assert!(load(&whole[..length]).is_err(), "{length} bytes");
        }
        for (section, problem) in [
            (&[9, 0, 0, 0, 0][..], BadKrl::UnknownSection(9)),
            (&[4, 0, 0, 0, 0], BadKrl::Signed),
            (&[5, 0, 0, 0, 5, 0, 0, 0, 1, 7], BadKrl::BadFingerprint),
            (
                &[255, 0, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0, 0, 0],
                BadKrl::CriticalExtension,
            ),
            (
                &[255, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                BadKrl::Trailing,
            ),
            (&[2, 255, 255, 255, 255], BadKrl::Truncated),
        ] {
            let bytes = [&whole, section].concat();
            assert_eq!(load(&bytes), Err(problem));
        }
        whole.extend([255, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let with_extension = Revocations::load(&whole, "x").unwrap();
        assert_eq!(
            krl_write(Some(&with_extension), &[], UNIX_EPOCH),
            Err(BadKrl::HasExtension)
        );
        whole[8 + 3] = 2;
        assert_eq!(load(&whole), Err(BadKrl::Format(2)));
        assert_eq!(load(b""), Err(BadKrl::Empty));
        assert_eq!(load(b"# a\n\nssh-ed25519 AAAA\n"), Err(BadKrl::BadLine(3)));
        assert_eq!(load(b"\xff\xfe"), Err(BadKrl::NotText));
    }

    #[test]
    fn serials_that_are_none_are_refused() {
        // One section for any CA: empty CA key, empty reserved, then the part.
        let load = |part: &[u8]| {
            let mut bytes = krl_write(None, &[], UNIX_EPOCH).unwrap();
            bytes.push(1);
            bytes.extend(u32::try_from(8 + part.len()).unwrap().to_be_bytes());
            bytes.extend([0; 8]);
            bytes.extend(part);
            Revocations::load(&bytes, "x").map(|file| file.lines())
        };
        let zero = [&[0x20, 0, 0, 0, 8][..], &[0; 8]].concat();
        assert_eq!(load(&zero), Err(BadKrl::BadSerial));
        let backwards = [
            &[0x21, 0, 0, 0, 16][..],
            &5_u64.to_be_bytes(),
            &4_u64.to_be_bytes(),
        ]
        .concat();
        assert_eq!(load(&backwards), Err(BadKrl::BadSerial));
        let bitmap = |offset: u64, bits: &[u8]| {
            let length = u8::try_from(bits.len()).unwrap();
            let head = [0x22, 0, 0, 0, 12 + length];
            [&head[..], &offset.to_be_bytes(), &[0, 0, 0, length], bits].concat()
        };
        assert_eq!(load(&bitmap(7, &[0x80])), Err(BadKrl::BadBitmap));
        assert_eq!(load(&bitmap(u64::MAX, &[2])), Err(BadKrl::BadBitmap));
        assert_eq!(
            load(&bitmap(7, &[1, 0x83])).unwrap(),
            ["serials 7-8 of any CA", "serials 14-15 of any CA"]
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            as_krl in any::<bool>(),
        ) {
            if as_krl {
                let mut whole = krl_write(None, &[], UNIX_EPOCH).unwrap();
                whole.append(&mut bytes);
                bytes = whole;
            }
            if let Ok(file) = Revocations::load(&bytes, "x") {
                let _ = file.lines();
            }
        }

        #[test]
        fn what_is_written_is_read_again(ids in proptest::collection::btree_set("[a-z]{1,4}", 0..6)) {
            let add: Vec<_> = ids
                .iter()
                .map(|id| Revoke::KeyId { key_id: id.clone(), ca: None })
                .collect();
            let once = krl(None, &add, 1);
            let twice = krl(Some(&once), &add, 2);
            prop_assert_eq!(once.contents.rules, twice.contents.rules.clone());
            prop_assert_eq!(twice.entries(), ids.len() as u64);
        }
    }
}
