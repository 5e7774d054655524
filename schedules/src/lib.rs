//! A scheduler that tries every order in which threads can run that has at most so many
//! preemptions.
//!
//! A preemption is a switch away from a thread that could have gone on. Switches where a thread
//! waits or ends are free and all tried. Bugs of concurrency need few preemptions (Musuvathi and
//! Qadeer, "Iterative context bounding", 2007); with a bound the number of orders grows with a
//! power of the length of a run, not exponentially.

use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

/// See the module.
#[derive(Debug)]
pub struct FewPreemptions {
    max: usize,
    /// The choices that the current run has gone through, each with the one that is its turn.
    points: Vec<(Vec<TaskId>, usize)>,
    /// How many of them the current run has passed.
    passed: usize,
    preemptions: usize,
    runs: usize,
}

impl FewPreemptions {
    /// Tries every order of at most `max` preemptions.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            points: Vec::new(),
            passed: 0,
            preemptions: 0,
            runs: 0,
        }
    }
}

impl Scheduler for FewPreemptions {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.runs > 0 {
            while self
                .points
                .pop_if(|(choices, turn)| *turn + 1 == choices.len())
                .is_some()
            {}
            let (_, turn) = self.points.last_mut()?;
            *turn += 1;
        }
        self.runs += 1;
        (self.passed, self.preemptions) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let running = current
            .filter(|current| !is_yielding && runnable.iter().any(|task| task.id() == *current));
        if self.passed == self.points.len() {
            let mut choices: Vec<TaskId> = running.into_iter().collect();
            if running.is_none() || self.preemptions < self.max {
                choices.extend(
                    runnable
                        .iter()
                        .map(|task| task.id())
                        .filter(|task| Some(*task) != running),
                );
                // Who yields goes on last.
                choices.sort_by_key(|task| is_yielding && Some(*task) == current);
            }
            self.points.push((choices, 0));
        }
        let (choices, turn) = &self.points[self.passed];
        let chosen = choices[*turn];
        self.passed += 1;
        self.preemptions += usize::from(running.is_some_and(|running| running != chosen));
        Some(chosen)
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
