//! The audit logs as they grow.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use heyun_sandbox::AuditEvent;

use crate::common::Ground;

/// The account that the hub writes as, on the hub and on members.
pub(crate) const HUB_USER: &str = "system:serviceaccount:heyun-system:heyun-hub";

/// A write of the hub's account.
pub(crate) struct Wrote {
    /// `hub`, or the member.
    pub(crate) cluster: String,
    /// What was written and how it was answered.
    pub(crate) event: AuditEvent,
}

impl Wrote {
    /// Whether it wrote this, for example `workloads`, `status`.
    pub(crate) fn is_of(&self, resource: &str, subresource: &str) -> bool {
        let object = self.event.object_ref.as_ref();
        object.is_some_and(|o| o.resource == resource && o.subresource == subresource)
    }

    /// Whether the answer says so.
    pub(crate) fn says(&self, text: &str) -> bool {
        let status = self.event.response_status.as_ref();
        status.is_some_and(|status| status.message.contains(text))
    }

    fn code(&self) -> u16 {
        self.event
            .response_status
            .as_ref()
            .map_or(0, |status| status.code)
    }
}

impl std::fmt::Display for Wrote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let event = &self.event;
        write!(
            f,
            "{} {} {} {}",
            self.cluster,
            event.verb,
            event.request_uri,
            self.code()
        )
    }
}

struct Log {
    cluster: String,
    path: PathBuf,
    read: u64,
}

/// What the hub's account writes from now on, on all clusters.
pub(crate) struct Tail(Vec<Log>);

impl Tail {
    pub(crate) fn new(ground: &Ground) -> Self {
        let logs = ground.sandbox.fleet().clusters().iter().map(|cluster| {
            let path = cluster.audit_log();
            let read = std::fs::metadata(&path).map_or(0, |m| m.len());
            Log {
                cluster: cluster.name().to_owned(),
                path,
                read,
            }
        });
        Self(logs.collect())
    }

    /// What was written since the last call, dry runs left out.
    pub(crate) fn next(&mut self) -> Vec<Wrote> {
        self.0.iter_mut().flat_map(Log::next).collect()
    }
}

impl Log {
    fn next(&mut self) -> Vec<Wrote> {
        let mut text = String::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.read))?;
            file.read_to_string(&mut text)
        });
        if read.is_err() {
            return Vec::new();
        }
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        self.read += complete as u64;
        let ours = text[..complete]
            .lines()
            .filter(|line| line.contains(HUB_USER));
        ours.filter_map(|line| serde_json::from_str::<AuditEvent>(line).ok())
            .filter(|event| event.user.username == HUB_USER && !event.dry_run())
            .map(|event| Wrote {
                cluster: self.cluster.clone(),
                event,
            })
            .collect()
    }
}
