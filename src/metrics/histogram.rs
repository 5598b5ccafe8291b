//! How long things take, in a few classes.

use std::time::Duration;

use super::Count;

/// The longest time of each class but the last, which takes all that is longer.
pub const BOUNDS: [Duration; 13] = [
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Times that were measured: how many of each class, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    classes: [Count; BOUNDS.len() + 1],
    sum_nanos: Count,
}

impl Histogram {
    /// Enters a time. Most are short, and found first.
    #[inline]
    pub fn observe(&self, time: Duration) {
        let is_class = |bound: &Duration| time <= *bound;
        let class = BOUNDS.iter().position(is_class).unwrap_or(BOUNDS.len());
        self.classes[class].add(1);
        self.sum_nanos
            .add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many times each class has, in the order of [`BOUNDS`], and one more.
    pub fn classes(&self) -> impl Iterator<Item = u64> {
        self.classes.iter().map(Count::get)
    }

    /// The sum of all times.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_first_class_that_holds_it() {
        let histogram = Histogram::default();
        let times = [
            Duration::ZERO,
            BOUNDS[0],
            BOUNDS[0] + Duration::from_nanos(1),
            BOUNDS[12],
            Duration::from_secs(6),
        ];
        times.iter().for_each(|time| histogram.observe(*time));
        let classes: Vec<u64> = histogram.classes().collect();
        assert_eq!(classes, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(histogram.sum(), times.iter().sum::<Duration>());
        assert!(BOUNDS.is_sorted());
    }
}
