//! Rules of the agencies' kinds.

use super::{Bound, Rule, bound, rule};

/// Bounds of a PlacementSpec, relative to it.
pub(super) const PLACEMENT_BOUNDS: &[Bound] = &[
    bound("affinity[].name", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("affinity[].members[]", r#"{"maxLength": 40}"#),
    bound("affinity[].matchLabels", r#"{"maxProperties": 16}"#),
    bound("affinity[].matchLabels{}", r#"{"maxLength": 63}"#),
    bound("affinity[].owners[]", r#"{"maxLength": 63}"#),
    bound("affinity[].regions[]", r#"{"maxLength": 63}"#),
    bound("affinity[].providers[]", r#"{"maxLength": 63}"#),
    bound("affinity[].operators[]", r#"{"maxLength": 63}"#),
    bound("affinity[].zones", r#"{"maxItems": 8}"#),
    bound("exclude[]", r#"{"maxLength": 40}"#),
    bound("flavors[]", r#"{"maxLength": 63, "minLength": 1}"#),
    bound("requirements.arch", r#"{"maxItems": 16}"#),
    bound(
        "requirements.arch[]",
        r#"{"maxLength": 16, "minLength": 1}"#,
    ),
    bound("requirements.residency", r#"{"maxItems": 64}"#),
    bound("requirements.residency[]", r#"{"maxLength": 63}"#),
    bound("tolerations[].key", r#"{"maxLength": 317}"#),
    bound("tolerations[].value", r#"{"maxLength": 63}"#),
    bound("division.weights", r#"{"maxProperties": 100}"#),
    bound("division.weights{}", r#"{"maximum": 1000000}"#),
    bound("division.minPerMember", r#"{"maximum": 1000000}"#),
    bound("division.maxPerMember", r#"{"maximum": 1000000}"#),
    bound("spread[].topologyKey", r#"{"maxLength": 323}"#),
    bound("components.topologyKey", r#"{"maxLength": 323}"#),
    bound("return.after", r#"{"maxLength": 16, "minLength": 2}"#),
    bound("workloads[].topologyKey", r#"{"maxLength": 323}"#),
    bound("workloads[].matchLabels", r#"{"maxProperties": 16}"#),
    bound("workloads[].matchLabels{}", r#"{"maxLength": 63}"#),
    bound(
        "workloads[].matchExpressions[].key",
        r#"{"maxLength": 317, "minLength": 1}"#,
    ),
    bound(
        "workloads[].matchExpressions[].values[]",
        r#"{"maxLength": 63}"#,
    ),
    bound("spread[].within", r#"{"maxLength": 323, "minLength": 1}"#),
    bound("spread[].maxSkew", r#"{"maximum": 1000000}"#),
    bound("spread[].minGroups", r#"{"maximum": 10000}"#),
    bound("spread[].maxGroups", r#"{"maximum": 10000}"#),
];

/// Whether five steps lead from a spread constraint outwards: a circle has them, a tree that the
/// platform allows has not.
macro_rules! deep {
    () => {
        "has(a.within) && self.exists(b, b.topologyKey == a.within && has(b.within) && self.exists(c, c.topologyKey == b.within && has(c.within) && self.exists(d, d.topologyKey == c.within && has(d.within) && self.exists(e, e.topologyKey == d.within && has(e.within)))))"
    };
}

/// What a topology key may be.
const fn topology_key(at: &'static str) -> Rule {
    rule(
        at,
        "self.matches('^(member|provider|operator|zone|mlps|region(/(provincial|prefectural|county|township))?)$') || (self.startsWith('label:') && !format.qualifiedName().validate(self.substring(6)).hasValue())",
        "topologyKey is member, provider, operator, zone, mlps, region, region/LEVEL or label:KEY",
        "\"topologyKey '%s' is unknown: use member, provider, operator, zone, mlps, region, region/provincial (or /prefectural, /county, /township), or label:KEY\".format([self])",
    )
}

/// Rules of a PlacementSpec, relative to it.
pub(super) const PLACEMENT_RULES: &[Rule] = &[
    rule(
        "division",
        "!has(self.minPerMember) || !has(self.maxPerMember) || self.minPerMember <= self.maxPerMember",
        "division.minPerMember is at most maxPerMember",
        "'division.minPerMember %d is above maxPerMember %d: lower the first or raise the second'.format([self.minPerMember, self.maxPerMember])",
    ),
    rule(
        "division",
        "self.type != 'Weighted' || (has(self.weights) && self.weights.exists(m, self.weights[m] > 0))",
        "division.type Weighted needs weights with one above 0: write them as {guangzhou-1: 2, province-a: 1}",
        "",
    ),
    rule(
        "division",
        "self.type == 'Weighted' || !has(self.weights) || self.weights.size() == 0",
        "division.weights are for type Weighted",
        "'division.weights are not used by type %s: choose type Weighted, or leave them out'.format([self.type])",
    ),
    rule(
        "spread[]",
        "!has(self.minGroups) || !has(self.maxGroups) || self.minGroups <= self.maxGroups",
        "minGroups is at most maxGroups",
        "'minGroups %d is above maxGroups %d for %s: lower the first or raise the second'.format([self.minGroups, self.maxGroups, self.topologyKey])",
    ),
    rule(
        "spread[]",
        "!has(self.within) || self.within != self.topologyKey",
        "within is another constraint's topologyKey",
        "\"spread over '%s' cannot be within itself: name the key of another constraint, or leave within out\".format([self.topologyKey])",
    ),
    rule(
        "spread",
        "self.all(a, !has(a.within) || self.exists(b, b.topologyKey == a.within))",
        "within names the topologyKey of a constraint of the list",
        "\"spread is within '%s', over which there is no spread: add a constraint with that topologyKey, or leave within out\".format([self.filter(a, has(a.within) && !self.exists(b, b.topologyKey == a.within))[0].within])",
    ),
    rule(
        "spread",
        concat!("!self.exists(a, ", deep!(), ")"),
        "within makes no circle, and nests at most four deep",
        concat!(
            "\"spread over '%s' is within '%s', which comes round in a circle or nests more than four deep: leave within out where it should end\".format(self.filter(a, ",
            deep!(),
            ").map(a, [a.topologyKey, a.within])[0])"
        ),
    ),
    topology_key("spread[].topologyKey"),
    topology_key("components.topologyKey"),
    topology_key("workloads[].topologyKey"),
    rule(
        "workloads[].matchExpressions[]",
        "self.operator in ['In', 'NotIn'] == (has(self.values) && self.values.size() > 0)",
        "operators In and NotIn have values, and the others none",
        "\"label '%s' by operator %s: In and NotIn need values, the others have none\".format([self.key, self.operator])",
    ),
    rule(
        "",
        "!has(self.components) || self.components.type != 'Apart' || !has(self.division) || self.division.type != 'Duplicated'",
        "components.type Apart contradicts division.type Duplicated, which gives every member every component: leave one out",
        "",
    ),
    rule(
        "components",
        "self.type != 'Any' || !has(self.topologyKey)",
        "components.topologyKey is for type Together or Apart",
        "\"components.topologyKey '%s' is not used by type Any: choose Together or Apart, or leave it out\".format([self.topologyKey])",
    ),
    rule(
        "return.after",
        "self.matches('^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$') && self.size() > 0 && duration(self) >= duration('1s') && duration(self) <= duration('168h')",
        "return.after is a time from 1s to 168h, such as 30s, 5m or 1h30m",
        "\"return.after '%s' is no time from 1s to 168h: write it as 30s, 5m or 1h30m\".format([self])",
    ),
    rule(
        "return",
        "self.policy != 'Never' || !has(self.after)",
        "return.after is for policy WhenIdle or Always",
        "\"return.after '%s' is not used by policy Never: choose WhenIdle or Always, or leave it out\".format([self.after])",
    ),
    rule(
        "",
        "!has(self.__return__) || self.__return__.policy == 'Never' || (has(self.affinity) && self.affinity.size() > 1)",
        "return.policy needs two terms of affinity or more",
        "'return.policy %s has no earlier term to go back to: write two terms or more in affinity, or leave return out'.format([self.__return__.policy])",
    ),
    rule(
        "requirements.arch[]",
        "!(self in ['x86_64', 'aarch64', 'x86', 'arm'])  && self.matches('^[a-z0-9_]+$')",
        "arch is named as Kubernetes does",
        "\"arch '%s' is not Kubernetes' name of one: use %s\".format([self, self == 'aarch64' ? 'arm64' : 'amd64, arm64 or loong64'])",
    ),
    rule(
        "tolerations[]",
        "self.operator != 'Exists' || !has(self.value) || self.value == ''",
        "a toleration with operator Exists has no value",
        "\"value '%s' is not compared with operator Exists: leave it out, or use Equal\".format([self.value])",
    ),
    rule(
        "tolerations[]",
        "self.operator == 'Exists' || (has(self.key) && self.key != '')",
        "a toleration without key has operator Exists",
        "",
    ),
];

pub(super) const WORKLOAD_BOUNDS: &[Bound] = &[
    bound(
        "spec.manifests[].metadata",
        r#"{"properties": {
            "labels": {"type": "object", "nullable": true, "maxProperties": 64,
                "description": "Labels; none begins with heyun.dev/.",
                "additionalProperties": {"type": "string", "maxLength": 63}},
            "annotations": {"type": "object", "nullable": true, "maxProperties": 128,
                "description": "Annotations; none begins with heyun.dev/.",
                "additionalProperties": {"type": "string"}}}}"#,
    ),
    bound("spec.manifests[].metadata.name", r#"{"minLength": 1}"#),
    bound(
        "spec.manifests[].metadata.namespace",
        r#"{"nullable": true}"#,
    ),
    bound(
        "spec.secrets[].name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound(
        "spec.placementRef.name",
        r#"{"maxLength": 253, "minLength": 1}"#,
    ),
    bound("spec.scaleTarget", r#"{"maxLength": 317}"#),
    bound(
        "spec.components[].name",
        r#"{"maxLength": 317, "minLength": 3}"#,
    ),
    bound("spec.platforms[]", r#"{"maxLength": 32, "minLength": 7}"#),
    bound(
        "spec.overrides[].architectures[]",
        r#"{"maxLength": 16, "minLength": 1}"#,
    ),
    bound(
        "spec.overrides[].images[].component",
        r#"{"maxLength": 317}"#,
    ),
    bound(
        "spec.overrides[].images[].container",
        r#"{"maxLength": 63, "minLength": 1}"#,
    ),
    bound(
        "spec.overrides[].images[].image",
        r#"{"maxLength": 512, "minLength": 1}"#,
    ),
    bound("spec.priorityClassName", r#"{"maxLength": 253}"#),
];

/// Kinds of Kubernetes' own groups: those without a dot, and `*.k8s.io`.
macro_rules! builtin {
    ($kinds:literal) => {
        concat!(
            "!((!self.apiVersion.contains('.') || self.apiVersion.contains('.k8s.io/')) && self.kind in ",
            $kinds,
            ")"
        )
    };
}

// What compares every manifest with every other, and what needs the Workload's own namespace, is in
// charts/heyun/files/policies.yaml: a policy runs on writes of the spec, a rule on those of the
// status too.
pub(super) const WORKLOAD_RULES: &[Rule] = &[
    rule(
        "spec",
        "!has(self.placement) || !has(self.placementRef)",
        "placement and placementRef are not given together",
        "\"placement and placementRef '%s' are both given: leave one out\".format([self.placementRef.name])",
    ),
    rule(
        "spec",
        "!has(self.scaleTarget) || self.manifests.exists(m, m.kind + '/' + m.metadata.name == self.scaleTarget)",
        "scaleTarget names one of manifests",
        "\"scaleTarget '%s' is none of spec.manifests: write it as Kind/name of one, such as Deployment/web\".format([self.scaleTarget])",
    ),
    rule(
        "spec",
        "!has(self.replicas) || has(self.scaleTarget) || self.manifests.filter(m, m.kind in ['Deployment', 'StatefulSet', 'ReplicaSet']).size() < 2",
        "replicas with several scalable manifests needs scaleTarget",
        "'replicas %d could mean any of %d scalable manifests: name one in scaleTarget, or use components'.format([self.replicas, self.manifests.filter(m, m.kind in ['Deployment', 'StatefulSet', 'ReplicaSet']).size()])",
    ),
    rule(
        "spec",
        "!has(self.emergency) || has(self.priorityClassName)",
        "emergency goes with a priority class for emergencies",
        "\"emergency document '%s' stands without a priority class: name one for emergencies in priorityClassName\".format([self.emergency.document])",
    ),
    rule(
        "spec.manifests[]",
        "self.kind != 'Secret' || self.apiVersion != 'v1'",
        "manifests hold no Secret",
        "\"Secret '%s' may not stand in a Workload: create it beside the Workload and name it in spec.secrets ('heyun deploy' does both)\".format([self.metadata.name])",
    ),
    rule(
        "spec.manifests[]",
        builtin!("['ResourceQuota', 'LimitRange', 'Lease', 'Event', 'Endpoints', 'EndpointSlice']"),
        "manifests hold nothing that the platform writes itself (ResourceQuota, LimitRange, Lease, Event, Endpoints, EndpointSlice)",
        "\"%s '%s' is written by the platform itself: leave it out\".format([self.kind, self.metadata.name])",
    ),
    rule(
        "spec.manifests[]",
        builtin!(
            "['Namespace', 'Node', 'PersistentVolume', 'ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition', 'APIService', 'StorageClass', 'VolumeAttributesClass', 'VolumeAttachment', 'CSIDriver', 'CSINode', 'PriorityClass', 'RuntimeClass', 'IngressClass', 'DeviceClass', 'ResourceSlice', 'ServiceCIDR', 'IPAddress', 'CertificateSigningRequest', 'ClusterTrustBundle', 'FlowSchema', 'PriorityLevelConfiguration', 'ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding', 'MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding']"
        ),
        "manifests hold no cluster-scoped kind",
        "\"%s '%s' is cluster-scoped: a Workload holds namespaced kinds only; leave it out and ask the platform for it\".format([self.kind, self.metadata.name])",
    ),
    rule(
        "spec.manifests[]",
        "!self.apiVersion.startsWith('heyun.dev/') && !(self.kind == 'List' && self.apiVersion == 'v1')",
        "manifests hold no kind of heyun.dev and no List",
        "self.kind == 'List' ? 'a List is not a manifest: put its items into spec.manifests one by one (heyun deploy does so)' : \"%s '%s' is Heyun's own kind: apply it beside the Workload\".format([self.kind, self.metadata.name])",
    ),
    rule(
        "spec.manifests[].metadata",
        "!self.name.startsWith('heyun')",
        "names that begin with heyun are the platform's",
        "\"metadata.name '%s' begins with heyun, as the platform's own objects do: choose another\".format([self.name])",
    ),
    rule(
        "spec.manifests[].metadata",
        "!has(self.labels) || self.labels.all(k, !k.startsWith('heyun.dev/'))",
        "labels that begin with heyun.dev/ are the platform's",
        "\"label '%s' of '%s' is the platform's: leave it out\".format([self.labels.filter(k, k.startsWith('heyun.dev/'))[0], self.name])",
    ),
    rule(
        "spec.manifests[].metadata",
        "!has(self.annotations) || self.annotations.all(k, !k.startsWith('heyun.dev/'))",
        "annotations that begin with heyun.dev/ are the platform's",
        "\"annotation '%s' of '%s' is the platform's: leave it out\".format([self.annotations.filter(k, k.startsWith('heyun.dev/'))[0], self.name])",
    ),
    rule(
        "spec.components[]",
        "self.name.matches('^[A-Z][A-Za-z0-9]*/[^/]+$')",
        "a component is written as Kind/name",
        "\"component '%s' is not written as Kind/name, such as StatefulSet/db\".format([self.name])",
    ),
    rule(
        "spec.platforms[]",
        "self.matches('^linux/[a-z0-9_]+(/v[0-9]+)?$') && !(self in ['linux/x86_64', 'linux/aarch64', 'linux/x86'])",
        "a platform is written as linux/ARCHITECTURE, with Kubernetes' name of the architecture",
        "\"platform '%s' is not written as linux/ARCHITECTURE: use %s\".format([self, self.contains('aarch64') || self.contains('arm64') ? 'linux/arm64' : 'linux/amd64, linux/arm64 or linux/loong64'])",
    ),
    rule(
        "spec.overrides[].architectures[]",
        "!(self in ['x86_64', 'aarch64', 'x86', 'arm'])  && self.matches('^[a-z0-9_]+$')",
        "architectures are named as Kubernetes does",
        "\"architecture '%s' is not Kubernetes' name of one: use %s\".format([self, self == 'aarch64' ? 'arm64' : 'amd64, arm64 or loong64'])",
    ),
    rule(
        "spec.priorityClassName",
        "!self.startsWith('system-')",
        "priority classes that begin with system- are Kubernetes' own",
        "\"priorityClassName '%s' is Kubernetes' own: see kubectl get priorityclasses\".format([self])",
    ),
];
