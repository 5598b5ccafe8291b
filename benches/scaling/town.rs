//! A group of open sessions without sockets.

use std::io;

use switchboard::clock::Moment;
use switchboard::config::Config;
use switchboard::delivery::{GroupName, Recipients, SessionId};
use switchboard::http::Handshake;
use switchboard::outbox::{Flushed, Outbox};
use switchboard::proto::{FrameBuffer, OpCode};
use switchboard::registry::Registry;
use switchboard::session::{Event, Session};

use super::entrance::request;

const PAYLOAD: &[u8] = &[b'a'; 64];

/// Everyone, and who is in the group.
pub(crate) struct Town {
    config: Config,
    group: GroupName,
    registry: Registry,
    frames: FrameBuffer,
    inhabitants: Vec<(Session, Outbox)>,
}

impl Town {
    /// Sessions that are open and in no group yet.
    pub(crate) fn new(count: u32) -> Self {
        let config = Config::default();
        let request = request("/relay/room").into_bytes();
        Self {
            group: GroupName::new("@relay", "room"),
            registry: Registry::default(),
            frames: FrameBuffer::default(),
            inhabitants: (0..count).map(|_| open(&request, &config)).collect(),
            config,
        }
    }

    /// Everyone joins.
    pub(crate) fn join_all(&mut self) {
        for id in self.ids() {
            assert!(self.registry.join(id, self.group.clone()));
        }
    }

    /// Everyone leaves and comes back at once, so that the group is never empty.
    pub(crate) fn rejoin_all(&mut self) {
        for id in self.ids() {
            assert!(self.registry.leave(id, &self.group));
            assert!(self.registry.join(id, self.group.clone()));
        }
    }

    /// Everyone's connection ends.
    pub(crate) fn remove_all(&mut self) {
        for id in self.ids() {
            self.registry.remove(id);
        }
        assert_eq!(self.registry.member_count(&self.group), 0);
    }

    /// One message reaches everyone and is written.
    pub(crate) fn fan_out(&mut self) {
        let range = self.frames.encode(OpCode::Text, &[PAYLOAD]);
        let frame = self.frames.share().slice(range);
        let recipients = Recipients::Group(self.group.clone());
        for id in self.registry.recipients(&recipients) {
            let (session, outbox) = &mut self.inhabitants[id.slot() as usize];
            assert!(session.can_send());
            let pushed = outbox.push(&frame, self.config.outbox_bytes_max);
            pushed.expect("room for it");
        }
        for id in self.registry.recipients(&recipients) {
            let (session, outbox) = &mut self.inhabitants[id.slot() as usize];
            let budget = self.config.write_budget_bytes;
            let flushed = outbox.write_to(&mut io::sink(), budget, Moment::START);
            assert_eq!(flushed.expect("a sink takes it"), Flushed::Everything);
            session.on_flushed(Moment::START, &self.config);
        }
    }

    fn ids(&self) -> impl Iterator<Item = SessionId> + use<> {
        let count = u32::try_from(self.inhabitants.len()).expect("few enough");
        (0..count).map(|slot| SessionId::new(0, slot, 1).expect("few enough slots"))
    }
}

/// A session whose handshake is over and written.
fn open(request: &[u8], config: &Config) -> (Session, Outbox) {
    let mut session = Session::new(Moment::START, config);
    let mut outbox = Outbox::default();
    let mut bytes = request.to_vec();
    let mut input = &mut bytes[..];
    let event = session.next_event(&mut input, Moment::START, config, &mut outbox);
    let Some(Event::Request(request)) = event else {
        panic!("{event:?} instead of a request");
    };
    let handshake = Handshake::accept(&request).expect("an upgrade");
    session.open(&handshake, config.ping_interval, Moment::START, &mut outbox);
    let written = outbox.write_to(&mut io::sink(), usize::MAX, Moment::START);
    written.expect("a sink takes it");
    session.on_flushed(Moment::START, config);
    (session, outbox)
}
