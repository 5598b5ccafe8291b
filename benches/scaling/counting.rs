//! An allocator that knows how many bytes are allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};

/// The system's allocator, counting.
struct Counting;

static BYTES: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract; counting in an atomic
// neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size(), 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(layout.size(), -1);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn add(size: usize, sign: i64) {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    BYTES.fetch_add(sign * size, Ordering::Relaxed);
}

/// Bytes that are allocated now.
pub(crate) fn allocated_bytes() -> i64 {
    BYTES.load(Ordering::Relaxed)
}
