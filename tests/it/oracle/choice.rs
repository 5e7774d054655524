//! What a subscriber chooses among the events: all, or those that a filter matches.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A filter, and the same filter in Rust, by the number of an event.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The parameter of the request; empty for all events.
    pub parameter: &'static str,
    wants: fn(usize) -> bool,
}

/// All events, and filters of each kind. The performers of all events are redacted.
const CHOICES: [Choice; 6] = [
    Choice {
        parameter: "",
        wants: |_| true,
    },
    Choice {
        parameter: "type=kind+1",
        wants: |n| n % KINDS == 1,
    },
    Choice {
        parameter: "filter=event.type!=%22kind+1%22",
        wants: |n| n % KINDS != 1,
    },
    Choice {
        parameter: "filter=event.type+in+[%22kind+0%22,%22kind+3%22]%26%26event.n%3E100",
        wants: |n| [0, 3].contains(&(n % KINDS)) && n > 100,
    },
    Choice {
        parameter: "filter=event.type.matches(%22[24]$%22)",
        wants: |n| [2, 4].contains(&(n % KINDS)),
    },
    Choice {
        parameter: "filter=has(event.performer)",
        wants: |_| false,
    },
];

const KINDS: usize = 5;

/// The member of an event that most choices look at.
pub fn kind(number: usize) -> String {
    format!(r#""type":"kind {}""#, number % KINDS)
}

impl Choice {
    /// About half of the subscribers get all events.
    pub fn roll(dice: &mut ChaCha8Rng) -> Self {
        let number = dice.random_range(0..2 * CHOICES.len());
        *CHOICES.get(number).unwrap_or(&CHOICES[0])
    }

    /// Whether it leaves something out, so that its subscriber gets progress.
    pub fn is_filter(&self) -> bool {
        !self.parameter.is_empty()
    }

    /// Whether the event of this number is chosen.
    pub fn wants(&self, number: usize) -> bool {
        (self.wants)(number)
    }
}
