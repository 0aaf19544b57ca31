//! Values of attributes that are closed sets.
//!
//! Reasons of the scheduler are its own enum; they come here as `&'static str`, which only a
//! constant of a program can be, so they are closed too.

/// Declares an enum whose variants have one fixed text each.
macro_rules! label {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value as it stands in an attribute.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

label! {
    /// How a decision ended (`heyun.decision.outcome`).
    Outcome {
        /// Assigned and committed.
        Placed = "placed",
        /// Some member may never take it, or quota refuses it.
        Rejected = "rejected",
        /// It may be placed without a change of its own.
        Waiting = "waiting",
        /// The commit met a newer version; tried again.
        Conflict = "conflict",
        /// The commit failed.
        Error = "error",
    }
}

label! {
    /// Which part of the scheduling queue (`heyun.queue`).
    Queue {
        /// To be scheduled in the next batch.
        Active = "active",
        /// To be tried again after a while.
        Backoff = "backoff",
        /// Waits for an event that may unblock it.
        Unschedulable = "unschedulable",
    }
}

label! {
    /// How one pass of a reconciler ended (`result`).
    ReconcileResult {
        /// Nothing left to do.
        Done = "done",
        /// To be looked at again after a while.
        Requeue = "requeue",
        /// The object is refused by condition until it changes.
        Refused = "refused",
        /// The pass failed and is tried again.
        Error = "error",
    }
}

label! {
    /// What was written to a member (`verb`).
    Verb {
        /// Server-side apply of an object that was not there.
        Create = "create",
        /// Server-side apply of an object that was there.
        Apply = "apply",
        /// Deletion of an object that no Work names any more.
        Delete = "delete",
        /// The mark that precedes a deletion.
        Retire = "retire",
    }
}

label! {
    /// How a write ended (`result`).
    WriteResult {
        /// The API server took it.
        Ok = "ok",
        /// Another version or another manager was there first.
        Conflict = "conflict",
        /// A fence refused it: a newer leader writes.
        Fenced = "fenced",
        /// Authorization or admission refused it.
        Refused = "refused",
        /// It was not answered in time: the outcome is unknown.
        Timeout = "timeout",
        /// Anything else.
        Error = "error",
    }
}

label! {
    /// How far a generation of a Workload has come (`heyun.stage`).
    Stage {
        /// The decision is committed.
        Decided = "decided",
        /// The Work is written.
        Dispatched = "dispatched",
        /// The member took the objects.
        Applied = "applied",
        /// The member's copies are ready.
        Ready = "ready",
    }
}

label! {
    /// The status of a condition (`state`).
    State {
        /// The condition holds.
        True = "true",
        /// The condition does not hold.
        False = "false",
        /// It cannot be told.
        Unknown = "unknown",
    }
}

label! {
    /// What an entry of the ledger records (`heyun.ledger.kind`).
    LedgerKind {
        /// A decision of the scheduler.
        Decision = "decision",
        /// From a moment on a Workload holds an amount.
        Usage = "usage",
    }
}
