//! Messages on their way to recoverable connections, each of which gets a number of its own with it.

use std::ops::Range;

use slotmap::{DefaultKey, SlotMap};

use super::compression::{Compression, Parcel};
use super::connection::{Connection, Now};
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::{Numbering, SessionId};
use crate::outbox::Overflow;
use crate::proto::{Deflate, EncodedFrame, FrameHeader, Role};

/// The numbered receivers of one delivery: a beginning for each, one rest for all.
#[derive(Default)]
pub(super) struct Numbered {
    /// The message behind the number, in a buffer of its own: it is kept until all have acknowledged it.
    rest: Option<EncodedFrame>,
    beginnings: Vec<u8>,
    /// Who gets it, where its beginning is, and what goes behind that: the rest as it is, or compressed.
    receivers: Vec<(SessionId, Range<usize>, EncodedFrame)>,
}

impl Numbered {
    /// Numbers the message for one more receiver.
    pub(super) fn send<P, S: Socket>(
        &mut self,
        id: SessionId,
        connection: &mut Connection<P, S>,
        message: &mut Parcel,
        deflate: Option<Deflate>,
        compression: &mut Compression,
        now: &Now,
    ) -> Result<(), Overflow> {
        let Some(recovery) = &mut connection.recovery else {
            return Ok(());
        };
        let numbering = recovery.replay.numbering();
        let rest = self.rest.get_or_insert_with(|| {
            let rest = rest_of(message.plain.as_bytes(), numbering);
            EncodedFrame::from_vec(rest.to_vec())
        });
        let Ok(number) = recovery.replay.push(rest.clone(), now.config.replay) else {
            connection.give_up(now);
            return Err(Overflow);
        };
        if !recovery.is_live() {
            return Ok(());
        }
        let compressed = message.rest_for_receiver(deflate, numbering, compression);
        let out = &mut self.beginnings;
        let (beginning, rest) = match compressed {
            Some(it) => (
                recovery.replay.write_compressed_beginning(number, it, out),
                it.bytes(),
            ),
            None => (
                recovery.replay.write_beginning(number, rest.len(), out),
                &*rest,
            ),
        };
        self.receivers.push((id, beginning, rest.clone()));
        Ok(())
    }

    /// Puts beginning and rest into the outbox of each receiver.
    pub(super) fn push_into<P, S>(self, connections: &mut SlotMap<DefaultKey, Connection<P, S>>) {
        if self.receivers.is_empty() {
            return;
        }
        let beginnings = EncodedFrame::from_vec(self.beginnings);
        for (id, range, rest) in self.receivers {
            if let Some(connection) = connections.get_mut(key_of(id)) {
                connection
                    .outbox
                    .push_numbered(beginnings.part(range), rest);
            }
        }
    }
}

/// What stands behind the number: the payload of `frame` without what the number replaces.
pub(super) fn rest_of(frame: &[u8], numbering: Numbering) -> &[u8] {
    let header_len = FrameHeader::parse(frame, Role::Client)
        .ok()
        .flatten()
        .map_or(0, |(_, header_len)| header_len);
    frame
        .get(header_len + numbering.replaced_len..)
        .unwrap_or_default()
}
