//! What an API server holds: objects as JSON, one counter of versions, and a log of changes.
//!
//! Only what the hub relies on: preconditions, generations, uids, finalizers, subresources, writes
//! that change nothing. Written from the Kubernetes API conventions, not from the hub's code.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Where an object stands. `res` is the plural of its kind; a namespace may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) res: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(res: &str, namespace: &str, name: &str) -> Self {
        Self {
            res: res.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.res, self.namespace, self.name)
    }
}

/// An answer that refuses.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
        }
    }

    fn conflict(key: &Key) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("{key}: the object has been modified"),
        )
    }

    /// As a `Status`.
    pub(crate) fn body(&self) -> Vec<u8> {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        })
        .to_string()
        .into_bytes()
    }
}

/// How an object is written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Write {
    Create(Value),
    Replace(Value),
    /// A merge patch; of the status alone where that is said.
    Merge(Value, bool),
    Apply(Value),
    /// With its preconditions: uid and resourceVersion.
    Delete(Option<String>, Option<String>),
}

/// What a write amounts to: the object before and after.
#[derive(Debug)]
pub(crate) struct Intent {
    pub(crate) key: Key,
    pub(crate) old: Option<Arc<Value>>,
    pub(crate) new: Option<Arc<Value>>,
    /// A delete was asked for.
    pub(crate) delete: bool,
}

/// An object, and the same as text, which is what is sent.
#[derive(Debug)]
struct Stored {
    object: Arc<Value>,
    text: Bytes,
    /// Where the value of each of its fields stands in the text.
    fields: BTreeMap<String, Range<usize>>,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) version: u64,
    pub(crate) res: String,
    pub(crate) line: Bytes,
}

/// The objects.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) version: u64,
    uids: u64,
    objects: BTreeMap<Key, Stored>,
    pub(crate) log: Vec<Change>,
}

/// A field of `metadata`, as text.
pub(crate) fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made an object")
}

/// RFC 7386.
fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    let into = map(into);
    for (key, value) in patch {
        if value.is_null() {
            into.remove(&key);
        } else {
            merge(into.entry(key).or_insert(Value::Null), value);
        }
    }
}

const WITH_STATUS: [&str; 7] = [
    "workloads",
    "works",
    "quotas",
    "tenants",
    "flavors",
    "sketches",
    "memberclusters",
];

impl Store {
    pub(crate) fn get(&self, res: &str, namespace: &str, name: &str) -> Option<&Value> {
        let stored = self.objects.get(&Key::new(res, namespace, name))?;
        Some(&stored.object)
    }

    /// An object as text.
    pub(crate) fn text(&self, key: &Key) -> Option<&Bytes> {
        Some(&self.objects.get(key)?.text)
    }

    /// A list as text.
    pub(crate) fn list_text(&self, res: &str, namespace: &str) -> Vec<u8> {
        let head = r#"{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":""#;
        let mut body = format!("{head}{}\"}},\"items\":[", self.version.max(1)).into_bytes();
        for (at, (_, stored)) in self.of(res, namespace).enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&stored.text);
        }
        body.extend_from_slice(b"]}");
        body
    }

    /// The objects of a kind, of all namespaces where none is named.
    pub(crate) fn list<'a>(
        &'a self,
        res: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let all = self.of(res, namespace);
        all.map(|(key, stored)| (key, &stored.object))
    }

    fn of<'a>(
        &'a self,
        res: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Stored)> {
        let first = Key::new(res, namespace, "");
        self.objects.range(first..).take_while(move |(key, _)| {
            key.res == res && (namespace.is_empty() || key.namespace == namespace)
        })
    }

    /// What a write would make of an object; nothing is written yet.
    pub(crate) fn intend(&self, key: &Key, write: Write, now: &str) -> Result<Intent, Refused> {
        let old = self.objects.get(key).map(|s| Arc::clone(&s.object));
        let delete = matches!(write, Write::Delete(..));
        let missing = || Refused::new(404, "NotFound", format!("{key} not found"));
        let new = match (write, &old) {
            (Write::Create(_), Some(_)) => {
                let message = format!("{key} already exists");
                return Err(Refused::new(409, "AlreadyExists", message));
            }
            (Write::Create(object), None) => Some(object),
            (Write::Apply(object), None) if meta(&object, "uid").is_empty() => Some(object),
            (_, None) => return Err(missing()),
            (Write::Replace(mut object), Some(old)) => {
                precondition(key, old, &object["metadata"])?;
                if WITH_STATUS.contains(&key.res.as_str()) {
                    object["status"] = old["status"].clone();
                }
                for field in [
                    "uid",
                    "creationTimestamp",
                    "deletionTimestamp",
                    "generation",
                ] {
                    object["metadata"][field] = old["metadata"][field].clone();
                }
                Some(object)
            }
            (Write::Merge(mut patch, status), Some(old)) => {
                precondition(key, old, &patch["metadata"])?;
                let mut object = Value::clone(old);
                if status {
                    merge(&mut object["status"], patch["status"].take());
                } else {
                    merge(&mut object, patch);
                }
                Some(object)
            }
            (Write::Apply(patch), Some(old)) => {
                precondition(key, old, &patch["metadata"])?;
                let mut object = Value::clone(old);
                merge(&mut object, patch);
                Some(object)
            }
            (Write::Delete(uid, version), Some(old)) => {
                let said = json!({"uid": uid, "resourceVersion": version});
                precondition(key, old, &said)?;
                let finalizers = old["metadata"]["finalizers"].as_array();
                finalizers.is_some_and(|list| !list.is_empty()).then(|| {
                    let mut object = Value::clone(old);
                    if object["metadata"]["deletionTimestamp"].is_null() {
                        object["metadata"]["deletionTimestamp"] = json!(now);
                    }
                    object
                })
            }
        };
        Ok(Intent {
            key: key.clone(),
            old,
            new: new.map(clean).map(Arc::new),
            delete,
        })
    }

    /// Writes what was intended and accepted; returns the object as it is then, and whether
    /// anything changed.
    pub(crate) fn commit(&mut self, intent: &mut Intent, now: &str) -> (Bytes, bool) {
        let key = &intent.key;
        let mut new = intent.new.take().map(Arc::unwrap_or_clone);
        let mut same = Vec::new();
        if let (Some(old), Some(new)) = (&intent.old, &mut new) {
            let version = &old["metadata"]["resourceVersion"];
            new["metadata"]["resourceVersion"] = version.clone();
            same = same_fields(old, new);
            if same.len() == fields(old).count() && same.len() == fields(new).count() {
                intent.new.clone_from(&intent.old);
                return (self.objects[key].text.clone(), false);
            }
        }
        self.version += 1;
        let (kind, mut shown) = match (&intent.old, new) {
            (None, Some(mut new)) => {
                self.uids += 1;
                let uid = format!("uid-{}", self.uids);
                if WITH_STATUS.contains(&key.res.as_str()) {
                    map(&mut new).remove("status");
                }
                let metadata = map(&mut new["metadata"]);
                metadata.insert("uid".into(), json!(uid));
                metadata.insert("generation".into(), json!(1));
                metadata.insert("creationTimestamp".into(), json!(now));
                metadata.insert("name".into(), json!(key.name));
                if !key.namespace.is_empty() {
                    metadata.insert("namespace".into(), json!(key.namespace));
                }
                ("ADDED", new)
            }
            (Some(old), Some(mut new)) => {
                let deleting = |object: &Value| !object["metadata"]["deletionTimestamp"].is_null();
                let is_same = same.iter().any(|field| field == "spec");
                let respecified = !is_same && new["spec"] != old["spec"];
                if respecified || deleting(&new) != deleting(old) {
                    let generation = old["metadata"]["generation"].as_i64().unwrap_or(1) + 1;
                    new["metadata"]["generation"] = json!(generation);
                }
                let finalizers = new["metadata"]["finalizers"].as_array();
                let done = deleting(&new) && finalizers.is_none_or(Vec::is_empty);
                (if done { "DELETED" } else { "MODIFIED" }, new)
            }
            (Some(old), None) => ("DELETED", Value::clone(old)),
            (None, None) => unreachable!("nothing is deleted that is not there"),
        };
        shown["metadata"]["resourceVersion"] = json!(self.version.to_string());
        same.retain(|field| field != "metadata");
        let mut line = format!("{{\"type\":\"{kind}\",\"object\":").into_bytes();
        let from = line.len();
        let places = write(&mut line, &shown, self.objects.get(key), &same);
        let to = line.len();
        line.extend_from_slice(b"}\n");
        let line = Bytes::from(line);
        let text = line.slice(from..to);
        if kind == "DELETED" {
            self.objects.remove(key);
        } else {
            let object = Arc::new(shown);
            intent.new = Some(Arc::clone(&object));
            let stored = Stored {
                object,
                text: text.clone(),
                fields: places,
            };
            self.objects.insert(key.clone(), stored);
        }
        self.log.push(Change {
            version: self.version,
            res: key.res.clone(),
            line,
        });
        (text, true)
    }
}

fn fields(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

/// The fields of an object that are as they were.
fn same_fields(old: &Value, new: &Value) -> Vec<String> {
    let same = fields(new).filter(|(field, value)| old.get(field.as_str()) == Some(*value));
    same.map(|(field, _)| field.clone()).collect()
}

/// Appends an object as text; the text of the fields that are the `same` is taken from before.
fn write(
    into: &mut Vec<u8>,
    object: &Value,
    before: Option<&Stored>,
    same: &[String],
) -> BTreeMap<String, Range<usize>> {
    let from = into.len();
    let mut places = BTreeMap::new();
    for (field, value) in fields(object) {
        into.push(if places.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut *into, field).unwrap();
        into.push(b':');
        let at = into.len();
        match before.filter(|_| same.contains(field)) {
            Some(stored) => {
                into.extend_from_slice(&stored.text[stored.fields[field].clone()]);
            }
            None => into.extend_from_slice(value.to_string().as_bytes()),
        }
        places.insert(field.clone(), at - from..into.len() - from);
    }
    into.push(b'}');
    places
}

/// Nulls mean that a field is absent.
fn clean(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|_, value| !value.is_null());
    }
    object
}

/// uid and resourceVersion, where they are named, are the object's.
fn precondition(key: &Key, old: &Value, said: &Value) -> Result<(), Refused> {
    for field in ["uid", "resourceVersion"] {
        if let Some(asked) = said[field].as_str()
            && asked != meta(old, field)
        {
            return Err(Refused::conflict(key));
        }
    }
    Ok(())
}
