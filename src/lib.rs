//! Masterless distributed data processing.
