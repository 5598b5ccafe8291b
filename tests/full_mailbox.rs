//! A loop that is held up: the others stop reading before its mailbox grows without bound, nothing is lost, and the log says
//! so.

mod in_process;
mod peer;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use in_process::{InProcess, answer};
use peer::{DEADLINE, Peer};
use switchboard::config::Config;
use switchboard::delivery::{Delivery, GroupName, Recipients};
use switchboard::handler::{Answer, Arrival, Handler, Outgoing};
use switchboard::http::Request;
use switchboard::proto::{Message, OpCode};

/// Bytes of a message; the mailbox has room for 16 MiB.
const MESSAGE_LEN: usize = 64 << 10;
const ROOM: usize = 16 << 20;
/// Messages that are sent: half as much again as fits into the mailbox and into the buffers of the kernel.
const MESSAGE_COUNT: usize = (ROOM + (16 << 20)) / 2 * 3 / MESSAGE_LEN;

/// Says on which loop it is; sends text back and binary to everyone. `hold` holds its loop up until the test lets go.
#[derive(Clone)]
struct Holding {
    is_held: Sender<()>,
    release: Arc<Mutex<Receiver<()>>>,
}

impl Handler for Holding {
    type Peer = ();
    type Note = ();

    fn on_request(
        &mut self,
        request: &Request<'_>,
        _arrival: Arrival,
        _out: &mut Outgoing<'_>,
    ) -> Answer<()> {
        answer(request)
    }

    fn on_open(&mut self, _peer: &mut (), out: &mut Outgoing<'_>) {
        let loop_index = out.session().loop_index().to_string();
        out.reply(OpCode::Text, &[loop_index.as_bytes()]);
    }

    fn on_message(&mut self, _peer: &mut (), message: Message<'_>, out: &mut Outgoing<'_>) {
        let everyone = GroupName::new("test", "all");
        match message {
            Message::Text(text) => match text.as_str() {
                "hold" => {
                    self.is_held.send(()).unwrap();
                    self.release.lock().unwrap().recv().unwrap();
                }
                "join" => {
                    out.join(everyone);
                    out.reply(OpCode::Text, &[b"joined"]);
                }
                text => out.reply(OpCode::Text, &[text.as_bytes()]),
            },
            Message::Binary(bytes) => {
                let delivery = Delivery::to(Recipients::Group(everyone));
                out.deliver(delivery, OpCode::Binary, &[bytes], None);
            }
        }
    }
}

/// A server one of whose loops can be held.
struct Held {
    server: InProcess,
    /// Tells of a loop that is held.
    held: Receiver<()>,
    /// Lets it go on.
    release: Sender<()>,
}

impl Held {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        let (is_held, held) = channel();
        let (release, released) = channel();
        let handler = Holding {
            is_held,
            release: Arc::new(Mutex::new(released)),
        };
        Self {
            server: InProcess::start(&handler, change),
            held,
            release,
        }
    }

    /// A peer on this loop.
    fn peer_on(&self, loop_index: usize) -> Peer {
        loop {
            let mut peer = Peer::connect(self.server.addr(), "/");
            if peer.next_message().text() == loop_index.to_string() {
                return peer;
            }
        }
    }

    /// Has the loop of `peer` do nothing any more.
    fn hold(&self, peer: &mut Peer) {
        peer.send_text("hold");
        self.held.recv_timeout(DEADLINE).unwrap();
    }

    /// Has it go on.
    fn let_go(&self) {
        self.release.send(()).unwrap();
    }
}

fn message(number: usize) -> Vec<u8> {
    let mut message = vec![7; MESSAGE_LEN];
    message[..8].copy_from_slice(&(number as u64).to_be_bytes());
    message
}

/// Keeps what is logged.
struct Log(Mutex<String>);

impl log::Log for Log {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.0.lock().unwrap(), "{}", record.args()).unwrap();
    }

    fn flush(&self) {}
}

#[test]
fn rs_11_a_turn_that_takes_long_is_noted_with_what_was_done_in_it() {
    static LOG: Log = Log(Mutex::new(String::new()));
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let held = Held::start(|config| config.loop_count = 1);
    let mut peer = held.peer_on(0);
    held.hold(&mut peer);
    // The turn has to take longer than a tenth of a second, which is what is tested.
    thread::sleep(Duration::from_millis(120));
    held.let_go();
    peer.send_text("done");
    peer.expect_text("done");
    drop(peer);
    held.server.drain();
    let log = LOG.0.lock().unwrap();
    let line = log.lines().find(|line| line.contains("messages_in=1 "));
    let line = line.unwrap_or_else(|| panic!("no line about it: {log}"));
    assert!(line.starts_with("long turn loop=0 millis="), "{line}");
    let millis = line.split("millis=").nth(1).unwrap();
    let millis: u64 = millis.split(' ').next().unwrap().parse().unwrap();
    assert!(millis > 100, "{line}");
    assert!(line.contains(" bytes_in=10 "), "{line}");
}

#[test]
fn sc_07_while_a_mailbox_is_full_the_other_loops_stop_reading_and_nothing_is_lost() {
    let held = Held::start(|config| {
        config.loop_count = 2;
        // What was held up comes to the receiver at once.
        config.outbox_bytes_max = 2 * MESSAGE_COUNT * MESSAGE_LEN;
    });

    let mut receiver = held.peer_on(1);
    receiver.send_text("join");
    receiver.expect_text("joined");
    let mut sender = held.peer_on(0);
    let mut witness = held.peer_on(0);
    let mut holder = held.peer_on(1);
    held.hold(&mut holder);

    let sent_count = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..MESSAGE_COUNT {
                sender.send_binary(&message(number));
                sent_count.store(number + 1, Ordering::Relaxed);
            }
        });
        // Once its loop does not read, a peer gets no answer, and gets it later.
        let deadline = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < deadline, "its loop goes on reading");
            witness.send_text("?");
            let is_silent = witness.is_silent_for(Duration::from_millis(300));
            let sent_len = sent_count.load(Ordering::Relaxed) * MESSAGE_LEN;
            if is_silent && sent_len >= ROOM {
                break;
            }
            witness.expect_text("?");
        }
        assert!(sent_count.load(Ordering::Relaxed) < MESSAGE_COUNT);
        held.let_go();
        for number in 0..MESSAGE_COUNT {
            receiver.expect_binary(&message(number));
        }
        witness.expect_text("?");
    });
    drop([receiver, sender, witness, holder]);
    held.server.drain();
}
