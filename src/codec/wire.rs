//! A batch as bytes, for transports that leave the process.
//!
//! | field | size |
//! |---|---|
//! | segments n, origins m | 4, 4 |
//! | origins: source, acker, epoch, which roots are traced | m × (16 + 16 + 8 + 4) |
//! | form of the rows | 1 |
//! | origin column, unless all name the first | n × 2 |
//! | root column, or the first root of consecutive ones | n × 8, or 8 |
//! | ack value column | n × 8 |
//! | ends of the segments | n × 4 |
//! | the segments | the last end |

use super::columns::{ColumnReader, put_column, put_count};
use super::{Batch, BatchError, BatchMeta, CodecError, Encoded, Origin, Row};
use crate::ids::PeerId;
use bytes::Bytes;

const COUNTS_LEN: usize = 4 + 4;
const ORIGIN_LEN: usize = 16 + 16 + 8 + 4;
const FORM_LEN: usize = 1;
/// Of one segment, its own bytes apart.
pub(super) const ROW_LEN: usize = 2 + 8 + 8 + 4;

/// Bits of the form.
const ORIGINS_LISTED: u8 = 1;
const ROOTS_LISTED: u8 = 2;

/// Why bytes are not a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes themselves are wrong.
    #[error(transparent)]
    Bytes(#[from] CodecError),
    /// The parts do not fit each other.
    #[error(transparent)]
    Parts(#[from] BatchError),
    /// A form that this version does not know.
    #[error("rows of form {0:#04x} are not known")]
    UnknownForm(u8),
}

impl Batch {
    /// At most how many bytes [`Batch::write_to`] appends.
    pub fn wire_len(&self) -> usize {
        self.wire_overhead() + self.len() * ROW_LEN + self.payload().byte_len()
    }

    /// What a batch takes beside its rows and segments.
    pub(super) fn wire_overhead(&self) -> usize {
        COUNTS_LEN + self.meta().origins().len() * ORIGIN_LEN + FORM_LEN
    }

    /// Appends the batch as bytes.
    pub fn write_to(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let meta = self.meta();
        out.reserve(self.wire_len());
        put_count(out, "batch", self.len())?;
        put_count(out, "list of origins", meta.origins().len())?;
        for origin in meta.origins() {
            out.extend_from_slice(origin.source.0.as_bytes());
            out.extend_from_slice(origin.acker.0.as_bytes());
            out.extend_from_slice(&origin.epoch.to_le_bytes());
            out.extend_from_slice(&origin.traced.to_le_bytes());
        }
        let form = form_of(meta);
        out.push(form);
        if form & ORIGINS_LISTED != 0 {
            put_column(out, meta.rows().map(|row| row.origin.to_le_bytes()));
        }
        let roots = meta.rows().map(|row| row.root.to_le_bytes());
        if form & ROOTS_LISTED != 0 {
            put_column(out, roots);
        } else {
            put_column(out, roots.take(1));
        }
        put_column(
            out,
            meta.ack_values().iter().map(|value| value.to_le_bytes()),
        );
        let (bytes, ends) = self.payload().parts();
        put_column(out, ends.map(u32::to_le_bytes));
        out.extend_from_slice(bytes);
        Ok(())
    }

    /// The batch that these bytes are. Its segments share their memory and are not looked at.
    pub fn read_from(bytes: Bytes) -> Result<Batch, WireError> {
        let mut reader = ColumnReader::new(bytes);
        let count = reader.count()?;
        let origins_count = reader.count()?;
        let mut origins = Vec::new();
        for _ in 0..origins_count {
            origins.push(origin_from(&mut reader)?);
        }
        let form = reader.u8()?;
        if form & !(ORIGINS_LISTED | ROOTS_LISTED) != 0 {
            return Err(WireError::UnknownForm(form));
        }
        let origin_column = match form & ORIGINS_LISTED {
            0 => Vec::new(),
            _ => reader.column(count, u16::from_le_bytes)?,
        };
        let listed_roots = match form & ROOTS_LISTED {
            0 => count.min(1),
            _ => count,
        };
        let roots = reader.column(listed_roots, u64::from_le_bytes)?;
        let ack_values = reader.column(count, u64::from_le_bytes)?;
        let ends = reader.column(count, u32::from_le_bytes)?;
        let payload = reader.bytes(ends.last().map_or(0, |&end| end as usize))?;
        reader.end()?;
        let first = roots.first().copied().unwrap_or(0);
        let meta = match form {
            0 => BatchMeta::of_consecutive(origins, first, ack_values)?,
            _ => {
                let rows = ack_values.into_iter().enumerate();
                let rows = rows.map(|(index, ack_value)| Row {
                    origin: origin_column.get(index).copied().unwrap_or(0),
                    root: match form & ROOTS_LISTED {
                        0 => first.wrapping_add(index as u64),
                        _ => roots[index],
                    },
                    ack_value,
                });
                BatchMeta::from_rows(origins, rows)?
            }
        };
        Ok(Batch::new(meta, Encoded::from_parts(payload, ends)?)?)
    }
}

/// The shortest form that says these rows.
fn form_of(meta: &BatchMeta) -> u8 {
    if meta.first_of_consecutive().is_some() {
        return 0;
    }
    let mut form = 0;
    let mut expected = meta.rows().next().map_or(0, |row| row.root);
    for row in meta.rows() {
        if row.origin != 0 {
            form |= ORIGINS_LISTED;
        }
        if row.root != expected {
            form |= ROOTS_LISTED;
        }
        expected = row.root.wrapping_add(1);
    }
    form
}

fn origin_from(reader: &mut ColumnReader) -> Result<Origin, CodecError> {
    Ok(Origin {
        source: PeerId(reader.id()?),
        acker: PeerId(reader.id()?),
        epoch: reader.u64()?,
        traced: reader.u32()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::batch::tests::{origin, payload};
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn any_batch() -> impl Strategy<Value = Batch> {
        let row = (0..3_u16, 0..9_u64, any::<u64>());
        let rows = prop_oneof![
            vec(row, 0..20),
            (any::<u64>(), 0..20_u64).prop_map(|(first, count)| (0..count)
                .map(|n| (0, first.wrapping_add(n), n))
                .collect()),
        ];
        rows.prop_map(|rows| {
            let payload = payload(rows.len());
            let rows = rows.into_iter().map(|(origin, root, ack_value)| Row {
                origin,
                root,
                ack_value,
            });
            let origins = vec![origin(1), origin(2), origin(3)];
            Batch::new(BatchMeta::from_rows(origins, rows).unwrap(), payload).unwrap()
        })
    }

    proptest! {
        #[test]
        fn a_batch_reads_back(batch in any_batch()) {
            let mut bytes = Vec::new();
            batch.write_to(&mut bytes).unwrap();
            prop_assert!(bytes.len() <= batch.wire_len());
            prop_assert_eq!(Batch::read_from(bytes.into()).unwrap(), batch);
        }

        #[test]
        fn damaged_batches_never_panic(
            batch in any_batch(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut bytes = Vec::new();
            batch.write_to(&mut bytes).unwrap();
            let place = place.index(bytes.len());
            prop_assert!(Batch::read_from(Bytes::copy_from_slice(&bytes[..place])).is_err());
            bytes[place] = byte;
            let _ = Batch::read_from(bytes.into());
        }
    }

    #[test]
    fn consecutive_roots_of_one_origin_take_no_columns() {
        let meta = BatchMeta::of_roots(origin(1), 7, 10);
        let batch = Batch::new(meta, payload(10)).unwrap();
        let mut bytes = Vec::new();
        batch.write_to(&mut bytes).unwrap();
        assert_eq!(bytes.len(), batch.wire_len() - 10 * 2 - 9 * 8);
    }

    #[test]
    fn vast_counts_are_refused_before_anything_is_allocated() {
        let refused = Batch::read_from(Bytes::from_static(&[0xff; 9]));
        assert!(matches!(
            refused,
            Err(WireError::Bytes(CodecError::Truncated { .. }))
        ));
    }
}
