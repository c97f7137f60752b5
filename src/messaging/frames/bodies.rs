//! Acks, completions and the other words about roots as the bodies of frames: one layout for all.

use super::FrameError;
use crate::acking::{Ack, AckGroup, AckMessage, Cause, Completions, Inquiry, Progress};
use crate::acking::{Reach, Retries};
use crate::codec::{CodecError, ColumnReader, put_column, put_count, put_text};
use crate::ids::PeerId;

/// Roots of one source in one epoch, and a word about all of them.
struct Roots {
    source: PeerId,
    epoch: u64,
    word: u8,
    roots: Vec<u64>,
}

impl Roots {
    /// Source 16, epoch 8, word 1, width 1, least root 8, count 4; then how far each root is from the
    /// least, in as many bytes as the farthest needs: 2, 4 or 8.
    fn write(
        (source, epoch, word): (PeerId, u64, u8),
        roots: impl ExactSizeIterator<Item = u64> + Clone,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let (least, width) = Self::form(roots.clone());
        out.extend_from_slice(source.0.as_bytes());
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&[word, width]);
        out.extend_from_slice(&least.to_le_bytes());
        put_count(out, "list of roots", roots.len())?;
        let offsets = roots.map(|root| root - least);
        match width {
            2 => put_column(out, offsets.map(|offset| (offset as u16).to_le_bytes())),
            4 => put_column(out, offsets.map(|offset| (offset as u32).to_le_bytes())),
            _ => put_column(out, offsets.map(u64::to_le_bytes)),
        }
        Ok(())
    }

    fn read(reader: &mut ColumnReader) -> Result<Roots, FrameError> {
        let source = PeerId(reader.id()?);
        let epoch = reader.u64()?;
        let (word, width, least) = (reader.u8()?, reader.u8()?, reader.u64()?);
        let count = reader.count()?;
        let from = |offset: u64| least.wrapping_add(offset);
        let roots: Vec<u64> = match width {
            2 => reader.column(count, |offset| from(u16::from_le_bytes(offset).into()))?,
            4 => reader.column(count, |offset| from(u32::from_le_bytes(offset).into()))?,
            8 => reader.column(count, |offset| from(u64::from_le_bytes(offset)))?,
            other => return Err(FrameError::Word(other)),
        };
        // Also where a root is beyond the greatest number, since it is less than all others then.
        if (least, width) != Self::form(roots.iter().copied()) {
            return Err(FrameError::Roots);
        }
        Ok(Roots {
            source,
            epoch,
            word,
            roots,
        })
    }

    /// Roots of which there is nothing to say.
    fn read_plain(reader: &mut ColumnReader) -> Result<Roots, FrameError> {
        let it = Self::read(reader)?;
        match it.word {
            0 => Ok(it),
            other => Err(FrameError::Word(other)),
        }
    }

    /// The least of the roots, and in how many bytes each fits that is counted from there.
    fn form(roots: impl Iterator<Item = u64> + Clone) -> (u64, u8) {
        let least = roots.clone().min().unwrap_or(0);
        let greatest = roots.max().unwrap_or(0);
        let width = match greatest - least {
            0..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => 8,
        };
        (least, width)
    }
}

/// The value that stands at this place of a list.
fn named<T: Copy>(all: &[T], word: u8) -> Result<T, FrameError> {
    all.get(usize::from(word))
        .copied()
        .ok_or(FrameError::Word(word))
}

const REACHES: [Reach; 2] = [Reach::Inside, Reach::Written];

pub(super) fn write_completions(it: &Completions, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let head = (it.source, it.epoch, it.reach as u8);
    Roots::write(head, it.roots.iter().copied(), out)
}

pub(super) fn read_completions(reader: &mut ColumnReader) -> Result<Completions, FrameError> {
    let it = Roots::read(reader)?;
    Ok(Completions {
        source: it.source,
        epoch: it.epoch,
        reach: named(&REACHES, it.word)?,
        roots: it.roots,
    })
}

pub(super) fn write_retries(it: &Retries, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let head = (it.source, it.epoch, it.cause as u8);
    Roots::write(head, it.roots.iter().copied(), out)?;
    put_text(out, &it.reason)
}

pub(super) fn read_retries(reader: &mut ColumnReader) -> Result<Retries, FrameError> {
    let it = Roots::read(reader)?;
    Ok(Retries {
        source: it.source,
        epoch: it.epoch,
        cause: named(&Cause::ALL, it.word)?,
        reason: reader.text()?,
        roots: it.roots,
    })
}

pub(super) fn write_inquiry(it: &Inquiry, out: &mut Vec<u8>) -> Result<(), CodecError> {
    Roots::write((it.source, it.epoch, 0), it.roots.iter().copied(), out)?;
    out.extend_from_slice(&it.number.to_le_bytes());
    out.extend_from_slice(&it.quiet_ms.to_le_bytes());
    Ok(())
}

pub(super) fn read_inquiry(reader: &mut ColumnReader) -> Result<Inquiry, FrameError> {
    let it = Roots::read_plain(reader)?;
    Ok(Inquiry {
        source: it.source,
        epoch: it.epoch,
        number: reader.u64()?,
        quiet_ms: reader.u32()?,
        roots: it.roots,
    })
}

pub(super) fn write_progress(it: &Progress, out: &mut Vec<u8>) -> Result<(), CodecError> {
    Roots::write((it.source, it.epoch, 0), it.alive.iter().copied(), out)?;
    out.extend_from_slice(&it.number.to_le_bytes());
    out.extend_from_slice(it.by.0.as_bytes());
    Ok(())
}

pub(super) fn read_progress(reader: &mut ColumnReader) -> Result<Progress, FrameError> {
    let it = Roots::read_plain(reader)?;
    Ok(Progress {
        source: it.source,
        epoch: it.epoch,
        number: reader.u64()?,
        by: PeerId(reader.id()?),
        alive: it.roots,
    })
}

pub(super) fn write_acks(message: &AckMessage, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.extend_from_slice(&message.epoch.to_le_bytes());
    out.extend_from_slice(&message.sequence.to_le_bytes());
    put_count(out, "list of groups", message.groups.len())?;
    for group in &message.groups {
        let head = (group.source, group.epoch, group.reach as u8);
        Roots::write(head, group.acks.iter().map(|ack| ack.root), out)?;
        put_column(out, group.acks.iter().map(|ack| ack.value.to_le_bytes()));
    }
    Ok(())
}

pub(super) fn read_acks(
    sender: PeerId,
    reader: &mut ColumnReader,
) -> Result<AckMessage, FrameError> {
    let epoch = reader.u64()?;
    let sequence = reader.u64()?;
    let mut groups = Vec::new();
    for _ in 0..reader.count()? {
        let it = Roots::read(reader)?;
        let values = reader.column(it.roots.len(), u64::from_le_bytes)?;
        let acks = it.roots.into_iter().zip(values);
        groups.push(AckGroup {
            source: it.source,
            epoch: it.epoch,
            reach: named(&REACHES, it.word)?,
            acks: acks.map(|(root, value)| Ack { root, value }).collect(),
        });
    }
    Ok(AckMessage {
        sender,
        epoch,
        sequence,
        groups,
    })
}
