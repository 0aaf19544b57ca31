//! Rules of the PriceBook.

use super::{Bound, Rule, bound, rule};

pub(super) const PRICE_BOOK_BOUNDS: &[Bound] = &[
    bound("spec.member", r#"{"maxLength": 40, "minLength": 1}"#),
    bound("spec.provider", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("spec.prices", r#"{"maxItems": 512}"#),
    bound(
        "spec.prices[].flavor",
        r#"{"maxLength": 63, "minLength": 1}"#,
    ),
    bound(
        "spec.prices[].resource",
        r#"{"maxLength": 317, "minLength": 1}"#,
    ),
    bound("spec.prices[].price", r#"{"maxLength": 16}"#),
    bound("spec.prices[].from", r#"{"maxLength": 10}"#),
];

/// The name that a book has for what it is for.
macro_rules! name {
    () => {
        "(has(self.spec.member) ? 'member-' + self.spec.member : has(self.spec.provider) ? 'provider-' + self.spec.provider : 'general')"
    };
}

pub(super) const PRICE_BOOK_RULES: &[Rule] = &[
    rule(
        "",
        concat!("self.metadata.name == ", name!()),
        "metadata.name says what the book is for, so that there is one: general, provider-NAME or member-NAME",
        concat!(
            "\"metadata.name '%s' is not '%s': name the book by what it is for, so that there is one\".format([self.metadata.name, ",
            name!(),
            "])"
        ),
    )
    .on(".metadata.name"),
    rule(
        "spec",
        "!has(self.member) || !has(self.provider)",
        "member and provider are not given together",
        "\"member '%s' has its provider already: leave provider '%s' out\".format([self.member, self.provider])",
    ),
    rule(
        "spec.prices[]",
        "self.flavor.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "flavor is the name of a Flavor",
        "\"flavor '%s' is no name of a Flavor: see kubectl get flavors\".format([self.flavor])",
    ),
    rule(
        "spec.prices[]",
        "!format.qualifiedName().validate(self.resource).hasValue()",
        "resource is the name of a resource",
        "\"resource '%s' is no name of a resource: write it as cpu, memory or huawei.com/ascend-910\".format([self.resource])",
    ),
    rule(
        "spec.prices[]",
        "self.price.matches('^[0-9]{1,9}([.][0-9]{1,6})?$')",
        "price is a decimal of at least 0, with at most 9 digits before the point and 6 behind it",
        "\"price '%s' of %s in %s is no decimal with at most 9 digits before the point and 6 behind it: write it as 0.12\".format([self.price, self.resource, self.flavor])",
    ),
    rule(
        "spec.prices[]",
        "!format.date().validate(self.from).hasValue()",
        "from is a day (YYYY-MM-DD)",
        "\"from '%s' of %s in %s is no day: write it as 2027-01-01\".format([self.from, self.resource, self.flavor])",
    ),
];
