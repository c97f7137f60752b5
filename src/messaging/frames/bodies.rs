//! Acks, completions and retries as the bodies of frames.

use crate::acking::{Ack, AckGroup, AckMessage};
use crate::codec::{CodecError, ColumnReader, put_column, put_count};
use crate::ids::PeerId;

pub(super) fn write_roots(
    source: PeerId,
    epoch: u64,
    roots: &[u64],
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    out.extend_from_slice(source.0.as_bytes());
    out.extend_from_slice(&epoch.to_le_bytes());
    put_count(out, "list of roots", roots.len())?;
    put_column(out, roots.iter().map(|root| root.to_le_bytes()));
    Ok(())
}

pub(super) fn read_roots(reader: &mut ColumnReader) -> Result<Vec<u64>, CodecError> {
    let count = reader.count()?;
    reader.column(count, u64::from_le_bytes)
}

pub(super) fn write_acks(message: &AckMessage, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(&message.epoch.to_le_bytes());
    out.extend_from_slice(&message.sequence.to_le_bytes());
    put_count(out, "list of groups", message.groups.len())?;
    for group in &message.groups {
        out.extend_from_slice(group.source.0.as_bytes());
        out.extend_from_slice(&group.epoch.to_le_bytes());
        put_count(out, "list of acks", group.acks.len())?;
        let pairs = group.acks.iter().flat_map(|ack| [ack.root, ack.value]);
        put_column(out, pairs.map(u64::to_le_bytes));
    }
    Ok(())
}

pub(super) fn read_acks(
    sender: PeerId,
    reader: &mut ColumnReader,
) -> Result<AckMessage, CodecError> {
    let epoch = reader.u64()?;
    let sequence = reader.u64()?;
    let mut groups = Vec::new();
    for _ in 0..reader.count()? {
        let source = PeerId(reader.id()?);
        let epoch = reader.u64()?;
        let count = reader.count()?;
        let acks = reader.column(count, |pair: [u8; 16]| {
            let pair = u128::from_le_bytes(pair);
            Ack {
                root: pair as u64,
                value: (pair >> 64) as u64,
            }
        })?;
        groups.push(AckGroup {
            source,
            epoch,
            acks,
        });
    }
    Ok(AckMessage {
        sender,
        epoch,
        sequence,
        groups,
    })
}
