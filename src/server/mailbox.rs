//! The way from one loop to another: a queue of letters, and the only lock of the server.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use mio::net::TcpStream;

use super::compression::Parcel;
use super::drain::Drain;
use super::errand::Errand;
use super::link::Link;
use super::places::Place;
use super::receipts::{ReceiptKey, Report};
use super::recovery::Attachment;
use crate::delivery::Delivery;
use crate::handler::Handler;

/// A loop with this many unread letters, or with letters of this many bytes, is behind: the others stop reading from
/// their peers, so that they cause no more, until it has caught up.
const LETTERS_MAX: usize = 16_384;
const LETTER_BYTES_MAX: usize = 16 << 20;

/// What loops say to each other.
pub(super) enum Letter<H: Handler, S = TcpStream> {
    /// A new connection, not registered anywhere yet, is yours.
    Adopt(Link<S>, Option<Place>),
    /// This socket goes on with a session of yours, or has to be told that there is none.
    Attach(Box<Attachment<S>>),
    /// Deliver this to the recipients among your connections, and tell the sender's loop if it wants to know.
    Deliver(Delivery<Parcel>, Option<ReceiptAddress>),
    /// Run this among your connections, and tell the loop of whoever asks.
    Errand(Errand, ReceiptAddress),
    /// This is what became of what you asked about.
    Receipt(ReceiptKey, Report),
    /// The application of another loop tells yours this.
    Note(H::Note),
    /// All loops together hold too much, and you have the connection that holds the most.
    Relieve,
    /// Send everyone away, or look whether all are gone if you do so already.
    Drain(Drain),
    /// Stop now.
    Stop,
}

/// Who waits for the outcome of a delivery or an errand.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiptAddress {
    pub(super) loop_index: usize,
    pub(super) key: ReceiptKey,
}

/// All loops, as somebody sees them who wants them to stop and does not care what else they can be told.
pub(super) trait Stoppable: Send + Sync {
    /// Sends every loop a [`Letter::Drain`].
    fn drain_all(&self, drain: Drain);
    /// Sends every loop a [`Letter::Stop`].
    fn stop_all(&self);
    /// Throws away what no loop will read any more; how many connections were among it.
    fn drop_unread(&self) -> u64;
}

/// Letters for one loop, in the order of posting.
pub(super) struct Mailbox<H: Handler, S = TcpStream> {
    unread: Mutex<Unread<H, S>>,
    waker: Waker,
}

struct Unread<H: Handler, S> {
    letters: VecDeque<Letter<H, S>>,
    /// Sum of [`Letter::frame_len`].
    frame_bytes: usize,
}

impl<H: Handler, S> Letter<H, S> {
    /// Bytes of the frames that the letter brings. Notes count as letters only: they are short, or go along with a
    /// delivery of the same length.
    fn frame_len(&self) -> usize {
        match self {
            Self::Deliver(delivery, _) => delivery.frame.plain.len(),
            _ => 0,
        }
    }
}

impl<H: Handler, S> Mailbox<H, S> {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            unread: Mutex::new(Unread {
                letters: VecDeque::new(),
                frame_bytes: 0,
            }),
            waker,
        }
    }

    /// Appends `letters`, leaving it empty, and wakes the loop if it may be asleep.
    ///
    /// # Errors
    ///
    /// What the waker says. The letters are in the box all the same.
    pub(super) fn post(&self, letters: &mut Vec<Letter<H, S>>) -> io::Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let was_empty = {
            let mut unread = self.lock();
            let was_empty = unread.letters.is_empty();
            unread.frame_bytes += letters.iter().map(Letter::frame_len).sum::<usize>();
            unread.letters.extend(letters.drain(..));
            was_empty
        };
        // A loop that has left letters unread polls without sleeping, so only the first letter has to wake.
        if was_empty { self.waker.wake() } else { Ok(()) }
    }

    /// Moves up to `budget` letters to the end of `letters`; returns whether some are left.
    pub(super) fn take(&self, budget: usize, letters: &mut Vec<Letter<H, S>>) -> bool {
        let mut unread = self.lock();
        let count = budget.min(unread.letters.len());
        let first_taken = letters.len();
        letters.extend(unread.letters.drain(..count));
        let taken_bytes: usize = letters[first_taken..].iter().map(Letter::frame_len).sum();
        unread.frame_bytes -= taken_bytes;
        if unread.letters.is_empty() && unread.letters.capacity() > LETTERS_MAX {
            unread.letters = VecDeque::new();
        }
        !unread.letters.is_empty()
    }

    fn is_behind(&self) -> bool {
        let unread = self.lock();
        unread.letters.len() >= LETTERS_MAX || unread.frame_bytes >= LETTER_BYTES_MAX
    }

    /// No code panics while it holds the lock, and a queue of letters is whole between two operations anyway.
    fn lock(&self) -> MutexGuard<'_, Unread<H, S>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mailboxes of all loops, as one of them sees them: letters are gathered, and posted once in a turn.
///
/// The notes of a turn are posted to every loop before its other letters are posted to any. Otherwise a loop could read
/// a delivery, have its application send a note because of that, and overtake a note that was sent before the delivery.
pub(super) struct PostOffice<H: Handler, S = TcpStream> {
    own_index: usize,
    mailboxes: Arc<[Mailbox<H, S>]>,
    gathered: Vec<Gathered<H, S>>,
    /// Whether any letter is gathered: in most turns of most loops none is.
    has_gathered: bool,
}

/// Letters of this turn to one loop.
struct Gathered<H: Handler, S> {
    notes: Vec<Letter<H, S>>,
    others: Vec<Letter<H, S>>,
}

impl<H: Handler, S> PostOffice<H, S> {
    pub(super) fn new(own_index: usize, mailboxes: Arc<[Mailbox<H, S>]>) -> Self {
        let gathered = mailboxes
            .iter()
            .map(|_| Gathered {
                notes: Vec::new(),
                others: Vec::new(),
            })
            .collect();
        Self {
            own_index,
            mailboxes,
            gathered,
            has_gathered: false,
        }
    }

    /// Gathers a letter to the loop `to`; nobody gets it if there is no such loop.
    pub(super) fn send(&mut self, to: usize, letter: Letter<H, S>) {
        if let Some(Gathered { notes, others }) = self.gathered.get_mut(to) {
            let letters = match letter {
                Letter::Note(_) => notes,
                _ => others,
            };
            letters.push(letter);
            self.has_gathered = true;
        }
    }

    /// The indices of all loops but this one.
    pub(super) fn others(&self) -> impl Iterator<Item = usize> + use<H, S> {
        let own_index = self.own_index;
        (0..self.mailboxes.len()).filter(move |index| *index != own_index)
    }

    /// Posts what was gathered.
    ///
    /// # Errors
    ///
    /// What a waker says: the loop behind it may not notice its letters.
    #[inline]
    pub(super) fn post_all(&mut self) -> io::Result<()> {
        if !self.has_gathered {
            return Ok(());
        }
        for (mailbox, Gathered { notes, .. }) in self.mailboxes.iter().zip(&mut self.gathered) {
            mailbox.post(notes)?;
        }
        for (mailbox, Gathered { others, .. }) in self.mailboxes.iter().zip(&mut self.gathered) {
            mailbox.post(others)?;
        }
        self.has_gathered = false;
        Ok(())
    }

    /// Takes up to `budget` letters to this loop; returns whether some are left.
    pub(super) fn take(&self, budget: usize, letters: &mut Vec<Letter<H, S>>) -> bool {
        self.mailboxes[self.own_index].take(budget, letters)
    }

    /// Whether another loop has so many unread letters that this one must not cause more.
    pub(super) fn is_congested(&self) -> bool {
        self.others().any(|index| self.mailboxes[index].is_behind())
    }
}

impl<H: Handler, S: Send> Stoppable for Arc<[Mailbox<H, S>]> {
    fn drain_all(&self, drain: Drain) {
        post_to_all(self, || Letter::Drain(drain));
    }

    fn stop_all(&self) {
        post_to_all(self, || Letter::Stop);
    }

    fn drop_unread(&self) -> u64 {
        let mut letters = Vec::new();
        for mailbox in &**self {
            mailbox.take(usize::MAX, &mut letters);
        }
        let is_connection = |letter: &&Letter<H, S>| matches!(letter, Letter::Adopt(..));
        letters.iter().filter(is_connection).count() as u64
    }
}

fn post_to_all<H: Handler, S>(mailboxes: &[Mailbox<H, S>], letter: impl Fn() -> Letter<H, S>) {
    for mailbox in mailboxes {
        if let Err(error) = mailbox.post(&mut vec![letter()]) {
            log::error!("cannot wake a loop: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Poll, Token};

    use super::*;
    use crate::clock::Moment;
    use crate::delivery::{Recipients, SessionId};
    use crate::handler::{Answer, Arrival, Outgoing};
    use crate::http::{HttpError, Request, Response};
    use crate::proto::{EncodedFrame, Message};

    /// An application that takes nobody; its notes are numbers.
    #[derive(Clone)]
    struct Silent;

    impl Handler for Silent {
        type Peer = ();
        type Note = u32;

        fn on_request(
            &mut self,
            _: &Request<'_>,
            _: Arrival,
            _: &mut Outgoing<'_, u32>,
        ) -> Answer<()> {
            Answer::Respond(Response::refusal(HttpError::NotFound))
        }

        fn on_message(&mut self, (): &mut (), _: Message<'_>, _: &mut Outgoing<'_, u32>) {}
    }

    /// Two loops; the polls keep their wakers alive.
    fn post_offices() -> ([Poll; 2], PostOffice<Silent>, PostOffice<Silent>) {
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let mailboxes: Arc<[Mailbox<Silent>]> = polls
            .each_ref()
            .map(|poll| Mailbox::new(Waker::new(poll.registry(), Token(0)).unwrap()))
            .into();
        let [first, second] = [0, 1].map(|index| PostOffice::new(index, Arc::clone(&mailboxes)));
        (polls, first, second)
    }

    fn drain() -> Letter<Silent> {
        Letter::Drain(Drain::new(Moment::START, Duration::from_secs(1), 0))
    }

    #[test]
    fn letters_arrive_in_the_order_of_posting_and_within_the_budget() {
        let (_polls, mut first, second) = post_offices();
        for _ in 0..2 {
            first.send(1, drain());
            first.send(1, Letter::Stop);
            first.post_all().unwrap();
        }
        let mut letters = Vec::new();
        assert!(second.take(3, &mut letters), "one is left");
        assert!(!second.take(3, &mut letters));
        let kinds: Vec<bool> = letters
            .iter()
            .map(|letter| matches!(letter, Letter::Stop))
            .collect();
        assert_eq!(kinds, [false, true, false, true]);
    }

    #[test]
    fn notes_come_before_the_other_letters_of_their_turn_and_in_their_order() {
        let (_polls, mut first, second) = post_offices();
        for turn in 0..2 {
            first.send(1, Letter::Stop);
            first.send(1, Letter::Note(2 * turn));
            first.send(1, Letter::Note(2 * turn + 1));
            first.post_all().unwrap();
        }
        let mut letters = Vec::new();
        assert!(!second.take(10, &mut letters));
        let notes: Vec<Option<u32>> = letters
            .iter()
            .map(|letter| match letter {
                Letter::Note(note) => Some(*note),
                _ => None,
            })
            .collect();
        assert_eq!(notes, [Some(0), Some(1), None, Some(2), Some(3), None]);
    }

    #[test]
    fn a_loop_with_too_many_letters_or_bytes_is_behind_until_it_reads_them() {
        let (_polls, mut first, second) = post_offices();
        let mut fill = |letter: fn() -> Letter<Silent>, count: usize| {
            (0..count).for_each(|_| first.send(1, letter()));
            first.post_all().unwrap();
            let is_congested = first.is_congested();
            assert!(!second.is_congested(), "one is never behind oneself");
            while second.take(1000, &mut Vec::new()) {}
            assert!(!first.is_congested());
            is_congested
        };
        assert!(!fill(|| Letter::Stop, LETTERS_MAX - 1));
        assert!(fill(|| Letter::Stop, LETTERS_MAX));
        let large = || {
            let delivery = Delivery::to(Recipients::One(SessionId::from_bits(0)));
            let frame = EncodedFrame::from_vec(vec![0; LETTER_BYTES_MAX / 4]);
            Letter::Deliver(delivery.map(|()| Parcel::new(frame)), None)
        };
        assert!(!fill(large, 3));
        assert!(fill(large, 4));
    }
}
