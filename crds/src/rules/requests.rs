//! Rules of the ResourceRequest, the Approval and the ApprovalPolicy.

use super::{Bound, Rule, bound, rule};

pub(super) const REQUEST_BOUNDS: &[Bound] = &[
    bound("spec.tenant", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("spec.applicant", r#"{"maxLength": 253, "minLength": 1}"#),
    bound("spec.resources", r#"{"maxItems": 32, "minItems": 1}"#),
    bound("spec.resources[].flavor", r#"{"maxLength": 63}"#),
    bound("spec.resources[].resource", r#"{"maxLength": 317}"#),
    bound("spec.from", r#"{"maxLength": 32}"#),
    bound("spec.until", r#"{"maxLength": 32}"#),
    bound("spec.reason", r#"{"maxLength": 512, "minLength": 1}"#),
    bound(
        "spec.document.number",
        r#"{"maxLength": 128, "minLength": 1}"#,
    ),
];

/// That a text is a moment of RFC 3339.
macro_rules! moment {
    ($field:literal) => {
        rule(
            concat!("spec.", $field),
            "self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$') && !format.datetime().validate(self).hasValue()",
            concat!($field, " is a moment with its offset (RFC 3339)"),
            concat!(
                "\"",
                $field,
                " '%s' is no moment with its offset: write it as 2027-05-01T00:00:00+08:00\".format([self])"
            ),
        )
    };
}

pub(super) const REQUEST_RULES: &[Rule] = &[
    rule(
        "spec",
        "self == oldSelf",
        "a ResourceRequest is never changed: withdraw it (heyun request withdraw) and make another",
        "",
    ),
    moment!("from"),
    moment!("until"),
    rule(
        "spec",
        "!has(self.from) || format.datetime().validate(self.from).hasValue() || format.datetime().validate(self.until).hasValue() || timestamp(self.from) < timestamp(self.until)",
        "until is after from",
        "\"until %s is not after from %s: a request ends after it begins\".format([self.until, self.from])",
    ),
    rule(
        "spec.resources[]",
        "self.flavor == '-' || self.flavor.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "flavor is the name of a Flavor, or - for what is not on nodes",
        "\"flavor '%s' is no name of a Flavor: see kubectl get flavors\".format([self.flavor])",
    ),
    rule(
        "spec.resources[]",
        "!format.qualifiedName().validate(self.resource).hasValue()",
        "resource is the name of a resource",
        "\"resource '%s' is no name of a resource: write it as cpu, memory or huawei.com/ascend-910\".format([self.resource])",
    ),
    rule(
        "spec.resources[].amount",
        "type(self) == int ? self > 0 && self <= 1000000000000000000 : isQuantity(self) && quantity(self).compareTo(quantity('0')) > 0 && quantity(self).compareTo(quantity('1E')) <= 0",
        "amount is a quantity above 0 and at most 1E",
        "\"amount '%s' is no quantity above 0 and at most 1E: write it as 40 or 64Gi\".format([self])",
    ),
];

pub(super) const APPROVAL_BOUNDS: &[Bound] = &[
    bound("spec.request", r#"{"maxLength": 253, "minLength": 1}"#),
    bound("spec.requestUid", r#"{"maxLength": 64, "minLength": 1}"#),
    bound("spec.requestHash", r#"{"maxLength": 80, "minLength": 1}"#),
    bound("spec.stage", r#"{"maxLength": 63}"#),
    bound("spec.approver", r#"{"maxLength": 253, "minLength": 1}"#),
    bound("spec.comment", r#"{"maxLength": 1024}"#),
];

pub(super) const APPROVAL_RULES: &[Rule] = &[
    rule(
        "spec",
        "self == oldSelf",
        "an Approval is one act and is never changed: act again",
        "",
    ),
    rule(
        "spec",
        "(self.verdict in ['Withdraw', 'Release']) != (has(self.stage) && self.stage != '')",
        "stage is given for what is decided at a stage, and for nothing else",
        "self.verdict in ['Withdraw', 'Release'] ? \"verdict %s is the tenant's own: leave stage out\".format([self.verdict]) : \"verdict %s is of a stage: name it in stage\".format([self.verdict])",
    ),
    rule(
        "spec",
        "!(self.verdict in ['Reject', 'ReturnForCorrection', 'Revoke']) || (has(self.comment) && self.comment != '')",
        "what is refused, returned or taken back has a comment that says why",
        "\"verdict %s needs a comment: say why\".format([self.verdict])",
    ),
];

pub(super) const POLICY_BOUNDS: &[Bound] = &[
    bound("spec.tenant", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("spec.stages", r#"{"maxItems": 8}"#),
    bound("spec.stages[].name", r#"{"maxLength": 63}"#),
    bound("spec.stages[].k", r#"{"minimum": 1, "maximum": 16}"#),
    bound("spec.stages[].approvers", r#"{"maxItems": 16}"#),
    bound(
        "spec.stages[].approvers[]",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.rules", r#"{"maxItems": 32, "minItems": 1}"#),
    bound("spec.rules[].name", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("spec.rules[].stages", r#"{"maxItems": 8}"#),
    bound("spec.rules[].stages[]", r#"{"maxLength": 63}"#),
    bound("spec.rules[].when.atMost", r#"{"maxItems": 32}"#),
    bound("spec.rules[].when.atMost[].flavor", r#"{"maxLength": 63}"#),
    bound(
        "spec.rules[].when.atMost[].resource",
        r#"{"maxLength": 317}"#,
    ),
    bound("spec.rules[].when.flavors", r#"{"maxItems": 32}"#),
    bound("spec.rules[].when.flavors[]", r#"{"maxLength": 63}"#),
    bound("spec.rules[].when.levels", r#"{"maxItems": 5}"#),
    bound(
        "spec.rules[].when.growthAtMostPercent",
        r#"{"minimum": 0, "maximum": 1000}"#,
    ),
    bound(
        "spec.rules[].when.daysAtMost",
        r#"{"minimum": 1, "maximum": 3660}"#,
    ),
];

pub(super) const POLICY_RULES: &[Rule] = &[
    rule(
        "spec.stages[]",
        "self.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "the name of a stage is of a-z, 0-9 and -, for RBAC names it",
        "\"stage '%s' is no name of a-z, 0-9 and -: RBAC names it\".format([self.name])",
    ),
    rule(
        "spec.stages[]",
        "(has(self.require) && self.require == 'KOfN') == has(self.k)",
        "k is given for KOfN and for nothing else",
        "\"stage '%s': k is given for require KOfN and for nothing else\".format([self.name])",
    ),
    rule(
        "spec.stages[]",
        "!has(self.require) || self.require != 'All' || (has(self.approvers) && self.approvers.size() > 0)",
        "All needs the approvers by name",
        "\"stage '%s': require All needs approvers by name\".format([self.name])",
    ),
    rule(
        "spec.stages[]",
        "!has(self.k) || !has(self.approvers) || self.approvers.size() == 0 || self.k <= self.approvers.size()",
        "k is at most the number of approvers",
        "\"stage '%s': k %d is more than its approvers: lower k or name more\".format([self.name, self.k])",
    ),
    rule(
        "spec.rules[]",
        "(has(self.automatic) && self.automatic) != (has(self.stages) && self.stages.size() > 0)",
        "a rule is automatic or names its stages",
        "\"rule '%s' is either automatic or names its stages\".format([self.name])",
    ),
    rule(
        "spec.rules[]",
        "!has(self.stages) || self.stages.all(s, self.stages.exists_one(t, t == s))",
        "a rule names each stage once",
        "\"rule '%s' names a stage twice: leave one out\".format([self.name])",
    ),
    rule(
        "spec",
        "self.rules.all(r, !has(r.stages) || r.stages.all(s, has(self.stages) && self.stages.exists(t, t.name == s)))",
        "a rule names stages of spec.stages",
        "\"rule '%s' names a stage that is none of spec.stages: define it there\".format([self.rules.filter(r, has(r.stages) && r.stages.exists(s, !has(self.stages) || !self.stages.exists(t, t.name == s)))[0].name])",
    ),
    rule(
        "spec.rules[].when.atMost[].amount",
        "type(self) == int ? self >= 0 : isQuantity(self) && quantity(self).compareTo(quantity('0')) >= 0",
        "amount of atMost is a quantity of at least 0",
        "\"atMost amount '%s' is no quantity of at least 0: write it as 40 or 64Gi\".format([self])",
    ),
];
