//! Hashes of JSON that do not depend on the order of keys.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Bytes as hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// First 32 hexadecimal digits of the SHA-256 over a value, keys in order.
pub(crate) fn of(value: &Value) -> String {
    let mut hasher = Sha256::new();
    feed(&mut hasher, value);
    let mut text = hex(&hasher.finalize());
    text.truncate(32);
    text
}

fn feed(hasher: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            hasher.update(b"{");
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            for key in keys {
                feed_text(hasher, key);
                feed(hasher, &map[key]);
            }
            hasher.update(b"}");
        }
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                feed(hasher, item);
            }
            hasher.update(b"]");
        }
        Value::String(text) => feed_text(hasher, text),
        other => {
            hasher.update(b"=");
            feed_text(hasher, &other.to_string());
        }
    }
}

/// Length first, so that no two values feed the same bytes.
fn feed_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_keys_does_not_matter_and_all_else_does() {
        let a: Value = serde_json::from_str(r#"{"a": 1, "b": [1, "2"]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b": [1, "2"], "a": 1}"#).unwrap();
        assert_eq!(of(&a), of(&b));
        assert_ne!(of(&a), of(&json!({"a": 1, "b": ["2", 1]})));
        assert_ne!(of(&json!({"a": "1"})), of(&json!({"a": 1})));
        assert_ne!(of(&json!({"a": null})), of(&json!({})));
    }
}
