//! Reading fields of a manifest, and noting those that are malformed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{ManifestError, shown_json};

/// A place in a manifest: a value and its path.
#[derive(Clone, Debug)]
pub(crate) struct At<'v> {
    /// The value.
    pub(crate) value: &'v Value,
    /// Its path from the manifest's root, such as `spec.template.spec`.
    pub(crate) path: String,
}

impl<'v> At<'v> {
    /// The root of a manifest.
    pub(crate) fn root(value: &'v Value) -> Self {
        Self {
            value,
            path: String::new(),
        }
    }

    /// The path of a field of this value.
    pub(crate) fn path_of(&self, field: &str) -> String {
        if self.path.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        }
    }

    /// The field, if it is there and not null.
    pub(crate) fn get(&self, field: &str) -> Option<Self> {
        let value = self.value.get(field).filter(|v| !v.is_null())?;
        Some(Self {
            value,
            path: self.path_of(field),
        })
    }
}

/// The faults of one manifest.
pub(crate) struct Notes<'e> {
    place: String,
    errors: &'e mut Vec<ManifestError>,
}

impl<'e> Notes<'e> {
    /// Notes under a place such as `manifests[3] Deployment/web`.
    pub(crate) fn new(place: &str, errors: &'e mut Vec<ManifestError>) -> Self {
        Self {
            place: place.to_owned(),
            errors,
        }
    }

    /// Notes a fault at a path of the manifest.
    pub(crate) fn add(&mut self, path: &str, problem: impl Into<String>, fix: impl Into<String>) {
        let place = if path.is_empty() {
            self.place.clone()
        } else {
            format!("{}: {path}", self.place)
        };
        self.errors
            .push(ManifestError::invalid(place, problem, fix));
    }

    fn wrong(&mut self, at: &At<'_>, wanted: &str) {
        let problem = format!("{} is not {wanted}", shown_json(at.value));
        self.add(&at.path, problem, format!("write {wanted}"));
    }

    /// An object field; noted when it is something else.
    pub(crate) fn object<'v>(&mut self, at: &At<'v>, field: &str) -> Option<At<'v>> {
        let found = at.get(field)?;
        if found.value.is_object() {
            return Some(found);
        }
        self.wrong(&found, "an object");
        None
    }

    /// An object field that must be there.
    pub(crate) fn required<'v>(&mut self, at: &At<'v>, field: &str) -> Option<At<'v>> {
        if at.get(field).is_none() {
            self.add(&at.path_of(field), "is missing", "add it");
            return None;
        }
        self.object(at, field)
    }

    /// The objects of a list field; empty when it is absent; noted when it is something else.
    pub(crate) fn list<'v>(&mut self, at: &At<'v>, field: &str) -> Vec<At<'v>> {
        let Some(found) = at.get(field) else {
            return Vec::new();
        };
        let Some(items) = found.value.as_array() else {
            self.wrong(&found, "a list");
            return Vec::new();
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, value) in items.iter().enumerate() {
            let item = At {
                value,
                path: format!("{}[{index}]", found.path),
            };
            if value.is_object() {
                list.push(item);
            } else {
                self.wrong(&item, "an object");
            }
        }
        list
    }

    /// A text field.
    pub(crate) fn text<'v>(&mut self, at: &At<'v>, field: &str) -> Option<&'v str> {
        let found = at.get(field)?;
        let text = found.value.as_str();
        if text.is_none() {
            self.wrong(&found, "text");
        }
        text
    }

    /// A text field that must be there and not empty.
    pub(crate) fn required_text<'v>(&mut self, at: &At<'v>, field: &str) -> Option<&'v str> {
        if at.get(field).is_none_or(|found| found.value == "") {
            self.add(&at.path_of(field), "is missing", "add it");
            return None;
        }
        self.text(at, field)
    }

    /// A whole number of at least 0, as Kubernetes' int32.
    pub(crate) fn count(&mut self, at: &At<'_>, field: &str) -> Option<i64> {
        let found = at.get(field)?;
        let number = found
            .value
            .as_i64()
            .filter(|n| (0..=i64::from(i32::MAX)).contains(n));
        if number.is_none() {
            self.wrong(&found, "a whole number from 0 to 2147483647");
        }
        number
    }

    /// A map of texts, such as labels; empty when it is absent.
    pub(crate) fn texts(&mut self, at: &At<'_>, field: &str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let Some(found) = self.object(at, field) else {
            return texts;
        };
        for (key, value) in entries(&found) {
            if let Some(text) = value.as_str() {
                texts.insert(key.clone(), text.to_owned());
            } else {
                let item = At {
                    value,
                    path: format!("{}[{key}]", found.path),
                };
                self.wrong(&item, "text (put it in quotes)");
            }
        }
        texts
    }

    /// A list of texts; empty when it is absent.
    pub(crate) fn text_list(&mut self, at: &At<'_>, field: &str) -> Vec<String> {
        let Some(found) = at.get(field) else {
            return Vec::new();
        };
        let texts: Option<Vec<String>> = found.value.as_array().and_then(|items| {
            items
                .iter()
                .map(|i| i.as_str().map(str::to_owned))
                .collect()
        });
        texts.unwrap_or_else(|| {
            self.wrong(&found, "a list of texts");
            Vec::new()
        })
    }
}

/// The fields of an object; none when it is something else.
pub(crate) fn entries<'v>(at: &At<'v>) -> impl Iterator<Item = (&'v String, &'v Value)> {
    at.value.as_object().into_iter().flat_map(Map::iter)
}
