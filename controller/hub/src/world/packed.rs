//! Values that are held for long and read seldom.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value as its JSON, read anew each time: an object of many small maps and strings takes several
/// times the room, and leaves holes where others were.
pub struct Packed<T> {
    json: Box<[u8]>,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + Default> Packed<T> {
    /// Packs a value. One that came as JSON always goes back to JSON.
    pub fn new(value: &T) -> Self {
        let json = serde_json::to_vec(value).unwrap_or_default();
        Self {
            json: json.into_boxed_slice(),
            of: PhantomData,
        }
    }

    /// The value.
    pub fn get(&self) -> T {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }
}

impl<T> Clone for Packed<T> {
    fn clone(&self) -> Self {
        Self {
            json: self.json.clone(),
            of: PhantomData,
        }
    }
}

impl<T> PartialEq for Packed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl<T> fmt::Debug for Packed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json))
    }
}
