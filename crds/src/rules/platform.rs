//! Rules of the platform's kinds.

use super::{Bound, Rule, bound, rule};

/// A name that is also the start of a namespace or the value of a label.
const LABEL_NAME: &str = "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')";

pub(super) const FLAVOR_BOUNDS: &[Bound] = &[
    bound("spec.nodeSelector.matchLabels", r#"{"maxProperties": 16}"#),
    bound("spec.nodeSelector.matchLabels{}", r#"{"maxLength": 63}"#),
    bound("spec.tolerations", r#"{"maxItems": 32}"#),
    bound("spec.tolerations[].key", r#"{"maxLength": 317}"#),
    bound("spec.tolerations[].value", r#"{"maxLength": 63}"#),
];

pub(super) const FLAVOR_RULES: &[Rule] = &[
    rule(
        "",
        LABEL_NAME,
        "metadata.name is a DNS label of at most 63 characters",
        "\"metadata.name '%s' is not a DNS label of at most 63 characters: use a-z, 0-9 and -\".format([self.metadata.name])",
    )
    .on(".metadata.name"),
    rule(
        "spec.nodeSelector",
        "self == oldSelf",
        "nodeSelector is immutable, for quota and price were counted by it: create another Flavor and move the work to it",
        "",
    ),
    rule(
        "spec.nodeSelector",
        "has(self.matchLabels) && self.matchLabels.size() > 0",
        "nodeSelector.matchLabels is empty and would match every node: name at least one label, such as kubernetes.io/arch: arm64",
        "",
    ),
    rule(
        "spec.nodeSelector.matchLabels",
        "self.all(k, !format.qualifiedName().validate(k).hasValue() && !format.labelValue().validate(self[k]).hasValue())",
        "keys are label keys and values are label values",
        "\"'%s' is no label key, or its value is no label value: see kubectl explain pod.metadata.labels\".format([self.filter(k, format.qualifiedName().validate(k).hasValue() || format.labelValue().validate(self[k]).hasValue())[0]])",
    ),
    rule(
        "spec.precedence",
        "self == oldSelf",
        "precedence is immutable, for it says which nodes are counted here",
        "'precedence is immutable (now %d, asked %d): create another Flavor and move the work to it'.format([oldSelf, self])",
    ),
    rule(
        "spec.tolerations[]",
        "self.operator != 'Exists' || !has(self.value) || self.value == ''",
        "a toleration with operator Exists has no value",
        "\"value '%s' is not compared with operator Exists: leave it out, or use Equal\".format([self.value])",
    ),
];

pub(super) const MEMBER_BOUNDS: &[Bound] = &[
    bound("spec.endpoint", r#"{"maxLength": 256}"#),
    bound(
        "spec.credentialsRef.name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.provider", r#"{"maxLength": 63}"#),
    bound("spec.distribution", r#"{"maxLength": 63}"#),
    bound("spec.location.region", r#"{"maxLength": 63}"#),
    bound("spec.owner", r#"{"maxLength": 63}"#),
    bound("spec.operator", r#"{"maxLength": 63}"#),
    bound("spec.mlps.filingNo", r#"{"maxLength": 64}"#),
    bound("spec.mlps.validUntil", r#"{"maxLength": 40}"#),
    bound("spec.classMap.storage", r#"{"maxProperties": 64}"#),
    bound("spec.classMap.storage{}", r#"{"maxLength": 253}"#),
    bound("spec.classMap.ingress", r#"{"maxProperties": 64}"#),
    bound("spec.classMap.ingress{}", r#"{"maxLength": 253}"#),
    bound("spec.classMap.runtime", r#"{"maxProperties": 64}"#),
    bound("spec.classMap.runtime{}", r#"{"maxLength": 253}"#),
    bound("spec.classMap.priority", r#"{"maxProperties": 64}"#),
    bound("spec.classMap.priority{}", r#"{"maxLength": 253}"#),
    bound("spec.taints", r#"{"maxItems": 32}"#),
    bound("spec.taints[].key", r#"{"maxLength": 317, "minLength": 1}"#),
    bound("spec.taints[].value", r#"{"maxLength": 63}"#),
    bound("spec.reserve", r#"{"maxProperties": 16}"#),
    bound("spec.reserve{}", r#"{"maxLength": 32}"#),
    bound("spec.maxUtilization", r#"{"maxProperties": 16}"#),
    bound("spec.maxUtilization{}", r#"{"maxLength": 8}"#),
];

pub(super) const MEMBER_RULES: &[Rule] = &[
    rule(
        "",
        "self.metadata.name.size() <= 40",
        "metadata.name has at most 40 characters, for heyun-member-NAME is a namespace name",
        "\"metadata.name '%s' has %d characters: choose at most 40, for heyun-member-NAME is a namespace name\".format([self.metadata.name, self.metadata.name.size()])",
    )
    .on(".metadata.name"),
    rule(
        "",
        "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name is a DNS label, for heyun-member-NAME is a namespace name",
        "\"metadata.name '%s' is not a DNS label: use a-z, 0-9 and -, for heyun-member-NAME is a namespace name\".format([self.metadata.name])",
    )
    .on(".metadata.name"),
    rule(
        "spec",
        "self.mode != 'Push' || (has(self.endpoint) && has(self.credentialsRef))",
        "mode Push needs endpoint and credentialsRef: run 'heyun cluster join', or set both, or choose mode Pull",
        "",
    ),
    // A user part may hold a password: this rule stands at spec, whose value no error repeats.
    rule(
        "spec",
        "!has(self.endpoint) || !self.endpoint.contains('@')",
        "endpoint holds no user: the credential belongs in the Secret of credentialsRef",
        "",
    ),
    rule(
        "spec",
        "!has(self.endpoint) || self.endpoint.contains('@') || (isURL(self.endpoint) && url(self.endpoint).getScheme() == 'https' && url(self.endpoint).getHostname() != '' && !self.endpoint.contains('?') && !self.endpoint.contains('#'))",
        "endpoint is an https URL of host, port and path, such as https://10.1.2.3:6443",
        "\"endpoint '%s' is not an https URL of host, port and path: write it as https://10.1.2.3:6443\".format([self.endpoint])",
    ),
    rule(
        "spec.mlps.validUntil",
        "self.matches('^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2}))?$')",
        "mlps.validUntil is a day (YYYY-MM-DD) or an RFC 3339 time",
        "\"mlps.validUntil '%s' is neither a day nor a time: write it as 2027-06-30\".format([self])",
    ),
    rule(
        "spec.reserve",
        "self.all(k, self[k].endsWith('%') ? self[k].matches('^[0-9]{1,2}%$') : isQuantity(self[k]) && quantity(self[k]).compareTo(quantity('0')) >= 0)",
        "reserve holds percentages below 100% or amounts of at least 0",
        "\"reserve of %s: '%s' is neither a percentage below 100 nor an amount of at least 0: write it as 10%% or 4Gi\".format(self.filter(k, self[k].endsWith('%') ? !self[k].matches('^[0-9]{1,2}%$') : !isQuantity(self[k]) || quantity(self[k]).compareTo(quantity('0')) < 0).map(k, [k, self[k]])[0])",
    ),
    rule(
        "spec.maxUtilization",
        "self.all(k, self[k].matches('^([0-9]{1,2}|100)%$'))",
        "maxUtilization holds percentages from 0% to 100%",
        "\"maxUtilization of %s: '%s' is no percentage from 0%% to 100%%: write it as 85%%\".format(self.filter(k, !self[k].matches('^([0-9]{1,2}|100)%$')).map(k, [k, self[k]])[0])",
    ),
];

pub(super) const QUOTA_BOUNDS: &[Bound] = &[
    bound("spec.tenant", r#"{"maxLength": 63}"#),
    bound("spec.failoverReserve", r#"{"maxLength": 8}"#),
    bound(
        "spec.resources[].flavor",
        r#"{"maxLength": 63, "minLength": 1}"#,
    ),
    bound(
        "spec.resources[].resource",
        r#"{"maxLength": 317, "minLength": 1}"#,
    ),
];

/// True when the value is a quantity, written as a string or as a bare integer.
macro_rules! is_quantity {
    ($x:literal) => {
        concat!("(type(", $x, ") == int || isQuantity(", $x, "))")
    };
}

/// The value as a float. A quantity of an integer would do, but the API server cannot bound the
/// cost of `string(int)`.
macro_rules! float {
    ($x:literal) => {
        concat!(
            "(type(",
            $x,
            ") == int ? double(",
            $x,
            ") : quantity(",
            $x,
            ").asApproximateFloat())"
        )
    };
}

/// `a <= b`: exact between strings, else to nine digits (the hub counts exactly).
macro_rules! at_most {
    ($a:literal, $b:literal) => {
        concat!(
            "!",
            is_quantity!($a),
            " || !",
            is_quantity!($b),
            " || (type(",
            $a,
            ") == string && type(",
            $b,
            ") == string ? quantity(",
            $a,
            ").compareTo(quantity(",
            $b,
            ")) <= 0 : ",
            float!($a),
            " <= ",
            float!($b),
            " * 1.000000001)"
        )
    };
}

/// One quantity: malformed, negative and huge ones are refused.
macro_rules! quantity_rule {
    ($field:literal) => {
        rule(
            concat!("spec.resources[].", $field),
            "type(self) == int ? self >= 0 && self <= 1000000000000000000 : isQuantity(self) && quantity(self).compareTo(quantity('0')) >= 0 && quantity(self).compareTo(quantity('1E')) <= 0",
            concat!($field, " is a quantity from 0 to 1E"),
            concat!(
                "\"",
                $field,
                " '%s' is %s: write it as 500m, 40 or 64Gi\".format([self, type(self) == string && !isQuantity(self) ? 'no quantity' : ((type(self) == int ? self < 0 : quantity(self).compareTo(quantity('0')) < 0) ? 'negative' : 'above 1E')])"
            ),
        )
    };
}

pub(super) const QUOTA_RULES: &[Rule] = &[
    rule(
        "",
        "self.metadata.name == self.spec.tenant",
        "metadata.name equals spec.tenant, so that a tenant has one Quota",
        "\"metadata.name '%s' differs from spec.tenant '%s': name the Quota as its tenant, so that there is one\".format([self.metadata.name, self.spec.tenant])",
    )
    .on(".spec.tenant"),
    quantity_rule!("guaranteed"),
    quantity_rule!("nominal"),
    quantity_rule!("ceiling"),
    rule(
        "spec.resources[]",
        at_most!("self.guaranteed", "self.nominal"),
        "guaranteed is at most nominal",
        "'guaranteed %s is above nominal %s for %s of %s: lower guaranteed or raise nominal'.format([self.guaranteed, self.nominal, self.resource, self.flavor])",
    ),
    rule(
        "spec.resources[]",
        concat!(
            "!has(self.ceiling) || ",
            at_most!("self.nominal", "self.ceiling")
        ),
        "nominal is at most ceiling",
        "'nominal %s is above ceiling %s for %s of %s: raise ceiling, or leave it out'.format([self.nominal, self.ceiling, self.resource, self.flavor])",
    ),
    rule(
        "spec.resources[]",
        "self.flavor == '-' || self.flavor.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "flavor is the name of a Flavor, or - for what is not on nodes",
        "\"flavor '%s' is no name of a Flavor: see kubectl get flavors, or write - for what is not on nodes\".format([self.flavor])",
    ),
    rule(
        "spec.resources[]",
        "!format.qualifiedName().validate(self.resource).hasValue()",
        "resource is the name of a resource",
        "\"resource '%s' is no name of a resource: write it as cpu, memory or huawei.com/ascend-910\".format([self.resource])",
    ),
    rule(
        "spec.failoverReserve",
        "self.matches('^([0-9]{1,2}|100)%$')",
        "failoverReserve is a percentage from 0% to 100%",
        "\"failoverReserve '%s' is no percentage from 0%% to 100%%: write it as 10%%\".format([self])",
    ),
    // A float suffices to refuse what is plainly wrong; the hub counts exactly.
    rule(
        "spec",
        concat!(
            "!has(self.failoverReserve) || !self.failoverReserve.matches('^([0-9]{1,2}|100)%$') || self.resources.all(l, !",
            is_quantity!("l.guaranteed"),
            " || !",
            is_quantity!("l.nominal"),
            " || (has(l.ceiling) && !",
            is_quantity!("l.ceiling"),
            ") || ",
            float!("l.guaranteed"),
            " + ",
            float!("l.nominal"),
            " * double(self.failoverReserve.replace('%', '')) / 100.0 <= (has(l.ceiling) ? ",
            float!("l.ceiling"),
            " : ",
            float!("l.nominal"),
            ") * 1.000000001)"
        ),
        "guaranteed and the failover reserve of the nominal fit under the ceiling together, in every line: lower guaranteed or failoverReserve, or raise ceiling",
        "",
    ),
];

pub(super) const TENANT_BOUNDS: &[Bound] = &[
    bound("spec.parent", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("spec.divisionCode", r#"{"maxLength": 12}"#),
    bound("spec.displayName", r#"{"maxLength": 128}"#),
    bound("spec.orgCode", r#"{"maxLength": 32}"#),
    bound(
        "spec.owners[].name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.owners[].namespace", r#"{"maxLength": 63}"#),
    bound(
        "spec.editors[].name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.editors[].namespace", r#"{"maxLength": 63}"#),
    bound(
        "spec.viewers[].name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.viewers[].namespace", r#"{"maxLength": 63}"#),
    bound(
        "spec.auditors[].name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.auditors[].namespace", r#"{"maxLength": 63}"#),
    bound("spec.namespaces[]", r#"{"maxLength": 63}"#),
    bound("spec.delegation.children", r#"{"maximum": 10000}"#),
    bound("spec.delegation.depth", r#"{"maximum": 8}"#),
    bound("spec.delegation.namePrefix", r#"{"maxLength": 63}"#),
    bound("spec.guardrails.residency", r#"{"maxItems": 64}"#),
    bound("spec.guardrails.residency[]", r#"{"maxLength": 63}"#),
    bound("spec.guardrails.zones", r#"{"maxItems": 8}"#),
    bound("spec.guardrails.registries", r#"{"maxItems": 64}"#),
    bound(
        "spec.guardrails.registries[]",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.guardrails.storageClasses", r#"{"maxItems": 64}"#),
    bound("spec.guardrails.storageClasses[]", r#"{"maxLength": 253}"#),
    bound("spec.guardrails.ingressHosts", r#"{"maxItems": 64}"#),
    bound(
        "spec.guardrails.ingressHosts[]",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.guardrails.highestPriority", r#"{"maxLength": 253}"#),
    bound("spec.guardrails.allowedKinds", r#"{"maxItems": 128}"#),
    bound("spec.guardrails.allowedKinds[]", r#"{"maxLength": 253}"#),
];

/// A ServiceAccount has a namespace, and nobody else.
macro_rules! namespace_rule {
    ($list:literal) => {
        rule(
            concat!("spec.", $list, "[]"),
            "(self.kind == 'ServiceAccount') == has(self.namespace)",
            "namespace is given for a ServiceAccount and for nothing else",
            "\"%s '%s' %s\".format([self.kind, self.name, self.kind == 'ServiceAccount' ? 'needs its namespace' : 'has no namespace: leave it out'])",
        )
    };
}

/// Nobody gives a role to everybody, or to a component of Kubernetes, by a slip.
macro_rules! chosen_rule {
    ($list:literal) => {
        rule(
            concat!("spec.", $list, "[]"),
            "self.kind == 'ServiceAccount' || !self.name.startsWith('system:')",
            "a user or group whose name begins with system: is everybody or a component of Kubernetes",
            "\"%s '%s' is everybody or a component of Kubernetes: name a group of your own, or a ServiceAccount with its namespace\".format([self.kind, self.name])",
        )
    };
}

pub(super) const TENANT_RULES: &[Rule] = &[
    rule(
        "",
        LABEL_NAME,
        "metadata.name is a DNS label of at most 63 characters, for namespaces begin with it",
        "\"metadata.name '%s' is not a DNS label of at most 63 characters: use a-z, 0-9 and -, for namespaces begin with it\".format([self.metadata.name])",
    )
    .on(".metadata.name"),
    rule(
        "",
        "self.metadata.name != 'default' && !self.metadata.name.startsWith('kube-') && !self.metadata.name.startsWith('heyun')",
        "metadata.name is not default, kube-* or heyun*, for namespaces begin with it",
        "\"metadata.name '%s' belongs to the platform (default, kube-*, heyun*): choose another\".format([self.metadata.name])",
    )
    .on(".metadata.name"),
    rule(
        "",
        "!has(self.spec.parent) || self.spec.parent != self.metadata.name",
        "spec.parent is another Tenant",
        "\"spec.parent '%s' is the tenant itself: name the Tenant above it, or leave parent out for a root\".format([self.spec.parent])",
    )
    .on(".spec.parent"),
    rule(
        "",
        "!has(self.spec.namespaces) || self.spec.namespaces.all(n, n != 'default' && !n.startsWith('kube-') && !n.startsWith('heyun'))",
        "spec.namespaces holds no default, kube-* or heyun*",
        "\"spec.namespaces: '%s' belongs to the platform (default, kube-*, heyun*): name one that begins with '%s-'\".format([self.spec.namespaces.filter(n, n == 'default' || n.startsWith('kube-') || n.startsWith('heyun'))[0], self.metadata.name])",
    )
    .on(".spec.namespaces"),
    rule(
        "",
        "!has(self.spec.namespaces) || self.spec.namespaces.all(n, n == self.metadata.name || n.startsWith(self.metadata.name + '-'))",
        "each of spec.namespaces is the tenant's name or begins with it and a dash",
        "\"spec.namespaces: '%s' does not begin with the tenant's name: write it as '%s-test'\".format([self.spec.namespaces.filter(n, n != self.metadata.name && !n.startsWith(self.metadata.name + '-'))[0], self.metadata.name])",
    )
    .on(".spec.namespaces"),
    rule(
        "spec.namespaces[]",
        "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "a namespace is a DNS label",
        "\"'%s' is no name of a namespace: use a-z, 0-9 and -\".format([self])",
    ),
    rule(
        "spec.divisionCode",
        "self.matches('^[0-9]{6}([0-9]{3}([0-9]{3})?)?$')",
        "divisionCode has 6, 9 or 12 digits (GB/T 2260, GB/T 10114)",
        "\"divisionCode '%s' is not 6, 9 or 12 digits: write it as 440100\".format([self])",
    ),
    rule(
        "spec.orgCode",
        "self.matches('^[0-9A-HJ-NPQRTUWXY]{18}$')",
        "orgCode is a unified social credit code of 18 characters (GB 32100)",
        "\"orgCode '%s' is not 18 of 0-9 and A-Y without I, O, S and V: copy it from the certificate\".format([self])",
    ),
    // GB 32100: 31 characters, weights 3^i mod 31, the last makes the sum a multiple of 31.
    rule(
        "spec.orgCode",
        "!self.matches('^[0-9A-HJ-NPQRTUWXY]{18}$') || [[0,1],[1,3],[2,9],[3,27],[4,19],[5,26],[6,16],[7,17],[8,20],[9,29],[10,25],[11,13],[12,8],[13,24],[14,10],[15,30],[16,28],[17,1]].map(w, '0123456789ABCDEFGHJKLMNPQRTUWXY'.indexOf(self.charAt(w[0])) * w[1]).sum() % 31 == 0",
        "orgCode ends with its check character (GB 32100)",
        "\"orgCode '%s' does not match its last (check) character: a character is wrong or two are swapped\".format([self])",
    ),
    namespace_rule!("owners"),
    chosen_rule!("owners"),
    namespace_rule!("editors"),
    chosen_rule!("editors"),
    namespace_rule!("viewers"),
    chosen_rule!("viewers"),
    namespace_rule!("auditors"),
    chosen_rule!("auditors"),
    rule(
        "spec.delegation",
        "self.children == 0 || self.namePrefix != ''",
        "delegation.namePrefix is set when children are allowed, so that their names cannot collide with others: write it as NAME-",
        "",
    ),
    rule(
        "spec.delegation",
        "self.namePrefix == '' || self.namePrefix.endsWith('-')",
        "delegation.namePrefix ends in a dash, so that no child takes a name beside the tenant's",
        "\"delegation.namePrefix '%s' does not end in a dash: write it as '%s-'\".format([self.namePrefix, self.namePrefix])",
    ),
    rule(
        "",
        "!has(self.spec.delegation) || self.spec.delegation.namePrefix == '' || self.spec.delegation.namePrefix.startsWith(self.metadata.name + '-')",
        "delegation.namePrefix begins with the tenant's name and a dash",
        "\"delegation.namePrefix '%s' does not begin with the tenant's name and a dash: write it as '%s-'\".format([self.spec.delegation.namePrefix, self.metadata.name])",
    )
    .on(".spec.delegation.namePrefix"),
];
