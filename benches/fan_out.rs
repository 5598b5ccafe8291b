//! Times one message to many receivers, from encoding to the last write, without sockets.

use std::hint::black_box;
use std::io;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use switchboard::clock::Moment;
use switchboard::delivery::{GroupName, Recipients, SessionId};
use switchboard::outbox::{Flushed, Outbox};
use switchboard::proto::{FrameBuffer, OpCode};
use switchboard::registry::Registry;

const OUTBOX_BYTES_MAX: usize = 4 << 20;
const WRITE_BUDGET_BYTES: usize = 256 << 10;
const PAYLOAD: &[u8] = &[b'a'; 64];

/// A group with a receiver in every slot, and what each is owed.
struct Room {
    group: Recipients,
    registry: Registry,
    frames: FrameBuffer,
    outboxes: Vec<Outbox>,
}

impl Room {
    fn new(receiver_count: u32) -> Self {
        let name = GroupName::new("default", "room");
        let mut registry = Registry::default();
        for slot in 0..receiver_count {
            let id = SessionId::new(0, slot, 1).expect("few enough slots");
            registry.join(id, name.clone());
        }
        Self {
            group: Recipients::Group(name),
            registry,
            frames: FrameBuffer::default(),
            outboxes: (0..receiver_count).map(|_| Outbox::default()).collect(),
        }
    }

    /// One turn: `message_count` messages are encoded and queued, then every receiver is flushed into `sink`.
    fn turn(&mut self, message_count: usize, sink: &mut impl io::Write) {
        let ranges: Vec<_> = (0..message_count)
            .map(|_| self.frames.encode(OpCode::Binary, &[PAYLOAD]))
            .collect();
        let shared = self.frames.share();
        for range in ranges {
            let frame = shared.slice(range);
            for id in self.registry.recipients(&self.group) {
                let outbox = &mut self.outboxes[id.slot() as usize];
                outbox.push(&frame, OUTBOX_BYTES_MAX).expect("room for it");
            }
        }
        for outbox in &mut self.outboxes {
            let flushed = outbox.write_to(sink, WRITE_BUDGET_BYTES, Moment::START);
            assert_eq!(flushed.expect("a sink takes it"), Flushed::Everything);
        }
    }
}

fn fan_out(criterion: &mut Criterion) {
    for message_count in [1, 16] {
        let mut group = criterion.benchmark_group(format!("fan-out of {message_count}"));
        for receiver_count in [1, 10, 100, 1000] {
            let mut room = Room::new(receiver_count);
            let mut written = Vec::new();
            room.turn(message_count, &mut written);
            let expected = receiver_count as usize * message_count * (2 + PAYLOAD.len());
            assert_eq!(written.len(), expected, "every receiver got every frame");
            group.throughput(Throughput::Elements(
                u64::from(receiver_count) * message_count as u64,
            ));
            let id = BenchmarkId::from_parameter(receiver_count);
            group.bench_function(id, |bencher| {
                bencher.iter(|| black_box(&mut room).turn(message_count, &mut io::sink()));
            });
        }
    }
}

criterion_group!(benches, fan_out);
criterion_main!(benches);
