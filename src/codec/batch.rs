//! A batch: what the runtime knows of each segment, in columns, beside the encoded segments.
//!
//! How it is kept is nobody else's business: phases ask for rows.

use super::Encoded;
use super::wire::ROW_LEN;
use crate::ids::PeerId;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Encoded segments, each with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    meta: BatchMeta,
    payload: Encoded,
}

/// Where a root was read and who counts its acks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The incarnation of the peer that read it.
    pub source: PeerId,
    /// The peer whose acking daemon keeps its ledger.
    pub acker: PeerId,
    /// The epoch of the source's task. Root sequences start again in each.
    pub epoch: u64,
    /// Which of the roots are traced: those divisible by this; none for 0.
    pub traced: u32,
}

/// What the runtime knows of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Which of the batch's origins it descends from.
    pub origin: u16,
    /// The sequence of its root at that origin.
    pub root: u64,
    /// The draw that stands for it in the ledger.
    pub ack_value: u64,
}

/// The rows of a batch. Cloning shares all but the ack values.
#[derive(Clone, Debug)]
pub struct BatchMeta {
    origins: Arc<[Origin]>,
    lineage: Lineage,
    ack_values: Vec<u64>,
}

/// From which roots the segments of a batch descend. Cloning shares everything.
#[derive(Clone, Debug)]
pub struct BatchRoots {
    origins: Arc<[Origin]>,
    lineage: Lineage,
    len: usize,
}

/// From which root each segment descends.
#[derive(Clone, Debug)]
enum Lineage {
    /// The first from this root of the first origin, and each other from the next root.
    Consecutive(u64),
    /// Any.
    Listed(Arc<Columns>),
}

#[derive(Clone, Debug, Default)]
struct Columns {
    origin: Vec<u16>,
    roots: Vec<u64>,
}

/// Why parts do not make a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Rows and segments are not equally many.
    #[error("a batch of {segments} segments has {rows} rows")]
    Lengths {
        /// How many rows there are.
        rows: usize,
        /// How many segments there are.
        segments: usize,
    },
    /// A row names an origin that is not there.
    #[error("row {row} names origin {origin} of {origins}")]
    UnknownOrigin {
        /// Which row.
        row: usize,
        /// The origin it names.
        origin: u16,
        /// How many there are.
        origins: usize,
    },
}

impl Batch {
    /// A batch of these rows and segments, which must be equally many.
    pub fn new(meta: BatchMeta, payload: Encoded) -> Result<Self, BatchError> {
        let (rows, segments) = (meta.len(), payload.len());
        if rows != segments {
            return Err(BatchError::Lengths { rows, segments });
        }
        Ok(Batch { meta, payload })
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.payload.len()
    }

    /// Whether there is no segment.
    pub fn is_empty(&self) -> bool {
        self.payload.is_empty()
    }

    /// What is known of the segments.
    pub fn meta(&self) -> &BatchMeta {
        &self.meta
    }

    /// The segments.
    pub fn payload(&self) -> &Encoded {
        &self.payload
    }

    /// Both.
    pub fn into_parts(self) -> (BatchMeta, Encoded) {
        (self.meta, self.payload)
    }

    /// The first `at` segments and the others. Panics, as a slice does, when there are not so many.
    pub fn split_at(&self, at: usize) -> (Batch, Batch) {
        (self.slice(0..at), self.slice(at..self.len()))
    }

    /// The batch in pieces, each of at most so many bytes on the wire. A segment that is larger on
    /// its own is a piece on its own: whoever sends it has to refuse it.
    pub fn split_to_fit(self, wire_bytes_max: usize) -> Vec<Batch> {
        if self.wire_len() <= wire_bytes_max {
            return vec![self];
        }
        let mut pieces = Vec::new();
        let mut start = 0;
        let mut length = self.wire_overhead();
        for (index, raw) in self.payload.iter().enumerate() {
            let row = ROW_LEN + raw.len();
            if length + row > wire_bytes_max && index > start {
                pieces.push(self.slice(start..index));
                start = index;
                length = self.wire_overhead();
            }
            length += row;
        }
        pieces.push(self.slice(start..self.len()));
        pieces
    }

    fn slice(&self, range: Range<usize>) -> Batch {
        Batch {
            payload: self.payload.slice(range.clone()),
            meta: self.meta.slice(range),
        }
    }
}

impl BatchMeta {
    /// The rows of so many consecutive roots that were just read: their ack values are zero, since
    /// nothing but their own children stands for them yet.
    pub fn of_roots(origin: Origin, first_root: u64, count: usize) -> Self {
        BatchMeta {
            origins: Arc::new([origin]),
            lineage: Lineage::Consecutive(first_root),
            ack_values: vec![0; count],
        }
    }

    /// Rows of consecutive roots of the first of these origins.
    pub(super) fn of_consecutive(
        origins: Vec<Origin>,
        first_root: u64,
        ack_values: Vec<u64>,
    ) -> Result<Self, BatchError> {
        if origins.is_empty() && !ack_values.is_empty() {
            return Err(BatchError::UnknownOrigin {
                row: 0,
                origin: 0,
                origins: 0,
            });
        }
        Ok(BatchMeta {
            origins: origins.into(),
            lineage: Lineage::Consecutive(first_root),
            ack_values,
        })
    }

    /// Any rows, each naming one of the origins.
    pub fn from_rows(
        origins: Vec<Origin>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<Self, BatchError> {
        let (mut columns, mut ack_values) = (Columns::default(), Vec::new());
        for (index, row) in rows.into_iter().enumerate() {
            if usize::from(row.origin) >= origins.len() {
                return Err(BatchError::UnknownOrigin {
                    row: index,
                    origin: row.origin,
                    origins: origins.len(),
                });
            }
            columns.push(row);
            ack_values.push(row.ack_value);
        }
        Ok(BatchMeta {
            origins: origins.into(),
            lineage: Lineage::Listed(Arc::new(columns)),
            ack_values,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ack_values.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ack_values.is_empty()
    }

    /// The first root, where the rows are known to be consecutive roots of the first origin.
    pub fn first_of_consecutive(&self) -> Option<u64> {
        match self.lineage {
            Lineage::Consecutive(first) => Some(first),
            Lineage::Listed(_) => None,
        }
    }

    /// The origins that rows name.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// One row. Panics, as a slice does, when it is not there.
    #[inline]
    pub fn row(&self, index: usize) -> Row {
        let ack_value = self.ack_values[index];
        let (origin, root) = self.lineage.at(index);
        Row {
            origin,
            root,
            ack_value,
        }
    }

    /// All rows.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row> {
        (0..self.len()).map(|index| self.row(index))
    }

    /// From which roots the segments descend, without the rest.
    pub fn roots(&self) -> BatchRoots {
        BatchRoots {
            origins: self.origins.clone(),
            lineage: self.lineage.clone(),
            len: self.len(),
        }
    }

    /// The ack values alone.
    pub fn ack_values(&self) -> &[u64] {
        &self.ack_values
    }

    fn slice(&self, range: Range<usize>) -> Self {
        BatchMeta {
            origins: self.origins.clone(),
            lineage: self.lineage.slice(range.clone()),
            ack_values: self.ack_values[range].to_vec(),
        }
    }
}

impl BatchRoots {
    /// Adds those of some roots that a source read in an epoch from which any segment descends.
    pub fn find(
        &self,
        (source, epoch): (PeerId, u64),
        asked: &BTreeSet<u64>,
        found: &mut BTreeSet<u64>,
    ) {
        let is_theirs = |origin: &Origin| (origin.source, origin.epoch) == (source, epoch);
        match &self.lineage {
            _ if !self.origins.iter().any(is_theirs) => {}
            Lineage::Consecutive(first) => {
                let last = first.saturating_add(self.len as u64);
                if is_theirs(&self.origins[0]) {
                    found.extend(asked.range(*first..last));
                }
            }
            Lineage::Listed(columns) => {
                let rows = columns.origin.iter().zip(&columns.roots);
                let theirs = rows.filter(|(origin, _)| is_theirs(&self.origins[**origin as usize]));
                found.extend(
                    theirs
                        .map(|(_, root)| *root)
                        .filter(|it| asked.contains(it)),
                );
            }
        }
    }
}

/// Equal when the same rows name the same origins, however they are kept.
impl PartialEq for BatchMeta {
    fn eq(&self, other: &Self) -> bool {
        self.origins == other.origins && self.rows().eq(other.rows())
    }
}

impl Lineage {
    /// The origin and the root of one segment.
    #[inline]
    fn at(&self, index: usize) -> (u16, u64) {
        match self {
            Lineage::Consecutive(first) => (0, first.wrapping_add(index as u64)),
            Lineage::Listed(columns) => (columns.origin[index], columns.roots[index]),
        }
    }

    fn slice(&self, range: Range<usize>) -> Self {
        match self {
            Lineage::Consecutive(first) => {
                Lineage::Consecutive(first.wrapping_add(range.start as u64))
            }
            Lineage::Listed(columns) if range == (0..columns.roots.len()) => self.clone(),
            Lineage::Listed(columns) => Lineage::Listed(Arc::new(Columns {
                origin: columns.origin[range.clone()].to_vec(),
                roots: columns.roots[range].to_vec(),
            })),
        }
    }
}

impl Columns {
    fn push(&mut self, row: Row) {
        self.origin.push(row.origin);
        self.roots.push(row.root);
    }
}

/// The rows of new segments, each a child of a received one: same origin, same root, own ack value.
#[derive(Debug)]
pub struct Children<'a> {
    received: &'a BatchMeta,
    parents: Parents,
    ack_values: Vec<u64>,
}

/// Of which received segments the new ones are children.
#[derive(Debug)]
enum Parents {
    /// Each of the one with its own index, so far.
    Same,
    /// Any.
    Listed(Columns),
}

impl<'a> Children<'a> {
    /// No children yet.
    pub fn of(received: &'a BatchMeta) -> Self {
        Children {
            received,
            parents: Parents::Same,
            ack_values: Vec::with_capacity(received.len()),
        }
    }

    /// The next new segment descends from the received one with this index. Panics, as a slice does,
    /// when there is none.
    #[inline]
    pub fn push(&mut self, parent: usize, ack_value: u64) {
        assert!(parent < self.received.len(), "no segment {parent}");
        if let Parents::Same = self.parents
            && parent != self.ack_values.len()
        {
            self.list();
        }
        if let Parents::Listed(columns) = &mut self.parents {
            columns.push(self.received.row(parent));
        }
        self.ack_values.push(ack_value);
    }

    /// The rows of the new batch. Where nothing was left out and nothing multiplied they share what is
    /// known of the received ones.
    pub fn finish(self) -> BatchMeta {
        let lineage = match self.parents {
            Parents::Same => self.received.lineage.slice(0..self.ack_values.len()),
            Parents::Listed(columns) => Lineage::Listed(Arc::new(columns)),
        };
        BatchMeta {
            origins: self.received.origins.clone(),
            lineage,
            ack_values: self.ack_values,
        }
    }

    #[cold]
    fn list(&mut self) {
        let mut columns = Columns::default();
        for same in 0..self.ack_values.len() {
            columns.push(self.received.row(same));
        }
        self.parents = Parents::Listed(columns);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::codec::EncodedBuilder;
    use crate::ids::IdSource;
    use crate::segment::Segment;

    pub(crate) fn origin(seed: u64) -> Origin {
        let mut ids = IdSource::from_seed(seed);
        Origin {
            source: ids.peer(),
            acker: ids.peer(),
            epoch: seed,
            traced: seed as u32,
        }
    }

    pub(crate) fn payload(count: usize) -> Encoded {
        let mut builder = EncodedBuilder::default();
        for n in 0..count {
            let segment: Segment = [("n", n as i64 * 50)].into_iter().collect();
            builder.push(&segment).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn children_inherit_origin_and_root() {
        let rows = [(0, 5), (1, 9), (0, 6)].map(|(origin, root)| Row {
            origin,
            root,
            ack_value: 1,
        });
        let received = BatchMeta::from_rows(vec![origin(1), origin(2)], rows).unwrap();
        let mut children = Children::of(&received);
        for (parent, ack_value) in [(1, 70), (1, 71), (2, 72)] {
            children.push(parent, ack_value);
        }
        let children = children.finish();
        let rows: Vec<(Origin, u64, u64)> = children
            .rows()
            .map(|row| {
                (
                    children.origins()[row.origin as usize],
                    row.root,
                    row.ack_value,
                )
            })
            .collect();
        assert_eq!(
            rows,
            [(origin(2), 9, 70), (origin(2), 9, 71), (origin(1), 6, 72)]
        );
    }

    #[test]
    fn roots_that_were_just_read_are_consecutive_and_stand_for_nothing_yet() {
        let meta = BatchMeta::of_roots(origin(1), 41, 3);
        let rows: Vec<(u64, u64)> = meta.rows().map(|row| (row.root, row.ack_value)).collect();
        assert_eq!(rows, [(41, 0), (42, 0), (43, 0)]);
        assert_eq!(meta.first_of_consecutive(), Some(41));
        // What is left of them, and what descends from each in turn, is known to be so too.
        assert_eq!(meta.slice(1..3).first_of_consecutive(), Some(42));
        let mut children = Children::of(&meta);
        children.push(0, 7);
        children.push(1, 8);
        assert_eq!(children.finish().first_of_consecutive(), Some(41));
        let listed = BatchMeta::from_rows(vec![origin(1)], meta.rows()).unwrap();
        assert_eq!((listed.first_of_consecutive(), &listed), (None, &meta));
        assert_ne!(meta, BatchMeta::of_roots(origin(1), 42, 3));
        assert_ne!(meta, BatchMeta::of_roots(origin(2), 41, 3));
        let nothing = BatchMeta::of_roots(origin(1), 41, 0);
        assert_eq!((meta.is_empty(), nothing.is_empty()), (false, true));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let meta = BatchMeta::of_roots(origin(1), 1, 3);
        let refused = Batch::new(meta, payload(2)).unwrap_err();
        assert_eq!(refused.to_string(), "a batch of 2 segments has 3 rows");
        let row = Row {
            origin: 1,
            root: 1,
            ack_value: 0,
        };
        let refused = BatchMeta::from_rows(vec![origin(1)], [row]).unwrap_err();
        assert_eq!(refused.to_string(), "row 0 names origin 1 of 1");
    }

    #[test]
    fn a_batch_splits_into_pieces_that_fit_and_loses_nothing() {
        let batch = Batch::new(BatchMeta::of_roots(origin(1), 1, 20), payload(20)).unwrap();
        let pieces = batch.clone().split_to_fit(400);
        assert!(pieces.len() > 1);
        assert!(pieces.iter().all(|piece| piece.wire_len() <= 400));
        let roots: Vec<u64> = pieces
            .iter()
            .flat_map(|piece| piece.meta().rows().map(|row| row.root))
            .collect();
        assert_eq!(roots, (1..=20).collect::<Vec<_>>());
        let segments: Vec<&[u8]> = pieces
            .iter()
            .flat_map(|piece| piece.payload().iter())
            .collect();
        assert!(segments.into_iter().eq(batch.payload().iter()));
        assert_eq!(batch.clone().split_to_fit(1).len(), 20);
        let seven = batch.split_at(7).0.wire_len();
        assert_eq!(batch.clone().split_to_fit(seven)[0].len(), 7);
        assert_eq!(
            batch.clone().split_to_fit(100_000),
            std::slice::from_ref(&batch)
        );
        let (head, tail) = batch.split_at(5);
        assert_eq!(
            (head.len(), tail.len(), tail.meta().row(0).root),
            (5, 15, 6)
        );
    }
}
