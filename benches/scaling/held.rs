//! Real connections, as many as descriptors allow.

use std::net::TcpStream;

use super::entrance::Entrance;
use super::server_process::ServerProcess;

/// A kind of connections.
struct Kind {
    name: &'static str,
    enter: fn(&mut Entrance),
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "`/echo`",
        enter: |entrance| entrance.upgrade("/echo"),
    },
    Kind {
        name: "`/relay`, member of a group",
        enter: |entrance| entrance.upgrade("/relay/room"),
    },
    Kind {
        name: "`/ws`",
        enter: |entrance| {
            entrance.upgrade("/ws");
            entrance.expect("connected");
        },
    },
];

/// Opens `count` connections of each kind, makes sure that one more is served, and says what they cost.
pub(crate) fn print(count: usize) {
    println!("\nReal connections, all of one kind, held at once by one loop:\n");
    println!(
        "| Connections | of | resident bytes each | with the process, KiB |\n|--:|---|--:|--:|"
    );
    for Kind { name, enter } in KINDS {
        let server = ServerProcess::start(&["--threads", "1", "--ping-interval", "1h"]);
        let before = server.rss_kib();
        let clients: Vec<TcpStream> = (0..count)
            .map(|_| {
                let mut entrance = Entrance::connect(server.addr());
                enter(&mut entrance);
                entrance.into_socket()
            })
            .collect();
        let after = server.rss_kib();
        assert!(
            server.descriptor_count() > count,
            "the server holds them all"
        );
        let mut visitor = Entrance::connect(server.addr());
        visitor.upgrade("/echo");
        visitor.send("still there?");
        visitor.expect("still there?");
        drop(clients);
        let bytes = (after - before) * 1024 / count as u64;
        println!("| {count} | {name} | {bytes} | {after} |");
    }
}
