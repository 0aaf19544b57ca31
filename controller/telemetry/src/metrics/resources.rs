//! Boards of capacity and quota: one instrument per class of resource and figure, because a
//! series has one unit.

use opentelemetry::metrics::Meter;

use super::board::{Board, Description};
use crate::names::{attribute, capacity, quota};

/// What one member can give of one resource in one flavor, and what is promised of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapacityRow {
    /// The member's name.
    pub cluster: String,
    /// The member's network zone.
    pub zone: String,
    /// The member's level of graded protection, 1 to 5.
    pub mlps_level: u8,
    /// The flavor's name.
    pub flavor: String,
    /// The resource's name as Kubernetes writes it.
    pub resource: String,
    /// Allocatable: thousandths for `cpu`, base units otherwise.
    pub allocatable: i64,
    /// Requested by pods: thousandths for `cpu`, base units otherwise.
    pub requested: i64,
}

/// One line of a tenant's quota: thousandths for `cpu`, base units otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRow {
    /// The tenant's path from the root, `province/city/agency`. Rows of more than three levels
    /// are left out of the metrics: their parents' figures contain them.
    pub tenant_path: String,
    /// The flavor's name.
    pub flavor: String,
    /// The resource's name as Kubernetes writes it.
    pub resource: String,
    /// The ceiling.
    pub hard: i64,
    /// What pods really use of it.
    pub used: i64,
    /// What is charged: used, decided, or not yet confirmed as gone.
    pub reserved: i64,
    /// What is charged beyond the nominal amount.
    pub borrowed: i64,
    /// What others borrow of it.
    pub lent: i64,
}

const TENANT_LEVELS_MAX: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Cpu,
    Memory,
    Storage,
    Count,
}

impl Class {
    fn of(resource: &str) -> Self {
        match resource {
            "cpu" => Self::Cpu,
            "memory" => Self::Memory,
            "ephemeral-storage" | "storage" => Self::Storage,
            _ if resource.starts_with("hugepages-") => Self::Memory,
            _ => Self::Count,
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "{cpu}",
            Self::Memory | Self::Storage => "By",
            Self::Count => "{item}",
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a metric is a float; 53 bits hold 9 petabytes to the byte"
    )]
    fn scale(self, amount: i64) -> f64 {
        match self {
            Self::Cpu => amount as f64 / 1_000.0,
            Self::Memory | Self::Storage | Self::Count => amount as f64,
        }
    }
}

/// One board with the class and figure that it shows.
#[derive(Clone, Debug)]
struct Shown {
    class: Class,
    figure: usize,
    board: Board,
}

const CAPACITY_ATTRIBUTES: &[&str] = &[
    attribute::CLUSTER,
    attribute::ZONE,
    attribute::MLPS_LEVEL,
    attribute::FLAVOR,
    attribute::RESOURCE,
];

const CAPACITY: &[(Class, usize, &str, &str)] = &[
    (
        Class::Cpu,
        0,
        capacity::CPU_ALLOCATABLE,
        "CPU a member can give",
    ),
    (
        Class::Cpu,
        1,
        capacity::CPU_REQUESTED,
        "CPU that pods of a member request",
    ),
    (
        Class::Memory,
        0,
        capacity::MEMORY_ALLOCATABLE,
        "Memory a member can give",
    ),
    (
        Class::Memory,
        1,
        capacity::MEMORY_REQUESTED,
        "Memory that pods of a member request",
    ),
    (
        Class::Storage,
        0,
        capacity::STORAGE_ALLOCATABLE,
        "Storage a member can give",
    ),
    (
        Class::Storage,
        1,
        capacity::STORAGE_REQUESTED,
        "Storage that pods of a member request",
    ),
    (
        Class::Count,
        0,
        capacity::COUNT_ALLOCATABLE,
        "Pods and devices a member can give",
    ),
    (
        Class::Count,
        1,
        capacity::COUNT_REQUESTED,
        "Pods and devices that are taken on a member",
    ),
];

const QUOTA_ATTRIBUTES: &[&str] = &[attribute::TENANT, attribute::FLAVOR, attribute::RESOURCE];

const QUOTA: &[(Class, usize, &str, &str)] = &[
    (Class::Cpu, 0, quota::CPU_HARD, "CPU a tenant may reach"),
    (Class::Cpu, 1, quota::CPU_USED, "CPU a tenant uses"),
    (
        Class::Cpu,
        2,
        quota::CPU_RESERVED,
        "CPU charged to a tenant",
    ),
    (Class::Cpu, 3, quota::CPU_BORROWED, "CPU a tenant borrows"),
    (Class::Cpu, 4, quota::CPU_LENT, "CPU a tenant lends"),
    (
        Class::Memory,
        0,
        quota::MEMORY_HARD,
        "Memory a tenant may reach",
    ),
    (Class::Memory, 1, quota::MEMORY_USED, "Memory a tenant uses"),
    (
        Class::Memory,
        2,
        quota::MEMORY_RESERVED,
        "Memory charged to a tenant",
    ),
    (
        Class::Memory,
        3,
        quota::MEMORY_BORROWED,
        "Memory a tenant borrows",
    ),
    (
        Class::Memory,
        4,
        quota::MEMORY_LENT,
        "Memory a tenant lends",
    ),
    (
        Class::Storage,
        0,
        quota::STORAGE_HARD,
        "Storage a tenant may reach",
    ),
    (
        Class::Storage,
        1,
        quota::STORAGE_USED,
        "Storage a tenant uses",
    ),
    (
        Class::Storage,
        2,
        quota::STORAGE_RESERVED,
        "Storage charged to a tenant",
    ),
    (
        Class::Storage,
        3,
        quota::STORAGE_BORROWED,
        "Storage a tenant borrows",
    ),
    (
        Class::Storage,
        4,
        quota::STORAGE_LENT,
        "Storage a tenant lends",
    ),
    (
        Class::Count,
        0,
        quota::COUNT_HARD,
        "Pods and devices a tenant may reach",
    ),
    (
        Class::Count,
        1,
        quota::COUNT_USED,
        "Pods and devices a tenant uses",
    ),
    (
        Class::Count,
        2,
        quota::COUNT_RESERVED,
        "Pods and devices charged to a tenant",
    ),
    (
        Class::Count,
        3,
        quota::COUNT_BORROWED,
        "Pods and devices a tenant borrows",
    ),
    (
        Class::Count,
        4,
        quota::COUNT_LENT,
        "Pods and devices a tenant lends",
    ),
];

/// The boards of capacity and quota.
#[derive(Clone, Debug)]
pub(crate) struct Resources {
    capacity: Vec<Shown>,
    quota: Vec<Shown>,
}

impl Resources {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            capacity: boards(meter, CAPACITY, CAPACITY_ATTRIBUTES),
            quota: boards(meter, QUOTA, QUOTA_ATTRIBUTES),
        }
    }

    /// Replaces the rows of one member.
    pub(crate) fn set_capacity(&self, cluster: &str, rows: &[CapacityRow]) {
        self.forget_cluster(cluster);
        for row in rows.iter().filter(|row| row.cluster == cluster) {
            let class = Class::of(&row.resource);
            let figures = [row.allocatable, row.requested];
            for shown in self.capacity.iter().filter(|it| it.class == class) {
                let values = vec![
                    row.cluster.clone(),
                    row.zone.clone(),
                    row.mlps_level.to_string(),
                    row.flavor.clone(),
                    row.resource.clone(),
                ];
                if let Some(figure) = figures.get(shown.figure) {
                    shown.board.set(values, class.scale(*figure));
                }
            }
        }
    }

    pub(crate) fn forget_cluster(&self, cluster: &str) {
        for shown in &self.capacity {
            shown.board.remove(0, cluster);
        }
    }

    /// Replaces all rows of all tenants.
    pub(crate) fn set_quota(&self, rows: &[QuotaRow]) {
        let rows: Vec<&QuotaRow> = rows
            .iter()
            .filter(|row| row.tenant_path.split('/').count() <= TENANT_LEVELS_MAX)
            .collect();
        for shown in &self.quota {
            let of_class = rows
                .iter()
                .filter(|row| Class::of(&row.resource) == shown.class);
            shown.board.replace(of_class.filter_map(|row| {
                let figures = [row.hard, row.used, row.reserved, row.borrowed, row.lent];
                let values = vec![
                    row.tenant_path.clone(),
                    row.flavor.clone(),
                    row.resource.clone(),
                ];
                figures
                    .get(shown.figure)
                    .map(|it| (values, shown.class.scale(*it)))
            }));
        }
    }

    /// The boards with the names of their instruments.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, Board)> {
        let name = |table: &'static [(Class, usize, &'static str, &'static str)]| {
            table.iter().map(|(_, _, name, _)| *name)
        };
        name(CAPACITY).chain(name(QUOTA)).zip(
            self.capacity
                .iter()
                .chain(&self.quota)
                .map(|it| it.board.clone()),
        )
    }
}

fn boards(
    meter: &Meter,
    table: &'static [(Class, usize, &'static str, &'static str)],
    attributes: &'static [&'static str],
) -> Vec<Shown> {
    table
        .iter()
        .map(|&(class, figure, name, help)| Shown {
            class,
            figure,
            board: Board::summed(
                meter,
                Description {
                    name,
                    unit: class.unit(),
                    help,
                },
                attributes,
            ),
        })
        .collect()
}

/// The first three levels of a tenant's path.
pub(crate) fn tenant_prefix(path: &str) -> &str {
    match path.match_indices('/').nth(TENANT_LEVELS_MAX - 1) {
        Some((end, _)) => path.get(..end).unwrap_or(path),
        None => path,
    }
}
