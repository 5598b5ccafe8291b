//! For tests: requests as they reach the endpoints, and what the endpoints ask for, written down.

use crate::config::Config;
use crate::delivery::{Except, Notice, Recipients, SessionId, Terms};
use crate::endpoints::{Note, Outgoing};
use crate::handler::{What, Wish};
use crate::http::{Request, RequestReader};
use crate::proto::{EncodedFrame, FrameBuffer, FrameHeader, FrameRange, Role};

/// The request with these lines and a Host; its memory is never freed.
pub(super) fn request(lines: &str) -> Request<'static> {
    request_with_body(lines, b"")
}

/// The same with a body.
pub(super) fn request_with_body(lines: &str, body: &[u8]) -> Request<'static> {
    let head = format!(
        "{}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        lines.trim().replace('\n', "\r\n"),
        body.len()
    );
    let mut input = [head.as_bytes(), body].concat().leak();
    let reader: &mut RequestReader = Box::leak(Box::default());
    reader
        .next(&mut input, &Config::default().http)
        .unwrap()
        .unwrap()
}

/// Collects the wishes of one connection and tells them as lines of text.
///
/// | Line | Wish |
/// |---|---|
/// | `Text: …` | a reply |
/// | `Text to "hub/group" except 0.1.0 on Latest with notice … token 5: …` | a delivery; the notice is of 7 messages |
/// | `Close("…") of "hub/group" token 0` | a command |
/// | `list 5 of "hub/group" after 0.1.0 token 0` | a list |
/// | `respond 200` | a response |
/// | `join "hub/group"`, `leave "hub/group"` | a membership |
/// | `close 1007 …` | the end |
///
/// Notes are not told but put aside.
pub(super) struct Recorder {
    pub(super) session: SessionId,
    frames: FrameBuffer,
    wishes: Vec<Wish<Note>>,
    /// The notes among the wishes told so far, each with the loop that it is for.
    pub(super) notes: Vec<(usize, Note)>,
}

impl Recorder {
    /// For the connection in `slot` of loop 0.
    pub(super) fn new(slot: u32) -> Self {
        Self {
            session: SessionId::new(0, slot, 0).unwrap(),
            frames: FrameBuffer::default(),
            wishes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Where the endpoint puts its wishes.
    pub(super) fn out(&mut self) -> Outgoing<'_> {
        Outgoing::new(self.session, &mut self.frames, &mut self.wishes)
    }

    /// What was asked for since the last call.
    pub(super) fn take(&mut self) -> Vec<String> {
        let shared = self.frames.share();
        let mut lines = Vec::new();
        for Wish { session, what } in self.wishes.drain(..) {
            assert_eq!(session, self.session);
            match what {
                What::Reply(range, _) => lines.extend(messages(&shared, range)),
                What::Deliver { delivery, token } => {
                    let (head, payload) = single_message(&shared, delivery.frame);
                    let recipients = recipients_text(&delivery.recipients);
                    let except = except_text(&delivery.except);
                    let terms = terms_text(delivery.terms.as_deref());
                    let token = token
                        .map(|token| format!(" token {token}"))
                        .unwrap_or_default();
                    lines.push(format!(
                        "{head} to {recipients}{except}{terms}{token}: {payload}"
                    ));
                }
                What::Command {
                    recipients,
                    except,
                    command,
                    token,
                } => {
                    let recipients = recipients_text(&recipients);
                    let except = except_text(&except);
                    lines.push(format!("{command:?} of {recipients}{except} token {token}"));
                }
                What::List {
                    recipients,
                    page,
                    token,
                } => {
                    let recipients = recipients_text(&recipients);
                    let after = page.after.map(|session| format!(" after {session}"));
                    let after = after.unwrap_or_default();
                    lines.push(format!(
                        "list {} of {recipients}{after} token {token}",
                        page.len_max
                    ));
                }
                What::Respond(response) => lines.push(format!("respond {}", response.status())),
                What::Join(group) => lines.push(format!("join {group:?}")),
                What::Leave(group) => lines.push(format!("leave {group:?}")),
                What::Acknowledge(number) => lines.push(format!("acknowledge {number}")),
                What::Replay => lines.push("replay".to_owned()),
                What::Note { loop_index, note } => self.notes.push((loop_index, note)),
                What::Close(code, reason) => lines.push(format!("close {} {reason}", code.get())),
            }
        }
        lines
    }
}

fn recipients_text(recipients: &Recipients) -> String {
    match recipients {
        Recipients::Group(group) => format!("{group:?}"),
        Recipients::One(session) => format!("{session:?}"),
        Recipients::Member(session, group) => format!("{session:?} in {group:?}"),
    }
}

fn except_text(except: &Except) -> String {
    match except {
        Except::Nobody => String::new(),
        Except::One(session) => format!(" except {session}"),
        Except::Many(sessions) => format!(" except {sessions:?}"),
    }
}

fn terms_text(terms: Option<&Terms>) -> String {
    let Some(Terms { policy, notice, .. }) = terms else {
        return String::new();
    };
    let notice = notice
        .as_ref()
        .map(|Notice { before, after }| format!(" with notice {before}7{after}"));
    format!(" on {policy:?}{}", notice.unwrap_or_default())
}

/// The messages whose frames lie in `range`, each as its opcode and its payload.
pub(super) fn messages(shared: &EncodedFrame, range: FrameRange) -> Vec<String> {
    let frames = shared.slice(range);
    let mut bytes = frames.as_bytes();
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let (header, header_len) = FrameHeader::parse(bytes, Role::Client).unwrap().unwrap();
        let (frame, rest) =
            bytes.split_at(header_len + usize::try_from(header.payload_len).unwrap());
        lines.push(format!(
            "{:?}: {}",
            header.opcode,
            String::from_utf8_lossy(&frame[header_len..])
        ));
        bytes = rest;
    }
    lines
}

/// The only message of `range`: its opcode and its payload.
fn single_message(shared: &EncodedFrame, range: FrameRange) -> (String, String) {
    let lines = messages(shared, range);
    assert_eq!(lines.len(), 1);
    let (opcode, payload) = lines[0].split_once(": ").unwrap();
    (opcode.to_owned(), payload.to_owned())
}
