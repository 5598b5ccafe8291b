//! Who is in a group, by name, and who wants to be told.
//!
//! The home of a group ([`Homes`]) keeps its roster: how many connections each named user has there, on all loops
//! together. Everybody else only sends notes to it:
//!
//! ```text
//! a connection joins, leaves, opens, closes ──note──▶ home ──delivery──▶ watchers of the group, on all loops
//! a connection wants to watch ───────────────note──▶ home ──delivery──▶ that connection: the whole list
//! ```
//!
//! Watchers are the members of an implicit group, `@presence/<group>`, which no client can join by name. A watcher is
//! made a member of it before its note goes out, and whatever a home delivers arrives in the order of sending. So the
//! changes that a watcher misses are in its list, and those around the list agree with it, although some say again what
//! it says: whoever adds `joined` and removes `left` in the order of arrival always comes to the set that the home has.
//!
//! Users are told apart by name only: a second tab is not news, and neither is closing one of two. What happens within
//! one turn of the home is told in one event, and what cancels out not at all.

use std::collections::HashMap;

use super::client::{Client, UserId};
use super::encoder::Encoder;
use super::home::Homes;
use crate::delivery::{Delivery, GroupName, Recipients, SessionId};
use crate::endpoints::Outgoing;
use crate::proto::OpCode;

/// Most users in one event; a longer list takes several.
pub(super) const USERS_PER_EVENT_MAX: usize = 1000;

/// What the name of a group is preceded by in that of its watchers.
const WATCHERS: &str = "@presence/";

/// The rosters of the groups whose home this loop is, and the way to those of others.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    /// Where the rosters are.
    pub(super) homes: Homes,
    /// Those kept here, under the names of the groups of their watchers; none is empty.
    rosters: HashMap<GroupName, Roster>,
    /// Where watchers have something to be told at the end of the turn; some may be here in vain.
    changed: Vec<GroupName>,
    /// Where events are written.
    encoder: Encoder,
}

/// Who is in one group.
#[derive(Clone, Debug, Default)]
struct Roster {
    /// How many connections each user has in the group; never 0.
    connections: HashMap<UserId, u32>,
    /// How many connections watch.
    watcher_count: u32,
    /// Whether any has ever watched. From then on changes are told even if nobody watches: whoever leaves and comes back
    /// at once may still get the list that it asked for first, and the changes to that must not be missing.
    was_watched: bool,
    /// What watchers have not been told yet.
    untold: HashMap<UserId, Change>,
}

/// What has become of a user since watchers were told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The user is there and was not.
    Joined,
    /// The user was there and is not.
    Left,
}

/// What an event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PresenceKind {
    /// Who has come and gone.
    News,
    /// Who is there; or the last of them, behind others.
    List,
    /// Some of those who are there; the others follow.
    PartOfList,
}

/// What a home is told. Each names the group of the watchers and not the group itself.
#[derive(Debug)]
pub(super) enum News {
    /// A connection of a user has come.
    Entered(GroupName, UserId),
    /// A connection of a user has gone.
    Exited(GroupName, UserId),
    /// A connection wants the list, and belongs to the watchers.
    Watched(GroupName, SessionId),
    /// A connection belongs to the watchers no longer.
    Unwatched(GroupName),
}

/// What the members of one hub do, as their own loop sees it.
impl Presence {
    /// Rosters at these homes.
    pub(super) fn new(homes: Homes) -> Self {
        Self {
            homes,
            rosters: HashMap::new(),
            changed: Vec::new(),
            encoder: Encoder::default(),
        }
    }

    /// The client is in `group` from now on and was not. Who has no name is not on any list.
    pub(super) fn enter(&self, client: &Client, hub: &str, group: &str, out: &mut Outgoing<'_>) {
        if let Some(user) = &client.user {
            self.tell(News::Entered(watchers_of(hub, group), user.clone()), out);
        }
    }

    /// The client is in `group` no longer and was.
    pub(super) fn exit(&self, client: &Client, hub: &str, group: &str, out: &mut Outgoing<'_>) {
        if let Some(user) = &client.user {
            self.tell(News::Exited(watchers_of(hub, group), user.clone()), out);
        }
    }

    /// The client is told who is in `group`, and of changes from now on, unless that is so already.
    pub(super) fn watch(
        &self,
        client: &mut Client,
        hub: &str,
        group: &str,
        out: &mut Outgoing<'_>,
    ) {
        let watchers = watchers_of(hub, group);
        if client.insert_watched(&watchers) {
            out.join(watchers.clone());
            self.tell(News::Watched(watchers, out.session()), out);
        }
    }

    /// The client is told no longer who is in `group`; false if it was not.
    pub(super) fn unwatch(
        &self,
        client: &mut Client,
        hub: &str,
        group: &str,
        out: &mut Outgoing<'_>,
    ) -> bool {
        let watchers = watchers_of(hub, group);
        let was_watched = client.remove_watched(&watchers);
        if was_watched {
            out.leave(watchers.clone());
            self.tell(News::Unwatched(watchers), out);
        }
        was_watched
    }

    /// The client has gone; it was in `groups` and whatever it watched.
    pub(super) fn on_close<'g>(
        &self,
        client: &Client,
        hub: &str,
        groups: impl Iterator<Item = &'g str>,
        out: &mut Outgoing<'_>,
    ) {
        for group in groups {
            self.exit(client, hub, group, out);
        }
        for watchers in client.watched() {
            self.tell(News::Unwatched(watchers.clone()), out);
        }
    }

    fn tell(&self, news: News, out: &mut Outgoing<'_>) {
        out.note(self.homes.of(news.watchers()), news.into());
    }
}

/// What a home makes of it.
impl Presence {
    /// Something has happened in a group whose home this loop is.
    pub(super) fn on_news(&mut self, news: News, out: &mut Outgoing<'_>) {
        match news {
            News::Entered(watchers, user) => {
                let roster = self.rosters.entry(watchers.clone()).or_default();
                if roster.enter(user) {
                    self.changed.push(watchers);
                }
            }
            News::Exited(watchers, user) => {
                if let Some(roster) = self.rosters.get_mut(&watchers)
                    && roster.exit(user)
                {
                    self.changed.push(watchers.clone());
                }
                self.forget_if_empty(&watchers);
            }
            News::Watched(watchers, session) => {
                self.send_list(&watchers, session, out);
                // In order that what changes from now on is not taken back with what has changed before the list.
                self.tell_changes(&watchers, out);
            }
            News::Unwatched(watchers) => {
                if let Some(roster) = self.rosters.get_mut(&watchers) {
                    roster.unwatch();
                }
                self.forget_if_empty(&watchers);
            }
        }
    }

    /// Sends a new watcher the names of everyone who is there.
    fn send_list(&mut self, watchers: &GroupName, session: SessionId, out: &mut Outgoing<'_>) {
        let roster = self.rosters.entry(watchers.clone()).or_default();
        roster.watcher_count += 1;
        roster.was_watched = true;
        let everyone: Vec<_> = roster
            .connections
            .keys()
            .map(|user| (user, Change::Joined))
            .collect();
        let mut lists = everyone.chunks(USERS_PER_EVENT_MAX);
        // Whoever watches an empty group wants to know that it is empty.
        let mut list = Some(lists.next().unwrap_or_default());
        while let Some(users) = list {
            list = lists.next();
            let kind = match list {
                Some(_) => PresenceKind::PartOfList,
                None => PresenceKind::List,
            };
            let event = self.encoder.presence(group_of(watchers), kind, users);
            let recipient = Recipients::Member(session, watchers.clone());
            out.deliver(Delivery::to(recipient), OpCode::Text, &[event], None);
        }
    }

    /// Whether this turn has changed anything.
    #[inline]
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Tells the watchers what this turn has changed.
    pub(super) fn on_turn_end(&mut self, out: &mut Outgoing<'_>) {
        let mut changed = std::mem::take(&mut self.changed);
        for watchers in changed.drain(..) {
            self.tell_changes(&watchers, out);
            self.forget_if_empty(&watchers);
        }
        self.changed = changed;
    }

    /// Tells all watchers what they have not been told.
    fn tell_changes(&mut self, watchers: &GroupName, out: &mut Outgoing<'_>) {
        let Some(roster) = self.rosters.get_mut(watchers) else {
            return;
        };
        let untold = std::mem::take(&mut roster.untold);
        let changes: Vec<_> = untold
            .iter()
            .map(|(user, change)| (user, *change))
            .collect();
        for users in changes.chunks(USERS_PER_EVENT_MAX) {
            let event = self
                .encoder
                .presence(group_of(watchers), PresenceKind::News, users);
            let recipients = Recipients::Group(watchers.clone());
            out.deliver(Delivery::to(recipients), OpCode::Text, &[event], None);
        }
    }

    /// Frees a roster that has nothing to remember.
    fn forget_if_empty(&mut self, watchers: &GroupName) {
        if self.rosters.get(watchers).is_some_and(Roster::is_empty) {
            self.rosters.remove(watchers);
        }
    }
}

impl Roster {
    /// Counts one more connection of `user`; whether watchers have something to be told that they had not before.
    fn enter(&mut self, user: UserId) -> bool {
        let count = self.connections.entry(user.clone()).or_default();
        *count += 1;
        *count == 1 && self.change(user, Change::Joined)
    }

    /// Counts one connection of `user` less; whether watchers have something to be told that they had not before.
    fn exit(&mut self, user: UserId) -> bool {
        match self.connections.get_mut(&user) {
            Some(1) => {
                self.connections.remove(&user);
                self.change(user, Change::Left)
            }
            Some(count) => {
                *count -= 1;
                false
            }
            None => false,
        }
    }

    /// Counts one watcher less.
    fn unwatch(&mut self) {
        self.watcher_count = self.watcher_count.saturating_sub(1);
    }

    fn change(&mut self, user: UserId, change: Change) -> bool {
        if !self.was_watched {
            return false;
        }
        let was_told_all = self.untold.is_empty();
        // There and back again is nothing to tell.
        if self.untold.remove(&user).is_none() {
            self.untold.insert(user, change);
        }
        was_told_all
    }

    /// Whether there is nothing to remember.
    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.watcher_count == 0 && self.untold.is_empty()
    }
}

impl News {
    /// The group of the watchers concerned.
    fn watchers(&self) -> &GroupName {
        match self {
            Self::Entered(watchers, _)
            | Self::Exited(watchers, _)
            | Self::Watched(watchers, _)
            | Self::Unwatched(watchers) => watchers,
        }
    }
}

/// The implicit group of those who want to know who is in `group`.
fn watchers_of(hub: &str, group: &str) -> GroupName {
    GroupName::new(hub, &[WATCHERS, group].concat())
}

/// The group that `watchers` watch.
fn group_of(watchers: &GroupName) -> &str {
    let name = watchers.name();
    name.strip_prefix(WATCHERS).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap};

    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
    use proptest::{collection, option};
    use serde_json::Value;

    use super::USERS_PER_EVENT_MAX;
    use crate::delivery::SessionId;
    use crate::endpoints::EndpointSettings;
    use crate::endpoints::loops::Loops;

    fn loops(count: usize) -> Loops {
        Loops::new(count, EndpointSettings::default())
    }

    fn join(loops: &mut Loops, session: SessionId, group: &str, presence: bool) {
        let text = format!(r#"{{"type":"joinGroup","group":"{group}","presence":{presence}}}"#);
        loops.say(session, &text);
    }

    fn leave(loops: &mut Loops, session: SessionId, group: &str) {
        let text = format!(r#"{{"type":"leaveGroup","group":"{group}"}}"#);
        loops.say(session, &text);
    }

    fn names(event: &Value, key: &str) -> Vec<String> {
        let names = event[key].as_array().unwrap().iter();
        let mut names: Vec<_> = names.map(|it| it.as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// The presence events among what was heard since the last call, as lines `group[!] +joined -left`.
    fn news(loops: &mut Loops, session: SessionId) -> Vec<String> {
        loops.settle();
        let heard = loops.take_heard(session).into_iter();
        heard
            .filter(|message| message["event"] == "presence")
            .map(|event| {
                let joined = names(&event, "joined").join("+");
                let left = names(&event, "left").join("-");
                let group = event["group"].as_str().unwrap();
                let mark = if event["initial"] == true { "!" } else { "" };
                format!("{group}{mark} +{joined} -{left}")
            })
            .collect()
    }

    #[test]
    fn a_watcher_gets_the_list_and_then_who_comes_and_goes() {
        let mut loops = loops(3);
        let ann = loops.open(0, Some("ann"));
        join(&mut loops, ann, "room", false);
        assert!(news(&mut loops, ann).is_empty(), "nobody is told unasked");
        let bob = loops.open(1, Some("bob"));
        join(&mut loops, bob, "room", true);
        let first = news(&mut loops, bob);
        assert_eq!(first[0], "room! +ann+bob -");
        let eve = loops.open(2, Some("eve"));
        join(&mut loops, eve, "room", false);
        assert_eq!(news(&mut loops, bob), ["room +eve -"]);
        leave(&mut loops, ann, "room");
        assert_eq!(news(&mut loops, bob), ["room + -ann"]);
        loops.close(eve);
        assert_eq!(news(&mut loops, bob), ["room + -eve"]);
        assert!(news(&mut loops, ann).is_empty());
    }

    #[test]
    fn tabs_of_one_user_count_as_one_and_the_nameless_do_not_count() {
        let mut loops = loops(3);
        let watcher = loops.open(0, None);
        join(&mut loops, watcher, "@all", true);
        assert_eq!(news(&mut loops, watcher), ["@all! + -"]);
        let tabs = [0, 1, 2].map(|index| loops.open(index, Some("ann")));
        let nameless = loops.open(1, None);
        assert_eq!(news(&mut loops, watcher), ["@all +ann -"]);
        loops.close(tabs[0]);
        loops.close(nameless);
        loops.close(tabs[2]);
        assert!(news(&mut loops, watcher).is_empty());
        loops.close(tabs[1]);
        assert_eq!(news(&mut loops, watcher), ["@all + -ann"]);
    }

    #[test]
    fn what_happens_in_one_turn_is_one_event_and_what_cancels_out_is_none() {
        let mut loops = loops(1);
        let watcher = loops.open(0, None);
        join(&mut loops, watcher, "room", true);
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|user| loops.open(0, Some(user)));
        join(&mut loops, ann, "room", false);
        assert_eq!(news(&mut loops, watcher), ["room! + -", "room +ann -"]);
        leave(&mut loops, ann, "room");
        for client in [bob, eve] {
            join(&mut loops, client, "room", false);
        }
        leave(&mut loops, eve, "room");
        assert_eq!(news(&mut loops, watcher), ["room +bob -ann"]);
    }

    #[test]
    fn what_changes_right_behind_a_list_is_not_cancelled_out_by_what_changed_before_it() {
        let mut loops = loops(1);
        let [first, second] = [loops.open(0, None), loops.open(0, None)];
        let ann = loops.open(0, Some("ann"));
        join(&mut loops, first, "room", true);
        loops.settle();
        join(&mut loops, ann, "room", false);
        join(&mut loops, second, "room", true);
        leave(&mut loops, ann, "room");
        let expected = ["room! +ann -", "room +ann -", "room + -ann"];
        assert_eq!(news(&mut loops, second), expected);
        assert_eq!(news(&mut loops, first)[1..], expected[1..]);
    }

    #[test]
    fn watching_twice_is_watching_once_and_ends_with_the_membership() {
        let mut loops = loops(2);
        let [ann, bob] = [loops.open(0, Some("ann")), loops.open(1, Some("bob"))];
        for group in ["room", "@all"] {
            join(&mut loops, ann, group, true);
            assert!(!news(&mut loops, ann).is_empty());
            join(&mut loops, ann, group, true);
            join(&mut loops, ann, "room", false);
            assert!(news(&mut loops, ann).is_empty());
            leave(&mut loops, ann, group);
            join(&mut loops, bob, "room", false);
            leave(&mut loops, bob, "room");
            assert!(news(&mut loops, ann).is_empty());
        }
        assert_eq!(loops.take_heard(bob).len(), 1, "connected");
    }

    #[test]
    fn everyone_is_watched_only_on_request_and_never_joined_or_left() {
        let mut loops = loops(1);
        let ann = loops.open(0, Some("ann"));
        let mut outcome = |text: &str| {
            loops.say(ann, text);
            loops.settle();
            let heard = loops.take_heard(ann);
            let ack = heard.iter().find(|it| it["type"] == "ack").unwrap();
            (ack["success"] == true, ack["error"]["name"].clone())
        };
        let forbidden = (false, Value::from("Forbidden"));
        let done = (true, Value::Null);
        for (text, expected) in [
            (
                r#"{"type":"joinGroup","group":"@all","ackId":1}"#,
                &forbidden,
            ),
            (
                r#"{"type":"leaveGroup","group":"@all","ackId":2}"#,
                &forbidden,
            ),
            (
                r#"{"type":"joinGroup","group":"@all","presence":true,"ackId":3}"#,
                &done,
            ),
            (r#"{"type":"leaveGroup","group":"@all","ackId":4}"#, &done),
            (
                r#"{"type":"leaveGroup","group":"@all","ackId":5}"#,
                &forbidden,
            ),
            (
                r#"{"type":"joinGroup","group":"@user/bob","presence":true,"ackId":6}"#,
                &forbidden,
            ),
            (
                r#"{"type":"joinGroup","group":"@presence/room","presence":true,"ackId":7}"#,
                &forbidden,
            ),
            (
                r#"{"type":"joinGroup","group":"@presence/room","ackId":8}"#,
                &forbidden,
            ),
        ] {
            assert_eq!(&outcome(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_list_comes_in_several_events() {
        let mut loops = loops(2);
        let count = 2 * USERS_PER_EVENT_MAX + 1;
        for number in 0..count {
            loops.open(number % 2, Some(&format!("user{number}")));
        }
        let watcher = loops.open(1, None);
        loops.settle();
        join(&mut loops, watcher, "@all", true);
        loops.settle();
        let mut users = BTreeSet::new();
        let events = loops.take_heard(watcher);
        let events: Vec<_> = events
            .iter()
            .filter(|it| it["event"] == "presence")
            .collect();
        assert_eq!(events.len(), 3);
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event["initial"], true);
            assert_eq!(event["more"] == true, index < 2);
            let joined = names(event, "joined");
            assert!(joined.len() <= USERS_PER_EVENT_MAX);
            users.extend(joined);
        }
        assert_eq!(users.len(), count);
    }

    /// What is kept at the homes: rosters, users in them, and what is put off.
    fn kept(loops: &Loops) -> [usize; 3] {
        let mut counts = [0; 3];
        for endpoints in loops.endpoints() {
            let presence = &endpoints.hubs.presence;
            let rosters = presence.rosters.values();
            let users = rosters.map(|roster| roster.connections.len() + roster.untold.len());
            counts[0] += presence.rosters.len();
            counts[1] += users.sum::<usize>();
            counts[2] += presence.changed.len();
        }
        counts
    }

    #[derive(Clone, Debug)]
    enum Step {
        Open(usize, Option<u8>),
        Join(usize, usize, bool),
        Leave(usize, usize),
        Close(usize),
        Turn(usize, usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => (0..LOOPS, option::weighted(0.8, 0..3_u8)).prop_map(|(at, user)| Step::Open(at, user)),
            4 => (any::<usize>(), 0..GROUPS.len(), any::<bool>())
                .prop_map(|(client, group, presence)| Step::Join(client, group, presence)),
            3 => (any::<usize>(), 0..GROUPS.len()).prop_map(|(client, group)| Step::Leave(client, group)),
            2 => any::<usize>().prop_map(Step::Close),
            12 => (0..LOOPS, prop_oneof![Just(usize::MAX), 0..3_usize])
                .prop_map(|(at, letters)| Step::Turn(at, letters)),
        ];
        collection::vec(step, 1..120)
    }

    const LOOPS: usize = 3;
    const GROUPS: [&str; 3] = ["a", "b", "@all"];

    /// What a client should be, and what it makes of what it hears.
    #[derive(Default)]
    struct Expected {
        user: Option<String>,
        /// Each with whether it is watched.
        groups: BTreeMap<&'static str, bool>,
        /// The acknowledgements that say which group was left.
        leaves: HashMap<u64, &'static str>,
        seen: HashMap<String, BTreeSet<String>>,
    }

    impl Expected {
        /// As a client does: leaving forgets, events add and remove.
        fn hear(&mut self, heard: &[Value]) {
            for message in heard {
                if let Some(group) = message["ackId"]
                    .as_u64()
                    .and_then(|id| self.leaves.remove(&id))
                {
                    self.seen.remove(group);
                }
                if message["event"] == "presence" {
                    let group = message["group"].as_str().unwrap().to_owned();
                    let seen = self.seen.entry(group).or_default();
                    seen.extend(names(message, "joined"));
                    for user in names(message, "left") {
                        seen.remove(&user);
                    }
                }
            }
        }
    }

    /// Plays the steps, lets everything arrive, and compares what every watcher has seen with the truth.
    fn play(steps: Vec<Step>) {
        let mut loops = loops(LOOPS);
        let mut clients: Vec<(SessionId, Expected)> = Vec::new();
        for (ack_id, step) in (1..).zip(steps) {
            match step {
                Step::Open(at, user) => {
                    let user = user.map(|user| format!("u{user}"));
                    let session = loops.open(at, user.as_deref());
                    let mut expected = Expected {
                        user,
                        ..Expected::default()
                    };
                    expected.groups.insert("@all", false);
                    clients.push((session, expected));
                }
                Step::Turn(at, letters) => loops.step(at, letters),
                _ if clients.is_empty() => {}
                Step::Close(client) => {
                    let (session, _) = clients.swap_remove(client % clients.len());
                    loops.close(session);
                }
                Step::Join(client, group, presence) => {
                    let index = client % clients.len();
                    let (session, expected) = &mut clients[index];
                    let group = GROUPS[group];
                    join(&mut loops, *session, group, presence);
                    if group != "@all" || presence {
                        *expected.groups.entry(group).or_default() |= presence;
                    }
                }
                Step::Leave(client, group) => {
                    let index = client % clients.len();
                    let (session, expected) = &mut clients[index];
                    let group = GROUPS[group];
                    let text =
                        format!(r#"{{"type":"leaveGroup","group":"{group}","ackId":{ack_id}}}"#);
                    loops.say(*session, &text);
                    expected.leaves.insert(ack_id, group);
                    expected.groups.remove(group);
                    if group == "@all" {
                        expected.groups.insert(group, false);
                    }
                }
            }
        }
        loops.settle();
        let truth = |group: &str, clients: &[(SessionId, Expected)]| -> BTreeSet<String> {
            let members = clients
                .iter()
                .filter(|(_, it)| it.groups.contains_key(group));
            members.filter_map(|(_, it)| it.user.clone()).collect()
        };
        for index in 0..clients.len() {
            let heard = loops.take_heard(clients[index].0);
            clients[index].1.hear(&heard);
            for group in GROUPS {
                let expected = &clients[index].1;
                let is_watched = expected.groups.get(group) == Some(&true);
                let wanted = is_watched.then(|| truth(group, &clients));
                assert_eq!(expected.seen.get(group), wanted.as_ref(), "{group} {index}");
            }
        }
        let users: usize = GROUPS
            .iter()
            .map(|group| truth(group, &clients).len())
            .sum();
        let [_, kept_users, kept_changes] = kept(&loops);
        assert_eq!((kept_users, kept_changes), (users, 0));
        for (session, _) in clients {
            loops.close(session);
        }
        loops.settle();
        assert_eq!(kept(&loops), [0; 3], "nobody is left");
    }

    proptest! {
        #[test]
        fn every_watcher_comes_to_see_who_is_there(steps in steps()) {
            play(steps);
        }
    }
}
