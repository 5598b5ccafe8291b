//! What was said last in a group, for those who come late.
//!
//! The home of a group ([`Homes`]) keeps its last messages as they were sent. Whoever joins and asks for them is made a
//! member first, then the home delivers what it has, the oldest first, each marked with `"history":true`:
//!
//! ```text
//! a message is sent ──delivery──▶ members, on all loops
//!                   ──note──────▶ home: kept
//! somebody joins    ──note──────▶ home ──delivery──▶ that connection: all that is kept
//! ```
//!
//! A note is there no later than the delivery of the same message (see [`Outgoing::note`]). So whoever joins too late for
//! a message finds it among those kept: none is missed. One that is sent while somebody joins can come twice to that
//! connection, once as it is and once marked; and since members get messages at once, it can come before older ones.
//! Whoever joins does well to put marked messages first, and to leave out those that are there already.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use super::home::Homes;
use super::pattern::Pattern;
use crate::delivery::{Delivery, GroupName, Recipients, SessionId};
use crate::endpoints::{GroupPolicies, Outgoing};
use crate::proto::OpCode;

/// Which groups remember how much of what was said in them.
#[derive(Clone, Debug)]
pub struct HistorySettings {
    /// The first rule that matches a group's name counts, and a group that none matches remembers nothing. Default: none.
    pub rules: Vec<HistoryRule>,
    /// Bytes of messages kept per group, the oldest make room; default 256 KiB. A message longer than that is not kept,
    /// and neither are those before it: what is replayed has no gaps.
    pub group_bytes_max: usize,
    /// Groups that remember anything, all loops together; default 1,000. Those in which nothing was said for the longest
    /// time forget first.
    pub groups_max: usize,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            group_bytes_max: 256 << 10,
            groups_max: 1000,
        }
    }
}

/// How many messages the groups of a pattern remember; written `PATTERN=COUNT`.
///
/// In a pattern, `?` is one character, `*` any number of characters but dots, `**` any number of characters; a backslash
/// takes their meaning from them. Only a pattern that begins with `@` matches `@all`, and none matches other addresses.
#[derive(Clone, Debug)]
pub struct HistoryRule {
    /// Which groups.
    pattern: Pattern,
    /// Whether the pattern begins with `@`.
    is_for_addresses: bool,
    /// How many messages.
    count_max: usize,
}

impl HistoryRule {
    /// Most messages that a group can remember: to join is one message, and to answer it takes all these.
    pub const COUNT_MAX: usize = 10_000;
}

impl FromStr for HistoryRule {
    type Err = HistoryRuleError;

    fn from_str(text: &str) -> Result<Self, HistoryRuleError> {
        let (pattern, count) = text.rsplit_once('=').ok_or(HistoryRuleError::NoCount)?;
        let count_max = count.parse().map_err(|_| HistoryRuleError::BadCount)?;
        if !(1..=Self::COUNT_MAX).contains(&count_max) {
            return Err(HistoryRuleError::BadCount);
        }
        Ok(Self {
            is_for_addresses: pattern.starts_with('@'),
            pattern: Pattern::parse(pattern).ok_or(HistoryRuleError::BadPattern)?,
            count_max,
        })
    }
}

/// What is wrong with the text of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryRuleError {
    /// There is no `=` in it.
    NoCount,
    /// What follows the `=` is not a number from 1 to [`HistoryRule::COUNT_MAX`].
    BadCount,
    /// What precedes it is empty, has more than five asterisks, or a backslash before something else.
    BadPattern,
}

impl fmt::Display for HistoryRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCount => write!(f, "give a pattern and a count as PATTERN=COUNT"),
            Self::BadCount => write!(
                f,
                "the count has to be from 1 to {}",
                HistoryRule::COUNT_MAX
            ),
            Self::BadPattern => write!(f, "the pattern is empty or malformed"),
        }
    }
}

impl std::error::Error for HistoryRuleError {}

/// What the groups remember whose home this loop is, and the way to others.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Where the rings are.
    pub(super) homes: Homes,
    settings: HistorySettings,
    /// Those kept here.
    rings: HashMap<GroupName, Ring>,
    /// The same groups by the time of their last message, for [`Ring::said_last`].
    by_age: BTreeMap<u64, GroupName>,
    /// Messages kept so far, which serve as a clock.
    said_count: u64,
}

/// The last messages of one group.
#[derive(Clone, Debug, Default)]
struct Ring {
    /// JSON objects, the oldest first.
    messages: VecDeque<Box<[u8]>>,
    /// Sum of their lengths.
    bytes: usize,
    /// When the last one came.
    said_last: u64,
}

/// What a home is told.
pub(super) enum News {
    /// Something was said.
    Said {
        /// In this group.
        group: GroupName,
        /// The message, a JSON object.
        message: Box<[u8]>,
        /// How many messages the group remembers.
        count_max: usize,
    },
    /// Somebody has come late to this group.
    Joined(GroupName, SessionId),
}

impl History {
    /// Rings at these homes.
    pub(super) fn new(settings: HistorySettings, homes: Homes) -> Self {
        Self {
            homes,
            settings,
            rings: HashMap::new(),
            by_age: BTreeMap::new(),
            said_count: 0,
        }
    }

    /// Keeps a message that is about to be delivered to `group`, if that remembers any; `parts` in a row are the message.
    pub(super) fn keep(&self, group: &GroupName, parts: &[&[u8]], out: &mut Outgoing<'_>) {
        if let Some(count_max) = self.count_max(group.name()) {
            let said = News::Said {
                group: group.clone(),
                message: parts.concat().into(),
                count_max,
            };
            out.note(self.homes.of(group), said.into());
        }
    }

    /// Has the client told what was said in `group`, of which it is a member.
    pub(super) fn replay(&self, group: &GroupName, out: &mut Outgoing<'_>) {
        if self.count_max(group.name()).is_some() {
            let joined = News::Joined(group.clone(), out.session());
            out.note(self.homes.of(group), joined.into());
        }
    }

    /// Something has happened in a group whose home this loop is.
    pub(super) fn on_news(&mut self, news: News, policies: &GroupPolicies, out: &mut Outgoing<'_>) {
        match news {
            News::Said {
                group,
                message,
                count_max,
            } => self.push(group, message, count_max),
            News::Joined(group, session) => {
                let terms = policies.plain_terms(group.name());
                let ring = self.rings.get(&group);
                for message in ring.iter().flat_map(|ring| &ring.messages) {
                    let (_brace, head) = message.split_last().unwrap_or((&b'}', &[]));
                    let parts = [head, br#","history":true}"#];
                    let recipient = Recipients::Member(session, group.clone());
                    let delivery = Delivery::to(recipient).on(terms.clone());
                    out.deliver(delivery, OpCode::Text, &parts, None);
                }
            }
        }
    }

    /// How many messages the group of that name remembers; `None` if none.
    fn count_max(&self, name: &str) -> Option<usize> {
        let is_address = name.starts_with('@');
        let matches =
            |rule: &&HistoryRule| rule.is_for_addresses == is_address && rule.pattern.matches(name);
        let rule = self.settings.rules.iter().find(matches)?;
        Some(rule.count_max)
    }

    /// Keeps a message; what the limits do not allow beside it is forgotten.
    fn push(&mut self, group: GroupName, message: Box<[u8]>, count_max: usize) {
        self.said_count += 1;
        let ring = self.rings.entry(group.clone()).or_default();
        self.by_age.remove(&ring.said_last);
        ring.said_last = self.said_count;
        ring.push(message, count_max, self.settings.group_bytes_max);
        self.by_age.insert(self.said_count, group);
        let share = self.settings.groups_max.div_ceil(self.homes.loop_count());
        if self.rings.len() > share
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.rings.remove(&oldest);
        }
    }
}

impl Ring {
    fn push(&mut self, message: Box<[u8]>, count_max: usize, bytes_max: usize) {
        self.bytes += message.len();
        self.messages.push_back(message);
        while self.messages.len() > count_max || self.bytes > bytes_max {
            let Some(oldest) = self.messages.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }
}

/// Without the message itself, which is not for logs.
impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said { group, message, .. } => {
                write!(f, "Said({group:?}, {} bytes)", message.len())
            }
            Self::Joined(group, session) => write!(f, "Joined({group:?}, {session})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use serde_json::Value;

    use super::{History, HistoryRule, HistoryRuleError, HistorySettings, Ring};
    use crate::delivery::{GroupName, SessionId};
    use crate::endpoints::EndpointSettings;
    use crate::endpoints::loops::Loops;
    use crate::endpoints::pubsub::home::Homes;

    fn settings(rules: &[&str]) -> HistorySettings {
        HistorySettings {
            rules: rules.iter().map(|rule| rule.parse().unwrap()).collect(),
            ..HistorySettings::default()
        }
    }

    fn loops(count: usize, rules: &[&str]) -> Loops {
        let history = settings(rules);
        Loops::new(
            count,
            EndpointSettings {
                history,
                ..EndpointSettings::default()
            },
        )
    }

    fn send(loops: &mut Loops, session: SessionId, group: &str, data: &str) {
        let text = format!(r#"{{"type":"sendToGroup","group":"{group}","data":{data}}}"#);
        loops.say(session, &text);
    }

    fn join(loops: &mut Loops, session: SessionId, group: &str) {
        let text = format!(
            r#"{{"type":"joinGroup","group":"{group}","presence":true,"history":true,"ackId":1}}"#
        );
        loops.say(session, &text);
    }

    /// The messages that were heard since the last call: their data, and whether they were marked.
    fn heard(loops: &mut Loops, session: SessionId) -> Vec<(String, bool)> {
        loops.settle();
        let heard = loops.take_heard(session).into_iter();
        let messages = heard.filter(|message| message["type"] == "message");
        messages
            .map(|message| (message["data"].to_string(), message["history"] == true))
            .collect()
    }

    fn marked(data: &[&str]) -> Vec<(String, bool)> {
        data.iter().map(|data| ((*data).to_owned(), true)).collect()
    }

    #[test]
    fn whoever_joins_late_gets_the_last_messages_the_oldest_first() {
        let mut loops = loops(3, &["room=3"]);
        let ann = loops.open(0, Some("ann"));
        for data in ["1", "2", "[3]", "4"] {
            send(&mut loops, ann, "room", data);
        }
        loops.settle();
        for index in 0..3 {
            let late = loops.open(index, None);
            join(&mut loops, late, "room");
            assert_eq!(heard(&mut loops, late), marked(&["2", "[3]", "4"]));
            send(&mut loops, ann, "elsewhere", "5");
            assert!(heard(&mut loops, late).is_empty());
        }
    }

    #[test]
    fn a_replayed_message_is_the_original_with_a_mark_at_its_end() {
        let mut loops = loops(1, &["**=1"]);
        let ann = loops.open(0, Some("ann"));
        loops.say(
            ann,
            r#"{"type":"sendToGroup","group":"room","data":{"a" : 1},"metadata":{"k":"v"}}"#,
        );
        join(&mut loops, ann, "room");
        loops.settle();
        let heard = loops.take_heard(ann);
        let expected = serde_json::json!({
            "type": "message", "from": "group", "group": "room", "dataType": "json", "data": {"a": 1},
            "fromUserId": "ann", "metadata": {"k": "v"}, "history": true
        });
        assert_eq!(heard.last(), Some(&expected));
    }

    #[test]
    fn nothing_is_replayed_unasked_or_where_nothing_is_kept() {
        let mut loops = loops(2, &["chat.*=5"]);
        let [ann, bob] = [loops.open(0, Some("ann")), loops.open(1, Some("bob"))];
        for group in ["chat.a", "chat.a.b", "other"] {
            send(&mut loops, ann, group, "1");
        }
        loops.settle();
        loops.say(bob, r#"{"type":"joinGroup","group":"chat.a"}"#);
        join(&mut loops, bob, "chat.a.b");
        join(&mut loops, bob, "other");
        assert!(heard(&mut loops, bob).is_empty());
        loops.say(
            bob,
            r#"{"type":"joinGroup","group":"chat.a","history":true}"#,
        );
        assert_eq!(
            heard(&mut loops, bob),
            marked(&["1"]),
            "a member may ask too"
        );
    }

    #[test]
    fn whoever_has_left_before_the_messages_come_does_not_get_them() {
        let mut loops = loops(1, &["room=5"]);
        let ann = loops.open(0, Some("ann"));
        send(&mut loops, ann, "room", "1");
        join(&mut loops, ann, "room");
        loops.say(ann, r#"{"type":"leaveGroup","group":"room"}"#);
        assert!(heard(&mut loops, ann).is_empty());
    }

    #[test]
    fn only_patterns_for_addresses_match_everyone_and_direct_messages_are_never_kept() {
        for (rules, expected) in [
            (["**=5", "x=1"], vec![]),
            (["**=5", "@**=5"], marked(&["1"])),
        ] {
            let mut loops = loops(2, &rules);
            let ann = loops.open(0, Some("ann"));
            send(&mut loops, ann, "@all", "1");
            send(&mut loops, ann, "@user/ann", "2");
            loops.settle();
            let late = loops.open(1, None);
            join(&mut loops, late, "@all");
            assert_eq!(heard(&mut loops, late), expected);
            let kept = loops.endpoints().map(|it| it.hubs.history.rings.len());
            assert_eq!(kept.sum::<usize>(), expected.len());
        }
    }

    #[test]
    fn the_first_rule_that_matches_counts() {
        let history = History::new(settings(&["a=1", "a*=2", "@all=3"]), Homes::new());
        for (name, count_max) in [
            ("a", Some(1)),
            ("ab", Some(2)),
            ("b", None),
            ("@all", Some(3)),
        ] {
            assert_eq!(history.count_max(name), count_max, "{name}");
        }
    }

    #[test]
    fn rules_that_say_nothing_sensible_are_refused() {
        for (text, error) in [
            ("room", HistoryRuleError::NoCount),
            ("room=", HistoryRuleError::BadCount),
            ("room=0", HistoryRuleError::BadCount),
            ("room=-1", HistoryRuleError::BadCount),
            ("room=10001", HistoryRuleError::BadCount),
            ("=1", HistoryRuleError::BadPattern),
            ("******=1", HistoryRuleError::BadPattern),
        ] {
            assert_eq!(text.parse::<HistoryRule>().unwrap_err(), error, "{text}");
        }
        assert!("a=b=10000".parse::<HistoryRule>().is_ok());
    }

    #[test]
    fn the_groups_silent_for_longest_are_forgotten() {
        let limits = HistorySettings {
            groups_max: 2,
            ..HistorySettings::default()
        };
        let mut history = History::new(limits, Homes::new());
        let names = ["a", "b", "a", "c", "a", "d"];
        for name in names {
            history.push(GroupName::new("hub", name), Box::default(), 5);
            assert!(history.rings.len() <= 2);
            assert_eq!(history.rings.len(), history.by_age.len());
        }
        let mut left: Vec<_> = history.rings.keys().map(GroupName::name).collect();
        left.sort_unstable();
        assert_eq!(left, ["a", "d"]);
    }

    proptest! {
        /// What is kept is the longest row of last messages that both limits allow.
        #[test]
        fn a_ring_keeps_the_last_messages_that_fit(lens in vec(0..40_usize, 0..60), count_max in 1..10_usize) {
            const BYTES_MAX: usize = 100;
            let mut ring = Ring::default();
            for said in 0..lens.len() {
                ring.push(vec![b' '; lens[said]].into(), count_max, BYTES_MAX);
                let mut expected: Vec<usize> = Vec::new();
                for &len in lens[..=said].iter().rev() {
                    if expected.len() == count_max || expected.iter().sum::<usize>() + len > BYTES_MAX {
                        break;
                    }
                    expected.insert(0, len);
                }
                let kept: Vec<usize> = ring.messages.iter().map(|message| message.len()).collect();
                assert_eq!(kept.iter().sum::<usize>(), ring.bytes);
                assert_eq!(kept, expected);
            }
        }

        #[test]
        fn nobody_misses_a_message_however_late_letters_arrive(steps in steps()) {
            play(steps);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Send(usize),
        Join(usize),
        Turn(usize, usize),
    }

    const LOOPS: usize = 3;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..LOOPS).prop_map(Step::Send),
            1 => (0..LOOPS).prop_map(Step::Join),
            8 => (0..LOOPS, prop_oneof![Just(usize::MAX), any::<bool>().prop_map(usize::from)])
                .prop_map(|(at, letters)| Step::Turn(at, letters)),
        ];
        vec(step, 1..80)
    }

    /// One sender on each loop counts up; everybody who joins must hear every number of every sender.
    fn play(steps: Vec<Step>) {
        let mut loops = loops(LOOPS, &["room=1000"]);
        let senders: Vec<_> = (0..LOOPS)
            .map(|at| loops.open(at, Some(&format!("u{at}"))))
            .collect();
        let mut sent_counts = [0_u64; LOOPS];
        let mut members = Vec::new();
        for step in steps {
            match step {
                Step::Send(at) => {
                    send(
                        &mut loops,
                        senders[at],
                        "room",
                        &sent_counts[at].to_string(),
                    );
                    sent_counts[at] += 1;
                }
                Step::Join(at) => {
                    let member = loops.open(at, None);
                    join(&mut loops, member, "room");
                    members.push(member);
                }
                Step::Turn(at, letters) => loops.step(at, letters),
            }
        }
        loops.settle();
        for member in members {
            let heard = loops.take_heard(member);
            for (sender, count) in sent_counts.into_iter().enumerate() {
                judge(&heard, &format!("u{sender}"), count);
            }
        }
    }

    /// What was heard of one sender, live and replayed: each in order and once, together everything.
    fn judge(heard: &[Value], sender: &str, count: u64) {
        let of = |is_replayed: bool| -> Vec<u64> {
            let messages = heard.iter().filter(|it| it["fromUserId"] == sender);
            let messages = messages.filter(|it| (it["history"] == true) == is_replayed);
            messages.map(|it| it["data"].as_u64().unwrap()).collect()
        };
        let (replayed, live) = (of(true), of(false));
        assert_eq!(replayed, (0..replayed.len() as u64).collect::<Vec<_>>());
        let first_live = count - live.len() as u64;
        assert_eq!(live, (first_live..count).collect::<Vec<_>>());
        assert!(first_live <= replayed.len() as u64, "{heard:?}");
    }
}
