//! What becomes of the files of `examples/placement/`.

use Fate::{Not, Placed};

/// Replicas of a component on a member; its pods have the label `app` of the same name.
pub(crate) type Part = (&'static str, &'static str, u32);

/// What becomes of a Workload of a file.
pub(crate) struct Expected {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) fate: Fate,
}

pub(crate) enum Fate {
    Placed(&'static [Part]),
    /// Outcome, reason, a part of the message.
    Not([&'static str; 3]),
}

pub(crate) const HEALTH: &str = "gd-health-booking";
pub(crate) const AID: &str = "gz-civil-affairs-aid";
pub(crate) const BUS: &str = "sz-transport-bus";

pub(crate) const fn of(namespace: &'static str, name: &'static str, fate: Fate) -> Expected {
    Expected {
        namespace,
        name,
        fate,
    }
}

/// Files whose Workloads are placed or wait for room, and what becomes of each of these.
pub(crate) const FILES: &[(&str, &[Expected])] = &[
    (
        "10-tiers.yaml",
        &[of(
            HEALTH,
            "spill",
            Placed(&[("province-a", "spill", 4), ("shenzhen-1", "spill", 1)]),
        )],
    ),
    (
        "20-spread-provider.yaml",
        &[of(
            HEALTH,
            "even",
            Placed(&[
                ("guangzhou-1", "even", 3),
                ("province-a", "even", 3),
                ("shenzhen-1", "even", 3),
            ]),
        )],
    ),
    (
        "21-spread-soft.yaml",
        &[
            of(
                HEALTH,
                "strict",
                Not(["Waiting", "SpreadUnsatisfiable", "3 groups have room"]),
            ),
            of(
                HEALTH,
                "soft",
                Placed(&[
                    ("guangzhou-1", "soft", 2),
                    ("province-a", "soft", 2),
                    ("shenzhen-1", "soft", 2),
                ]),
            ),
        ],
    ),
    (
        "22-spread-nested.yaml",
        &[of(
            HEALTH,
            "nested",
            Placed(&[
                ("guangzhou-1", "nested", 2),
                ("province-a", "nested", 4),
                ("shenzhen-1", "nested", 2),
            ]),
        )],
    ),
    (
        "30-weighted.yaml",
        &[of(
            HEALTH,
            "weighted",
            Placed(&[("province-a", "weighted", 5), ("shenzhen-1", "weighted", 2)]),
        )],
    ),
    (
        "31-by-capacity.yaml",
        &[of(
            HEALTH,
            "by-capacity",
            Placed(&[
                ("province-a", "by-capacity", 2),
                ("shenzhen-1", "by-capacity", 1),
            ]),
        )],
    ),
    (
        "33-duplicated.yaml",
        &[of(
            HEALTH,
            "duplicated",
            Placed(&[
                ("guangzhou-1", "duplicated", 2),
                ("province-a", "duplicated", 2),
                ("shenzhen-1", "duplicated", 2),
            ]),
        )],
    ),
    (
        "32-aggregated.yaml",
        &[of(
            HEALTH,
            "aggregated",
            Placed(&[("province-a", "aggregated", 3)]),
        )],
    ),
    (
        "34-bounds.yaml",
        &[of(
            HEALTH,
            "bounded",
            Placed(&[
                ("guangzhou-1", "bounded", 2),
                ("province-a", "bounded", 5),
                ("shenzhen-1", "bounded", 2),
            ]),
        )],
    ),
    (
        "40-components.yaml",
        &[
            of(
                HEALTH,
                "portal",
                Placed(&[("guangzhou-1", "index", 1), ("province-a", "page", 2)]),
            ),
            of(
                HEALTH,
                "halves",
                Not(["Waiting", "NoCapacity", "Deployment/half-index"]),
            ),
        ],
    ),
    (
        "43-gang.yaml",
        &[of(
            HEALTH,
            "gang",
            Not([
                "Waiting",
                "ComponentsUnsatisfiable",
                "Job/gang cannot stand together in one group of member",
            ]),
        )],
    ),
    (
        "60-arch.yaml",
        &[of(
            BUS,
            "arm-only",
            Placed(&[("shenzhen-1", "arm-only", 2)]),
        )],
    ),
];
