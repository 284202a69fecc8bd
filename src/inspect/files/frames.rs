//! One direction of an SFTP channel, cut into packets however its bytes come. Only the head of a
//! packet is ever held; what may be long is handed on as it passes.

use std::fmt;

/// What clients send at most is 4 MiB and a head; a length beyond this is no length.
const PACKET_MAX: u32 = 8 * 1024 * 1024;
/// A request that is no write holds two paths at most.
const REQUEST_MAX: u32 = 64 * 1024;
/// An answer is told by its first bytes: a handle (at most 256), a status, a count.
const ANSWER_MAX: usize = 512;
/// §4: handles are at most this long.
pub(super) const HANDLE_MAX: usize = 256;
/// A head that was longer gives its memory back.
const HEAD_KEPT: usize = 4 * 1024;

pub(super) const WRITE: u8 = 6;
pub(super) const DATA: u8 = 103;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Requests,
    Answers,
}

#[derive(Debug)]
pub(super) enum Part<'a> {
    /// Type and first fields of a packet, where it began, and how many of its bytes come after.
    Head { head: &'a [u8], at: u64, rest: u32 },
    /// Some of those bytes.
    Rest(&'a [u8]),
}

/// Bytes that are no packet: the conversation cannot be followed beyond them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Bad {
    pub(super) fn malformed(what: impl fmt::Display) -> Self {
        Self {
            code: "malformed",
            message: what.to_string(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Length,
    Head,
    Rest,
}

#[derive(Debug)]
pub(super) struct Frames {
    side: Side,
    stage: Stage,
    head: Vec<u8>,
    /// Bytes of this packet that are not in `head` and have not passed.
    left: u32,
    /// Bytes of this direction that were used up; where the present packet began.
    at: u64,
    began: u64,
}

impl Frames {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            stage: Stage::Length,
            head: Vec::new(),
            left: 0,
            at: 0,
            began: 0,
        }
    }

    /// Where the present packet began, in bytes of this direction.
    pub(super) fn began(&self) -> u64 {
        self.began
    }

    /// Whether a packet has begun and not ended.
    pub(super) fn is_inside(&self) -> bool {
        match self.stage {
            Stage::Length => !self.head.is_empty(),
            Stage::Head => true,
            Stage::Rest => self.left > 0,
        }
    }

    /// The next part that `bytes` hold, taken off them; `None` when they are used up.
    pub(super) fn next<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b [u8],
    ) -> Result<Option<Part<'a>>, Bad> {
        loop {
            match self.stage {
                Stage::Length => {
                    if self.head.is_empty() {
                        self.began = self.at;
                    }
                    if !self.gather(4, bytes) {
                        return Ok(None);
                    }
                    self.left = length(&self.head)?;
                    self.head.clear();
                    self.stage = Stage::Head;
                }
                Stage::Head => {
                    let want = self.want()?;
                    let had = self.head.len();
                    let whole = self.gather(want, bytes);
                    let gathered = u32::try_from(self.head.len() - had).unwrap_or(u32::MAX);
                    self.left = self.left.saturating_sub(gathered);
                    if !whole {
                        return Ok(None);
                    }
                    if self.want()? == want {
                        self.stage = Stage::Rest;
                        return Ok(Some(Part::Head {
                            head: &self.head,
                            at: self.began,
                            rest: self.left,
                        }));
                    }
                }
                Stage::Rest if self.left == 0 => {
                    self.head.clear();
                    self.head.shrink_to(HEAD_KEPT);
                    self.stage = Stage::Length;
                }
                Stage::Rest if bytes.is_empty() => return Ok(None),
                Stage::Rest => {
                    let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                    let taken = self.take(left, bytes);
                    let n = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                    self.left = self.left.saturating_sub(n);
                    return Ok(Some(Part::Rest(taken)));
                }
            }
        }
    }

    fn take<'a>(&mut self, most: usize, bytes: &mut &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(most.min(bytes.len()));
        *bytes = rest;
        self.at += taken.len() as u64;
        taken
    }

    /// Whether `head` has `want` bytes now.
    fn gather(&mut self, want: usize, bytes: &mut &[u8]) -> bool {
        let missing = want.saturating_sub(self.head.len());
        let taken = self.take(missing, bytes);
        self.head.extend_from_slice(taken);
        self.head.len() >= want
    }

    /// How many bytes of this packet are its head, as far as can be said yet.
    fn want(&self) -> Result<usize, Bad> {
        let whole = self.head.len() + usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = match (self.side, self.head.first().copied()) {
            (_, None) => 1,
            // type, id, handle; then offset and length of the data (§6.4).
            (Side::Requests, Some(WRITE)) => match self.head.get(5..9) {
                None => 9,
                Some(length) => {
                    let handle = be_u32(length).unwrap_or(u32::MAX);
                    let handle = usize::try_from(handle).unwrap_or(usize::MAX);
                    if handle > HANDLE_MAX {
                        let what = format!("a handle of {handle} bytes, at most {HANDLE_MAX}");
                        return Err(Bad::malformed(what));
                    }
                    9 + handle + 12
                }
            },
            (Side::Requests, Some(_)) if whole as u64 > u64::from(REQUEST_MAX) => {
                return Err(Bad {
                    code: "too_long",
                    message: format!("a request of {whole} bytes, at most {REQUEST_MAX}"),
                });
            }
            (Side::Requests, Some(_)) => whole,
            // type, id, length of the data (§7).
            (Side::Answers, Some(DATA)) => 9,
            (Side::Answers, Some(_)) => whole.min(ANSWER_MAX),
        };
        match want > whole {
            true => Err(Bad::malformed("a packet is shorter than its fields")),
            false => Ok(want),
        }
    }
}

fn length(head: &[u8]) -> Result<u32, Bad> {
    let length = be_u32(head).unwrap_or(0);
    match length {
        0 => Err(Bad::malformed("a packet without a type")),
        1..=PACKET_MAX => Ok(length),
        _ => Err(Bad {
            code: "too_long",
            message: format!("a packet of {length} bytes, at most {PACKET_MAX}"),
        }),
    }
}

fn be_u32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}
