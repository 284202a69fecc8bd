//! The fields of a packet (draft-ietf-secsh-filexfer-02 §2, RFC 4251 §5), big endian. `None` where
//! the bytes end too early.

use crate::event::FileAttributes;

const HAS_SIZE: u32 = 0x1;
const HAS_OWNER: u32 = 0x2;
const HAS_MODE: u32 = 0x4;
const HAS_TIMES: u32 = 0x8;

#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length)
    }

    pub(super) fn owned(&mut self) -> Option<Vec<u8>> {
        self.string().map(<[u8]>::to_vec)
    }

    /// §5. Extended attributes are at the end and are left there.
    pub(super) fn attributes(&mut self) -> Option<FileAttributes> {
        let flags = self.u32()?;
        let mut found = FileAttributes::default();
        if flags & HAS_SIZE != 0 {
            found.size = Some(self.u64()?);
        }
        if flags & HAS_OWNER != 0 {
            found.uid = Some(self.u32()?);
            found.gid = Some(self.u32()?);
        }
        if flags & HAS_MODE != 0 {
            found.mode = Some(octal(self.u32()?));
        }
        if flags & HAS_TIMES != 0 {
            found.atime = Some(self.u32()?);
            found.mtime = Some(self.u32()?);
        }
        Some(found)
    }
}

/// Permission bits as people write them; the kind of file is not among them.
fn octal(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}
