//! `heyun report usage`.

use heyun_crds::query::{UsageReport, UsageRow};

use super::table::Grid;

/// Bytes of a GiB.
const GIB: i128 = 1 << 30;

/// The table; memory and storage in GiB-hours, which people can read.
pub fn table(report: &UsageReport, with_headers: bool) -> String {
    let mut grid =
        Grid::new(&["TENANT", "FLAVOR", "MEMBER", "RESOURCE", "AMOUNT", "UNIT"]).right(&[4]);
    for row in &report.rows {
        let (amount, unit) = readable(row);
        grid.row([
            &row.tenant,
            &row.flavor,
            &row.member,
            &row.resource,
            &amount,
            &unit.to_owned(),
        ]);
    }
    let mut text = format!("{} to {}\n", report.from, report.until);
    if grid.is_empty() {
        text.push_str("nothing was used\n");
        return text;
    }
    text.push_str(&grid.text(with_headers));
    text
}

fn readable(row: &UsageRow) -> (String, &'static str) {
    let as_bytes = matches!(
        row.resource.as_str(),
        "memory" | "ephemeral-storage" | "storage"
    ) || row.resource.starts_with("hugepages-");
    let whole = row.amount_hours.split('.').next().unwrap_or_default();
    match (as_bytes, whole.parse::<i128>()) {
        (true, Ok(bytes)) => {
            let thousandths = bytes * 1000 / GIB;
            (
                format!("{}.{:03}", thousandths / 1000, thousandths % 1000),
                "GiB·h",
            )
        }
        _ if row.resource == "cpu" => (row.amount_hours.clone(), "core·h"),
        _ => (row.amount_hours.clone(), "h"),
    }
}
