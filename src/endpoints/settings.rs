//! What the endpoints have to know of the server's settings.

use std::num::NonZeroU32;

use super::{AccessKey, GroupPolicies, HistorySettings, PublicUrl};
use crate::config::Config;
use crate::http::{HostPolicy, OriginPolicy};

/// What the endpoints have to know of the server's settings.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// Groups that one connection may be in at a time; default 128. `@all` and `@user/…` do not count.
    pub groups_per_connection_max: usize,
    /// Length of a group's name in bytes; default 128.
    pub group_name_bytes_max: usize,
    /// Whether `/echo` exists; default true.
    pub offers_echo: bool,
    /// Whether monitoring has an address of its own, so that `/metrics` is there and nowhere else; default false.
    pub has_metrics_entrance: bool,
    /// Which web pages may connect; by default those of the same origin.
    pub origins: OriginPolicy,
    /// Length of a payload as JSON, in bytes, where a client or service does not write that itself; default 1 MiB, the
    /// limit of a message.
    pub payload_bytes_max: usize,
    /// Which names the server answers to; by default any.
    pub hosts: HostPolicy,
    /// How often a client may fail to log in a minute; default 30, `None` is no limit.
    pub failed_log_ins_per_minute_max: Option<NonZeroU32>,
    /// Requests of services that are carried out in a second; default 10,000, `None` is no limit.
    pub rest_requests_per_second_max: Option<NonZeroU32>,
    /// What tokens are signed with, any of them; by default there are none, and nobody needs a token.
    pub access_keys: Vec<AccessKey>,
    /// Where else than their Host field says clients find this server; by default nowhere.
    pub public_urls: Vec<PublicUrl>,
    /// Whether a connection ends when its token does; default false, for a token lets in and no more.
    pub enforces_expiry: bool,
    /// Which groups remember what was said; by default none.
    pub history: HistorySettings,
    /// Whether messages are compressed for clients that ask for it; default false.
    #[cfg(feature = "deflate")]
    pub compresses: bool,
    /// Which groups drop messages for slow receivers; by default none, and slow receivers are closed.
    pub policies: GroupPolicies,
}

impl From<&Config> for EndpointSettings {
    /// What the server's settings say, and the defaults for the rest.
    fn from(config: &Config) -> Self {
        Self {
            groups_per_connection_max: config.groups_per_connection_max,
            group_name_bytes_max: config.group_name_bytes_max,
            offers_echo: true,
            has_metrics_entrance: config.metrics_listen.is_some(),
            origins: OriginPolicy::default(),
            payload_bytes_max: usize::try_from(config.message.message_bytes_max)
                .unwrap_or(usize::MAX),
            hosts: HostPolicy::default(),
            failed_log_ins_per_minute_max: NonZeroU32::new(30),
            rest_requests_per_second_max: NonZeroU32::new(10_000),
            access_keys: Vec::new(),
            public_urls: Vec::new(),
            enforces_expiry: false,
            history: HistorySettings::default(),
            #[cfg(feature = "deflate")]
            compresses: false,
            policies: GroupPolicies::default(),
        }
    }
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self::from(&Config::default())
    }
}
