//! Amounts: quantities as the checked integers that quota and capacity count in.

use super::{Quantity, QuantityError, shortened};

/// Whether a resource is counted in millicores.
pub fn is_cpu(resource: &str) -> bool {
    matches!(resource, "cpu" | "requests.cpu" | "limits.cpu")
}

/// Whether a resource is counted in bytes.
fn is_bytes(resource: &str) -> bool {
    let tail = resource.rsplit('/').next().unwrap_or(resource);
    let plain = tail
        .strip_prefix("requests.")
        .or_else(|| tail.strip_prefix("limits."));
    let plain = plain.unwrap_or(tail);
    matches!(plain, "memory" | "storage" | "ephemeral-storage") || plain.starts_with("hugepages-")
}

/// The amount of a resource that a quantity asks for: millicores of cpu, whole units of
/// everything else, rounded up. A negative quantity is refused.
pub fn amount(resource: &str, quantity: &str) -> Result<i64, QuantityError> {
    let parsed = Quantity::parse(quantity)?;
    if parsed.is_negative() {
        let (value, resource) = (shortened(quantity), shortened(resource));
        return Err(QuantityError::Negative { value, resource });
    }
    if is_cpu(resource) {
        parsed.milli_rounded_up()
    } else {
        parsed.units_rounded_up()
    }
}

/// An amount as people write it: cores or millicores, bytes with the largest binary suffix that
/// loses nothing, plain numbers of everything else. [`amount`] reads it back.
pub fn format_amount(resource: &str, amount: i64) -> String {
    if is_cpu(resource) {
        return match amount.checked_rem(1000) {
            Some(0) => amount.checked_div(1000).unwrap_or(0).to_string(),
            _ => format!("{amount}m"),
        };
    }
    let mut number = amount;
    let mut suffix = "";
    if is_bytes(resource) && amount != 0 {
        for larger in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
            if number.checked_rem(1024) != Some(0) {
                break;
            }
            number = number.checked_div(1024).unwrap_or(0);
            suffix = larger;
        }
    }
    format!("{number}{suffix}")
}
