//! Credits: how much a link may send before something was taken out of the inbox at its end.
//!
//! They are places: see [`Message::places`](crate::messaging::Message::places). The receiver names a
//! limit, and a message may begin below it; a sender that has sent nothing for a while gives back what
//! it does not use. What lies between what was taken and the
//! limit has a place in the receiver's memory. The links to one
//! inbox share its capacity: each gets an equal part of what the others have not been granted, and
//! [`SHARE_MIN`] in any case. So all of them together are never granted more than the capacity and
//! `SHARE_MIN` for each link, besides what a last message has beyond the limit. What came on a link
//! that has ended counts until it is taken.

/// A link may always have so many places.
pub(super) const SHARE_MIN: u64 = 2;

/// What the receiver of a link knows of its credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// The sequence that comes next.
    next: u64,
    /// How many places its messages have had.
    used: u64,
    /// How many were granted, and in how many grants.
    limit: u64,
    grants: u64,
}

/// What a sender is told: how far it may send, and the how-manieth word of this kind that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) limit: u64,
    pub(super) number: u64,
}

/// Why a message is not the next of its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misplaced {
    /// It has been here.
    Again,
    /// Others before it are missing.
    Gap,
    /// It was not granted.
    BeyondLimit,
}

impl Window {
    /// Takes note of a message of so many places.
    pub(super) fn receive(&mut self, sequence: u64, places: u64) -> Result<(), Misplaced> {
        if sequence < self.next {
            return Err(Misplaced::Again);
        }
        if sequence > self.next {
            return Err(Misplaced::Gap);
        }
        if self.used >= self.limit {
            return Err(Misplaced::BeyondLimit);
        }
        self.next += 1;
        self.used += places;
        Ok(())
    }

    /// Whether all messages that the sender speaks of have been here.
    pub(super) fn has_seen(&self, sent: u64) -> bool {
        sent <= self.next
    }

    /// How many places are the link's, of which so many were left.
    pub(super) fn outstanding(&self, taken: u64) -> u64 {
        self.limit.max(self.used).saturating_sub(taken)
    }

    /// Raises the limit as far as there are places: the inbox has `capacity`, of which the other
    /// `others` links to it have `elsewhere`. Answers with the new limit.
    pub(super) fn grant(
        &mut self,
        taken: u64,
        capacity: u64,
        others: u64,
        elsewhere: u64,
    ) -> Granted {
        let fair = capacity / (others + 1);
        let places = fair.min(capacity.saturating_sub(elsewhere)).max(SHARE_MIN);
        self.limit = self.limit.max(taken + places);
        self.granted()
    }

    /// The limit as it is, as another grant.
    pub(super) fn granted(&mut self) -> Granted {
        self.grants += 1;
        Granted {
            limit: self.limit,
            number: self.grants,
        }
    }

    /// The sender keeps less than it was granted. That holds unless another grant is on its way to
    /// it, which it will take for what it says.
    pub(super) fn returned(&mut self, kept: Granted) {
        if kept.number == self.grants {
            self.limit = self.limit.min(kept.limit.max(self.used));
        }
    }

    /// How many places its messages have had.
    pub(super) fn used(&self) -> u64 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Copy, Debug)]
    enum Move {
        /// A message of so many places.
        Send(usize, u64),
        Take(usize),
        Grant(usize),
        Hear(usize),
        /// The sender gives back what it does not use; the receiver hears of it.
        Return(usize),
        HearReturn(usize),
    }

    /// One link: what its sender knows, and what is on its way in both directions.
    #[derive(Default)]
    struct Played {
        window: Window,
        sent: u64,
        used: u64,
        /// Its limit, and how many grants it has heard.
        heard: u64,
        grants: u64,
        granted: VecDeque<Granted>,
        returned: VecDeque<Granted>,
        queued: VecDeque<(u64, u64)>,
        read: u64,
        taken: u64,
    }

    const PLACES_MAX: u64 = 5;

    fn any_move() -> impl Strategy<Value = Move> {
        let link = || 0..4_usize;
        prop_oneof![
            3 => (link(), 1..=PLACES_MAX).prop_map(|(at, places)| Move::Send(at, places)),
            3 => link().prop_map(Move::Take),
            1 => link().prop_map(Move::Grant),
            1 => link().prop_map(Move::Hear),
            1 => link().prop_map(Move::Return),
            1 => link().prop_map(Move::HearReturn),
        ]
    }

    fn grant(links: &mut [Played], at: usize, capacity: u64) {
        let others = links.len() as u64 - 1;
        let places = |link: &Played| link.window.outstanding(link.taken);
        let elsewhere = links.iter().map(places).sum::<u64>() - places(&links[at]);
        let link = &mut links[at];
        let limit = link.window.grant(link.taken, capacity, others, elsewhere);
        link.granted.push_back(limit);
    }

    fn play(links: &mut [Played], capacity: u64, step: Move) {
        match step {
            Move::Send(at, places) => {
                let link = &mut links[at];
                if link.used < link.heard {
                    assert_eq!(link.window.receive(link.sent, places), Ok(()));
                    link.queued.push_back((link.sent, places));
                    link.sent += 1;
                    link.used += places;
                }
            }
            Move::Take(at) => {
                let link = &mut links[at];
                if let Some((sequence, places)) = link.queued.pop_front() {
                    assert_eq!(sequence, link.read, "in order, and none is missing");
                    link.read += 1;
                    link.taken += places;
                }
            }
            Move::Grant(at) => grant(links, at, capacity),
            Move::Hear(at) => {
                let link = &mut links[at];
                if let Some(granted) = link.granted.pop_front() {
                    link.heard = link.heard.max(granted.limit);
                    link.grants = granted.number;
                }
            }
            Move::Return(at) => {
                let link = &mut links[at];
                link.heard = link.heard.min(link.used + SHARE_MIN);
                link.returned.push_back(Granted {
                    limit: link.heard,
                    number: link.grants,
                });
            }
            Move::HearReturn(at) => {
                let link = &mut links[at];
                if let Some(kept) = link.returned.pop_front() {
                    link.window.returned(kept);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_memory_is_bounded_and_nothing_is_lost(
            capacity in 1..40_u64,
            moves in vec(any_move(), 0..400),
        ) {
            let mut links: Vec<Played> = (0..4).map(|_| Played::default()).collect();
            // A last message may have begun below the limit.
            let bound = capacity + (SHARE_MIN + PLACES_MAX - 1) * links.len() as u64;
            for step in moves {
                play(&mut links, capacity, step);
                let queued = links.iter().flat_map(|link| &link.queued);
                let queued: u64 = queued.map(|(_, places)| places).sum();
                let places = links.iter().map(|link| link.window.outstanding(link.taken));
                prop_assert!(queued <= places.sum::<u64>());
                let places = links.iter().map(|link| link.window.outstanding(link.taken));
                prop_assert!(places.sum::<u64>() <= bound);
            }
            // Once everything is taken and heard, every link may send again.
            for at in 0..links.len() {
                for step in [Move::Take(at), Move::Hear(at), Move::HearReturn(at)].repeat(400) {
                    play(&mut links, capacity, step);
                }
                play(&mut links, capacity, Move::Grant(at));
                play(&mut links, capacity, Move::Hear(at));
                prop_assert!(links[at].heard > links[at].used);
                prop_assert_eq!(links[at].taken, links[at].used);
            }
        }
    }

    #[test]
    fn what_is_not_next_is_named() {
        let mut window = Window::default();
        assert_eq!(window.receive(0, 1), Err(Misplaced::BeyondLimit));
        assert_eq!(window.grant(0, 8, 0, 0).limit, 8);
        assert_eq!(window.receive(0, 1), Ok(()));
        assert_eq!(window.receive(0, 1), Err(Misplaced::Again));
        assert_eq!(window.receive(2, 1), Err(Misplaced::Gap));
        assert!(window.has_seen(1) && !window.has_seen(2));
    }

    #[test]
    fn a_message_may_begin_below_the_limit_and_end_beyond_it() {
        let mut window = Window::default();
        window.grant(0, 8, 0, 0);
        assert_eq!(window.receive(0, 7), Ok(()));
        assert_eq!(window.receive(1, 7), Ok(()));
        assert_eq!(window.outstanding(0), 14);
        assert_eq!(window.receive(2, 1), Err(Misplaced::BeyondLimit));
        assert_eq!(window.grant(7, 8, 0, 0).limit, 15);
    }

    #[test]
    fn links_share_an_inbox_and_none_is_left_without() {
        let mut window = Window::default();
        assert_eq!(window.grant(0, 64, 3, 0).limit, 16);
        assert_eq!(window.grant(10, 64, 3, 60).limit, 16);
        assert_eq!(window.grant(16, 64, 3, 64).limit, 18);
    }

    #[test]
    fn what_a_sender_gives_back_is_there_for_others() {
        let mut window = Window::default();
        let granted = window.grant(0, 64, 0, 0);
        let kept = Granted {
            limit: SHARE_MIN,
            ..granted
        };
        window.returned(kept);
        assert_eq!(window.outstanding(0), SHARE_MIN);
        // Another grant was on its way when it was said: that one counts.
        assert_eq!(window.grant(0, 64, 0, 0).limit, 64);
        window.returned(kept);
        assert_eq!(window.outstanding(0), 64);
    }
}
