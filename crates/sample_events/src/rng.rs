//! The only source of randomness: a seeded generator with the same numbers on every machine and
//! version.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A seeded generator with the few draws that the samples need. It is `ChaCha8`, because the
/// algorithm of `rand`'s standard generator may change between versions. It draws only integers,
/// because floating point logarithms differ between platforms.
#[derive(Debug)]
pub(crate) struct Rng(ChaCha8Rng);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 up to and without `end`; 0 when `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        if end == 0 {
            0
        } else {
            self.0.random_range(0..end)
        }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A number below `end` that is mostly small: a third of all draws are in the first 1/27.
    pub(crate) fn low(&mut self, end: u64) -> u64 {
        let draw = self.below(1 << 10);
        (end * draw * draw * draw) >> 30
    }

    /// A size from `least` on with a long tail: each doubling is half as likely as the one before,
    /// up to `doublings` of them.
    pub(crate) fn long_tail(&mut self, least: u64, doublings: u32) -> u64 {
        let tail = u64::from(self.0.random::<u32>().leading_zeros().min(doublings));
        let base = least << tail;
        base + self.below(base)
    }

    /// True in `per_mille` of 1000 draws.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        self.0.random_range(0..1000) < per_mille
    }

    /// One of the choices, each as likely. There must be one.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    /// An index into something of that length (0 when it is empty).
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }

    /// One of the choices by the weights beside them, which must not all be 0.
    pub(crate) fn pick_weighted<T: Copy>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut draw = self.0.random_range(0..total.max(1));
        for (weight, choice) in choices {
            if draw < *weight {
                return *choice;
            }
            draw -= weight;
        }
        choices[0].1
    }

    /// A random (version 4) UUID in its usual form (RFC 9562, section 5.4).
    pub(crate) fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.0.random())
            .into_uuid()
            .hyphenated()
            .to_string()
    }

    /// Something that looks like a SHA-1 in base 36, 31 characters long, as MediaWiki keeps it.
    pub(crate) fn sha1_base36(&mut self) -> String {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut number: u128 = self.0.random();
        let mut text = String::with_capacity(31);
        for place in 0..31 {
            if place == 20 {
                number = self.0.random();
            }
            // 160 bits are at most "t..." in base 36.
            let base = if place == 0 { 30 } else { 36 };
            text.push(char::from(
                DIGITS[usize::try_from(number % base).expect("below 36")],
            ));
            number /= base;
        }
        text
    }
}
