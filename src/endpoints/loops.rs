//! For tests: several loops with endpoints and no sockets, whose letters arrive as late as a test wants.
//!
//! A loop takes turns as the server's do. What it has to say to others at the end of a turn is posted in steps: the notes
//! to one loop after the other, then the deliveries to one loop after the other. Between two steps other loops may read
//! what is there already, so a test that orders the steps at random sees all orders that threads could bring about.

use std::collections::{BTreeSet, HashMap, VecDeque};

use serde_json::Value;

use super::recorder::{messages, request};
use super::{EndpointSettings, Endpoints, Note, Outgoing, Peer};
use crate::delivery::{Except, GroupName, Recipients, SessionId};
use crate::handler::{Answer, Arrival, Handler, LoopPlace, What, Wish};
use crate::metrics::Metrics;
use crate::proto::{FrameBuffer, Message};

/// The loops of one server.
pub(super) struct Loops {
    loops: Vec<Loop>,
    opened_count: u32,
}

/// One of them.
struct Loop {
    endpoints: Endpoints,
    clients: HashMap<SessionId, Client>,
    groups: HashMap<GroupName, BTreeSet<SessionId>>,
    frames: FrameBuffer,
    wishes: Vec<Wish<Note>>,
    /// Who has ended since the wishes were granted last.
    ended: Vec<SessionId>,
    /// Letters to this loop.
    mailbox: VecDeque<Letter>,
    /// Letters from this loop that are not in their mailboxes yet, step by step.
    unposted: VecDeque<(usize, Vec<Letter>)>,
}

/// Somebody who is connected.
struct Client {
    peer: Peer,
    heard: Vec<Value>,
}

enum Letter {
    Note(Note),
    Deliver(Value, Recipients, Except),
}

impl Loops {
    /// So many loops with these settings.
    pub(super) fn new(count: usize, settings: EndpointSettings) -> Self {
        let endpoints = Endpoints::new(settings);
        let start = |index| {
            let mut endpoints = endpoints.clone();
            endpoints.on_start(LoopPlace { index, count }, &Metrics::new(count));
            Loop::new(endpoints)
        };
        Self {
            loops: (0..count).map(start).collect(),
            opened_count: 0,
        }
    }

    /// Somebody opens `/ws`, with a name or without.
    pub(super) fn open(&mut self, index: usize, user: Option<&str>) -> SessionId {
        self.opened_count += 1;
        let session = SessionId::new(u8::try_from(index).unwrap(), self.opened_count, 1).unwrap();
        let query = user.map(|user| format!("?userId={user}"));
        let head = request(&format!(
            "GET /ws{} HTTP/1.1\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            query.unwrap_or_default()
        ));
        self.loops[index].open(session, &head);
        session
    }

    /// A client sends a text.
    pub(super) fn say(&mut self, session: SessionId, text: &str) {
        let home = &mut self.loops[session.loop_index()];
        let client = home.clients.get_mut(&session).expect("it is open");
        let mut out = Outgoing::new(session, &mut home.frames, &mut home.wishes);
        home.endpoints
            .on_message(&mut client.peer, Message::Text(text.into()), &mut out);
    }

    /// A client goes; what it has heard.
    pub(super) fn close(&mut self, session: SessionId) -> Vec<Value> {
        let home = &mut self.loops[session.loop_index()];
        let client = home.clients.remove(&session).expect("it is open");
        home.ended.push(session);
        let mut out = Outgoing::new(session, &mut home.frames, &mut home.wishes);
        home.endpoints.on_close(client.peer, &mut out);
        client.heard
    }

    /// What a client has heard since the last call.
    pub(super) fn take_heard(&mut self, session: SessionId) -> Vec<Value> {
        let home = &mut self.loops[session.loop_index()];
        let client = home.clients.get_mut(&session).expect("it is open");
        std::mem::take(&mut client.heard)
    }

    /// What the endpoints of all loops remember.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Endpoints> {
        self.loops.iter().map(|it| &it.endpoints)
    }

    /// A loop posts what it has to post next, or else takes a turn in which it reads up to `letter_count` letters.
    pub(super) fn step(&mut self, index: usize, letter_count: usize) {
        match self.loops[index].unposted.pop_front() {
            Some((to, letters)) => self.loops[to].mailbox.extend(letters),
            None => self.turn(index, letter_count),
        }
    }

    /// Everything that is under way arrives.
    pub(super) fn settle(&mut self) {
        while self.loops.iter().any(Loop::has_something_to_do) {
            for index in 0..self.loops.len() {
                self.step(index, usize::MAX);
            }
        }
    }

    fn turn(&mut self, index: usize, letter_count: usize) {
        let loop_count = self.loops.len();
        let this = &mut self.loops[index];
        for _ in 0..letter_count.min(this.mailbox.len()) {
            match this.mailbox.pop_front().expect("it has so many") {
                Letter::Note(note) => this.on_note(note),
                Letter::Deliver(message, recipients, except) => {
                    this.deliver(&message, &recipients, &except);
                }
            }
        }
        let mut notes: Vec<Vec<Letter>> = (0..loop_count).map(|_| Vec::new()).collect();
        let mut deliveries: Vec<Vec<Letter>> = (0..loop_count).map(|_| Vec::new()).collect();
        this.on_turn_end();
        while !(this.wishes.is_empty() && this.ended.is_empty()) {
            this.grant(index, &mut notes, &mut deliveries);
            this.on_turn_end();
        }
        let steps = notes.into_iter().enumerate();
        let steps = steps.chain(deliveries.into_iter().enumerate());
        this.unposted = steps.filter(|(_, letters)| !letters.is_empty()).collect();
    }
}

impl Loop {
    fn new(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            clients: HashMap::new(),
            groups: HashMap::new(),
            frames: FrameBuffer::default(),
            wishes: Vec::new(),
            ended: Vec::new(),
            mailbox: VecDeque::new(),
            unposted: VecDeque::new(),
        }
    }

    fn open(&mut self, session: SessionId, head: &crate::http::Request<'_>) {
        let arrival = Arrival::of_a_test(0);
        let mut out = Outgoing::new(session, &mut self.frames, &mut self.wishes);
        let Answer::Upgrade(upgrade) = self.endpoints.on_request(head, arrival, &mut out) else {
            panic!("refused")
        };
        let mut peer = upgrade.peer;
        self.endpoints.on_open(&mut peer, &mut out);
        let heard = Vec::new();
        self.clients.insert(session, Client { peer, heard });
    }

    fn has_something_to_do(&self) -> bool {
        !(self.wishes.is_empty()
            && self.ended.is_empty()
            && self.mailbox.is_empty()
            && self.unposted.is_empty())
    }

    fn is_member(&self, session: SessionId, group: &GroupName) -> bool {
        let members = self.groups.get(group);
        members.is_some_and(|members| members.contains(&session))
    }

    fn on_note(&mut self, note: Note) {
        let nobody = SessionId::from_bits(0);
        let mut out = Outgoing::new(nobody, &mut self.frames, &mut self.wishes);
        self.endpoints.on_note(note, &mut out);
    }

    fn on_turn_end(&mut self) {
        let nobody = SessionId::from_bits(0);
        let mut out = Outgoing::new(nobody, &mut self.frames, &mut self.wishes);
        self.endpoints.on_turn_end(&mut out);
    }

    fn grant(&mut self, index: usize, notes: &mut [Vec<Letter>], deliveries: &mut [Vec<Letter>]) {
        let shared = self.frames.share();
        let parse = |range| -> Vec<Value> {
            let lines = messages(&shared, range).into_iter();
            let texts = lines.map(|line| line.strip_prefix("Text: ").unwrap().to_owned());
            texts
                .map(|text| serde_json::from_str(&text).unwrap())
                .collect()
        };
        for Wish { session, what } in std::mem::take(&mut self.wishes) {
            match what {
                What::Reply(range, _) => {
                    if let Some(client) = self.clients.get_mut(&session) {
                        client.heard.extend(parse(range));
                    }
                }
                What::Deliver { delivery, .. } => {
                    let (recipients, except) = (delivery.recipients, delivery.except);
                    let message = parse(delivery.frame).remove(0);
                    self.deliver(&message, &recipients, &except);
                    for (to, letters) in deliveries.iter_mut().enumerate() {
                        let is_concerned = match recipients {
                            Recipients::Group(_) => true,
                            Recipients::One(session) | Recipients::Member(session, _) => {
                                session.loop_index() == to
                            }
                        };
                        if to != index && is_concerned {
                            let recipients = recipients.clone();
                            let except = except.clone();
                            letters.push(Letter::Deliver(message.clone(), recipients, except));
                        }
                    }
                }
                What::Join(group) => {
                    if self.clients.contains_key(&session) {
                        self.groups.entry(group).or_default().insert(session);
                    }
                }
                What::Leave(group) => {
                    if let Some(members) = self.groups.get_mut(&group) {
                        members.remove(&session);
                    }
                }
                What::Note { loop_index, note } if loop_index == index => self.on_note(note),
                What::Note { loop_index, note } => notes[loop_index].push(Letter::Note(note)),
                What::Command { .. } | What::List { .. } | What::Respond(_) => {
                    panic!("clients ask for nothing of the kind")
                }
                What::Acknowledge(_) | What::Replay => panic!("nobody is recoverable"),
                What::Close(code, reason) => panic!("closed with {}: {reason}", code.get()),
            }
        }
        for session in self.ended.drain(..) {
            for members in self.groups.values_mut() {
                members.remove(&session);
            }
        }
    }

    fn deliver(&mut self, message: &Value, recipients: &Recipients, except: &Except) {
        let none = BTreeSet::new();
        let one;
        let sessions = match recipients {
            Recipients::Group(group) => self.groups.get(group).unwrap_or(&none),
            Recipients::Member(session, group) if !self.is_member(*session, group) => &none,
            Recipients::One(session) | Recipients::Member(session, _) => {
                one = BTreeSet::from([*session]);
                &one
            }
        };
        for session in sessions {
            if let Some(client) = self.clients.get_mut(session)
                && !except.contains(*session)
            {
                client.heard.push(message.clone());
            }
        }
    }
}
