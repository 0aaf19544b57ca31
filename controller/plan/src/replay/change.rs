//! Changes to a recording, as `heyun simulate --set` takes them: how they are written, and why one
//! cannot be made.

use std::fmt;
use std::str::FromStr;

use heyun_scheduler::quantity::{self, QuantityError};
use heyun_scheduler::quota::{Key, Line};
use heyun_scheduler::request::WorkloadKey;

/// What may be set, for messages.
const FORMS: &str = "member/NAME.ready=false, member/NAME.unschedulable=true, \
     member/NAME.nodes=+4, member/NAME.nodes[FLAVOR]=+4, \
     quota/TENANT/FLAVOR/RESOURCE.ceiling=100 (or nominal, guaranteed), \
     workload/NAMESPACE/NAME.replicas=12, workload/NAMESPACE/NAME.replicas[COMPONENT]=12";
/// Most names that a message lists.
const NAMES_MAX: usize = 8;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A member is healthy, or has not been for longer than is tolerated.
    Ready {
        /// The member.
        member: String,
        /// Whether it is healthy.
        ready: bool,
    },
    /// A member is cordoned or not.
    Unschedulable {
        /// The member.
        member: String,
        /// Whether it is cordoned.
        unschedulable: bool,
    },
    /// A member has more nodes, or fewer.
    Nodes {
        /// The member.
        member: String,
        /// The flavor; `None`: that of which it has the most nodes.
        flavor: Option<String>,
        /// How many more; negative: fewer.
        more: i64,
    },
    /// A tenant has another quota.
    Quota {
        /// The tenant.
        tenant: String,
        /// Flavor and resource.
        key: Key,
        /// Which number of the line.
        number: Number,
        /// What it becomes, in the scheduler's unit.
        amount: i64,
    },
    /// A Workload has another number of replicas.
    Replicas {
        /// The Workload.
        key: WorkloadKey,
        /// The component; `None`: its only one that divides.
        component: Option<String>,
        /// How many.
        replicas: i64,
    },
}

/// A number of a quota line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// `guaranteed`.
    Guaranteed,
    /// `nominal`.
    Nominal,
    /// `ceiling`.
    Ceiling,
}

/// Why a change cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It is none of the forms.
    #[error("`{0}` is no change: write one of {FORMS}")]
    Form(String),
    /// Its value is none of this field.
    #[error("`{text}`: {value} is not {wanted}")]
    Value {
        /// The change as it is written.
        text: String,
        /// The value.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Its value is no quantity.
    #[error("`{text}`: {source}")]
    Quantity {
        /// The change as it is written.
        text: String,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// What it names is not in the snapshot.
    #[error("{what} {name} is not in the snapshot: there {known}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its name.
        name: String,
        /// The names that there are.
        known: Known,
    },
    /// The member has reported no node of that flavor.
    #[error("member {member} has no node of flavor {flavor} to take as a pattern: there {known}")]
    NoShape {
        /// The member.
        member: String,
        /// The flavor.
        flavor: String,
        /// The flavors that it has.
        known: Known,
    },
    /// The member has reported no node at all.
    #[error("member {member} has reported no node of a flavor to take as a pattern")]
    NoSketch {
        /// The member.
        member: String,
    },
    /// Fewer nodes are there than are to be taken away.
    #[error("member {member} has {has} nodes of flavor {flavor}: {fewer} cannot be taken away")]
    TooFew {
        /// The member.
        member: String,
        /// The flavor.
        flavor: String,
        /// How many there are.
        has: i64,
        /// How many are to go.
        fewer: i64,
    },
    /// The numbers of a line contradict each other.
    #[error(
        "quota/{tenant}/{key}: guaranteed {}, nominal {}, ceiling {}: keep guaranteed <= nominal <= ceiling, and set the others too",
        shown(key, line.guaranteed), shown(key, line.nominal), shown(key, line.ceiling)
    )]
    Line {
        /// The tenant.
        tenant: String,
        /// Flavor and resource.
        key: Key,
        /// The line as it would be.
        line: Line,
    },
    /// It is not plain which component is meant.
    #[error(
        "workload {key} has no such component with replicas, or not one alone that divides: name one, as in workload/{key}.replicas[COMPONENT]=N; there {known}"
    )]
    Components {
        /// The Workload.
        key: WorkloadKey,
        /// Those it has.
        known: Known,
    },
    /// The scheduler is not asked about the Workload.
    #[error("workload {key} is not accepted, so nothing of it can be set: {message}")]
    Refused {
        /// The Workload.
        key: WorkloadKey,
        /// Why it is not.
        message: String,
    },
}

fn shown(key: &Key, amount: i64) -> String {
    quantity::format_amount(&key.resource, amount)
}

/// Names that there are, some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    names: Vec<String>,
    more: usize,
}

impl Known {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        for name in names {
            if known.names.len() < NAMES_MAX {
                known.names.push(name.to_owned());
            } else {
                known.more = known.more.saturating_add(1);
            }
        }
        known
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names.is_empty() {
            return f.write_str("is none");
        }
        write!(f, "are {}", self.names.join(", "))?;
        if self.more > 0 {
            write!(f, " and {} more", self.more)?;
        }
        Ok(())
    }
}

impl FromStr for Change {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let form = || ChangeError::Form(text.to_owned());
        let (path, value) = text.split_once('=').ok_or_else(form)?;
        let (path, argument) = match path.strip_suffix(']') {
            Some(path) => {
                let (path, argument) = path.rsplit_once('[').ok_or_else(form)?;
                (path, Some(argument.to_owned()))
            }
            None => (path, None),
        };
        let (kind, rest) = path.split_once('/').ok_or_else(form)?;
        let (name, field) = rest.rsplit_once('.').ok_or_else(form)?;
        if name.is_empty() || argument.as_ref().is_some_and(String::is_empty) {
            return Err(form());
        }
        let member = name.to_owned();
        match (kind, field, argument) {
            ("member", "ready", None) => Ok(Self::Ready {
                member,
                ready: switch(text, value)?,
            }),
            ("member", "unschedulable", None) => Ok(Self::Unschedulable {
                member,
                unschedulable: switch(text, value)?,
            }),
            ("member", "nodes", flavor) => Ok(Self::Nodes {
                member,
                flavor,
                more: nodes(text, value)?,
            }),
            ("quota", field, None) => quota(text, name, field, value),
            ("workload", "replicas", component) => Ok(Self::Replicas {
                key: name.parse().map_err(|_| form())?,
                component,
                replicas: replicas(text, value)?,
            }),
            _ => Err(form()),
        }
    }
}

fn wrong(text: &str, value: &str, wanted: &'static str) -> ChangeError {
    ChangeError::Value {
        text: text.to_owned(),
        value: if value.is_empty() {
            "nothing".to_owned()
        } else {
            value.to_owned()
        },
        wanted,
    }
}

fn switch(text: &str, value: &str) -> Result<bool, ChangeError> {
    value
        .parse()
        .map_err(|_| wrong(text, value, "true or false"))
}

fn nodes(text: &str, value: &str) -> Result<i64, ChangeError> {
    let wanted = "how many more or fewer, such as +4 or -2";
    if !value.starts_with(['+', '-']) {
        return Err(wrong(text, value, wanted));
    }
    let more: i32 = value.parse().map_err(|_| wrong(text, value, wanted))?;
    Ok(more.into())
}

fn replicas(text: &str, value: &str) -> Result<i64, ChangeError> {
    let wanted = "a number of replicas, such as 12";
    let replicas: u32 = value.parse().map_err(|_| wrong(text, value, wanted))?;
    Ok(replicas.into())
}

fn quota(text: &str, name: &str, field: &str, value: &str) -> Result<Change, ChangeError> {
    let form = || ChangeError::Form(text.to_owned());
    let number = match field {
        "guaranteed" => Number::Guaranteed,
        "nominal" => Number::Nominal,
        "ceiling" => Number::Ceiling,
        _ => return Err(form()),
    };
    let (tenant, key) = name.split_once('/').ok_or_else(form)?;
    let key: Key = key.parse().map_err(|_| form())?;
    let amount =
        quantity::amount(&key.resource, value).map_err(|source| ChangeError::Quantity {
            text: text.to_owned(),
            source,
        })?;
    Ok(Change::Quota {
        tenant: tenant.to_owned(),
        key,
        number,
        amount,
    })
}
