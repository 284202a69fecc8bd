//! What one channel speaks about files: told from its first bytes, both ways.

use super::scp::{self, Scp};
use super::scp_record;
use super::tool::Tool;
use super::{Finding, Sftp};
use crate::event::{Direction, Outcome};

/// INIT of SFTP but for its version (draft-ietf-secsh-filexfer-02 §4).
const SFTP_INIT: [u8; 8] = [0, 0, 0, 5, 1, 0, 0, 0];
/// First bytes of a direction that wait for the other's.
const HEAD_MAX: usize = scp::LINE_MAX;

/// The files of one channel.
pub struct Files {
    speaks: Speaks,
}

enum Speaks {
    Unknown(Box<Heads>),
    Sftp(Box<Sftp>),
    Scp(Box<Scp>),
    /// Nothing that we can tell more about.
    Other,
}

/// The first bytes of a command's channel.
struct Heads {
    tool: Option<Tool>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// What the first bytes say.
enum Verdict {
    Wait,
    Sftp,
    /// The direction in which the records go.
    Scp(Direction),
    Tool,
    Other,
}

impl Files {
    /// The subsystem `sftp`: whatever passes must be SFTP.
    pub fn sftp() -> Self {
        Self {
            speaks: Speaks::Sftp(Box::default()),
        }
    }

    /// A command: its text may name a tool, its bytes say whether it is one.
    pub fn of_command(command: &[u8]) -> Self {
        Self {
            speaks: Speaks::Unknown(Box::new(Heads {
                tool: Tool::of(command),
                input: Vec::new(),
                output: Vec::new(),
            })),
        }
    }

    /// The next bytes of one direction, before they go on.
    pub fn feed(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Finding> {
        match &mut self.speaks {
            Speaks::Other => Vec::new(),
            Speaks::Sftp(sftp) => sftp.feed(direction, bytes),
            Speaks::Scp(scp) => scp.feed(direction, bytes),
            Speaks::Unknown(heads) => {
                heads.take(direction, bytes);
                let verdict = heads.verdict();
                self.settle(&verdict)
            }
        }
    }

    /// The channel is over.
    pub fn finish(&mut self) -> Vec<Finding> {
        match &mut self.speaks {
            Speaks::Sftp(sftp) => sftp.finish(),
            Speaks::Scp(scp) => scp.finish(),
            Speaks::Unknown(_) | Speaks::Other => Vec::new(),
        }
    }

    fn settle(&mut self, verdict: &Verdict) -> Vec<Finding> {
        if matches!(verdict, Verdict::Wait) {
            return Vec::new();
        }
        let heads = match std::mem::replace(&mut self.speaks, Speaks::Other) {
            Speaks::Unknown(heads) => heads,
            decided @ (Speaks::Sftp(_) | Speaks::Scp(_) | Speaks::Other) => {
                self.speaks = decided;
                return Vec::new();
            }
        };
        match verdict {
            Verdict::Wait | Verdict::Other => Vec::new(),
            Verdict::Tool => {
                let told = heads.tool.map(|tool| Finding {
                    kind: tool.kind(),
                    outcome: Outcome::Success,
                });
                told.into_iter().collect()
            }
            Verdict::Sftp => {
                self.speaks = Speaks::Sftp(Box::default());
                let mut found = self.feed(Direction::Input, &heads.input);
                found.extend(self.feed(Direction::Output, &heads.output));
                found
            }
            // The receiver's first byte says that it is ready; what else it has said answers records.
            Verdict::Scp(sender) => {
                self.speaks = Speaks::Scp(Box::new(Scp::new(*sender)));
                let (sent, receiver, answered) = match sender {
                    Direction::Input => (&heads.input, Direction::Output, &heads.output),
                    Direction::Output | Direction::Stderr => {
                        (&heads.output, Direction::Input, &heads.input)
                    }
                };
                let (ready, rest) = answered.split_at(answered.len().min(1));
                let mut found = self.feed(receiver, ready);
                found.extend(self.feed(*sender, sent));
                found.extend(self.feed(receiver, rest));
                found
            }
        }
    }
}

impl Heads {
    fn take(&mut self, direction: Direction, bytes: &[u8]) {
        match direction {
            Direction::Input => self.input.extend_from_slice(bytes),
            Direction::Output => self.output.extend_from_slice(bytes),
            Direction::Stderr => {}
        }
    }

    fn verdict(&self) -> Verdict {
        let (input, output) = (self.input.as_slice(), self.output.as_slice());
        let spoken = self.tool.as_ref().map(|tool| tool.is_spoken(input, output));
        if spoken == Some(Some(true)) {
            return Verdict::Tool;
        }
        let begins = input.len().min(SFTP_INIT.len());
        let may_be_sftp = input.get(..begins) == SFTP_INIT.get(..begins)
            && output.first().is_none_or(|byte| *byte == 0);
        if may_be_sftp && input.len() > SFTP_INIT.len() {
            return Verdict::Sftp;
        }
        let put = scp_so_far(input, output);
        let get = scp_so_far(output, input);
        match (put, get) {
            (Some(true), _) => Verdict::Scp(Direction::Input),
            (_, Some(true)) => Verdict::Scp(Direction::Output),
            _ if input.len() > HEAD_MAX || output.len() > HEAD_MAX => Verdict::Other,
            (None, _) | (_, None) => Verdict::Wait,
            _ if may_be_sftp || spoken == Some(None) => Verdict::Wait,
            (Some(false), Some(false)) => Verdict::Other,
        }
    }
}

/// Whether these are the first words of scp, sent and answered; `None` while they may be.
fn scp_so_far(sent: &[u8], answered: &[u8]) -> Option<bool> {
    let ready = match answered.first() {
        None => None,
        Some(0) => Some(true),
        Some(_) => return Some(false),
    };
    let first = sent.first()?;
    if !matches!(first, b'C' | b'D' | b'T' | 1 | 2) {
        return Some(false);
    }
    let end = sent.iter().position(|byte| *byte == b'\n')?;
    let line = sent.get(..end).unwrap_or_default();
    let told = matches!(first, 1 | 2) && std::str::from_utf8(line).is_ok();
    match told || scp_record::record(line).is_some() {
        true => ready,
        false => Some(false),
    }
}
