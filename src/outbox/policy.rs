//! What a full queue does: which frames are dropped on which terms, and how the peer is told.
//!
//! Only whole frames that are not begun are dropped, and only such that belong to a feed; control frames, HTTP, replies
//! and the messages of all other groups never are. What stays keeps its order. The number of the lost ones stays where
//! they were: with the segment behind them, or with the [`Backlog`] if nothing of their feed is behind them. It becomes
//! a notice when it is its turn to be written, so that one notice tells of all that was lost at its place till then.
//!
//! [`Backlog`]: super::backlog::Backlog
//!
//! A frame that belongs to no feed, a reply or a message of a group whose receivers are closed, takes precedence: for
//! it frames of the largest backlog are dropped. So only what cannot be dropped can overflow an outbox, and a feed that
//! fills it does not cost its receiver the connection.
//!
//! Whatever the mixture of feeds, a push costs constant time on average: each backlog knows where to look for its first
//! frame, a dropped segment leaves its place empty, and the empty places are removed when they are a fifth of all.

use std::sync::Arc;

use super::queue::Queue;
use super::segment::Segment;
use super::{Overflow, Pushed};
use crate::delivery::{Feed, Policy, Terms};
use crate::proto::EncodedFrame;

/// So many places may be empty before it is worth while to count how many are not.
const EMPTY_PLACES_MAX: usize = 32;

impl Queue {
    /// Queues a frame of `feed`, or drops it or others, as its terms say.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if there are so many feeds that this one is treated as if it could not be dropped.
    pub(super) fn push_of(
        &mut self,
        feed: Feed,
        terms: &Arc<Terms>,
        frame: EncodedFrame,
        bytes_max: usize,
    ) -> Result<Pushed, Overflow> {
        let Some(index) = self.backlogs.enter(feed, Some(terms)) else {
            self.make_room(frame.len(), bytes_max)?;
            self.push(frame);
            return Ok(Pushed::Queued);
        };
        let backlog = &mut self.backlogs[index];
        let (spare_len, is_replacing) = match terms.policy {
            Policy::Close | Policy::DropNewest => (0, false),
            Policy::DropOldest => (backlog.waiting_len, false),
            Policy::Latest => (backlog.waiting_len, self.stalled_since.is_some()),
        };
        if !fits(self.data_len - spare_len, frame.len(), bytes_max) {
            backlog.lost_count = backlog.lost_count.saturating_add(backlog.loss());
            return Ok(Pushed::Dropped);
        }
        while is_replacing && self.backlogs[index].waiting_len > 0
            || !fits(self.data_len, frame.len(), bytes_max)
        {
            self.drop_oldest(index);
        }
        self.push_in(Some(feed), frame);
        Ok(Pushed::Queued)
    }

    /// Makes room for a frame of no feed, by dropping frames of feeds.
    ///
    /// # Errors
    ///
    /// [`Overflow`] if that would not be enough; then nothing is dropped.
    pub(super) fn make_room(&mut self, len: usize, bytes_max: usize) -> Result<(), Overflow> {
        if !fits(self.data_len - self.backlogs.spare_len(), len, bytes_max) {
            return Err(Overflow);
        }
        while !fits(self.data_len, len, bytes_max) {
            let index = self.backlogs.largest().expect("something can be spared");
            self.drop_oldest(index);
        }
        Ok(())
    }

    /// Drops frames that may be dropped, from the largest backlog first, until `len` bytes are free or none is left; how many
    /// bytes were.
    pub(super) fn drop_spare(&mut self, len: usize) -> usize {
        let before = self.data_len;
        while before - self.data_len < len
            && let Some(index) = self.backlogs.largest()
            && self.backlogs[index].spare_len() > 0
        {
            self.drop_oldest(index);
        }
        before - self.data_len
    }

    /// Queues the notice of a loss in front, if what is to be written next comes behind one.
    pub(super) fn tell_loss(&mut self) {
        if self.is_mid_frame() {
            return;
        }
        let notice = match self.data.front_mut() {
            None => self.backlogs.take_notice(),
            Some(Segment { lost_count: 0, .. }) => None,
            Some(Segment {
                feed, lost_count, ..
            }) => {
                let lost_count = std::mem::take(lost_count);
                feed.and_then(|feed| self.backlogs.notice(feed, lost_count))
            }
        };
        if let Some(notice) = notice {
            self.push_notice_front(notice);
        }
    }

    /// Queues the notices of all losses that nothing will follow.
    pub(super) fn tell_last_losses(&mut self) {
        while let Some(notice) = self.backlogs.take_notice() {
            self.push(notice);
        }
    }

    /// Drops the first frame that waits of a backlog, which is not empty.
    fn drop_oldest(&mut self, index: usize) {
        let place = self.find_waiting(index).expect("the backlog is not empty");
        let backlog = &mut self.backlogs[index];
        let segment = &mut self.data[place];
        segment.lost_count = segment.lost_count.saturating_add(backlog.loss());
        let frame_len = segment.drop_first();
        backlog.waiting_len -= frame_len;
        self.data_len -= frame_len;
        self.displaced_count += 1;
        if self.data[place].is_gone() {
            self.on_gone(place, index);
        }
    }

    /// A segment of a backlog has no frames any more: what is known of its place goes to the next one.
    fn on_gone(&mut self, place: usize, index: usize) {
        let lost_count = std::mem::take(&mut self.data[place].lost_count);
        let behind = match self.find_waiting(index) {
            Some(next) => &mut self.data[next].lost_count,
            None => &mut self.backlogs[index].lost_count,
        };
        *behind = behind.saturating_add(lost_count);
        self.empty_places += 1;
        self.drop_empty_front();
        if self.empty_places > EMPTY_PLACES_MAX + self.data.len() / 5 {
            let is_kept = |it: &&Segment| !it.is_gone();
            self.kept_count = self
                .data
                .iter()
                .take(self.kept_count)
                .filter(is_kept)
                .count();
            self.data.retain(|it| !it.is_gone());
            self.empty_places = 0;
            self.backlogs.on_renumbered(self.first_number);
        }
    }

    /// The place of the first segment with frames of a backlog that are not begun, and with no other frames.
    fn find_waiting(&mut self, index: usize) -> Option<usize> {
        let backlog = &self.backlogs[index];
        if backlog.waiting_len == 0 {
            return None;
        }
        let feed = Some(backlog.feed());
        let mut from = usize::try_from(backlog.first - self.first_number).unwrap_or(0);
        if self.is_mid_frame() && from == 0 {
            self.part_from_begun(feed);
            from = 1;
        }
        let is_found = |it: &Segment| it.feed == feed && !it.is_gone();
        let place = from + self.data.range(from..).position(is_found)?;
        self.backlogs[index].first = self.first_number + number_of(place);
        Some(place)
    }

    /// Makes the begun frame a segment of its own, if it is of `feed`.
    fn part_from_begun(&mut self, feed: Option<Feed>) {
        let begun_len = self.begun_len;
        if let Some(front) = self.data.front_mut()
            && front.feed == feed
            && front.len() > begun_len
        {
            let begun = front.split_to(begun_len);
            self.push_front(begun);
        }
    }
}

/// Whether a frame may be queued where `queued` bytes are; if there are none, any frame may.
pub(super) fn fits(queued: usize, frame_len: usize, bytes_max: usize) -> bool {
    queued == 0 || queued.saturating_add(frame_len) <= bytes_max
}

/// How far the segment at a place is from the first one.
pub(super) fn number_of(place: usize) -> i64 {
    i64::try_from(place).expect("there are fewer segments than bytes of memory")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Moment;
    use crate::delivery::Notice;
    use crate::outbox::tests::{Socket, UNLIMITED, flush, frames_in};
    use crate::outbox::{Flushed, Outbox, Owed};
    use crate::proto::{FrameBuffer, OpCode};

    /// Bytes of the frames that [`Play`] pushes: a header of 2 and a payload of 8.
    const FRAME_LEN: usize = 10;

    /// The feed of that number.
    fn feed(number: usize) -> Feed {
        let mut feed = Feed::DIRECT;
        for _ in 0..number {
            feed = feed.next();
        }
        feed
    }

    /// Terms with a notice that reads `NAME lost NUMBER`.
    fn terms(policy: Policy, name: &str) -> Arc<Terms> {
        let before = format!("{name} lost ").into();
        let notice = Some(Notice { before, after: "" });
        Arc::new(Terms {
            policy,
            notice,
            is_plain: false,
        })
    }

    fn silent(policy: Policy) -> Arc<Terms> {
        let notice = None;
        Arc::new(Terms {
            policy,
            notice,
            is_plain: false,
        })
    }

    fn frame(text: &str) -> EncodedFrame {
        let mut buffer = FrameBuffer::default();
        let range = buffer.encode(OpCode::Text, &[text.as_bytes()]);
        buffer.share().slice(range)
    }

    /// An outbox for ten frames, behind a socket that takes what it is allowed to.
    struct Play {
        outbox: Outbox,
        socket: Socket,
        bytes_max: usize,
    }

    impl Play {
        /// The first frame, of no feed, is begun: its header is out, so that nothing is left of the socket's room.
        fn blocked() -> Self {
            let mut play = Self {
                outbox: Outbox::default(),
                socket: Socket::new(2, UNLIMITED),
                bytes_max: 10 * FRAME_LEN + FRAME_LEN - 2,
            };
            play.push("begun").unwrap();
            assert_eq!(
                flush(&mut play.outbox, &mut play.socket),
                Flushed::UntilBlocked
            );
            play
        }

        /// Pushes a frame with this text, filled up to eight characters, of no feed.
        fn push(&mut self, text: &str) -> Result<(), Overflow> {
            self.outbox
                .push(&frame(&format!("{text:8}")), self.bytes_max)
        }

        /// The same of a feed.
        fn push_of(&mut self, number: usize, terms: &Arc<Terms>, text: &str) -> Pushed {
            let frame = frame(&format!("{text:8}"));
            self.outbox
                .push_of(feed(number), terms, &frame, self.bytes_max)
                .unwrap()
        }

        /// Lets the socket take everything; what it got in all.
        fn finish(&mut self) -> Vec<String> {
            self.socket.room = UNLIMITED;
            assert_eq!(
                flush(&mut self.outbox, &mut self.socket),
                Flushed::Everything
            );
            assert!(self.outbox.is_empty());
            self.received()
        }

        /// What the socket got of whole frames, without the filling.
        fn received(&self) -> Vec<String> {
            let text = |(_, payload)| String::from_utf8(payload).unwrap().trim().to_owned();
            frames_in(&self.socket.taken)
                .into_iter()
                .map(text)
                .collect()
        }
    }

    #[test]
    fn sc_03_drop_newest_keeps_what_came_first_and_tells_behind_it() {
        let terms = terms(Policy::DropNewest, "a");
        let mut play = Play::blocked();
        for number in 0..10 {
            let pushed = play.push_of(1, &terms, &format!("a{number}"));
            assert_eq!(pushed, Pushed::Queued, "up to the last byte");
        }
        for _ in 10..15 {
            assert_eq!(play.push_of(1, &terms, "a-"), Pushed::Dropped);
        }
        assert_eq!(play.outbox.take_displaced_count(), 0);
        // Room for one more.
        play.socket.room = 8 + FRAME_LEN;
        flush(&mut play.outbox, &mut play.socket);
        assert_eq!(play.push_of(1, &terms, "a15"), Pushed::Queued);
        assert_eq!(play.push_of(1, &terms, "a16"), Pushed::Dropped);
        let mut expected: Vec<_> = (0..10).map(|number| format!("a{number}")).collect();
        expected.insert(0, "begun".into());
        expected.extend(["a lost 5", "a15", "a lost 1"].map(String::from));
        assert_eq!(
            play.finish(),
            expected,
            "the last loss too, although nothing follows it"
        );
    }

    #[test]
    fn sc_03_drop_oldest_drops_as_many_as_it_must_and_only_of_its_group() {
        let (ours, theirs) = (
            terms(Policy::DropOldest, "a"),
            terms(Policy::DropOldest, "b"),
        );
        let mut play = Play::blocked();
        _ = play.push_of(2, &theirs, "b0");
        for number in 0..8 {
            _ = play.push_of(1, &ours, &format!("a{number}"));
        }
        play.push("plain").unwrap();
        assert_eq!(play.push_of(1, &ours, "a8"), Pushed::Queued);
        assert_eq!(play.outbox.take_displaced_count(), 1);
        let long = frame("a9, longer than the others");
        let pushed = play.outbox.push_of(feed(1), &ours, &long, play.bytes_max);
        assert_eq!(pushed, Ok(Pushed::Queued));
        assert_eq!(play.outbox.take_displaced_count(), 3, "28 bytes for 30");
        let mut expected = vec![
            "begun", "b0", "a lost 4", "a4", "a5", "a6", "a7", "plain", "a8",
        ];
        expected.push("a9, longer than the others");
        assert_eq!(play.finish(), expected);
    }

    #[test]
    fn sc_03_nothing_is_dropped_for_a_message_that_would_not_fit_all_the_same() {
        for policy in [Policy::DropOldest, Policy::Latest] {
            let terms = terms(policy, "a");
            let mut play = Play::blocked();
            for _ in 0..8 {
                play.push("plain").unwrap();
            }
            assert_eq!(play.push_of(1, &terms, "a0"), Pushed::Queued);
            let long = frame(&"-".repeat(19));
            let pushed = play.outbox.push_of(feed(1), &terms, &long, play.bytes_max);
            assert_eq!(pushed, Ok(Pushed::Dropped), "21 bytes for 20");
            assert_eq!(play.outbox.take_displaced_count(), 0);
            assert_eq!(play.finish()[9..], ["a0", "a lost 1"]);
        }
    }

    #[test]
    fn sc_03_behind_a_full_socket_only_the_latest_waits() {
        let terms = terms(Policy::Latest, "a");
        let mut play = Play::blocked();
        for number in 0..5 {
            assert_eq!(
                play.push_of(1, &terms, &format!("a{number}")),
                Pushed::Queued
            );
            play.push("plain").unwrap();
        }
        assert_eq!(play.outbox.take_displaced_count(), 4);
        let plain = "plain";
        assert_eq!(
            play.finish(),
            ["begun", plain, plain, plain, plain, "a lost 4", "a4", plain]
        );
    }

    #[test]
    fn sc_03_whoever_keeps_up_gets_more_than_the_latest() {
        let terms = terms(Policy::Latest, "a");
        let mut outbox = Outbox::default();
        let mut socket = Socket::new(UNLIMITED, UNLIMITED);
        for text in ["a0", "a1"] {
            let pushed = outbox.push_of(feed(1), &terms, &frame(text), UNLIMITED);
            assert_eq!(pushed, Ok(Pushed::Queued));
        }
        outbox.push(&frame("plain"), UNLIMITED).unwrap();
        flush(&mut outbox, &mut socket);
        assert_eq!(frames_in(&socket.taken).len(), 3);
    }

    #[test]
    fn sc_03_a_begun_frame_is_never_cut_wherever_it_was_stopped() {
        for policy in [Policy::DropOldest, Policy::Latest] {
            let terms = terms(policy, "a");
            for room in 0..=4 * FRAME_LEN {
                let mut outbox = Outbox::default();
                let mut buffer = FrameBuffer::default();
                let ranges: Vec<_> = (0..4)
                    .map(|number| {
                        buffer.encode(OpCode::Text, &[format!("a{number:<7}").as_bytes()])
                    })
                    .collect();
                let shared = buffer.share();
                for range in ranges {
                    let frame = shared.slice(range);
                    _ = outbox
                        .push_of(feed(1), &terms, &frame, 4 * FRAME_LEN)
                        .unwrap();
                }
                let mut socket = Socket::new(room, UNLIMITED);
                flush(&mut outbox, &mut socket);
                let mut play = Play {
                    outbox,
                    socket,
                    bytes_max: 4 * FRAME_LEN,
                };
                for number in 4..9 {
                    _ = play.push_of(1, &terms, &format!("a{number}"));
                }
                let displaced = play.outbox.take_displaced_count();
                let received = play.finish();
                let begun_count = room.div_ceil(FRAME_LEN).min(4);
                let first: Vec<_> = (0..begun_count)
                    .map(|number| format!("a{number}"))
                    .collect();
                assert_eq!(received[..begun_count], first, "room {room}");
                if displaced > 0 {
                    assert_eq!(received[begun_count], format!("a lost {displaced}"));
                }
                assert_eq!(received.last().unwrap(), "a8");
            }
        }
    }

    #[test]
    fn sc_03_what_cannot_be_dropped_takes_the_room_of_the_largest_backlog() {
        let (large, small) = (
            terms(Policy::DropNewest, "a"),
            terms(Policy::DropOldest, "b"),
        );
        let mut play = Play::blocked();
        for number in 0..7 {
            _ = play.push_of(1, &large, &format!("a{number}"));
        }
        for number in 0..3 {
            _ = play.push_of(2, &small, &format!("b{number}"));
        }
        for _ in 0..4 {
            play.push("plain").unwrap();
        }
        assert_eq!(play.outbox.take_displaced_count(), 4);
        for _ in 4..10 {
            play.push("plain").unwrap();
        }
        assert_eq!(play.push("plain"), Err(Overflow), "nothing is left to drop");
        assert_eq!(play.outbox.take_displaced_count(), 6);
        let mut expected = vec!["begun"];
        expected.extend(["plain"; 10]);
        expected.extend(["a lost 7", "b lost 3"]);
        assert_eq!(play.finish(), expected);
    }

    #[test]
    fn sc_03_a_loss_is_told_at_its_place_even_if_more_is_lost_around_it() {
        let terms = terms(Policy::DropNewest, "a");
        let mut play = Play::blocked();
        for number in 0..10 {
            _ = play.push_of(1, &terms, &format!("a{number}"));
        }
        _ = play.push_of(1, &terms, "a10, lost");
        play.socket.room = 8;
        flush(&mut play.outbox, &mut play.socket);
        play.bytes_max += FRAME_LEN;
        _ = play.push_of(1, &terms, "a11");
        // Takes the room of `a0` and `a1`.
        for _ in 0..2 {
            play.push("plain").unwrap();
        }
        let received = play.finish();
        assert_eq!(received[..3], ["begun", "a lost 2", "a2"].map(String::from));
        assert_eq!(
            received[9..],
            ["a9", "a lost 1", "a11", "plain", "plain"].map(String::from)
        );
    }

    #[test]
    fn sc_03_nobody_is_told_who_would_not_understand_but_losses_count() {
        let terms = silent(Policy::DropOldest);
        let mut play = Play::blocked();
        for number in 0..15 {
            assert_eq!(
                play.push_of(1, &terms, &format!("a{number}")),
                Pushed::Queued
            );
        }
        assert_eq!(play.outbox.take_displaced_count(), 5);
        assert_eq!(play.outbox.take_displaced_count(), 0, "counted once");
        let received = play.finish();
        assert_eq!((received.len(), &*received[1]), (11, "a5"));
    }

    #[test]
    fn sc_02_on_terms_to_close_it_overflows() {
        let terms = silent(Policy::Close);
        let mut play = Play::blocked();
        for _ in 0..10 {
            assert_eq!(play.push_of(1, &terms, "a"), Pushed::Queued);
        }
        let pushed = play
            .outbox
            .push_of(feed(1), &terms, &frame("a"), play.bytes_max);
        assert_eq!(pushed, Err(Overflow));
    }

    #[test]
    fn sc_03_frames_of_too_many_feeds_are_treated_as_if_they_could_not_be_dropped() {
        let terms = terms(Policy::DropNewest, "a");
        let mut play = Play::blocked();
        play.bytes_max = 258 * FRAME_LEN;
        for number in 1..=257 {
            assert_eq!(play.push_of(number, &terms, "a"), Pushed::Queued);
        }
        assert_eq!(play.push_of(256, &terms, "a"), Pushed::Dropped);
        play.bytes_max = FRAME_LEN;
        let pushed = play
            .outbox
            .push_of(feed(257), &terms, &frame("a"), play.bytes_max);
        assert_eq!(pushed, Err(Overflow));
        // A feed of which nothing waits any more gives its place to another.
        play.socket.room = 8 + FRAME_LEN;
        flush(&mut play.outbox, &mut play.socket);
        assert_eq!(play.push_of(257, &terms, "a"), Pushed::Dropped);
    }

    #[test]
    fn cl_06_losses_are_told_before_the_close_frame_or_not_at_all() {
        for is_abandoned in [false, true] {
            let terms = terms(Policy::DropOldest, "a");
            let mut play = Play::blocked();
            for number in 0..12 {
                _ = play.push_of(1, &terms, &format!("a{number}"));
            }
            let dropped = if is_abandoned {
                play.outbox.abandon_then(None)
            } else {
                let long = frame(&"-".repeat(200));
                let pushed = play.outbox.push_of(feed(1), &terms, &long, play.bytes_max);
                assert_eq!(pushed, Ok(Pushed::Dropped));
                play.outbox.push_close(None);
                0
            };
            let received = play.finish();
            assert_eq!(
                received.last().unwrap(),
                "",
                "the Close frame is the last one"
            );
            if is_abandoned {
                assert_eq!((received.len(), dropped), (2, 10));
            } else {
                assert_eq!(received[1..3], ["a lost 2", "a2"].map(String::from));
                assert_eq!(received[12], "a lost 1");
            }
        }
    }

    #[test]
    fn sc_09_dropped_frames_pin_no_memory() {
        let terms = terms(Policy::DropOldest, "a");
        let mut buffer = FrameBuffer::default();
        let long = buffer.encode(OpCode::Text, &[&[b'a'; 200_000]]);
        let short = buffer.encode(OpCode::Text, &[b"short"]);
        let shared = buffer.share();
        let mut outbox = Outbox::default();
        outbox.push(&frame("begun"), UNLIMITED).unwrap();
        flush(&mut outbox, &mut Socket::new(1, UNLIMITED));
        for range in [long, short] {
            _ = outbox
                .push_of(feed(1), &terms, &shared.slice(range), UNLIMITED)
                .unwrap();
        }
        outbox.keep_blocked();
        assert!(outbox.pinned_len() >= 200_000);
        _ = outbox
            .push_of(feed(1), &terms, &frame("next"), 100)
            .unwrap();
        assert_eq!(outbox.take_displaced_count(), 1);
        assert!(outbox.pinned_len() < 1000, "{}", outbox.pinned_len());
    }

    #[test]
    fn sc_09_a_message_costs_the_same_however_many_feeds_wait_in_a_full_outbox() {
        // If each of them looked at all that waits, this would take minutes.
        const COUNT: usize = 20_000;
        let stays = terms(Policy::DropNewest, "stays");
        let others = [2, 3, 4].map(|number| (number, terms(Policy::DropOldest, "a")));
        let mut play = Play::blocked();
        play.bytes_max = 2 * COUNT * FRAME_LEN;
        for number in 0..6 * COUNT {
            _ = play.push_of(1, &stays, "b");
            let (other, terms) = &others[number % 3];
            _ = play.push_of(*other, terms, "a");
            if number % 64 == 0 {
                play.outbox.keep_blocked();
            }
        }
        let displaced = play.outbox.take_displaced_count() as usize;
        assert!(displaced > 4 * COUNT, "{displaced}");
        assert!(play.finish().len() >= 2 * COUNT - 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Frames of these senders with payloads of these lengths, encoded in one turn.
        Turn(Vec<(usize, usize)>),
        Pong,
        Write {
            room: usize,
            step: usize,
            budget: usize,
        },
        KeepBlocked,
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => proptest::collection::vec((0..6_usize, 8..200_usize), 1..8).prop_map(Step::Turn),
            1 => Just(Step::Pong),
            3 => (0..700_usize, 1..200_usize, 1..600_usize)
                .prop_map(|(room, step, budget)| Step::Write { room, step, budget }),
            2 => (0..9_usize).prop_map(|room| Step::Write { room, step: 1, budget: 600 }),
            1 => Just(Step::KeepBlocked),
        ]
    }

    /// What became of the frames of one sender.
    #[derive(Clone, Copy, Debug, Default)]
    struct Sent {
        pushed: u32,
        queued: u32,
        received: u32,
        /// The number that the next frame has to have, as far as the receiver knows.
        next: u32,
    }

    /// The senders of the property: the first has no feed, the last two tell nothing of their losses.
    fn senders() -> [Option<Arc<Terms>>; 6] {
        [
            None,
            Some(terms(Policy::DropNewest, "1")),
            Some(terms(Policy::DropOldest, "2")),
            Some(terms(Policy::Latest, "3")),
            Some(silent(Policy::DropOldest)),
            Some(silent(Policy::DropNewest)),
        ]
    }

    /// Bytes of a feed that wait and are not begun.
    fn waiting_len_of(queue: &Queue, feed: Feed) -> usize {
        let index = queue.backlogs.find(feed);
        index.map_or(0, |index| queue.backlogs[index].waiting_len)
    }

    /// What the queue knows of itself is so.
    fn assert_consistent(outbox: &Outbox) {
        let Owed::Queue(queue) = &outbox.owed else {
            return;
        };
        assert_eq!(
            queue.data_len,
            queue.data.iter().map(Segment::len).sum::<usize>()
        );
        let empty_places = queue.data.iter().filter(|it| it.is_gone()).count();
        assert_eq!(queue.empty_places, empty_places);
        assert!(queue.data.front().is_none_or(|it| !it.is_gone()));
        for number in 1..6 {
            let mut begun_len = queue.begun_len;
            let mut waiting_len = 0;
            for segment in &queue.data {
                let begun = begun_len.min(segment.len());
                begun_len -= begun;
                if segment.feed == Some(feed(number)) {
                    waiting_len += segment.len() - begun;
                }
            }
            assert_eq!(waiting_len_of(queue, feed(number)), waiting_len);
        }
    }

    const BYTES_MAX: usize = 1500;
    const NOTICE_LEN_MAX: usize = 20;

    proptest! {
        /// Frames are whole and in order, every message is received, told as lost at its place, or refused, and no frame
        /// that may be dropped costs the receiver one that may not.
        #[test]
        fn sc_03_every_message_is_received_or_told_as_lost(
            steps in proptest::collection::vec(any_step(), 1..80),
            last_step in 1..50_usize,
        ) {
            let senders = senders();
            let mut sent = [Sent::default(); 6];
            let mut total = 0_u32;
            let mut displaced = 0;
            let mut outbox = Outbox::default();
            let mut socket = Socket::default();
            for step in steps {
                match step {
                    Step::Turn(frames) => {
                        let mut buffer = FrameBuffer::default();
                        let ranges: Vec<_> = frames.iter().map(|&(sender, len)| {
                            let number = sent[sender].pushed;
                            sent[sender].pushed += 1;
                            total += 1;
                            let sender_byte = u8::try_from(sender).unwrap();
                            let filling = vec![0; len];
                            buffer.encode(OpCode::Binary, &[&[sender_byte], &number.to_be_bytes(), &total.to_be_bytes(), &filling])
                        }).collect();
                        let shared = buffer.share();
                        for (range, (sender, _)) in ranges.into_iter().zip(frames) {
                            let frame = shared.slice(range);
                            let is_blocked = outbox.stalled_since().is_some();
                            let is_queued = match &senders[sender] {
                                None => outbox.push(&frame, BYTES_MAX).is_ok(),
                                Some(terms) => {
                                    let pushed = outbox.push_of(feed(sender), terms, &frame, BYTES_MAX).unwrap();
                                    let is_latest = terms.policy == Policy::Latest && pushed == Pushed::Queued;
                                    if is_latest && is_blocked && let Owed::Queue(queue) = &outbox.owed {
                                        prop_assert_eq!(waiting_len_of(queue, feed(sender)), frame.len());
                                    }
                                    pushed == Pushed::Queued
                                }
                            };
                            sent[sender].queued += u32::from(is_queued);
                            let count = outbox.take_displaced_count();
                            let displaces = senders[sender].as_ref().is_none_or(|terms| terms.policy != Policy::DropNewest);
                            prop_assert!(displaces || count == 0);
                            prop_assert!(is_queued || count == 0, "dropped for nothing");
                            displaced += count;
                            prop_assert!(!is_queued || outbox.data_len() <= BYTES_MAX);
                            assert_consistent(&outbox);
                        }
                    }
                    Step::Pong => outbox.push_pong(b"pong"),
                    Step::Write { room, step, budget } => {
                        (socket.room, socket.step) = (room, step);
                        let flushed = outbox.write_to(&mut socket, budget, Moment::START).unwrap();
                        prop_assert_eq!(flushed == Flushed::Everything, outbox.is_empty());
                        prop_assert!(outbox.data_len() <= BYTES_MAX + NOTICE_LEN_MAX);
                    }
                    Step::KeepBlocked => outbox.keep_blocked(),
                }
                assert_consistent(&outbox);
            }
            (socket.room, socket.step) = (UNLIMITED, last_step);
            prop_assert_eq!(outbox.write_to(&mut socket, UNLIMITED, Moment::START).unwrap(), Flushed::Everything);
            let mut last_of_all = 0;
            for (opcode, payload) in frames_in(&socket.taken) {
                if opcode == 1 {
                    let text = std::str::from_utf8(&payload).unwrap();
                    let (sender, lost) = text.split_once(" lost ").unwrap();
                    let lost: u32 = lost.parse().unwrap();
                    prop_assert!(lost > 0);
                    sent[sender.parse::<usize>().unwrap()].next += lost;
                } else if opcode == 2 {
                    let sender = usize::from(payload[0]);
                    let [number, of_all] = [1, 5].map(|at| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()));
                    prop_assert!(of_all > last_of_all, "out of order");
                    last_of_all = of_all;
                    let sent = &mut sent[sender];
                    if (1..4).contains(&sender) {
                        prop_assert_eq!(number, sent.next, "sender {}", sender);
                    }
                    sent.next = number + 1;
                    sent.received += 1;
                }
            }
            for (sender, sent) in sent.iter().enumerate().take(4).skip(1) {
                prop_assert_eq!(sent.next, sent.pushed, "sender {}", sender);
            }
            prop_assert_eq!(sent[0].received, sent[0].queued);
            let [queued, received] = [|it: &Sent| it.queued, |it: &Sent| it.received].map(|of| sent.iter().map(of).sum::<u32>());
            prop_assert_eq!(received + displaced, queued);
        }
    }
}
