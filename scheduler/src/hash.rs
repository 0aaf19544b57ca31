//! The hash of what a decision depended on: equal inputs give equal hashes, so that a replay can
//! show that it was given the same.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::neighbours::Neighbours;
use crate::preempt::Reservation;
use crate::quota::Key;
use crate::request::{Request, WorkloadKey};
use crate::resources::PODS;
use crate::snapshot::{Member, Snapshot};
use crate::verdict::{Outcome, Verdict};

/// What all decisions on a snapshot depend on, besides their own request.
pub(crate) struct Inputs {
    /// Flavors, tenants and the configuration.
    rules: [u8; 32],
    /// The sum of the hashes of all members, as four numbers: one member is exchanged for another at
    /// the cost of these two.
    members: [u64; 4],
}

impl Inputs {
    /// The inputs of a snapshot.
    pub(crate) fn new(snapshot: &Snapshot, config: &Config) -> Self {
        let (mut state, mut text) = (Sha256::new(), Vec::new());
        absorb(&mut state, &mut text, &snapshot.flavors);
        absorb(&mut state, &mut text, &snapshot.tenants);
        absorb(&mut state, &mut text, config);
        let mut inputs = Self {
            rules: state.finalize().into(),
            members: [0; 4],
        };
        for (name, member) in &snapshot.members {
            inputs.exchange(name, None, Some(member));
        }
        inputs
    }

    /// Takes one member out and another in.
    pub(crate) fn exchange(&mut self, name: &str, out: Option<&Member>, into: Option<&Member>) {
        for (lane, number) in self.members.iter_mut().zip(numbers(name, out)) {
            *lane = lane.wrapping_sub(number);
        }
        for (lane, number) in self.members.iter_mut().zip(numbers(name, into)) {
            *lane = lane.wrapping_add(number);
        }
    }

    /// The inputs of a batch at one moment.
    pub(crate) fn at(&self, now: i64) -> Running {
        let mut state = Sha256::new();
        state.update(self.rules);
        for lane in self.members {
            state.update(lane.to_le_bytes());
        }
        state.update(now.to_le_bytes());
        Running {
            state,
            text: Vec::new(),
        }
    }
}

/// A member's hash as numbers; nothing for none.
fn numbers(name: &str, member: Option<&Member>) -> [u64; 4] {
    let mut numbers = [0; 4];
    let Some(member) = member else {
        return numbers;
    };
    let (mut state, mut text) = (Sha256::new(), Vec::new());
    absorb(&mut state, &mut text, &name);
    absorb(&mut state, &mut text, member);
    let hash = state.finalize();
    for (number, bytes) in numbers.iter_mut().zip(hash.chunks_exact(8)) {
        *number = bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
    }
    numbers
}

/// The inputs of a batch: a running hash that begins with the snapshot and takes in each placement.
pub(crate) struct Running {
    state: Sha256,
    /// Memory for what is hashed next.
    text: Vec<u8>,
}

impl Running {
    /// The hash of the inputs of one request: what is shared, what the workload holds, the others
    /// that it looks at, and what its tenant's quota leaves of all that it asks for.
    pub(crate) fn hash(
        &mut self,
        snapshot: &Snapshot,
        request: &Request,
        around: &Neighbours<'_>,
    ) -> String {
        let (mut state, text) = (self.state.clone(), &mut self.text);
        absorb(&mut state, text, request);
        absorb(&mut state, text, &snapshot.held.get(&request.key));
        if !around.is_empty() {
            absorb(&mut state, text, around);
        }
        let quotas = &snapshot.quotas;
        if let Some(node) = quotas.node(&request.tenant) {
            let names = request
                .components
                .iter()
                .flat_map(|component| component.per_replica.iter());
            let names: std::collections::BTreeSet<&str> = names
                .map(|(name, _)| name)
                .filter(|name| *name != PODS)
                .collect();
            // One key for all: a new one for each would be asked of the system each time.
            let mut key = Key::new("", "");
            for flavor in snapshot.flavors.keys() {
                key.flavor.clone_from(flavor);
                for name in &names {
                    key.resource.clear();
                    key.resource.push_str(name);
                    let left = quotas.avail(node, &key, request.purpose);
                    state.update(left.to_le_bytes());
                }
            }
        }
        hex(&state.finalize())
    }

    /// Takes in what is kept for a workload.
    pub(crate) fn keep(&mut self, key: &WorkloadKey, reserved: &Reservation) {
        absorb(&mut self.state, &mut self.text, key);
        absorb(&mut self.state, &mut self.text, reserved);
    }

    /// Takes in what a decision has taken: later requests of the batch depend on it.
    pub(crate) fn follow(&mut self, verdict: &Verdict) {
        if let Outcome::Placed(placed) = &verdict.outcome {
            absorb(&mut self.state, &mut self.text, &verdict.key);
            absorb(&mut self.state, &mut self.text, placed);
        }
    }
}

/// Feeds a value in as JSON, with a mark between values.
fn absorb(state: &mut Sha256, text: &mut Vec<u8>, value: &impl Serialize) {
    text.clear();
    // Writing to memory does not fail, and these types have no maps with keys that are no text.
    let written = serde_json::to_writer(&mut *text, value);
    state.update(&*text);
    state.update([u8::from(written.is_err()), 0, 0xff]);
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
