//! What an operator of the hub may tune; every number has a unit and a default.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The weight of each score, 0 to 100; only their proportions count. All 0 means all equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScoreWeights {
    /// Free capacity: a member with more room for this workload scores higher.
    pub balance: u32,
    /// Staying: a member that already holds replicas of this workload scores higher.
    pub stability: u32,
    /// Price: a cheaper member scores higher.
    pub cost: u32,
    /// What the placement prefers, and where the workload's data is.
    pub preference: u32,
}

impl Default for ScoreWeights {
    fn default() -> Self {
        Self {
            balance: 40,
            stability: 30,
            cost: 20,
            preference: 10,
        }
    }
}

/// Weights that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no weight: write NAME=0 to NAME=100 with balance, stability, cost or preference, \
     separated by commas, such as balance=40,cost=60"
)]
pub struct WeightsError(pub String);

impl fmt::Display for ScoreWeights {
    /// As [`ScoreWeights::from_str`] reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            balance,
            stability,
            cost,
            preference,
        } = self;
        write!(
            f,
            "balance={balance},stability={stability},cost={cost},preference={preference}"
        )
    }
}

impl FromStr for ScoreWeights {
    type Err = WeightsError;

    /// `balance=40,cost=60`: those that are not named keep their defaults.
    fn from_str(text: &str) -> Result<Self, WeightsError> {
        let mut weights = Self::default();
        for part in text.split(',') {
            let error = || WeightsError(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(error)?;
            let slot = match name {
                "balance" => &mut weights.balance,
                "stability" => &mut weights.stability,
                "cost" => &mut weights.cost,
                "preference" => &mut weights.preference,
                _ => return Err(error()),
            };
            let value = value.parse().ok().filter(|value: &u8| *value <= 100);
            *slot = value.map(u32::from).ok_or_else(error)?;
        }
        Ok(weights)
    }
}

/// How many members a verdict tells of besides the chosen ones. That costs time and memory for each
/// decision; who asks for one workload gets all ([`Explained::ALL`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explained {
    /// The size of a fleet, in members, up to which every member is told of.
    pub whole_up_to: usize,
    /// In a larger one, the most members, the nearest first.
    pub nearest: usize,
}

impl Explained {
    /// Every member, whatever the size of the fleet.
    pub const ALL: Self = Self {
        whole_up_to: usize::MAX,
        nearest: usize::MAX,
    };
}

impl Default for Explained {
    fn default() -> Self {
        Self {
            whole_up_to: 128,
            nearest: 10,
        }
    }
}

/// The scheduler's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// Weights of the scores, where the placement gives none.
    pub weights: ScoreWeights,
    /// Seconds for which a member that reports `NotReady` still gets new work. One whose state is
    /// `Unknown` gets none at once.
    pub tolerated_not_ready_seconds: i64,
    /// The most replicas of one component; a larger request is refused.
    pub max_replicas: i64,
    /// The most components of one workload; a request with more is refused.
    pub max_components: usize,
    /// How many members a verdict tells of.
    pub explained: Explained,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            weights: ScoreWeights::default(),
            tolerated_not_ready_seconds: 30,
            max_replicas: 1_000_000,
            max_components: 200,
            explained: Explained::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ScoreWeights;

    #[test]
    fn weights_are_read_and_the_rest_keep_their_defaults() {
        let read = |text: &str| text.parse::<ScoreWeights>();
        let cost = ScoreWeights {
            cost: 60,
            balance: 0,
            ..ScoreWeights::default()
        };
        assert_eq!(read("cost=60,balance=0"), Ok(cost));
        for wrong in [
            "",
            "cost",
            "cost=101",
            "cost=-1",
            "price=1",
            "cost=1;balance=2",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{wrong}` is no weight")),
                "{error}"
            );
        }
    }
}
