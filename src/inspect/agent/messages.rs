//! Messages out of pieces: a length, then as many bytes (§3).

use super::talk::Bad;

/// OpenSSH's ssh-agent takes no longer one (AGENT_MAX_LEN), and answers no longer.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 * 1024;
const LENGTH_BYTES: usize = 4;
/// What an idle channel keeps of a long message's memory.
const KEPT_BYTES: usize = 4 * 1024;

/// One direction. At most one message is in memory.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// With its length in front.
    gathered: Vec<u8>,
}

impl Messages {
    /// The next whole message, without its length; what it needs is taken off `bytes`.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, Bad> {
        self.gather(LENGTH_BYTES, bytes);
        let Some(length) = self.gathered.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(1..=MESSAGE_BYTES_MAX).contains(&length) {
            return Err(Bad::Length(length));
        }
        self.gather(LENGTH_BYTES + length, bytes);
        if self.gathered.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let message = self.gathered.split_off(LENGTH_BYTES);
        self.gathered.clear();
        self.gathered.shrink_to(KEPT_BYTES);
        Ok(Some(message))
    }

    /// A message has begun and is not whole.
    pub(super) fn is_inside(&self) -> bool {
        !self.gathered.is_empty()
    }

    fn gather(&mut self, wanted: usize, bytes: &mut &[u8]) {
        let missing = wanted.saturating_sub(self.gathered.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.gathered.extend_from_slice(taken);
        *bytes = rest;
    }
}

/// As it goes over the wire.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], message].concat()
}
