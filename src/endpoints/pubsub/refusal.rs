//! Why a valid request of a client is not carried out.

use std::borrow::Cow;

/// A reason; the client learns it if it asked for an acknowledgement, and the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoints) enum Refusal {
    /// A request with that id has been carried out, or is about to be.
    Duplicate,
    /// Names beginning with `@` stand for what clients cannot join, leave or, this one, send to.
    ReservedName,
    /// No role of the client allows it.
    NoRole,
    /// The name of the group has nothing but blanks in it.
    BlankGroupName,
    /// The name of the group is longer than this server allows.
    GroupNameTooLong,
    /// The client is in as many groups as this server allows.
    TooManyGroups,
    /// Nobody is there of that user or connection id.
    NobodyThere,
    /// There is no application behind this server that would take the event.
    NoEventHandler,
    /// Too many requests wait for their acknowledgement.
    TooManyPending,
}

impl Refusal {
    /// The name of the error on the wire. Clients tolerate new names; these are the known ones where one fits.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "Duplicate",
            Self::ReservedName | Self::NoRole => "Forbidden",
            Self::BlankGroupName | Self::GroupNameTooLong | Self::TooManyGroups => "BadRequest",
            Self::NobodyThere | Self::NoEventHandler => "NotFound",
            Self::TooManyPending => "TooManyRequests",
        }
    }

    /// The text of the error on the request `ack_id`, for people; only characters that JSON does not escape.
    pub(in crate::endpoints) fn message(self, ack_id: u64) -> Cow<'static, str> {
        let message = match self {
            // The protocol prescribes this text.
            Self::Duplicate => {
                return format!("Message with ack-id: {ack_id} has been processed").into();
            }
            Self::ReservedName => "group names beginning with @ are reserved",
            Self::NoRole => "no role allows this",
            Self::BlankGroupName => "the group name is blank",
            Self::GroupNameTooLong => "the group name is too long",
            Self::TooManyGroups => "the connection is in too many groups",
            Self::NobodyThere => "nobody is connected under that address",
            Self::NoEventHandler => "no event handler is registered",
            Self::TooManyPending => "too many requests wait for their acknowledgement",
        };
        message.into()
    }
}
