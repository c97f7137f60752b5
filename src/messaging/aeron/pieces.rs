//! Messages that are longer than a frame may be, in pieces that are not.

use crate::acking::{Completions, Inquiry, Progress, Retries};
use crate::messaging::frames::HEADER_LEN;
use crate::messaging::{Message, SegmentsMessage};

/// Of a list of roots: source, epoch, word, width, first, count; and what else a message has of
/// fixed length, at most a number and a peer.
const ROOTS_OVERHEAD: usize = HEADER_LEN + 16 + 8 + 1 + 1 + 8 + 4 + 8 + 16;
/// Of a root, at most.
const ROOT_LEN: usize = 8;
/// Of segments: the length of the task's name.
const TASK_OVERHEAD: usize = HEADER_LEN + 4;
/// A segment, its origin and the name of its task have this much around it at most.
pub(super) const OVERHEAD_MAX: usize = 4096;

/// Whether the message may be longer than a frame, which is known without writing it.
pub(super) fn is_longer(message: &Message, frame_max: usize) -> bool {
    match message {
        Message::Segments(it) => {
            TASK_OVERHEAD + it.task.as_str().len() + it.batch.wire_len() > frame_max
        }
        // Acks are written to be seen.
        Message::Acks(_) => false,
        about_roots => roots_overhead(message) + about_roots.roots().len() * ROOT_LEN > frame_max,
    }
}

/// The message in pieces whose frames have at most so many bytes. What cannot be cut, such as one
/// large segment, is a piece on its own: whoever sends it finds that it is too long.
pub(super) fn pieces(message: &Message, frame_max: usize) -> Vec<Message> {
    match message {
        Message::Segments(whole) => {
            let overhead = TASK_OVERHEAD + whole.task.as_str().len();
            let batch_max = frame_max.saturating_sub(overhead);
            let batches = whole.batch.clone().split_to_fit(batch_max);
            let with = |batch| {
                Message::Segments(SegmentsMessage {
                    batch,
                    ..whole.clone()
                })
            };
            batches.into_iter().map(with).collect()
        }
        // One ack message is applied as a whole.
        Message::Acks(_) => vec![message.clone()],
        about_roots => {
            let room = frame_max.saturating_sub(roots_overhead(message));
            let pieces = about_roots.roots().chunks((room / ROOT_LEN).max(1));
            pieces.map(|roots| about(message, roots)).collect()
        }
    }
}

fn roots_overhead(message: &Message) -> usize {
    match message {
        Message::Retries(it) => ROOTS_OVERHEAD + it.reason.len(),
        _ => ROOTS_OVERHEAD,
    }
}

/// How many segments or roots a message has; pieces of it have as many together.
pub(super) fn parts(message: &Message) -> usize {
    match message {
        Message::Segments(it) => it.batch.len(),
        other => other.roots().len(),
    }
}

/// The message without its first parts.
pub(super) fn rest(message: Message, sent: usize) -> Message {
    match message {
        Message::Segments(mut it) => {
            it.batch = it.batch.split_at(sent).1;
            Message::Segments(it)
        }
        other => about(&other, &other.roots()[sent..]),
    }
}

/// The same about these roots only. What is about no roots stays as it is.
fn about(message: &Message, roots: &[u64]) -> Message {
    let roots = roots.to_vec();
    match message {
        Message::Segments(_) | Message::Acks(_) => message.clone(),
        Message::Completions(it) => Message::Completions(Completions { roots, ..*it }),
        Message::Inquiry(it) => Message::Inquiry(Inquiry { roots, ..*it }),
        Message::Progress(it) => Message::Progress(Progress {
            alive: roots,
            ..*it
        }),
        Message::Retries(it) => {
            let reason = it.reason.clone();
            Message::Retries(Retries {
                roots,
                reason,
                ..*it
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acking::Cause;
    use crate::codec::{Batch, BatchMeta, EncodedBuilder, Origin};
    use crate::ids::{IdSource, LogPosition};
    use crate::messaging::aeron::AeronSettings;
    use crate::messaging::{Envelope, LinkId, encode_frame};
    use crate::segment::Segment;
    use proptest::prelude::*;

    fn segments(count: usize, text: usize) -> Message {
        let mut ids = IdSource::from_seed(1);
        let mut payload = EncodedBuilder::default();
        for _ in 0..count {
            let segment: Segment = [("text", "x".repeat(text))].into_iter().collect();
            payload.push(&segment).unwrap();
        }
        let origin = Origin {
            source: ids.peer(),
            acker: ids.peer(),
            epoch: 1,
            traced: 0,
        };
        let meta = BatchMeta::of_roots(origin, 1, count);
        Message::Segments(SegmentsMessage {
            job: ids.job(),
            task: "write".into(),
            sender: ids.peer(),
            version: LogPosition(1),
            batch: Batch::new(meta, payload.finish()).unwrap(),
        })
    }

    fn frame_len(message: &Message) -> usize {
        let envelope = Envelope {
            cluster: 1,
            epoch: 1,
            link: LinkId(1),
            sequence: 1,
        };
        let mut frame = Vec::new();
        encode_frame(&envelope, message, &mut frame).unwrap();
        frame.len()
    }

    proptest! {
        #[test]
        fn pieces_fit_and_nothing_is_lost(
            count in 1..60_usize,
            text in 0..200_usize,
            roots in 1..500_usize,
            frame_max in 500..2000_usize,
        ) {
            let source = IdSource::from_seed(2).peer();
            let roots = (0..roots as u64).collect();
            let retries = Message::Retries(Retries {
                source,
                epoch: 1,
                cause: Cause::Asked,
                reason: "because".into(),
                roots,
            });
            for message in [segments(count, text), retries] {
                prop_assert!(is_longer(&message, frame_max) || frame_len(&message) <= frame_max);
                let mut sent = 0;
                for piece in pieces(&message, frame_max) {
                    prop_assert!(frame_len(&piece) <= frame_max);
                    let left = rest(message.clone(), sent);
                    prop_assert_eq!(&pieces(&left, frame_max)[0], &piece);
                    sent += parts(&piece);
                }
                prop_assert_eq!(sent, parts(&message));
            }
        }
    }

    #[test]
    fn a_question_and_its_answer_are_never_cut() {
        const TERM_BYTES_MIN: usize = 64 << 10;
        let mut settings = AeronSettings::new(1, 1);
        settings.term_bytes = TERM_BYTES_MIN;
        let mut ids = IdSource::from_seed(1);
        let (source, by) = (ids.peer(), ids.peer());
        // As far from each other as numbers can be, so that each takes its eight bytes.
        let roots = || (0..Inquiry::ROOTS_MAX as u64).map(|n| n << 54).collect();
        let inquiry = Message::Inquiry(Inquiry {
            source,
            epoch: 1,
            number: 1,
            quiet_ms: 1,
            roots: roots(),
        });
        let progress = Message::Progress(Progress {
            source,
            epoch: 1,
            number: 1,
            by,
            alive: roots(),
        });
        for message in [inquiry, progress] {
            assert!(!is_longer(&message, settings.frame_max()));
            assert!(frame_len(&message) <= settings.frame_max());
        }
    }

    #[test]
    fn a_segment_that_fits_by_its_length_fits_into_a_frame() {
        let frame_max = 8192;
        let message = segments(1, frame_max - OVERHEAD_MAX);
        assert!(frame_len(&message) <= frame_max);
    }

    #[test]
    fn a_large_segment_is_a_piece_on_its_own() {
        let pieces = pieces(&segments(3, 5000), 1000);
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| frame_len(piece) > 1000));
    }
}
