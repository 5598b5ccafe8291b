//! What is remembered of a connection that does something, and of no other: made when it is first needed.

use super::accounts::Tally;
use super::connection::{Connection, Now};
use super::places::Place;
use super::socket::Socket;
use crate::clock::Moment;
use crate::session::{Excess, Intake, Rates};

/// The part of a connection that an idle one does not have.
#[derive(Debug)]
pub(super) struct Activity {
    /// How fast the peer has been sending.
    rates: Rates,
    /// Until when nothing is read, because the peer is ahead of its rates; [`Moment::NEVER`] if that is not so.
    held_until: Moment,
    /// What it holds of the connections that its client may have, if those are limited.
    place: Option<Place>,
    /// Until when the peer counts as one that sends a lot at once.
    pub(super) bulk_until: Moment,
    /// What it has sent and was sent, for the log.
    pub(super) tally: Tally,
    /// What was read of the peer behind compressed messages that said so much that a turn had to end with them.
    pub(super) unread: Vec<u8>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            held_until: Moment::NEVER,
            place: None,
            bulk_until: Moment::START,
            tally: Tally::default(),
            unread: Vec::new(),
        }
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// How many messages the peer may send at this moment before it is closed.
    #[inline]
    pub(super) fn message_allowance(&self, now: &Now) -> u32 {
        let limits = &now.config.rates;
        if limits.messages_per_second_max.is_none() {
            return u32::MAX;
        }
        match &self.activity {
            Some(activity) => activity.rates.message_allowance(now.moment, limits),
            None => Rates::default().message_allowance(now.moment, limits),
        }
    }

    /// Counts what came against the rates of an open WebSocket. A peer that is ahead of them is read from later.
    ///
    /// # Errors
    ///
    /// What a peer sends too much of that stays ahead. It is sent away, of which the application has to be told.
    #[inline]
    pub(super) fn charge(&mut self, intake: Intake, now: &Now) -> Result<(), Excess> {
        let limits = &now.config.rates;
        if !intake.is_limited(limits) || intake.byte_count == 0 || !self.session.is_open() {
            return Ok(());
        }
        let activity = self.activity.get_or_insert_default();
        match activity.rates.charge(intake, now.moment, limits) {
            Ok(Some(until)) => activity.held_until = until,
            Ok(None) => {}
            Err(excess) => {
                self.session.on_excess(excess, now.moment, &now.config);
                return Err(excess);
            }
        }
        Ok(())
    }

    /// Whether nothing is to be read now, because the peer is ahead of its rates. Whoever is on the way out is read from,
    /// so that it can go.
    pub(super) fn is_held_back(&self, now: &Now) -> bool {
        self.session.is_open() && self.is_held() && now.moment < self.held_until()
    }

    /// Whether a peer that was held back is to be read from again, of which no event tells; says so once.
    pub(super) fn take_release(&mut self, now: &Now) -> bool {
        let is_released = self.is_held() && !self.is_held_back(now);
        if is_released && let Some(activity) = &mut self.activity {
            activity.held_until = Moment::NEVER;
        }
        is_released
    }

    /// Until when the peer is held back; [`Moment::NEVER`] if it is not.
    pub(super) fn held_until(&self) -> Moment {
        self.activity
            .as_ref()
            .map_or(Moment::NEVER, |activity| activity.held_until)
    }

    /// Keeps `rest` of what was read for the next turn.
    pub(super) fn keep_unread(&mut self, rest: &[u8]) {
        self.activity.get_or_insert_default().unread = rest.to_vec();
    }

    /// What was read and not looked at in the turns before.
    pub(super) fn take_unread(&mut self) -> Vec<u8> {
        let activity = self.activity.as_mut();
        activity.map_or_else(Vec::new, |activity| std::mem::take(&mut activity.unread))
    }

    /// Bytes that were read and not looked at; only peers that compress can leave any.
    #[inline]
    pub(super) fn unread_len(&self) -> usize {
        if self.deflate().is_none() {
            return 0;
        }
        let activity = self.activity.as_ref();
        activity.map_or(0, |activity| activity.unread.len())
    }

    /// Forgets what a peer did that does nothing any more.
    pub(super) fn forget_activity(&mut self, now: &Now) {
        let is_forgotten = |activity: &Activity| {
            activity.place.is_none()
                && activity.unread.is_empty()
                && activity.held_until == Moment::NEVER
                && activity.tally.is_empty()
                && activity.rates.is_forgotten(now.moment, &now.config.rates)
        };
        if self.activity.as_deref().is_some_and(is_forgotten) {
            self.activity = None;
        }
    }

    /// Has the connection hold `place` in place of what it held, which is given back.
    pub(super) fn hold(&mut self, place: Option<Place>) {
        if place.is_some() || self.activity.is_some() {
            self.activity.get_or_insert_default().place = place;
        }
    }

    /// What the connection holds, for another one that goes on with its socket.
    pub(super) fn take_place(&mut self) -> Option<Place> {
        self.activity.as_mut()?.place.take()
    }

    fn is_held(&self) -> bool {
        self.held_until() != Moment::NEVER
    }
}
