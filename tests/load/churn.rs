//! Visitors who come and go in every way there is, each with something to say.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::client::{Client, Happening};
use super::crowd::Crowd;
use super::until;

/// Between two visitors: a thousand a second.
const INTERVAL: Duration = Duration::from_millis(1);

/// Visitors at a time; more wait until others have gone.
const VISITORS_MAX: usize = 500;

/// How a visitor behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Waits for all its messages to come back and says goodbye.
    Polite,
    /// The same with large messages, all at once.
    Flooding,
    /// Waits for all and ends the stream without a Close frame.
    Wordless,
    /// Resets the connection while messages are on their way back.
    Killed,
    /// Resets it in the middle of its request.
    Aborted,
}

/// A visitor.
#[derive(Clone, Copy, Debug)]
struct Visit {
    manner: Manner,
    /// The message that comes back next.
    next: u32,
}

/// What became of all visitors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Churn {
    pub(crate) visits: u64,
    /// Messages that came back in their place.
    pub(crate) messages: u64,
    /// Messages that came back at another place, or not at all.
    pub(crate) violations: u64,
}

/// Has visitors come to `/echo` until `end`, and waits until the last one has gone.
pub(crate) fn churn(addr: SocketAddr, end: Instant) -> Churn {
    let mut crowd = Crowd::new(addr);
    let mut visits: Vec<Option<Visit>> = vec![None; VISITORS_MAX];
    let mut churn = Churn::default();
    let mut due = Instant::now();
    while due < end {
        while due <= Instant::now() && crowd.len() < VISITORS_MAX {
            let manner = Manner::of(churn.visits);
            let index = match manner {
                Manner::Aborted => crowd.open_raw(b"GET /echo HTTP/1.1\r\nHost: "),
                _ => crowd.open("/echo"),
            };
            visits[index] = Some(Visit { manner, next: 0 });
            churn.visits += 1;
            due += INTERVAL;
        }
        turn(&mut crowd, &mut visits, &mut churn);
    }
    until("every visitor has gone", || {
        turn(&mut crowd, &mut visits, &mut churn);
        crowd.len() == 0
    });
    churn
}

fn turn(crowd: &mut Crowd, visits: &mut [Option<Visit>], churn: &mut Churn) {
    crowd.turn(INTERVAL, |index, client, happening| {
        let visit = visits[index].as_mut().expect("who is not gone is here");
        visit.on(client, happening, churn);
    });
}

impl Manner {
    /// How a visitor behaves, by its number.
    fn of(number: u64) -> Self {
        match number % 8 {
            0..=3 => Self::Polite,
            4 => Self::Flooding,
            5 => Self::Wordless,
            6 => Self::Killed,
            _ => Self::Aborted,
        }
    }

    /// How many messages it sends, and how long they are.
    fn messages(self) -> (u32, usize) {
        match self {
            Self::Flooding => (8, 8 << 10),
            _ => (42, 20),
        }
    }
}

impl Visit {
    fn on(&mut self, client: &mut Client, happening: Happening<'_>, churn: &mut Churn) {
        match happening {
            Happening::Connected if self.manner == Manner::Aborted => client.kill(),
            Happening::Connected | Happening::Ping | Happening::Close(_) => {}
            Happening::Opened => self.speak(client),
            Happening::Message(payload) => self.hear(payload, client, churn),
            Happening::Unread => client.kill(),
            Happening::Ended => {
                // Only a flaw ends those who are killed before they are.
                churn.violations += u64::from(self.manner.messages().0 - self.next);
            }
            Happening::Refused(_) | Happening::Bytes(_) => panic!("{happening:?} to a visitor"),
        }
    }

    /// Sends everything that it has to say.
    fn speak(&self, client: &mut Client) {
        if self.manner == Manner::Killed {
            client.stop_reading();
        }
        let (count, len) = self.manner.messages();
        let mut payload = vec![0x5a; len];
        for number in 0..count {
            payload[..4].copy_from_slice(&number.to_be_bytes());
            client.send(&payload);
        }
    }

    /// Looks at what came back, and leaves after the last one.
    fn hear(&mut self, payload: &[u8], client: &mut Client, churn: &mut Churn) {
        let (count, len) = self.manner.messages();
        let is_next = payload.len() == len && payload[..4] == self.next.to_be_bytes();
        churn.messages += u64::from(is_next);
        churn.violations += u64::from(!is_next);
        self.next += 1;
        if self.next == count {
            match self.manner {
                Manner::Wordless => client.finish(),
                _ => client.send_close(),
            }
        }
    }
}
