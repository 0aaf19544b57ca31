//! The operator: watches, reconcilers, scheduling loop, serving.
