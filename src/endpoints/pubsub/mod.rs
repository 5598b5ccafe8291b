//! The JSON protocol: groups, direct messages and broadcasts among the clients of a hub.
//!
//! It is the public protocol of `Azure Web PubSub` (`json.webpubsub.azure.v1`), so that its client libraries work with
//! this server unchanged; addresses that begin with `@` are ours (see [`hub`]).
//!
//! | File | Knows |
//! |---|---|
//! | [`codec`], [`fields`], [`payload`], [`nesting`] | what a message of a client says |
//! | [`hub`] | what it means, and who may ask for what |
//! | [`token`], [`rights`], [`role_name`], [`pattern`] | what a client was granted |
//! | [`membership`] | who is in which group |
//! | [`client`], [`ack_log`], [`connection_id`], [`hub_name`], [`group_names`] | what is remembered of a client, and what it is called |
//! | [`presence`], [`history`] | who is in a group, and what was said there |
//! | [`home`], [`note`] | which loop keeps these, and how the others tell it |
//! | [`reliable`] | how messages are numbered for clients that acknowledge them |
//! | [`flavour`] | that there are clients which do not speak JSON |
//! | [`encoder`], [`refusal`] | what a client is told |
//! | [`service`] | what services may ask of a hub and its clients |
//!
//! | Client says | Client is told |
//! |---|---|
//! | (opens) | `system` `connected` with its ids |
//! | `joinGroup`, `leaveGroup` | `ack` |
//! | `joinGroup` with `"presence":true` | `ack`, then `system` `presence`: everyone there, later who comes and goes |
//! | `joinGroup` with `"history":true` | `ack`, then what was said last, marked `"history":true` |
//! | `sendToGroup` | `ack` with the counts `recipients` and `dropped`, once every loop has delivered |
//! | `event` | `ack` with the error `NotFound`: there is nothing behind this server that takes events |
//! | `ping` | `pong` |
//! | `sequenceAck` (reliable clients) | nothing |
//! | anything else, or any of these with a field missing or wrong | Close 1007; 1003 for a binary message |
//!
//! An `ack` comes only if the request has an `ackId`. Requests may be sent before `connected` is seen.
//!
//! A client that agrees on the reliable subprotocol gets every message with a number, and may come back with another
//! socket for what it has not acknowledged.
//!
//! A client that agrees on no subprotocol gets payloads without envelopes and nothing else: text and JSON values as text
//! messages, binary as binary ones. What it says goes to the group that it was opened with
//! (`?webpubsub_mode=sendToGroup&group=…`); otherwise it is an event, which nothing takes.

mod ack_log;
mod client;
mod codec;
mod connection_id;
mod encoder;
mod fields;
mod flavour;
mod group_names;
mod history;
mod home;
mod hub;
mod hub_name;
mod membership;
mod nesting;
mod note;
mod pattern;
mod payload;
mod presence;
mod refusal;
mod reliable;
mod rights;
mod role_name;
mod service;
mod token;

pub(super) use client::{Client, Speech, UserId};
pub(super) use connection_id::ConnectionIds;
pub(super) use flavour::{Addressees, Flavour};
pub use history::{HistoryRule, HistoryRuleError, HistorySettings};
pub(super) use hub::{HubLimits, Hubs};
pub use hub_name::HubName;
pub use note::Note;
pub(super) use pattern::Pattern;
pub(super) use payload::Payload;
pub(super) use refusal::Refusal;
pub(super) use reliable::{NUMBERING, RELIABLE_SUBPROTOCOL, draw_token, recover};
pub use role_name::{RoleName, RoleNameError};
pub(super) use token::Grant;

/// The subprotocol whose messages these are; without it `/ws` speaks the same.
pub(super) const SUBPROTOCOL: &str = "json.webpubsub.azure.v1";
