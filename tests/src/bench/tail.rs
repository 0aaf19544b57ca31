//! What the hub's account writes, as the audit log of its API server grows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use heyun_sandbox::AuditEvent;

use super::Result;
use super::stage::LIMIT;
use crate::fleet::HUB_USER;

/// Between two looks at the log.
const PAUSE: Duration = Duration::from_millis(200);

/// The part of an audit log that was not read yet.
pub(super) struct Tail {
    path: PathBuf,
    read: u64,
}

impl Tail {
    /// From the end of the log on.
    pub(super) fn from_now(path: PathBuf) -> Result<Self> {
        let mut tail = Self { path, read: 0 };
        // Rather than from its size: the last line may be half written.
        tail.since_last()?;
        Ok(tail)
    }

    /// What the hub asked to be written since the last call, refused or only tried too. The log
    /// holds neither Leases nor Events.
    pub(super) fn since_last(&mut self) -> Result<Vec<AuditEvent>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (events, length) = complete(&bytes)?;
        self.read += u64::try_from(length)?;
        Ok(events)
    }

    /// Waits until the hub wrote nothing for so long; answers what it wrote since the last call.
    pub(super) async fn rest(&mut self, quiet: Duration) -> Result<Vec<AuditEvent>> {
        let began = Instant::now();
        let (mut since, mut seen) = (began, Vec::new());
        while since.elapsed() < quiet {
            tokio::time::sleep(PAUSE).await;
            let more = self.since_last()?;
            if !more.is_empty() {
                since = Instant::now();
                seen.extend(more);
            }
            if began.elapsed() > LIMIT {
                return Err("the hub does not come to rest".into());
            }
        }
        Ok(seen)
    }
}

/// The hub's events in the complete lines, and how many bytes these lines are.
fn complete(bytes: &[u8]) -> Result<(Vec<AuditEvent>, usize)> {
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    let end = last.map_or(0, |at| at + 1);
    let mut events = Vec::new();
    for line in bytes[..end].split(|byte| *byte == b'\n') {
        if line.is_empty() {
            continue;
        }
        let event: AuditEvent = serde_json::from_slice(line)?;
        if event.user.username == HUB_USER {
            events.push(event);
        }
    }
    Ok((events, end))
}

/// Whether it changed something: it was neither refused nor only tried.
pub(super) fn took_effect(event: &AuditEvent) -> bool {
    event.succeeded() && !event.dry_run()
}

/// How many there are of each kind: verb, resource and subresource.
pub(super) fn kinds(events: &[AuditEvent]) -> BTreeMap<String, u32> {
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for event in events {
        let object = event.object_ref.clone().unwrap_or_default();
        let kind = format!("{} {}/{}", event.verb, object.resource, object.subresource);
        *kinds
            .entry(kind.trim_end_matches('/').to_owned())
            .or_default() += 1;
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &str, subresource: &str) -> String {
        let object = serde_json::json!({"resource": "workloads", "subresource": subresource});
        let event = serde_json::json!({
            "verb": "patch", "user": {"username": user}, "objectRef": object,
            "responseStatus": {"code": 200}, "requestReceivedTimestamp": "",
        });
        format!("{event}\n")
    }

    #[test]
    fn complete_lines_of_the_hub_are_read_and_a_half_one_waits() {
        let text = [
            line(HUB_USER, "status"),
            line("heyun-admin", ""),
            line(HUB_USER, ""),
        ]
        .concat();
        let (events, read) = complete(format!("{text}{{\"half\":").as_bytes()).unwrap();
        assert_eq!(read, text.len());
        let found = kinds(&events);
        let expected = [("patch workloads", 1_u32), ("patch workloads/status", 1)];
        let expected = expected.map(|(kind, count)| (kind.to_owned(), count));
        assert_eq!(found, BTreeMap::from(expected));
        assert!(events.iter().all(took_effect));
    }
}
