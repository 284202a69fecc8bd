use serde::Serialize;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Looked at, and as it must be.
    Fine,
    /// Cannot be seen from here, or worth knowing.
    Note,
    /// Must be mended: exit 1.
    Finding,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// configuration, policies, keys, state, revocations, clock, disk, targets, bastion.
    pub(super) area: &'static str,
    pub(super) says: String,
    /// What to do; nothing when it is fine.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

/// All that was looked at in one area.
pub(super) struct Report {
    area: &'static str,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(area: &'static str) -> Self {
        Self {
            area,
            findings: Vec::new(),
        }
    }

    pub(super) fn fine(&mut self, says: impl Into<String>) {
        self.push(Level::Fine, says.into(), None);
    }

    pub(super) fn note(&mut self, says: impl Into<String>, advice: impl Into<String>) {
        self.push(Level::Note, says.into(), Some(advice.into()));
    }

    pub(super) fn finding(&mut self, says: impl Into<String>, advice: impl Into<String>) {
        self.push(Level::Finding, says.into(), Some(advice.into()));
    }

    fn push(&mut self, level: Level, says: String, advice: Option<String>) {
        self.findings.push(Finding {
            level,
            area: self.area,
            says,
            advice,
        });
    }
}
