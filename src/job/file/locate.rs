//! From a place in a job to where it stands in the file.

use super::read::Reading;
use super::tree::{Node, Origin};
use crate::job::place::{Place, Step};

/// Where a place of the job that was read stands, as near as possible, and the same place as the
/// file counts it: what could not be read is missing from the lists of the job.
pub(super) fn locate(root: &Node, reading: &Reading, place: &Place) -> (Origin, Place) {
    let mut walk = Walk {
        node: Some(root),
        origin: root.origin,
        place: Place::job(),
    };
    for step in place.steps() {
        match step {
            Step::Task { index, name } => {
                let index = reading.tasks.get(*index).copied().unwrap_or(*index);
                walk.item(index);
                walk.place = Place::named_task(index, name.clone());
            }
            Step::Index(index) => {
                let workflow = Place::job().key("workflow").contains(&walk.place);
                let list = if workflow {
                    &reading.edges
                } else {
                    &reading.lifecycles
                };
                let index = list.get(*index).copied().unwrap_or(*index);
                walk.item(index);
                walk.place = walk.place.index(index);
            }
            Step::Key(key) => {
                let key = walk.key(key);
                walk.place = walk.place.key(key);
            }
        }
    }
    (walk.origin, walk.place)
}

/// A way down the tree, which ends where the file has nothing more.
struct Walk<'a> {
    node: Option<&'a Node>,
    origin: Origin,
    place: Place,
}

impl Walk<'_> {
    fn item(&mut self, index: usize) {
        self.node = self.node.and_then(|node| node.items().get(index));
        self.origin = self.node.map_or(self.origin, |node| node.origin);
    }

    /// Goes into the value of a key, and says which key it was: `n-peers` stands for two.
    fn key<'k>(&mut self, key: &'k str) -> &'k str {
        let entry = |key| self.node.and_then(|node| node.entry(key));
        let peers = ["min-peers", "max-peers"].contains(&key);
        let (entry, key) = match (entry(key), entry("n-peers")) {
            (None, Some(both)) if peers => (Some(both), "n-peers"),
            (entry, _) => (entry, key),
        };
        self.origin = entry.map_or(self.origin, |entry| entry.origin);
        self.node = entry.map(|entry| &entry.value);
        key
    }
}
