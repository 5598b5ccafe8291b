//! What is counted separately: closed lists, so that no peer can add to them.

use crate::proto::CloseCode;
use crate::session::Cause;

/// A closed list of values that are counted separately.
pub trait Label: Copy + 'static {
    /// What metrics call each value.
    const NAMES: &'static [&'static str];

    /// The place of the value in [`Label::NAMES`].
    fn index(self) -> usize;
}

/// Turns rows `Variant = "name"` with their documentation into a label.
macro_rules! label {
    ($(#[$doc:meta])* $label:ident: $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $label {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $label {
            /// How many values there are.
            pub const COUNT: usize = <Self as Label>::NAMES.len();
        }

        impl Label for $label {
            const NAMES: &'static [&'static str] = &[$($name),*];

            #[inline]
            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// Why a message does not reach one of its receivers.
    Dropped:
    /// It did not fit into the outbox, and the receiver was given up on.
    Overflow = "overflow",
    /// It did not fit into the outbox, and the policy of its group is to drop the newest.
    Newest = "newest",
    /// It was dropped for a later one, as the policy of its group says.
    Displaced = "displaced",
    /// It waited for a receiver that was given up on, or is gone.
    Unsent = "unsent",
}

label! {
    /// Why a peer was given up on because of what waited for it.
    Eviction:
    /// More waited than an outbox may hold.
    Overflow = "overflow",
    /// Much waited for too long.
    Backlogged = "backlogged",
    /// It took nothing for too long.
    Stalled = "stalled",
    /// All outboxes together held too much, and this one the most.
    Budget = "budget",
    /// It left too much unacknowledged.
    Unacknowledged = "unacknowledged",
}

label! {
    /// Of what a turn of a loop may do only so much.
    Budget:
    /// Bytes read from one connection.
    Read = "read",
    /// Bytes written to one connection.
    Write = "write",
    /// Connections accepted.
    Accept = "accept",
    /// Letters of other loops.
    Letters = "letters",
}

label! {
    /// What an error of accepting is about.
    AcceptError:
    /// The connection that waited, which is gone.
    Connection = "connection",
    /// The system, which has no descriptor or memory for another connection.
    Resources = "resources",
}

/// The status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub u16);

/// The statuses that this server knows, in the order of [`Status::NAMES`]; others are counted together.
const STATUSES: [u16; 21] = [
    200, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 415, 417, 426, 429, 431,
    503, 505,
];

impl Status {
    /// How many values there are.
    pub const COUNT: usize = <Self as Label>::NAMES.len();
}

impl Label for Status {
    const NAMES: &'static [&'static str] = &[
        "200", "202", "204", "304", "400", "401", "403", "404", "405", "408", "409", "411", "413",
        "414", "415", "417", "426", "429", "431", "503", "505", "other",
    ];

    fn index(self) -> usize {
        let place = STATUSES.iter().position(|status| *status == self.0);
        place.unwrap_or(STATUSES.len())
    }
}

/// The code of a Close frame; `None` if it has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(pub Option<CloseCode>);

/// The codes that RFC 6455 and its registry name, in the order of [`Code::NAMES`].
const CODES: [u16; 12] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
];

impl Code {
    /// How many values there are.
    pub const COUNT: usize = <Self as Label>::NAMES.len();
}

impl Label for Code {
    const NAMES: &'static [&'static str] = &[
        "1000", "1001", "1002", "1003", "1007", "1008", "1009", "1010", "1011", "1012", "1013",
        "1014", "3xxx", "4xxx", "none",
    ];

    fn index(self) -> usize {
        let Some(code) = self.0 else {
            return CODES.len() + 2;
        };
        let place = CODES.iter().position(|known| *known == code.get());
        let other = CODES.len() + usize::from(code.get() >= 4000);
        place.unwrap_or(other)
    }
}

impl Cause {
    /// How many values there are as a label.
    pub const COUNT: usize = <Self as Label>::NAMES.len();
}

impl Label for Cause {
    const NAMES: &'static [&'static str] = &[
        "open",
        "response",
        "refused",
        "idle",
        "peer_closed",
        "peer_lost",
        "violation",
        "silent",
        "unfinished_message",
        "slow_consumer",
        "expired",
        "local",
        "handed_over",
        "no_place",
        "too_fast",
        "backlogged",
        "stalled",
        "overload",
        #[cfg(feature = "tls")]
        "encryption",
    ];

    fn index(self) -> usize {
        match self {
            Self::None => 0,
            Self::Response => 1,
            Self::Refused(_) => 2,
            Self::Idle => 3,
            Self::PeerClosed => 4,
            Self::PeerLost => 5,
            Self::Violation(_) => 6,
            Self::Silent => 7,
            Self::UnfinishedMessage => 8,
            Self::SlowConsumer => 9,
            Self::Expired => 10,
            Self::Local => 11,
            Self::HandedOver => 12,
            Self::NoPlace => 13,
            Self::TooFast(_) => 14,
            Self::Backlogged => 15,
            Self::Stalled => 16,
            Self::Overload => 17,
            #[cfg(feature = "tls")]
            Self::Encryption(_) => 18,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_the_name_that_belongs_to_it() {
        assert_eq!(Dropped::NAMES[Dropped::Unsent.index()], "unsent");
        assert_eq!(Cause::NAMES[Cause::HandedOver.index()], "handed_over");
        assert_eq!(Cause::NAMES[Cause::Silent.index()], "silent");
        for (status, name) in STATUSES.iter().zip(Status::NAMES) {
            assert_eq!(status.to_string(), *name);
            assert_eq!(Status::NAMES[Status(*status).index()], *name);
        }
        assert_eq!(Status::NAMES[Status(599).index()], "other");
        for (code, name) in CODES.iter().zip(Code::NAMES) {
            assert_eq!(code.to_string(), *name);
        }
        let name = |code| Code::NAMES[Code(CloseCode::from_wire(code)).index()];
        assert_eq!(
            [1000, 1014, 3000, 4999, 0].map(name),
            ["1000", "1014", "3xxx", "4xxx", "none"]
        );
    }
}
