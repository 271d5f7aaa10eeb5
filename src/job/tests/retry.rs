//! The retry curves, as formulas and as a table.

use std::time::Duration;

use crate::job::Backoff;

/// n, n⁴ + 15, and the most that the draw adds: 29 × (n + 1).
const TABLE: [(u32, u64, u64); 26] = [
    (0, 15, 29),
    (1, 16, 58),
    (2, 31, 87),
    (3, 96, 116),
    (4, 271, 145),
    (5, 640, 174),
    (6, 1_311, 203),
    (7, 2_416, 232),
    (8, 4_111, 261),
    (9, 6_576, 290),
    (10, 10_015, 319),
    (11, 14_656, 348),
    (12, 20_751, 377),
    (13, 28_576, 406),
    (14, 38_431, 435),
    (15, 50_640, 464),
    (16, 65_551, 493),
    (17, 83_536, 522),
    (18, 104_991, 551),
    (19, 130_336, 580),
    (20, 160_015, 609),
    (21, 194_496, 638),
    (22, 234_271, 667),
    (23, 279_856, 696),
    (24, 331_791, 725),
    (25, 390_640, 754),
];

#[test]
fn the_default_curve_is_n_to_the_fourth_plus_fifteen_plus_a_draw() {
    for (n, least, spread) in TABLE {
        assert_eq!(Backoff::Default.delay(n, 0), Duration::from_secs(least), "n={n}");
        assert_eq!(Backoff::Default.delay(n, 29), Duration::from_secs(least + spread), "n={n}");
        assert_eq!(Backoff::Default.delay(n, 30), Duration::from_secs(least), "n={n}: the draw is modulo 30");
    }
}

#[test]
fn twenty_five_attempts_span_about_three_weeks() {
    let least: u64 = TABLE[..24].iter().map(|(_, least, _)| least).sum();
    assert_eq!(least / 86_400, 16);
    let most: u64 = TABLE[..25].iter().map(|(_, least, spread)| least + spread).sum();
    assert_eq!(most / 86_400, 20);
}

#[test]
fn a_fixed_wait_stays_the_same() {
    let backoff = Backoff::Fixed { delay: Duration::from_millis(250) };
    for n in [0, 1, 7, u32::MAX] {
        assert_eq!(backoff.delay(n, u64::MAX), Duration::from_millis(250));
    }
}

#[test]
fn an_exponential_wait_doubles_up_to_its_cap() {
    let backoff = Backoff::Exponential { base: Duration::from_secs(2), cap: Duration::from_secs(60) };
    let waits: Vec<u64> = (0..8).map(|n| backoff.delay(n, 3).as_secs()).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(backoff.delay(u32::MAX, 0), Duration::from_secs(60));
}

#[test]
fn no_number_of_failures_overflows_a_wait() {
    assert_eq!(Backoff::Default.delay(u32::MAX, u64::MAX), Duration::from_secs(u64::MAX));
    assert_eq!(Backoff::Default.delay(65_535, 0), Duration::from_secs(65_535_u64.pow(4) + 15));
    let endless = Backoff::Exponential { base: Duration::MAX, cap: Duration::MAX };
    assert_eq!(endless.delay(u32::MAX, 0), Duration::MAX);
    let tiny = Backoff::Exponential { base: Duration::from_millis(1), cap: Duration::MAX };
    for n in 1..200 {
        assert!(tiny.delay(n, 0) >= tiny.delay(n - 1, 0), "n={n}");
    }
}
