use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a session ended. An end is a fact to record, not an error to throw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    UserExit,
    TargetExit,
    Idle,
    MaxDuration,
    Expired,
    Revoked,
    Killed,
    Policy,
    Recorder,
    Network,
    Shutdown,
    NodeCrash,
}

/// What passed, over all channels of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub duration_ms: u64,
    pub channels: u32,
    /// User to target, standard input of all channels.
    pub input_bytes: u64,
    /// Target to user, standard output and standard error of all channels.
    pub output_bytes: u64,
}
