//! Amounts of the API (text) and of the scheduler (checked integers).

use heyun_crds::common::ResourceMap;
use heyun_crds::quantity::Quantity;
use heyun_scheduler::quantity::{QuantityError, amount, format_amount};
use heyun_scheduler::resources::Resources;

/// What is free. An amount that cannot be read counts as nothing.
pub fn free(map: &ResourceMap) -> Resources {
    read(map, 0)
}

/// What is taken. An amount that does not fit 64 bits counts as the most there is; one that is
/// no quantity, which admission refuses, as nothing.
pub fn taken(map: &ResourceMap) -> Resources {
    read(map, i64::MAX)
}

/// One amount that is free, as in [`free`].
pub fn one_free(resource: &str, quantity: &Quantity) -> i64 {
    one(resource, quantity, 0)
}

/// One amount that is taken, as in [`taken`].
pub fn one_taken(resource: &str, quantity: &Quantity) -> i64 {
    one(resource, quantity, i64::MAX)
}

fn read(map: &ResourceMap, too_large: i64) -> Resources {
    let each = map.iter();
    each.map(|(name, quantity)| (name.clone(), one(name, quantity, too_large)))
        .collect()
}

fn one(resource: &str, quantity: &Quantity, too_large: i64) -> i64 {
    match amount(resource, &quantity.0) {
        Ok(amount) => amount,
        Err(QuantityError::TooLarge { .. }) => too_large,
        Err(_) => 0,
    }
}

/// The same as text, as people write it.
pub fn to_map(resources: &Resources) -> ResourceMap {
    let text = |(name, amount): (&str, i64)| (name.to_owned(), quantity(name, amount));
    resources.iter().map(text).collect()
}

/// One amount as text.
pub fn quantity(resource: &str, amount: i64) -> Quantity {
    Quantity(format_amount(resource, amount))
}
