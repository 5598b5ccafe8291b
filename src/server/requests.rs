//! What becomes of the requests of a connection.

use std::time::SystemTime;

use super::application::Application;
use super::connection::{Connection, Now, first_ping_after};
use super::link::Link;
use super::places::Place;
use super::recovery::Recovery;
use super::socket::Socket;
use crate::clock::Moment;
use crate::delivery::SessionId;
use crate::handler::{Answer, Arrival, Handler, Upgrade};
use crate::http::{HttpError, Request, Response};
use crate::metrics::Status;
use crate::replay::Replay;

impl<P, S: Socket> Connection<P, S> {
    /// Tells a client that waits with its body to send it, or why not.
    pub(super) fn meet_expectation<H: Handler<Peer = P>>(
        &mut self,
        application: &mut Application<H>,
        now: &Now,
    ) {
        let Some(request) = self.session.expectation(&now.config) else {
            return;
        };
        let verdict = if now.is_draining() {
            Err(Response::refusal(HttpError::Unavailable))
        } else {
            let arrival = arrival_of(&request, &self.link, now);
            application.handler.on_expectation(&request, arrival)
        };
        match verdict {
            Ok(()) => self.session.go_on(&mut self.outbox),
            Err(response) => {
                now.counters.responses.add(Status(response.status()), 1);
                self.session
                    .respond(&response, now.moment, &now.config, &mut self.outbox);
            }
        }
    }

    pub(super) fn answer<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        answer: Answer<P>,
        application: &mut Application<H>,
        now: &Now,
    ) {
        match answer {
            Answer::Respond(response) => {
                now.counters.responses.add(Status(response.status()), 1);
                self.session
                    .respond(&response, now.moment, &now.config, &mut self.outbox);
            }
            Answer::Later(peer) => {
                self.peer = Some(peer);
                self.session.wait(now.moment, &now.config);
            }
            Answer::Upgrade(Upgrade {
                handshake,
                peer,
                expires_after,
                recovery,
            }) => {
                let expires_at = expires_after.map_or(Moment::NEVER, |time| now.moment + time);
                self.recovery = recovery.map(|(numbering, token)| {
                    let replay = Replay::new(numbering, token, now.replay_budget.clone());
                    Box::new(Recovery::new(replay, expires_at))
                });
                now.counters.upgraded.add(1);
                let first_ping = first_ping_after(id, now.config.ping_interval);
                self.session
                    .open(&handshake, first_ping, now.moment, &mut self.outbox);
                now.note_agreement(handshake.deflate());
                self.session.expire_at(expires_at);
                let (handler, mut out) = application.for_session(id);
                handler.on_open(self.peer.insert(peer), &mut out);
            }
            Answer::Recover(_) => unreachable!("the caller took it"),
        }
    }

    /// Answers the request that waits for its response; returns whether there was one.
    pub(super) fn respond(&mut self, response: &Response, now: &Now) -> bool {
        if !self.session.is_waiting() {
            return false;
        }
        self.peer = None;
        now.counters.responses.add(Status(response.status()), 1);
        self.session
            .respond(response, now.moment, &now.config, &mut self.outbox);
        true
    }
}

/// What a request is answered with, and the place of its client if the connection becomes a WebSocket through a proxy.
pub(super) fn answer_to<H: Handler, S>(
    request: &Request<'_>,
    link: &Link<S>,
    id: SessionId,
    application: &mut Application<H>,
    now: &Now,
) -> (Answer<H::Peer>, Option<Place>) {
    let arrival = arrival_of(request, link, now);
    let (handler, mut out) = application.for_session(id);
    if now.is_draining() {
        let response = handler.on_request_while_draining(request, arrival);
        let refusal = || Response::refusal(HttpError::Unavailable);
        return (Answer::Respond(response.unwrap_or_else(refusal)), None);
    }
    let Ok(place) = now.place_at_request(link.address(), request) else {
        let response = Response::refusal(HttpError::TooManyConnections);
        return (Answer::Respond(response), None);
    };
    let answer = handler.on_request(request, arrival, &mut out);
    let becomes_websocket = matches!(answer, Answer::Upgrade(_) | Answer::Recover(_));
    (answer, place.filter(|_| becomes_websocket))
}

/// Whence and when `request` comes, which is complete now.
fn arrival_of<S>(request: &Request<'_>, link: &Link<S>, now: &Now) -> Arrival {
    let address = link.address();
    Arrival {
        remote: address,
        entrance: link.entrance(),
        scheme: link.scheme(),
        client: now.config.trusted_proxies.client_of(address.ip(), request),
        moment: now.moment,
        is_overloaded: now.is_overloaded(),
        unix_seconds: unix_seconds(),
    }
}

/// The time on the wall; a clock before 1970 shows 0, at which no token counts as begun.
fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
