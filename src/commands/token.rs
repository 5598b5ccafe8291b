//! `switchboard token`: a URL that lets somebody in.

use clap::Args;
use clap::builder::BoolishValueParser;
use switchboard::endpoints::RoleName;

use super::access_keys::AccessKeys;
use super::place::{self, DEFAULT_URL};
use super::quantity::Span;
use super::{Failure, say};

/// Makes a token with the access key, and prints the URL that it opens.
///
/// It asks no server: whoever has the key can make tokens.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Roles:
  webpubsub.sendToGroup[.GROUP]       send to every group, or to one; @all and @user/NAME count as groups
  webpubsub.joinLeaveGroup[.GROUP]    join and leave them
  webpubsub.sendToGroups.PATTERN      the same for groups that match: * is anything but dots, ** anything
  webpubsub.joinLeaveGroups.PATTERN

Examples:
  switchboard token --access-key-file key --user alice --role webpubsub.sendToGroup.room --group room
  switchboard token --access-key-file key chat --expires 5m
  switchboard token --access-key-file key wss://chat.example/client/hubs/chat --bare

Exit codes: 0 if the token is printed, 2 if it cannot be made.")]
pub(super) struct Token {
    /// Hub that the token is for: its URL, or its name at the server of --url
    #[arg(value_name = "HUB")]
    hub: Option<String>,

    /// Name that the bearer has
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// What the bearer may do, repeatable; without any, nothing
    #[arg(long, value_name = "ROLE")]
    role: Vec<RoleName>,

    /// Group that the bearer is in from the start, repeatable
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,

    /// How long the token opens the door
    #[arg(long, value_name = "TIME", default_value = "1h")]
    expires: Span,

    /// Print the token alone
    #[arg(long, value_parser = BoolishValueParser::new())]
    bare: bool,

    /// Address of the hub, where HUB does not say it
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,

    #[command(flatten)]
    keys: AccessKeys,
}

impl Token {
    /// Prints the URL, or the token.
    ///
    /// # Errors
    ///
    /// There is no key, or no server would take what the token says.
    pub(super) fn run(self) -> Result<(), Failure> {
        let url = match &self.hub {
            Some(url) if url.contains("://") => place::endpoint(url)?,
            Some(hub) => place::hub_at(&place::endpoint(&self.url)?, hub)?,
            None => place::endpoint(&self.url)?,
        };
        let span = self.expires.duration();
        let mut claims = place::claims_from_now(place::audience(&url), span);
        claims.user = self.user;
        claims.roles = self.role;
        claims.groups = self.group;
        let token = place::sign(&self.keys.signing()?, &claims)?;
        if self.bare {
            say(&token);
        } else {
            // `Display` leaves out the query; this is the place that has to show it.
            let query = url.target().split_once('?').map(|(_, query)| query);
            let query = query.map_or_else(String::new, |query| format!("{query}&"));
            say(&format!("{url}?{query}access_token={token}"));
        }
        Ok(())
    }
}
