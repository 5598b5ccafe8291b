//! Who is there, told over real sockets by a server with several loops.

mod peer;
mod server_process;

use std::collections::BTreeSet;
use std::time::Duration;

use peer::Peer;
use serde_json::{Value, json};
use server_process::ServerProcess;

/// Opens `/ws` and reads the first message.
fn open(server: &ServerProcess, user: &str) -> Peer {
    let mut peer = Peer::connect(server.addr(), &format!("/ws?userId={user}"));
    assert_eq!(peer.next_json()["event"], json!("connected"));
    peer
}

/// Joins a group and reads the acknowledgement, whose id must be another one each time.
fn join(peer: &mut Peer, group: &str, presence: bool, ack_id: u64) {
    let join = json!({"type": "joinGroup", "group": group, "presence": presence, "ackId": ack_id});
    peer.send_json(&join);
    let ack = json!({"type": "ack", "ackId": ack_id, "success": true});
    assert_eq!(peer.next_json(), ack);
}

fn close(mut peer: Peer) {
    peer.send_close(1000, "");
    peer.drain_to_close();
    peer.expect_eof();
}

/// Names of one list of an event.
fn names(event: &Value, key: &str) -> BTreeSet<String> {
    let names = event[key].as_array().unwrap().iter();
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Applies events to `seen` until it is `expected`.
fn await_members(peer: &mut Peer, seen: &mut BTreeSet<String>, group: &str, expected: &[&str]) {
    let expected = set(expected);
    while *seen != expected {
        let event = peer.next_json();
        assert_eq!(
            (&event["type"], &event["event"]),
            (&json!("system"), &json!("presence"))
        );
        assert_eq!(event["group"], json!(group));
        seen.extend(names(&event, "joined"));
        *seen = &*seen - &names(&event, "left");
    }
}

#[test]
fn a_watcher_gets_the_list_first_and_its_keys_are_in_order() {
    let server = ServerProcess::start(&["--threads", "4"]);
    let _members: Vec<_> = ["ann", "bob", "eve"]
        .map(|user| {
            let mut peer = open(&server, user);
            join(&mut peer, "room", false, 1);
            peer
        })
        .into();
    let mut watcher = Peer::connect(server.addr(), "/ws");
    watcher.next_json();
    join(&mut watcher, "room", true, 1);
    let frame = watcher.next_message();
    let text = frame.text();
    let head = r#"{"type":"system","event":"presence","group":"room","initial":true,"joined":["#;
    assert!(
        text.starts_with(head) && text.ends_with(r#"],"left":[]}"#),
        "{text}"
    );
    let event = serde_json::from_str(text).unwrap();
    assert_eq!(names(&event, "joined"), set(&["ann", "bob", "eve"]));
}

#[test]
fn closing_one_of_two_tabs_is_no_news_and_closing_the_other_is() {
    let server = ServerProcess::start(&["--threads", "4"]);
    let mut watcher = open(&server, "ann");
    join(&mut watcher, "@all", true, 1);
    let mut seen = BTreeSet::new();
    await_members(&mut watcher, &mut seen, "@all", &["ann"]);
    // One more than there are loops, so that two are on one loop.
    let mut tabs: Vec<_> = (0..5).map(|_| open(&server, "bob")).collect();
    await_members(&mut watcher, &mut seen, "@all", &["ann", "bob"]);
    let last = tabs.pop().unwrap();
    tabs.into_iter().for_each(close);
    assert!(watcher.is_silent_for(Duration::from_millis(200)));
    close(last);
    let event = watcher.next_json();
    assert_eq!(
        event,
        json!({"type": "system", "event": "presence", "group": "@all", "joined": [], "left": ["bob"]})
    );
}

#[test]
fn a_connection_that_breaks_leaves_everywhere() {
    let server = ServerProcess::start(&["--threads", "4"]);
    let groups = ["a", "b", "c"];
    let mut watcher = open(&server, "ann");
    for (ack_id, group) in (1..).zip(groups) {
        join(&mut watcher, group, true, ack_id);
        await_members(&mut watcher, &mut BTreeSet::new(), group, &["ann"]);
    }
    let mut bob = open(&server, "bob");
    // What it joined itself may be told once more behind the list.
    let mut joined = BTreeSet::new();
    for (ack_id, group) in (1..).zip(groups) {
        join(&mut bob, group, false, ack_id);
    }
    while joined.len() < groups.len() {
        let event = watcher.next_json();
        if names(&event, "joined").contains("bob") {
            joined.insert(event["group"].as_str().unwrap().to_owned());
        }
    }
    drop(bob);
    let left: BTreeSet<_> = groups
        .map(|_| {
            let event = watcher.next_json();
            assert_eq!(names(&event, "left"), set(&["bob"]), "{event}");
            event["group"].as_str().unwrap().to_owned()
        })
        .into();
    assert_eq!(left, set(&groups));
}

#[test]
fn many_users_come_and_go_and_every_watcher_ends_up_with_the_same_list() {
    let server = ServerProcess::start(&["--threads", "4"]);
    let mut watchers: Vec<_> = (0..4).map(|_| open(&server, "watcher")).collect();
    for watcher in &mut watchers {
        join(watcher, "room", true, 1);
    }
    let mut members: Vec<_> = (0..60)
        .map(|number| open(&server, &format!("u{}", number % 20)))
        .collect();
    for member in &mut members {
        member.send_json(&json!({"type": "joinGroup", "group": "room"}));
    }
    for member in &mut members[..30] {
        member.send_json(&json!({"type": "leaveGroup", "group": "room"}));
    }
    // Of the 30 who have stayed, the last 15 break off.
    members.truncate(45);
    let mut expected: Vec<_> = (30..45).map(|number| format!("u{}", number % 20)).collect();
    expected.push("watcher".to_owned());
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    let end = ["end"];
    let all: Vec<_> = expected.iter().copied().chain(end).collect();
    for watcher in &mut watchers {
        await_members(watcher, &mut BTreeSet::new(), "room", &expected);
    }
    // Nothing that is still under way changes that.
    let mut last = open(&server, "end");
    join(&mut last, "room", false, 1);
    let mut seen: Vec<BTreeSet<String>> = watchers.iter().map(|_| set(&expected)).collect();
    for (watcher, seen) in watchers.iter_mut().zip(&mut seen) {
        await_members(watcher, seen, "room", &all);
    }
}
