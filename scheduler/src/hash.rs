//! The hash of what a decision depended on: equal inputs give equal hashes, so that a replay can
//! show that it was given the same.

use std::io::Write;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::quota::{Key, QuotaTree};
use crate::request::Request;
use crate::resources::PODS;
use crate::snapshot::Snapshot;
use crate::verdict::{Outcome, Verdict};

/// The inputs of a batch: a running hash that begins with the snapshot and takes in each placement.
pub(crate) struct Inputs {
    state: Sha256,
}

impl Inputs {
    /// The inputs that all requests of a batch share.
    pub(crate) fn new(snapshot: &Snapshot, config: &Config) -> Self {
        let mut state = Sha256::new();
        absorb(&mut state, &snapshot.now);
        absorb(&mut state, &snapshot.members);
        absorb(&mut state, &snapshot.flavors);
        absorb(&mut state, &snapshot.tenants);
        absorb(&mut state, config);
        Self { state }
    }

    /// The hash of the inputs of one request: what is shared, what the workload holds, and what
    /// its tenant's quota leaves of all that it asks for.
    pub(crate) fn hash(
        &self,
        snapshot: &Snapshot,
        quotas: &QuotaTree,
        request: &Request,
    ) -> String {
        let mut state = self.state.clone();
        absorb(&mut state, request);
        absorb(&mut state, &snapshot.held.get(&request.key));
        if let Some(node) = quotas.node(&request.tenant) {
            let names = request
                .components
                .iter()
                .flat_map(|component| component.per_replica.iter());
            let names: std::collections::BTreeSet<&str> = names
                .map(|(name, _)| name)
                .filter(|name| *name != PODS)
                .collect();
            for flavor in snapshot.flavors.keys() {
                for name in &names {
                    let left = quotas.avail(node, &Key::new(flavor, *name), request.purpose);
                    state.update(left.to_le_bytes());
                }
            }
        }
        hex(&state.finalize())
    }

    /// Takes in what a decision has taken: later requests of the batch depend on it.
    pub(crate) fn follow(&mut self, verdict: &Verdict) {
        if let Outcome::Placed(placed) = &verdict.outcome {
            absorb(&mut self.state, &verdict.key);
            absorb(&mut self.state, placed);
        }
    }
}

/// Feeds a value in as JSON, with a mark between values.
fn absorb(state: &mut Sha256, value: &impl Serialize) {
    struct Sink<'s>(&'s mut Sha256);
    impl Write for Sink<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut buffered = std::io::BufWriter::new(Sink(state));
    // Writing to a hash does not fail, and these types have no maps with keys that are no text.
    let written = serde_json::to_writer(&mut buffered, value);
    let flushed = buffered.flush();
    drop(buffered);
    state.update([u8::from(written.is_err()), u8::from(flushed.is_err()), 0xff]);
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
