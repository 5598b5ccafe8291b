//! What a client has to remember from one connection to the next: a state machine without a socket.

use std::collections::BTreeMap;

use super::wire::{self, Malformed, ServerMessage};
use super::{Answer, Delivered, HubEvent, Refusal, Request, RequestError};

/// The requests that are under way, the groups that were joined, and how far the messages have come.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    last_ack_id: u64,
    /// Requests without an answer, by the number that the answer is to carry.
    pending: BTreeMap<u64, Pending>,
    /// Groups that this client is in, with what was asked for when they were joined.
    joined: BTreeMap<String, Request>,
    /// What the connection can be recovered with.
    recovery: Option<(String, String)>,
    /// The number of the latest message.
    last_sequence_id: u64,
    /// The number up to which the server was told that the messages have come.
    told_sequence_id: u64,
}

#[derive(Debug)]
struct Pending {
    request: Request,
    text: String,
}

impl Ledger {
    /// Takes a request in; returns its number and what to send.
    ///
    /// # Errors
    ///
    /// [`RequestError::NotJson`] if the payload is said to be JSON and is not.
    pub(super) fn submit(&mut self, request: Request) -> Result<(u64, String), RequestError> {
        let ack_id = self.last_ack_id + 1;
        let text = wire::request_text(&request, ack_id).map_err(|_| RequestError::NotJson)?;
        self.last_ack_id = ack_id;
        let pending = Pending {
            request,
            text: text.clone(),
        };
        self.pending.insert(ack_id, pending);
        Ok((ack_id, text))
    }

    /// Takes note of a message of the server; appends what the application has to know to `events`, and what has to be
    /// sent in answer to `texts`.
    ///
    /// # Errors
    ///
    /// The message is not what the protocol says.
    pub(super) fn on_text(
        &mut self,
        text: &str,
        events: &mut impl Extend<HubEvent>,
        texts: &mut Vec<String>,
    ) -> Result<(), Malformed> {
        match wire::parse(text)? {
            ServerMessage::Other => {}
            ServerMessage::Ack(ack_id, outcome) => events.extend(self.on_ack(ack_id, outcome)),
            ServerMessage::Event(number, event) => {
                // What was replayed and had come before counts once.
                let is_new = number.is_none_or(|number| number > self.last_sequence_id);
                if is_new {
                    self.last_sequence_id = number.unwrap_or(self.last_sequence_id);
                    events.extend([event]);
                }
            }
            ServerMessage::Connected {
                connection_id,
                user_id,
                token,
            } => {
                let is_recovered = self
                    .recovery
                    .as_ref()
                    .is_some_and(|(previous, _)| *previous == connection_id);
                self.recovery = token.map(|token| (connection_id.clone(), token));
                events.extend([HubEvent::Connected {
                    connection_id,
                    user_id,
                    is_recovered,
                }]);
                if is_recovered {
                    texts.extend(self.pending.values().map(|pending| pending.text.clone()));
                } else {
                    self.begin_anew(events, texts);
                }
            }
        }
        Ok(())
    }

    /// The id and the token with which the next connection can go on with this one; not offered again if it cannot.
    pub(super) fn recovery(&self) -> Option<(&str, &str)> {
        let (id, token) = self.recovery.as_ref()?;
        Some((id, token))
    }

    /// The server does not know the connection any more.
    pub(super) fn forget_recovery(&mut self) {
        self.recovery = None;
    }

    /// What tells the server how far the messages have come, if it does not know.
    pub(super) fn take_sequence_ack(&mut self) -> Option<String> {
        (self.told_sequence_id < self.last_sequence_id).then(|| {
            self.told_sequence_id = self.last_sequence_id;
            wire::sequence_ack(self.last_sequence_id)
        })
    }

    /// Nothing is answered any more: everything under way has an unknown end.
    pub(super) fn give_up(&mut self, events: &mut impl Extend<HubEvent>) {
        let pending = std::mem::take(&mut self.pending);
        events.extend(pending.into_iter().map(uncertain));
    }

    /// Whether every request has its answer.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether a request is without an answer.
    pub(super) fn is_pending(&self, ack_id: u64) -> bool {
        self.pending.contains_key(&ack_id)
    }

    fn on_ack(&mut self, ack_id: u64, outcome: Result<Delivered, Refusal>) -> Option<HubEvent> {
        let Pending { request, .. } = self.pending.remove(&ack_id)?;
        // It was carried out, and the answer was lost with the connection before.
        let outcome = match outcome {
            Err(refusal) if refusal.name == "Duplicate" => Ok(Delivered::default()),
            outcome => outcome,
        };
        if outcome.is_ok() {
            match &request {
                Request::Join { group, .. } => {
                    self.joined.insert(group.clone(), request.clone());
                }
                Request::Leave { group } => {
                    self.joined.remove(group);
                }
                Request::Send { .. } => {}
            }
        }
        Some(HubEvent::Done(Answer {
            ack_id,
            request,
            outcome: outcome.map_err(RequestError::Refused),
        }))
    }

    /// The server knows nothing of what was before: joins again, and does what can be done twice.
    fn begin_anew(&mut self, events: &mut impl Extend<HubEvent>, texts: &mut Vec<String>) {
        self.last_sequence_id = 0;
        self.told_sequence_id = 0;
        // A message may have been delivered before the answer was lost, and must not be delivered twice.
        let is_send = |pending: &Pending| matches!(pending.request, Request::Send { .. });
        let (sends, others) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(_, pending)| is_send(pending));
        self.pending = others;
        let sends: BTreeMap<u64, Pending> = sends;
        events.extend(sends.into_iter().map(uncertain));
        let pending: Vec<String> = self
            .pending
            .values()
            .map(|pending| pending.text.clone())
            .collect();
        let joined: Vec<Request> = self.joined.values().cloned().collect();
        for request in joined {
            if let Ok((_, text)) = self.submit(request) {
                texts.push(text);
            }
        }
        texts.extend(pending);
    }
}

/// Tells that nobody knows what became of a request.
fn uncertain((ack_id, Pending { request, .. }): (u64, Pending)) -> HubEvent {
    HubEvent::Done(Answer {
        ack_id,
        request,
        outcome: Err(RequestError::Uncertain),
    })
}

/// A request of another thread that cannot even be sent.
pub(super) fn refused_here(request: Request, error: RequestError) -> HubEvent {
    HubEvent::Done(Answer {
        ack_id: 0,
        request,
        outcome: Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::hub::Payload;

    fn connected(id: &str) -> String {
        format!(
            r#"{{"type":"system","event":"connected","userId":null,"connectionId":"{id}","reconnectionToken":"t"}}"#
        )
    }

    fn message(number: u64) -> String {
        format!(
            r#"{{"sequenceId":{number},"type":"message","from":"group","group":"r","dataType":"json","data":{number}}}"#
        )
    }

    fn ack(ack_id: u64) -> String {
        format!(r#"{{"type":"ack","ackId":{ack_id},"success":true}}"#)
    }

    fn join(group: &str) -> Request {
        Request::Join {
            group: group.into(),
            presence: false,
            history: false,
        }
    }

    fn send() -> Request {
        Request::Send {
            group: "r".into(),
            payload: Payload::Text("x".into()),
            no_echo: false,
        }
    }

    /// What comes of these messages: events, and texts to be sent.
    fn hear(ledger: &mut Ledger, lines: &[String]) -> (Vec<HubEvent>, Vec<String>) {
        let (mut events, mut texts) = (Vec::new(), Vec::new());
        for line in lines {
            ledger.on_text(line, &mut events, &mut texts).unwrap();
        }
        (events, texts)
    }

    fn is_done(event: &HubEvent, expected: u64) -> bool {
        matches!(event, HubEvent::Done(answer) if answer.ack_id == expected && answer.outcome.is_ok())
    }

    fn is_uncertain(event: &HubEvent, expected: u64) -> bool {
        let uncertain = Err(RequestError::Uncertain);
        matches!(event, HubEvent::Done(answer) if answer.ack_id == expected && answer.outcome == uncertain)
    }

    #[test]
    fn a_recovered_connection_repeats_what_was_not_answered_with_the_same_numbers() {
        let mut ledger = Ledger::default();
        hear(&mut ledger, &[connected("c")]);
        let texts = [join("r"), send(), send()].map(|request| ledger.submit(request).unwrap().1);
        hear(&mut ledger, &[ack(1)]);
        let (events, again) = hear(&mut ledger, &[connected("c")]);
        assert!(matches!(
            events[..],
            [HubEvent::Connected {
                is_recovered: true,
                ..
            }]
        ));
        assert_eq!(again, texts[1..]);
        let duplicate =
            r#"{"type":"ack","ackId":2,"success":false,"error":{"name":"Duplicate","message":""}}"#;
        let (events, _) = hear(&mut ledger, &[duplicate.into(), ack(3)]);
        assert!(
            is_done(&events[0], 2) && is_done(&events[1], 3),
            "{events:?}"
        );
    }

    #[test]
    fn a_new_connection_joins_again_and_does_not_send_twice() {
        let mut ledger = Ledger::default();
        hear(&mut ledger, &[connected("c")]);
        let requests = [
            join("r"),
            join("s"),
            Request::Leave { group: "s".into() },
            send(),
            join("u"),
        ];
        let texts = requests.map(|request| ledger.submit(request).unwrap().1);
        hear(&mut ledger, &[ack(1), ack(2), ack(3)]);
        let (events, again) = hear(&mut ledger, &[connected("d")]);
        assert!(matches!(
            events[0],
            HubEvent::Connected {
                is_recovered: false,
                ..
            }
        ));
        assert!(
            events.len() == 2 && is_uncertain(&events[1], 4),
            "{events:?}"
        );
        let rejoin = wire::request_text(&join("r"), 6).unwrap();
        assert_eq!(again, [rejoin, texts[4].clone()]);
        assert!(ledger.is_pending(6) && ledger.is_pending(5) && !ledger.is_pending(4));
    }

    #[test]
    fn messages_that_are_replayed_count_once_and_are_acknowledged_together() {
        let mut ledger = Ledger::default();
        hear(&mut ledger, &[connected("c")]);
        assert_eq!(ledger.take_sequence_ack(), None);
        let (events, _) = hear(&mut ledger, &[message(1), message(2)]);
        assert_eq!(events.len(), 2);
        assert_eq!(ledger.take_sequence_ack(), Some(wire::sequence_ack(2)));
        assert_eq!(ledger.take_sequence_ack(), None);
        let (events, _) = hear(&mut ledger, &[connected("c"), message(2), message(3)]);
        assert_eq!(
            events.len(),
            2,
            "one of them is that it is connected: {events:?}"
        );
        assert_eq!(ledger.take_sequence_ack(), Some(wire::sequence_ack(3)));
        // A connection that begins anew counts anew.
        ledger.forget_recovery();
        let (events, _) = hear(&mut ledger, &[connected("d"), message(1)]);
        assert_eq!(events.len(), 2);
    }

    #[test]
    fn an_answer_to_nothing_is_nothing() {
        let mut ledger = Ledger::default();
        assert_eq!(
            hear(&mut ledger, &[ack(9), r#"{"type":"pong"}"#.into()]),
            (vec![], vec![])
        );
        assert_eq!(ledger.recovery(), None);
        let (mut events, mut texts) = (Vec::new(), Vec::new());
        assert_eq!(ledger.on_text("{", &mut events, &mut texts), Err(Malformed));
    }

    #[test]
    fn who_gives_up_says_so_of_everything_under_way() {
        let mut ledger = Ledger::default();
        ledger.submit(send()).unwrap();
        ledger.submit(join("r")).unwrap();
        let mut events = Vec::new();
        ledger.give_up(&mut events);
        assert!(
            is_uncertain(&events[0], 1) && is_uncertain(&events[1], 2),
            "{events:?}"
        );
    }
}
