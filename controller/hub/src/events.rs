//! Events: one function, on transitions only.
//!
//! A Workload that is placed at first sight gets none, so that a decision costs no third write;
//! one that is refused, or placed after it was refused, gets one. The note is the condition's
//! message, the reason the same code as in the condition, the metric and the log.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tracing::debug;

/// Most bytes of a note (events.k8s.io/v1).
const NOTE_MAX: usize = 1024;

/// What happened to an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The object.
    pub about: ObjectReference,
    /// Whether something stands in the way.
    pub warning: bool,
    /// Reason code.
    pub reason: String,
    /// Sentence.
    pub note: String,
    /// What was being done, such as `Schedule`.
    pub action: &'static str,
}

/// Publishes notes.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

impl Events {
    /// Publishes as `heyun-hub`.
    pub fn new(client: Client) -> Self {
        let reporter = Reporter {
            controller: "heyun-hub".into(),
            instance: None,
        };
        Self {
            recorder: Recorder::new(client, reporter),
        }
    }

    /// Publishes a note. An Event that cannot be written is not worth failing for: the condition
    /// says the same.
    pub async fn publish(self, note: Note) {
        let event = Event {
            type_: if note.warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason: note.reason,
            note: Some(cut(note.note)),
            action: note.action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &note.about).await {
            debug!(%error, "an event was not published");
        }
    }
}

fn cut(mut note: String) -> String {
    if note.len() > NOTE_MAX {
        let end = (0..=NOTE_MAX - 3)
            .rev()
            .find(|i| note.is_char_boundary(*i))
            .unwrap_or(0);
        note.truncate(end);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_cut_between_characters() {
        let cut = cut("云".repeat(500));
        assert!(cut.len() <= NOTE_MAX, "{}", cut.len());
        assert!(cut.ends_with('…'));
    }
}
