//! Counts allocations: what a broadcast costs, and what a header that announces much gets.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::sync::Arc;

use switchboard::clock::Moment;
use switchboard::delivery::{Feed, GroupName, Policy, Recipients, SessionId, Terms};
use switchboard::outbox::{Flushed, Outbox, Pushed};
use switchboard::proto::{EncodedFrame, FrameBuffer, MessageLimits, MessageReader, OpCode, Role};
use switchboard::registry::Registry;

/// The system's allocator, counting what the current thread asks for.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; counting in a cell
// that is initialised at compile time neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes on this thread, and of how many bytes together.
fn allocations(work: impl FnOnce()) -> (usize, usize) {
    let before = (COUNT.get(), BYTES.get());
    work();
    (COUNT.get() - before.0, BYTES.get() - before.1)
}

#[test]
fn a_broadcast_to_a_thousand_outboxes_makes_at_most_one_allocation() {
    let bytes_max = 4 << 20;
    assert_one_allocation(|outbox, frame| outbox.push(frame, bytes_max).unwrap());
    let terms = Arc::new(Terms {
        policy: Policy::Latest,
        is_plain: false,
        notice: None,
    });
    assert_one_allocation(|outbox, frame| {
        let pushed = outbox.push_of(Feed::DIRECT, &terms, frame, bytes_max);
        assert_eq!(pushed, Ok(Pushed::Queued));
    });
}

/// Broadcasts twice with `push`; the second time, when all buffers are there, may allocate once.
fn assert_one_allocation(push: impl Fn(&mut Outbox, &EncodedFrame)) {
    let group = Recipients::Group(GroupName::new("default", "@all"));
    let ids: Vec<_> = (1..=1000)
        .map(|slot| SessionId::new(0, slot, 1).unwrap())
        .collect();
    let mut registry = Registry::default();
    for &id in &ids {
        registry.join(id, GroupName::new("default", "@all"));
    }
    let mut outboxes: Vec<Outbox> = (0..=1000).map(|_| Outbox::default()).collect();
    let mut frames = FrameBuffer::default();
    let mut broadcast = || {
        let range = frames.encode(OpCode::Text, &[b"to everyone"]);
        let frame = frames.share().slice(range);
        for id in registry.recipients(&group) {
            push(&mut outboxes[id.slot() as usize], &frame);
        }
        for outbox in &mut outboxes {
            assert_eq!(
                outbox
                    .write_to(&mut io::sink(), 256 << 10, Moment::START)
                    .unwrap(),
                Flushed::Everything
            );
        }
    };
    broadcast();
    let (count, _) = allocations(broadcast);
    assert!(count <= 1, "{count} allocations for one broadcast");
}

#[test]
fn fr_07_a_header_that_announces_2_to_the_40_bytes_allocates_nothing() {
    let limits = MessageLimits {
        message_bytes_max: u64::MAX >> 1,
        fragments_max: 10,
    };
    let mut reader = MessageReader::new(Role::Server);
    let mut header = [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    let (_, bytes) = allocations(|| {
        assert_eq!(reader.next(&mut &mut header[..], &limits), Ok(None));
    });
    assert!(bytes <= 512, "{bytes} bytes allocated for a header");
}
