//! Values that are set, not counted: what is on the board is what is exported.
//!
//! A synchronous gauge goes on showing the last value of a member or tenant that is long gone.
//! A board is read at each collection, so a row that was taken off vanishes from the metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

/// The most series one board shows. The SDK folds what is over 2,000 into one series, which for
/// values of a tree would be a meaningless sum.
pub(crate) const SERIES_MAX: usize = 1_900;

/// The rows of one instrument; a clone is the same board.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    attributes: &'static [&'static str],
    rows: Arc<Mutex<BTreeMap<Vec<String>, f64>>>,
    dropped: Arc<AtomicU64>,
}

/// What an instrument is called and counted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) help: &'static str,
}

impl Board {
    /// A board shown as an up-down counter: values that may be summed over attributes.
    pub(crate) fn summed(
        meter: &Meter,
        what: Description,
        attributes: &'static [&'static str],
    ) -> Self {
        let board = Self::empty(attributes);
        let shown = board.clone();
        let _ = meter
            .f64_observable_up_down_counter(what.name)
            .with_unit(what.unit)
            .with_description(what.help)
            .with_callback(move |observer| shown.observe(observer))
            .build();
        board
    }

    /// A board shown as a gauge: values of which a sum means nothing.
    pub(crate) fn gauge(
        meter: &Meter,
        what: Description,
        attributes: &'static [&'static str],
    ) -> Self {
        let board = Self::empty(attributes);
        let shown = board.clone();
        let _ = meter
            .f64_observable_gauge(what.name)
            .with_unit(what.unit)
            .with_description(what.help)
            .with_callback(move |observer| shown.observe(observer))
            .build();
        board
    }

    fn empty(attributes: &'static [&'static str]) -> Self {
        Self {
            attributes,
            rows: Arc::default(),
            dropped: Arc::default(),
        }
    }

    /// Sets one row; `values` are those of the board's attributes, in their order.
    pub(crate) fn set(&self, values: Vec<String>, value: f64) {
        debug_assert_eq!(values.len(), self.attributes.len());
        let mut rows = self.lock();
        if rows.len() >= SERIES_MAX && !rows.contains_key(&values) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        rows.insert(values, value);
    }

    /// Takes off every row whose attribute at `index` has this value.
    pub(crate) fn remove(&self, index: usize, value: &str) {
        self.lock()
            .retain(|values, _| values.get(index).is_none_or(|it| it != value));
    }

    /// Replaces every row.
    pub(crate) fn replace(&self, rows: impl IntoIterator<Item = (Vec<String>, f64)>) {
        let mut fresh = BTreeMap::new();
        for (values, value) in rows {
            if fresh.len() >= SERIES_MAX && !fresh.contains_key(&values) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            fresh.insert(values, value);
        }
        *self.lock() = fresh;
    }

    /// How many rows were refused so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn observe(&self, observer: &dyn AsyncInstrument<f64>) {
        for (values, value) in self.lock().iter() {
            let attributes: Vec<KeyValue> = self
                .attributes
                .iter()
                .zip(values)
                .map(|(key, value)| KeyValue::new(*key, value.clone()))
                .collect();
            observer.observe(*value, &attributes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, f64>> {
        // A panic between two inserts leaves rows that are each still true.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
