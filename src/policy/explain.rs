use super::{Facts, PolicySet, Verdict};

/// Why a decision is as it is.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub verdict: Verdict,
    /// Id and text of each policy that decided.
    pub deciding: Vec<(String, String)>,
    /// When nothing decided: policies that permit this action to others, elsewhere or at another
    /// time.
    pub elsewhere: Vec<String>,
}

impl PolicySet {
    pub fn explain(&self, facts: &Facts) -> Explanation {
        let verdict = self.decide(facts);
        let ids = verdict.policies.iter();
        let deciding = ids.map(|id| (id.clone(), self.text(id).unwrap_or_default()));
        let deciding: Vec<_> = deciding.collect();
        let elsewhere = match deciding.is_empty() {
            true => self.permitting(facts.action),
            false => Vec::new(),
        };
        Explanation {
            verdict,
            deciding,
            elsewhere,
        }
    }
}
