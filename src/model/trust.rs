//! Trust in a node: what validators said of it, and what follows.

use super::{Time, ValidatorId};

/// How far a node is trusted, from least to most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrustState {
    /// Nobody vouched for it, or somebody doubts it.
    #[default]
    Untrusted,
    /// Vouched for.
    Trusted,
    /// Vouched for after a check of its own.
    Verified,
}

impl TrustState {
    /// The score of a verdict that names none: 0, 0.5 and 1.
    pub fn default_score(self) -> f64 {
        match self {
            TrustState::Untrusted => 0.0,
            TrustState::Trusted => 0.5,
            TrustState::Verified => 1.0,
        }
    }
}

/// How settled a registration is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifecycle {
    /// On trial.
    #[default]
    Canary,
    /// Checked.
    Validated,
    /// May not change until a validator thaws it.
    Frozen,
}

/// One validator's latest word on a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Who says it.
    pub validator: ValidatorId,
    /// How far it trusts the node.
    pub state: TrustState,
    /// From 0 to 1.
    pub score: f64,
    /// What it found wrong.
    pub failure_modes: Vec<String>,
    /// When it was said.
    pub at: Time,
}

/// How far a node is trusted, and why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trust {
    /// The latest verdict of each validator, in the order of validator ids.
    pub verdicts: Vec<Verdict>,
    /// The latest that any validator said of the lifecycle.
    pub lifecycle: Lifecycle,
}

impl Trust {
    /// The least that any validator's latest verdict says: one doubt counts. Untrusted without verdicts.
    pub fn state(&self) -> TrustState {
        self.verdicts.iter().map(|verdict| verdict.state).min().unwrap_or_default()
    }

    /// The mean of the latest verdicts' scores, from 0 to 1; 0 without verdicts.
    pub fn score(&self) -> f64 {
        match self.verdicts.len() {
            0 => 0.0,
            count => self.verdicts.iter().map(|verdict| verdict.score).sum::<f64>() / count as f64,
        }
    }

    /// Whether validators have vouched for the node and none doubts it.
    pub fn is_validated(&self) -> bool {
        self.state() > TrustState::Untrusted
    }

    /// What validators found wrong, each once, in the order of validator ids.
    pub fn failure_modes(&self) -> Vec<&str> {
        let mut modes: Vec<&str> = Vec::new();
        for mode in self.verdicts.iter().flat_map(|verdict| &verdict.failure_modes) {
            if !modes.contains(&mode.as_str()) {
                modes.push(mode);
            }
        }
        modes
    }

    /// This trust with one more verdict, which takes the place of the same validator's earlier one.
    pub fn with(mut self, verdict: Verdict) -> Self {
        match self.verdicts.binary_search_by_key(&verdict.validator, |earlier| earlier.validator) {
            Ok(at) => self.verdicts[at] = verdict,
            Err(at) => self.verdicts.insert(at, verdict),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn verdict(validator: u128, state: TrustState, score: f64) -> Verdict {
        Verdict {
            validator: ValidatorId(Uuid::from_u128(validator)),
            state,
            score,
            failure_modes: vec![format!("{state:?}")],
            at: Time::default(),
        }
    }

    #[test]
    fn one_doubt_counts_until_its_validator_takes_it_back() {
        let trust =
            Trust::default().with(verdict(2, TrustState::Verified, 1.0)).with(verdict(1, TrustState::Untrusted, 0.0));
        assert_eq!((trust.state(), trust.score(), trust.is_validated()), (TrustState::Untrusted, 0.5, false));
        assert_eq!(trust.failure_modes(), ["Untrusted", "Verified"]);

        let trust = trust.with(verdict(1, TrustState::Trusted, 0.5));
        assert_eq!((trust.state(), trust.score(), trust.is_validated()), (TrustState::Trusted, 0.75, true));
        assert_eq!(trust.verdicts.len(), 2);
    }
}
