//! All that touches one member cluster: client, watches, sketch, executor.
