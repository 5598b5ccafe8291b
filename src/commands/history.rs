//! Which groups remember what was said, as flags.

use std::fmt;

use clap::Args;
use switchboard::endpoints::{HistoryRule, HistorySettings};

use super::Failure;
use super::quantity::Size;

/// What is kept for those who join late; the defaults are those of [`HistorySettings::default`].
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "History")]
pub(super) struct History {
    /// Messages that groups of a pattern keep, repeatable, the first match counts: chat.**=50
    #[arg(long, value_name = "PATTERN=COUNT", value_delimiter = ',')]
    history: Vec<HistoryRule>,

    /// Bytes of the messages that one group keeps; the oldest make room
    #[arg(long, value_name = "SIZE", default_value_t = HistorySettings::default().group_bytes_max.into())]
    history_bytes: Size,

    /// Groups that keep messages; those silent for longest make room
    #[arg(long, value_name = "COUNT", default_value_t = HistorySettings::default().groups_max)]
    history_groups: usize,
}

impl History {
    /// The settings that the flags say.
    ///
    /// # Errors
    ///
    /// A limit is 0.
    pub(super) fn settings(&self) -> Result<HistorySettings, Failure> {
        let settings = HistorySettings {
            rules: self.history.clone(),
            group_bytes_max: self.history_bytes.in_memory(),
            groups_max: self.history_groups,
        };
        for (flag, value) in [
            ("--history-bytes", settings.group_bytes_max),
            ("--history-groups", settings.groups_max),
        ] {
            if value == 0 {
                return Err(Failure::Usage(format!(
                    "{flag} is 0: without --history nothing is kept"
                )));
            }
        }
        Ok(settings)
    }
}

/// The settings as a line for the start of a server.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rule_count, bytes, groups) =
            (self.history.len(), self.history_bytes, self.history_groups);
        write!(
            f,
            "settings for history: patterns {rule_count}, size limit of a group {bytes}, limit of groups {groups}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// The flags as a command line of their own.
    #[derive(Debug, Parser)]
    struct HistoryAlone {
        #[command(flatten)]
        history: History,
    }

    fn settings(arguments: &[&str]) -> Result<HistorySettings, Failure> {
        let arguments = ["history"].iter().chain(arguments);
        let parsed = HistoryAlone::try_parse_from(arguments)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        parsed.history.settings()
    }

    #[test]
    fn without_flags_the_settings_are_the_defaults() {
        let [ours, defaults] = [settings(&[]).unwrap(), HistorySettings::default()];
        assert_eq!(format!("{ours:?}"), format!("{defaults:?}"));
    }

    #[test]
    fn rules_are_repeated_or_separated_by_commas_and_keep_their_order() {
        let flags = ["--history", "a=1,b=2", "--history", "**=3"];
        let rules = settings(&flags).unwrap().rules;
        assert_eq!(rules.len(), 3);
        assert!(format!("{rules:?}").contains("count_max: 1"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for flags in [
            ["--history", "room"],
            ["--history", "room=0"],
            ["--history", "room=10001"],
            ["--history", "=5"],
            ["--history-bytes", "0"],
            ["--history-groups", "0"],
        ] {
            assert!(
                matches!(settings(&flags), Err(Failure::Usage(_))),
                "{flags:?}"
            );
        }
    }
}
