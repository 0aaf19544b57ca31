//! Names that Heyun makes: of Works, of label values, of member namespaces. Each has one rule, here.

use heyun_crds::labels;
use sha2::{Digest, Sha256};

/// Most characters of the workload's name that a Work's name begins with.
const WORK_NAME_HEAD: usize = 40;
/// Most characters of a label value in Kubernetes.
const LABEL_VALUE_MAX: usize = 63;
/// Hexadecimal digits of a hash in a name.
const HASH_DIGITS: usize = 10;

/// SHA-256 of the parts in lower-case hexadecimal; a zero byte parts them, so that `a` + `bc` is
/// not `ab` + `c`.
pub fn sha256_hex(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hasher
        .finalize()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

/// The first ten hexadecimal digits of [`sha256_hex`].
pub fn short_hash(parts: &[&str]) -> String {
    let mut hash = sha256_hex(parts);
    hash.truncate(HASH_DIGITS);
    hash
}

/// The name of every Work of a Workload: the first 40 characters of its name and ten digits of a
/// hash of namespace and name, so that it is the same on every member and in every epoch.
pub fn work_name(namespace: &str, name: &str) -> String {
    format!(
        "{}-{}",
        head(name, WORK_NAME_HEAD),
        short_hash(&[namespace, name])
    )
}

/// The name of the copy of a Secret beside the Work it goes along with, in the member's namespace
/// on the hub.
pub fn secret_copy_name(work: &str, secret: &str) -> String {
    format!("{work}-{}", short_hash(&[secret]))
}

/// `name` as a label value: itself, or its beginning and ten digits of its hash when it is longer
/// than the 63 characters that a label value may have.
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_VALUE_MAX {
        return name.to_owned();
    }
    let room = LABEL_VALUE_MAX - HASH_DIGITS - 1;
    format!("{}-{}", head(name, room), short_hash(&[name]))
}

/// The member whose Works, Sketch and Secrets live in this hub namespace, if it is one of those.
pub fn member_of_namespace(namespace: &str) -> Option<&str> {
    let empty = labels::member_namespace("");
    namespace
        .strip_prefix(empty.as_str())
        .filter(|member| !member.is_empty())
}

/// At most `max` bytes of a name, never ending in a character that a name may not end a part with.
fn head(name: &str, max: usize) -> &str {
    let mut end = name.len().min(max);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].trim_end_matches(['-', '.', '_'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_the_published_one() {
        // SHA-256 of "abc" followed by the separating zero byte.
        let parted = sha256_hex(&["abc"]);
        assert_eq!(parted.len(), 64);
        assert_ne!(sha256_hex(&["a", "bc"]), sha256_hex(&["ab", "c"]));
        assert_eq!(
            sha256_hex(&[]),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn work_name_keeps_forty_and_differs_by_namespace() {
        let long = "a".repeat(39) + ".bcdef";
        let name = work_name("gz", &long);
        assert_eq!(
            name.len(),
            39 + 1 + 10,
            "the dot before the hash is dropped: {name}"
        );
        assert!(name.starts_with(&"a".repeat(39)));
        assert_ne!(work_name("gz", "web"), work_name("sz", "web"));
        assert_eq!(work_name("gz", "web"), work_name("gz", "web"));
        assert!(work_name("gz", "web").starts_with("web-"));
    }

    #[test]
    fn label_values_are_cut_to_what_a_label_may_hold() {
        assert_eq!(label_value("web"), "web");
        let long = "x".repeat(100);
        assert_eq!(label_value(&long).len(), 63);
        assert_ne!(label_value(&long), label_value(&"x".repeat(101)));
    }

    #[test]
    fn member_namespaces_name_their_member() {
        assert_eq!(
            member_of_namespace("heyun-member-guangzhou-1"),
            Some("guangzhou-1")
        );
        assert_eq!(member_of_namespace("heyun-member-"), None);
        assert_eq!(member_of_namespace("heyun-system"), None);
    }
}
