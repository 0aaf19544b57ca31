//! What a reason is, without its numbers: one table says everything that depends on it alone.

use super::{EventKind as E, Filter};

/// The kind of a [`super::Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// See [`super::Reason::NotReady`].
    NotReady,
    /// See [`super::Reason::Unreachable`].
    Unreachable,
    /// See [`super::Reason::NeverSeen`].
    NeverSeen,
    /// See [`super::Reason::Unschedulable`].
    Unschedulable,
    /// A [`super::Reason::Taint`] that lets stay what is there.
    Taint,
    /// A [`super::Reason::Taint`] that does not.
    TaintNoExecute,
    /// See [`super::Reason::NotSelected`].
    NotSelected,
    /// See [`super::Reason::Excluded`].
    Excluded,
    /// See [`super::Reason::ApiMissing`].
    ApiMissing,
    /// See [`super::Reason::ApisUnknown`].
    ApisUnknown,
    /// See [`super::Reason::Architecture`].
    Architecture,
    /// See [`super::Reason::Zone`].
    Zone,
    /// See [`super::Reason::MlpsLevel`].
    MlpsLevel,
    /// See [`super::Reason::MlpsNotFiled`].
    MlpsNotFiled,
    /// See [`super::Reason::MlpsExpired`].
    MlpsExpired,
    /// See [`super::Reason::Residency`].
    Residency,
    /// See [`super::Reason::Provider`].
    Provider,
    /// See [`super::Reason::ClassMissing`].
    ClassMissing,
    /// See [`super::Reason::FlavorMissing`].
    FlavorMissing,
    /// See [`super::Reason::NoSketch`].
    NoSketch,
    /// See [`super::Reason::SketchLabel`].
    SketchLabel,
    /// See [`super::Reason::NoNodeMatches`].
    NoNodeMatches,
    /// See [`super::Reason::Capacity`].
    Capacity,
    /// See [`super::Reason::NoTopology`].
    NoTopology,
    /// See [`super::Reason::NoWeight`].
    NoWeight,
    /// See [`super::Reason::BelowMinimum`].
    BelowMinimum,
    /// See [`super::Reason::Utilization`].
    Utilization,
    /// See [`super::Reason::NoNeighbour`].
    NoNeighbour,
    /// A [`super::Reason::Neighbour`] that stays.
    Neighbour,
    /// A [`super::Reason::Neighbour`] that is leaving.
    NeighbourLeaving,
    /// See [`super::Reason::KeptOut`].
    KeptOut,
}

/// What depends on the code alone.
struct Facts {
    name: &'static str,
    filter: Filter,
    lasts: Lasts,
    unblocked_by: &'static [E],
}

/// For how long a refusal stands, and what it means for what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// It can end by itself; what is there stays.
    Passing,
    /// It can end by itself; the work must not be there until then.
    Awaited,
    /// Somebody has to change something; what is there stays.
    Standing,
    /// A rule says that the work must not be there.
    Forbidden,
}

/// Every code, in the order of [`Code`].
const ALL: [Code; 31] = [
    Code::NotReady,
    Code::Unreachable,
    Code::NeverSeen,
    Code::Unschedulable,
    Code::Taint,
    Code::TaintNoExecute,
    Code::NotSelected,
    Code::Excluded,
    Code::ApiMissing,
    Code::ApisUnknown,
    Code::Architecture,
    Code::Zone,
    Code::MlpsLevel,
    Code::MlpsNotFiled,
    Code::MlpsExpired,
    Code::Residency,
    Code::Provider,
    Code::ClassMissing,
    Code::FlavorMissing,
    Code::NoSketch,
    Code::SketchLabel,
    Code::NoNodeMatches,
    Code::Capacity,
    Code::NoTopology,
    Code::NoWeight,
    Code::BelowMinimum,
    Code::Utilization,
    Code::NoNeighbour,
    Code::Neighbour,
    Code::NeighbourLeaving,
    Code::KeptOut,
];

const READY: &[E] = &[E::MemberReady];
const CHANGED: &[E] = &[E::MemberChanged];
// Terms select by owner and region, and groups are of the region tree.
const SELECTED: &[E] = &[E::MemberChanged, E::WorkloadChanged, E::TenantChanged];
const RULED: &[E] = &[E::MemberChanged, E::TenantChanged, E::WorkloadChanged];
const SEEN: &[E] = &[E::SketchChanged];
const MATCHED: &[E] = &[E::SketchChanged, E::WorkloadChanged];
const FLAVORED: &[E] = &[
    E::SketchChanged,
    E::FlavorChanged,
    E::TenantChanged,
    E::QuotaChanged,
    E::WorkloadChanged,
];
const FREED: &[E] = &[E::CapacityFreed];
const LOWERED: &[E] = &[E::CapacityFreed, E::MemberChanged];
const ELSEWHERE: &[E] = &[E::NeighbourChanged, E::MemberChanged, E::WorkloadChanged];

/// The rules between workloads, as the placement names them.
const NEAR: &str = "WorkloadAffinity";
const APART: &str = "WorkloadAntiAffinity";

impl Code {
    const fn facts(self) -> Facts {
        use Lasts::{Awaited, Forbidden, Passing, Standing};
        let (name, filter, lasts, unblocked_by) = match self {
            Self::NotReady => ("NotReady", Filter::Readiness, Passing, READY),
            Self::Unreachable => ("Unreachable", Filter::Readiness, Passing, READY),
            Self::NeverSeen => ("NeverSeen", Filter::Readiness, Passing, READY),
            Self::Unschedulable => ("Unschedulable", Filter::Schedulable, Passing, CHANGED),
            Self::Taint => ("Taint", Filter::Taints, Standing, CHANGED),
            Self::TaintNoExecute => ("Taint", Filter::Taints, Forbidden, CHANGED),
            Self::NotSelected => ("NotSelected", Filter::Affinity, Forbidden, SELECTED),
            Self::Excluded => ("Excluded", Filter::Affinity, Forbidden, SELECTED),
            Self::ApiMissing => ("ApiMissing", Filter::Apis, Standing, CHANGED),
            Self::ApisUnknown => ("ApisUnknown", Filter::Apis, Passing, CHANGED),
            Self::Architecture => ("Architecture", Filter::Architecture, Forbidden, MATCHED),
            Self::Zone => ("Zone", Filter::Zone, Forbidden, RULED),
            Self::MlpsLevel => ("MlpsLevel", Filter::Mlps, Forbidden, RULED),
            Self::MlpsNotFiled => ("MlpsNotFiled", Filter::Mlps, Forbidden, RULED),
            Self::MlpsExpired => ("MlpsExpired", Filter::Mlps, Standing, CHANGED),
            Self::Residency => ("Residency", Filter::Residency, Forbidden, RULED),
            Self::Provider => ("Provider", Filter::Provider, Forbidden, RULED),
            Self::ClassMissing => ("ClassMissing", Filter::Classes, Standing, CHANGED),
            Self::FlavorMissing => ("FlavorMissing", Filter::Flavors, Standing, FLAVORED),
            Self::NoSketch => ("NoSketch", Filter::Capacity, Passing, SEEN),
            Self::SketchLabel => ("SketchLabel", Filter::Nodes, Passing, SEEN),
            Self::NoNodeMatches => ("NoNodeMatches", Filter::Nodes, Standing, MATCHED),
            Self::Capacity => ("Capacity", Filter::Capacity, Passing, FREED),
            Self::NoTopology => ("NoTopology", Filter::Topology, Forbidden, SELECTED),
            Self::NoWeight => ("NoWeight", Filter::Division, Forbidden, SELECTED),
            Self::BelowMinimum => ("BelowMinimum", Filter::Division, Passing, FREED),
            Self::Utilization => ("Utilization", Filter::Capacity, Passing, LOWERED),
            Self::NoNeighbour => (NEAR, Filter::Workloads, Awaited, ELSEWHERE),
            Self::Neighbour => (APART, Filter::Workloads, Awaited, ELSEWHERE),
            Self::NeighbourLeaving | Self::KeptOut => {
                (APART, Filter::Workloads, Passing, ELSEWHERE)
            }
        };
        Facts {
            name,
            filter,
            lasts,
            unblocked_by,
        }
    }

    /// A code of that name. Where two have one name, all but what becomes of what is there is equal.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The name in PascalCase, for conditions, Events, metric labels and log fields.
    pub const fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The filter that refuses.
    pub const fn filter(self) -> Filter {
        self.facts().filter
    }

    /// What is there stays when the member may be well again by itself, or only lacks room or a
    /// class; it goes when a rule says that it must not be there.
    pub(crate) fn keeps(self) -> bool {
        !matches!(self.facts().lasts, Lasts::Forbidden | Lasts::Awaited)
    }

    /// Whether the refusal can end without a change of the workload or of a rule.
    pub(crate) fn is_passing(self) -> bool {
        matches!(self.facts().lasts, Lasts::Passing | Lasts::Awaited)
    }

    /// What can unblock it.
    pub const fn unblocked_by(self) -> &'static [E] {
        self.facts().unblocked_by
    }
}

/// How often each code occurs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u32; ALL.len()]);

impl Counts {
    /// Counts a set once more.
    pub(crate) fn add(&mut self, codes: Codes) {
        for code in codes.iter() {
            if let Some(count) = self.0.get_mut(code as usize) {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Counts it once less.
    pub(crate) fn take(&mut self, codes: Codes) {
        for code in codes.iter() {
            if let Some(count) = self.0.get_mut(code as usize) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Those that occur.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Code, u32)> {
        let counts = ALL.into_iter().zip(self.0);
        counts.filter(|(_, count)| *count > 0)
    }
}

/// A set of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codes(u32);

impl Codes {
    pub(crate) fn insert(&mut self, code: Code) {
        self.0 |= 1_u32 << (code as u32);
    }

    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    pub(crate) fn len(self) -> u32 {
        self.0.count_ones()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Code> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let first = usize::try_from(left.trailing_zeros()).ok()?;
            let code = ALL.get(first).copied()?;
            // Takes the lowest bit away; there is one.
            left &= left.wrapping_sub(1);
            Some(code)
        })
    }

    /// Whether what is there may stay.
    pub(crate) fn keep(self) -> bool {
        self.0 & FORBIDDEN == 0
    }

    /// Whether one of them is what the placement wishes.
    pub(crate) fn speak_of_wishes(self) -> bool {
        self.0 & WISHES != 0
    }

    /// Whether all of them can end by themselves.
    pub(crate) fn are_passing(self) -> bool {
        self.0 & !PASSING == 0
    }
}

/// What a placement wishes, in codes.
const WISHES: u32 = 1 << Code::NotSelected as u32
    | 1 << Code::Excluded as u32
    | 1 << Code::NoTopology as u32
    | 1 << Code::NoWeight as u32;

const FORBIDDEN: u32 = those(Lasts::Forbidden) | those(Lasts::Awaited);
const PASSING: u32 = those(Lasts::Passing) | those(Lasts::Awaited);

#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "it is computed by the compiler, which stops at an index out of bounds"
)]
const fn those(lasts: Lasts) -> u32 {
    let mut set = 0;
    let mut index = 0;
    while index < ALL.len() {
        if ALL[index].facts().lasts as u8 == lasts as u8 {
            set |= 1_u32 << (ALL[index] as u32);
        }
        index += 1;
    }
    set
}

#[cfg(test)]
mod tests {
    use super::{ALL, Code, Codes};

    #[test]
    fn the_list_of_codes_is_complete_and_in_order() {
        for (index, code) in ALL.into_iter().enumerate() {
            assert_eq!(code as usize, index, "{code:?}");
        }
        assert_eq!(ALL.len(), Code::KeptOut as usize + 1);
    }

    #[test]
    fn a_name_says_which_filter_refuses_and_what_unblocks() {
        for code in ALL {
            let named = Code::named(code.as_str()).unwrap();
            assert_eq!(named.filter(), code.filter(), "{code:?}");
            assert_eq!(named.unblocked_by(), code.unblocked_by(), "{code:?}");
        }
        assert_eq!(Code::named("Moon"), None);
    }

    #[test]
    fn a_set_says_of_all_what_each_code_says() {
        for code in ALL {
            let mut one = Codes::default();
            assert!(one.is_empty() && one.keep() && one.are_passing());
            one.insert(code);
            assert_eq!(one.iter().collect::<Vec<_>>(), [code]);
            assert_eq!((one.len(), one.keep()), (1, code.keeps()));
            assert_eq!(one.are_passing(), code.is_passing());
            one.insert(Code::Zone);
            assert!(!one.keep() && !one.are_passing());
        }
    }
}
