//! An application for tests: a path for everything that a handler can do with a request.

use std::sync::mpsc::Sender;

use crate::delivery::{Delivery, GroupName, Numbering, Page, Recipients, RecoveryToken, SessionId};
use crate::handler::{Answer, Arrival, Handler, Outgoing, Receipt, Recover, Upgrade};
use crate::http::{Handshake, Request, Response};
use crate::proto::{CloseCode, Message, OpCode};

const TOKEN: RecoveryToken = RecoveryToken([9; 16]);
const NUMBERING: Numbering = Numbering {
    before: "<",
    after: ">",
    replaced_len: 1,
};

/// What an application must be told once for each WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Opened(SessionId),
    Closed(SessionId),
}

/// Says what it is told; `/echo` sends back, `/room` and `/recoverable` send to all in the room, `/later` is answered
/// when all loops have said who is there, `/never` is not; `/recover?session=N` goes on with a session.
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) told: Sender<Told>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guest {
    Echo,
    Member,
    Waiting,
}

impl Room {
    fn everyone() -> GroupName {
        GroupName::new("test", "room")
    }
}

impl Handler for Room {
    type Peer = Guest;
    type Note = ();

    fn on_request(
        &mut self,
        request: &Request<'_>,
        arrival: Arrival,
        out: &mut Outgoing<'_>,
    ) -> Answer<Guest> {
        let handshake = Handshake::accept(request);
        #[cfg(feature = "deflate")]
        let handshake = handshake.map(|it| it.compress(request));
        match (request.path(), handshake) {
            ("/later", _) => {
                let page = Page {
                    after: None,
                    len_max: 1,
                };
                out.list(Recipients::Group(Self::everyone()), page, 0);
                Answer::Later(Guest::Waiting)
            }
            ("/never", _) => Answer::Later(Guest::Waiting),
            ("/recover", Ok(handshake)) => {
                let bits = request.query_value("session");
                Answer::Recover(Recover {
                    handshake,
                    session: SessionId::from_bits(bits.map_or(0, |bits| bits.parse().unwrap())),
                    token: TOKEN,
                    client: arrival.client,
                    refusal: (CloseCode::POLICY_VIOLATION, "NotFound"),
                })
            }
            (path, Ok(handshake)) => Answer::Upgrade(Upgrade {
                handshake,
                peer: if path == "/echo" {
                    Guest::Echo
                } else {
                    Guest::Member
                },
                expires_after: None,
                recovery: (path == "/recoverable").then_some((NUMBERING, TOKEN)),
            }),
            _ => Answer::Respond(Response::text(200, "ok")),
        }
    }

    fn on_open(&mut self, guest: &mut Guest, out: &mut Outgoing<'_>) {
        self.told.send(Told::Opened(out.session())).unwrap();
        if *guest == Guest::Member {
            out.join(Self::everyone());
        }
    }

    fn on_message(&mut self, guest: &mut Guest, message: Message<'_>, out: &mut Outgoing<'_>) {
        let payload = message.payload();
        if payload == b"bye" {
            out.close(CloseCode::NORMAL, "bye");
        } else if *guest == Guest::Echo {
            out.reply(OpCode::Text, &[payload]);
        } else {
            let delivery = Delivery::to(Recipients::Group(Self::everyone()));
            out.deliver(delivery, OpCode::Text, &[payload], None);
        }
    }

    fn on_recovered(&mut self, _: &mut Guest, out: &mut Outgoing<'_>) {
        out.replay();
    }

    fn on_receipt(&mut self, guest: &mut Guest, _: Receipt, out: &mut Outgoing<'_>) {
        assert_eq!(*guest, Guest::Waiting);
        out.respond(Response::text(200, "late"));
    }

    fn on_close(&mut self, guest: Guest, out: &mut Outgoing<'_>) {
        assert_ne!(
            guest,
            Guest::Waiting,
            "a request is not opened, so not closed"
        );
        self.told.send(Told::Closed(out.session())).unwrap();
    }
}
