//! Plugins at both ends of a line: a list that is read, and a place where segments are kept.

use super::Registry;
use crate::job::TaskKind;
use crate::job::vocabulary::{PluginSignature, Signature};
use crate::plugins::{Input, Output, PluginError, Polled, Position, ReadSegments, Rejected, Start};
use crate::segment::Segment;
use std::sync::{Arc, Mutex};

/// What the ends of a line were given and told.
#[derive(Clone, Default)]
pub(super) struct Ends {
    shared: Arc<Mutex<Told>>,
}

/// What the ends of a line were told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) written: Vec<i64>,
    pub(super) seals: usize,
    pub(super) completed: Vec<i64>,
    pub(super) starts: Vec<Start>,
    /// Why the output refuses, if it does.
    pub(super) refuses: Option<String>,
    /// Whether every tenth piece of the input is no segment.
    pub(super) is_damaged: bool,
}

struct List {
    segments: Vec<Segment>,
    next: usize,
    ends: Ends,
}

struct Keep(Ends);

impl Ends {
    /// A registry with `list`, which reads these segments, and `keep`.
    pub(super) fn registry(&self, segments: Vec<Segment>) -> Registry {
        let mut registry = Registry::with_built_in();
        let signature = || PluginSignature {
            kind: TaskKind::Input,
            max_peers: None,
            signature: Signature::default(),
        };
        let ends = self.clone();
        registry.plugins.input("list", signature(), move |context| {
            ends.told(|told| told.starts.push(context.start.clone()));
            let position = match &context.start {
                Start::Resumed(Some(position)) => {
                    position.get("next").and_then(|next| next.as_int())
                }
                Start::Fresh | Start::Resumed(None) => None,
            };
            let (segments, ends) = (segments.clone(), ends.clone());
            Ok(List {
                segments,
                next: position.unwrap_or(0) as usize,
                ends,
            })
        });
        let ends = self.clone();
        registry
            .plugins
            .output("keep", signature(), move |_| Ok(Keep(ends.clone())));
        registry
    }

    pub(super) fn told<T>(&self, look: impl FnOnce(&mut Told) -> T) -> T {
        look(&mut self.shared.lock().unwrap())
    }

    pub(super) fn written(&self) -> Vec<i64> {
        self.told(|told| told.written.clone())
    }
}

impl Input for List {
    fn poll(&mut self, max: usize, read: &mut ReadSegments) -> Result<Polled, PluginError> {
        let is_damaged = self.ends.told(|told| told.is_damaged);
        for _ in 0..max {
            let Some(segment) = self.segments.get(self.next) else {
                return Ok(Polled::Exhausted);
            };
            self.next += 1;
            if is_damaged && self.next.is_multiple_of(10) {
                let (place, raw) = (format!("piece {}", self.next), String::new());
                read.rejected.push(Rejected {
                    place,
                    reason: "it is a tenth".into(),
                    raw,
                });
            } else {
                read.segments.push(segment.clone());
            }
        }
        Ok(Polled::More)
    }

    fn position(&self) -> Position {
        [("next", self.next as i64)].into_iter().collect()
    }

    fn completed(&mut self, position: &Position) -> Result<(), PluginError> {
        let next = position.get("next").and_then(|next| next.as_int()).unwrap();
        self.ends.told(|told| told.completed.push(next));
        Ok(())
    }
}

impl Output for Keep {
    fn write(&mut self, segments: &[Segment]) -> Result<(), PluginError> {
        self.0.told(|told| match &told.refuses {
            Some(reason) => Err(PluginError(reason.clone())),
            None => {
                told.written.extend(segments.iter().map(super::n));
                Ok(())
            }
        })
    }

    fn seal(&mut self) -> Result<(), PluginError> {
        self.0.told(|told| told.seals += 1);
        Ok(())
    }
}
