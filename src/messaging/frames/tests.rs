//! That frames read back, and that damaged, foreign and lying ones are refused.

use super::*;
use crate::acking::{Ack, AckGroup, AckMessage, Cause, Completions, Inquiry, Progress};
use crate::acking::{Reach, Retries};
use crate::codec::{BatchMeta, EncodedBuilder, Origin, Row};
use crate::ids::IdSource;
use crate::messaging::InboxKind;
use crate::segment::Segment;
use proptest::collection::vec;
use proptest::prelude::*;

const CLUSTER: u64 = 0x0123_4567_89ab_cdef;

fn peer(seed: u64) -> PeerId {
    IdSource::from_seed(seed).peer()
}

fn envelope() -> Envelope {
    Envelope {
        cluster: CLUSTER,
        epoch: 0x1111_2222_3333_4444,
        link: LinkId(9),
        sequence: 77,
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(&envelope(), message, &mut frame).unwrap();
    frame
}

fn decoded(frame: &[u8]) -> Result<(Envelope, Cargo), FrameError> {
    decode_frame(Bytes::copy_from_slice(frame), CLUSTER)
}

fn segments(rows: Vec<(u16, u64, u64)>) -> Message {
    let mut payload = EncodedBuilder::default();
    for (index, _) in rows.iter().enumerate() {
        let segment: Segment = [("n", index as i64)].into_iter().collect();
        payload.push(&segment).unwrap();
    }
    let origins = [1, 2].map(|seed| Origin {
        source: peer(seed),
        acker: peer(seed + 10),
        epoch: seed,
        traced: 0,
    });
    let rows = rows.into_iter().map(|(origin, root, ack_value)| Row {
        origin,
        root,
        ack_value,
    });
    let meta = BatchMeta::from_rows(origins.into(), rows).unwrap();
    Message::Segments(SegmentsMessage {
        job: IdSource::from_seed(3).job(),
        task: "enrich".into(),
        sender: peer(4),
        version: LogPosition(5),
        batch: Batch::new(meta, payload.finish()).unwrap(),
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    let acks = vec((any::<u64>(), any::<u64>()), 0..20)
        .prop_map(|acks| acks.into_iter().map(|(root, value)| Ack { root, value }));
    let reach = || prop_oneof![Just(Reach::Inside), Just(Reach::Written)];
    let groups = vec((0..3_u64, any::<u64>(), reach(), acks), 0..4);
    // Near each other, less near, and anywhere.
    let near = |bits: u32| {
        (any::<u64>(), vec(0..1_u64 << bits, 0..20)).prop_map(|(first, far)| {
            far.into_iter()
                .map(|far| first.saturating_add(far))
                .collect::<Vec<u64>>()
        })
    };
    let roots = move || {
        let roots = prop_oneof![near(8), near(20), vec(any::<u64>(), 0..20)];
        (0..9_u64, any::<u64>(), roots)
    };
    prop_oneof![
        vec((0..2_u16, any::<u64>(), any::<u64>()), 0..20).prop_map(segments),
        (any::<u64>(), any::<u64>(), groups).prop_map(|(epoch, sequence, groups)| {
            let group = |(source, epoch, reach, acks): (u64, u64, _, _)| AckGroup {
                source: peer(source),
                epoch,
                reach,
                acks: Iterator::collect(acks),
            };
            Message::Acks(AckMessage {
                sender: peer(8),
                epoch,
                sequence,
                groups: groups.into_iter().map(group).collect(),
            })
        }),
        (roots(), reach()).prop_map(|((source, epoch, roots), reach)| {
            Message::Completions(Completions {
                source: peer(source),
                epoch,
                reach,
                roots,
            })
        }),
        (roots(), 0..4_usize, "[ -~]{0,40}").prop_map(|((source, epoch, roots), cause, reason)| {
            Message::Retries(Retries {
                source: peer(source),
                epoch,
                cause: Cause::ALL[cause],
                reason,
                roots,
            })
        }),
        (roots(), any::<(u64, u32)>()).prop_map(|((source, epoch, roots), (number, quiet_ms))| {
            Message::Inquiry(Inquiry {
                source: peer(source),
                epoch,
                number,
                quiet_ms,
                roots,
            })
        }),
        (roots(), any::<u64>(), 0..9_u64).prop_map(|((source, epoch, alive), number, by)| {
            Message::Progress(Progress {
                source: peer(source),
                epoch,
                number,
                by: peer(by),
                alive,
            })
        }),
    ]
}

fn any_control() -> impl Strategy<Value = Control> {
    let link = || any::<u64>().prop_map(LinkId);
    let inbox = prop_oneof![Just(InboxKind::Task), Just(InboxKind::Acker)];
    let reason = prop_oneof![
        Just(RefuseReason::NoInbox),
        Just(RefuseReason::Gap),
        Just(RefuseReason::BeyondLimit),
    ];
    let figures = || (any::<u64>(), any::<u64>(), any::<u64>());
    let open = (link(), figures(), inbox, 0..9_u64, "[ -~]{0,40}");
    prop_oneof![
        open.prop_map(
            |(link, (sent, limit, heard), inbox, seed, site)| Control::Open(Open {
                link,
                sent,
                limit,
                heard,
                inbox,
                peer: peer(seed),
                site,
            })
        ),
        (link(), figures()).prop_map(|(link, (limit, taken, number))| Control::Grant {
            link,
            limit,
            taken,
            number,
        }),
        (link(), reason).prop_map(|(link, reason)| Control::Refuse { link, reason }),
        link().prop_map(|link| Control::Leave { link }),
    ]
}

proptest! {
    #[test]
    fn every_word_about_a_link_reads_back(control in any_control()) {
        let mut frame = Vec::new();
        encode_control(&envelope(), &control, &mut frame).unwrap();
        prop_assert_eq!(decoded(&frame), Ok((envelope(), Cargo::Control(control))));
    }

    #[test]
    fn bytes_of_anybody_never_panic(bytes in vec(any::<u8>(), 0..400), kind in any::<u8>()) {
        prop_assert!(decoded(&bytes).is_err());
        let mut frame = Vec::new();
        put_header(&mut frame, &envelope(), kind, Subject::default());
        frame.extend_from_slice(&bytes);
        let mut sealed = Vec::new();
        enclose(&mut sealed, |out| {
            out.extend_from_slice(&frame);
            Ok(())
        })
        .unwrap();
        let _ = decoded(&sealed);
    }

    #[test]
    fn every_message_reads_back(message in any_message()) {
        prop_assert_eq!(decoded(&encoded(&message)), Ok((envelope(), Cargo::Message(message))));
    }

    #[test]
    fn every_message_reads_back_when_it_is_compressed(message in any_message(), times in 1..50_usize) {
        let message = match message {
            Message::Acks(mut acks) => {
                acks.groups = vec![acks.groups; times].concat();
                Message::Acks(acks)
            }
            other => other,
        };
        let plain = encoded(&message);
        let mut frame = plain.clone();
        deflate_frame(&mut frame);
        prop_assert!(frame.len() <= plain.len());
        prop_assert_eq!(decoded(&frame), Ok((envelope(), Cargo::Message(message))));
    }

    #[test]
    fn compressed_bodies_that_lie_never_panic(
        place in 0..600_usize,
        damage in vec(any::<u8>(), 1..9),
    ) {
        let roots = (0..4_000).map(|n| n * n).collect();
        let done = Completions { source: peer(1), epoch: 1, reach: Reach::Written, roots };
        let mut frame = encoded(&Message::Completions(done));
        deflate_frame(&mut frame);
        let place = HEADER_LEN + place.min(frame.len() - HEADER_LEN - 9);
        for (byte, damage) in frame[place..].iter_mut().zip(damage) {
            *byte = damage;
        }
        seal(&mut frame);
        let _ = decoded(&frame);
    }

    #[test]
    fn bodies_that_lie_never_panic(
        message in any_message(),
        place in any::<prop::sample::Index>(),
        damage in vec(any::<u8>(), 1..9),
    ) {
        let mut frame = encoded(&message);
        let place = HEADER_LEN - 20 + place.index(frame.len() - HEADER_LEN + 20);
        for (byte, damage) in frame[place..].iter_mut().zip(damage) {
            *byte = damage;
        }
        put_checksum(&mut frame);
        let _ = decoded(&frame);
    }
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused() {
    for message in [segments(vec![(0, 1, 2), (1, 3, 4)]), segments(vec![])] {
        let frame = encoded(&message);
        for bit in 0..8 * frame.len() {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decoded(&flipped).is_err(), "bit {bit}");
        }
        for length in 0..frame.len() {
            assert!(decoded(&frame[..length]).is_err(), "{length} bytes");
        }
        assert!(decoded(&[&frame[..], &[0]].concat()).is_err());
    }
}

#[test]
fn what_is_wrong_is_named() {
    let frame = encoded(&segments(vec![(0, 1, 2)]));
    let with = |at: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[at] = byte;
        put_checksum(&mut frame);
        decoded(&frame).unwrap_err()
    };
    assert_eq!(with(0, b'A'), FrameError::Magic(*b"Ax"));
    assert_eq!(with(2, 9), FrameError::Version(9));
    assert_eq!(with(3, 9), FrameError::Kind(9));
    assert_eq!(with(4, 2), FrameError::Flags(2));
    assert!(matches!(
        with(4, 1),
        FrameError::Inflate(_) | FrameError::TooLong(_)
    ));
    let (said, found) = (255, frame.len());
    assert_eq!(with(LENGTH_AT, 255), FrameError::Length { said, found });
    assert!(matches!(
        with(16, 0),
        FrameError::Cluster { own: CLUSTER, .. }
    ));
    let mut damaged = frame.clone();
    damaged[HEADER_LEN] ^= 1;
    assert!(matches!(
        decoded(&damaged),
        Err(FrameError::Checksum { .. })
    ));
    assert_eq!(decoded(&[1; 5]), Err(FrameError::TooShort(5)));
}

#[test]
fn roots_are_taken_in_the_form_in_which_they_are_written_alone() {
    const WIDTH_AT: usize = HEADER_LEN + 16 + 8 + 1;
    const LEAST_AT: usize = WIDTH_AT + 1;
    const OFFSETS_AT: usize = LEAST_AT + 8 + 4;
    let frame = |roots: &[u64]| {
        encoded(&Message::Completions(Completions {
            source: peer(1),
            epoch: 1,
            reach: Reach::Written,
            roots: roots.into(),
        }))
    };
    let refused = |mut frame: Vec<u8>, at: usize, bytes: &[u8]| {
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        put_checksum(&mut frame);
        decoded(&frame).unwrap_err()
    };
    let frame_of_two = frame(&[7, 8]);
    // Counted from 1 less than the least, beyond the greatest number, in more bytes than needed.
    assert_eq!(
        refused(frame_of_two.clone(), OFFSETS_AT, &[1]),
        FrameError::Roots
    );
    let last = u64::MAX.to_le_bytes();
    assert_eq!(refused(frame_of_two, LEAST_AT, &last), FrameError::Roots);
    let far = frame(&[7, 7 + 0x1_0000]);
    assert_eq!(
        refused(far, OFFSETS_AT + 4, &[0xff, 0xff, 0, 0]),
        FrameError::Roots
    );
    let none = frame(&[]);
    assert_eq!(refused(none.clone(), WIDTH_AT, &[4]), FrameError::Roots);
    assert_eq!(refused(none, LEAST_AT, &[1]), FrameError::Roots);
}

#[test]
fn a_message_that_is_too_long_leaves_nothing_behind() {
    let message = Message::Retries(Retries {
        source: peer(1),
        epoch: 1,
        cause: Cause::Asked,
        reason: String::new(),
        roots: vec![0; FRAME_BYTES_MAX / 2],
    });
    let mut out = vec![1, 2, 3];
    let refused = encode_frame(&envelope(), &message, &mut out);
    assert!(matches!(refused, Err(FrameError::TooLong(_))));
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn acks_and_completions_of_roots_that_are_near_each_other_take_ten_and_two_bytes() {
    let roots = 1_000_000..1_001_000_u64;
    let acks = roots.clone().map(|root| Ack { root, value: root });
    let group = AckGroup {
        source: peer(1),
        epoch: 1,
        reach: Reach::Written,
        acks: acks.collect(),
    };
    let acks = Message::Acks(AckMessage {
        sender: peer(2),
        epoch: 1,
        sequence: 1,
        groups: vec![group],
    });
    let completions = Message::Completions(Completions {
        source: peer(1),
        epoch: 1,
        reach: Reach::Written,
        roots: roots.collect(),
    });
    const OF_ROOTS: usize = 16 + 8 + 1 + 1 + 8 + 4;
    assert_eq!(
        encoded(&acks).len(),
        HEADER_LEN + 8 + 8 + 4 + OF_ROOTS + 10_000
    );
    assert_eq!(encoded(&completions).len(), HEADER_LEN + OF_ROOTS + 2_000);
}

#[test]
fn a_body_that_would_take_more_than_a_frame_is_refused_before_it_does() {
    let zeros = vec![0_u64; 1_000];
    let done = Completions {
        source: peer(1),
        epoch: 1,
        reach: Reach::Inside,
        roots: zeros,
    };
    let mut frame = encoded(&Message::Completions(done));
    let plain = frame.len();
    deflate_frame(&mut frame);
    assert!(frame.len() < plain / 4);
    let length = (plain - HEADER_LEN) as u32;
    for (said, refused) in [
        (length - 1, "Inflate"),
        (length + 1, "Inflate"),
        (u32::MAX, "TooLong"),
    ] {
        frame[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&said.to_le_bytes());
        seal(&mut frame);
        let error = decoded(&frame).unwrap_err();
        assert!(format!("{error:?}").starts_with(refused), "{said}: {error}");
    }
}
