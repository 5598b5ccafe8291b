//! Numbers that one thread writes and others read.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Label;

/// A number that one thread changes and every thread may read.
///
/// There being one writer, adding is a load, an addition and a store, none of which waits for anybody. If a second
/// thread wrote too, counts would be lost.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `more`.
    #[inline]
    pub fn add(&self, more: u64) {
        self.set(self.get().wrapping_add(more));
    }

    /// Takes away `less`, of a count of what is; below zero it wraps around, and the balance shows it.
    #[inline]
    pub fn subtract(&self, less: u64) {
        self.set(self.get().wrapping_sub(less));
    }

    /// Replaces the number.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A count for each value of a label, of which there are `N`.
#[derive(Debug)]
pub struct Counts<L, const N: usize> {
    counts: [Count; N],
    /// The sum of all counts.
    total: Count,
    label: PhantomData<fn(L)>,
}

impl<L: Label, const N: usize> Counts<L, N> {
    /// Adds `more` to the count of a value.
    #[inline]
    pub fn add(&self, label: L, more: u64) {
        if let Some(count) = self.counts.get(label.index()) {
            count.add(more);
            self.total.add(more);
        }
    }

    /// The count of a value.
    #[must_use]
    pub fn get(&self, label: L) -> u64 {
        self.counts.get(label.index()).map_or(0, Count::get)
    }

    /// All counts, in the order of [`Label::NAMES`].
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().map(Count::get)
    }

    /// The sum of all counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.get()
    }
}

impl<L: Label, const N: usize> Default for Counts<L, N> {
    fn default() -> Self {
        const { assert!(N == L::NAMES.len(), "a count for each value") };
        Self {
            counts: [const { Count(AtomicU64::new(0)) }; N],
            total: Count::default(),
            label: PhantomData,
        }
    }
}
