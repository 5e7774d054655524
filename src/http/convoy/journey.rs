//! A convoy on its way: reads what comes, codes it, writes it to all, and lets streams in and out between two rounds of writes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::{Convoy, ConvoyKey, Left, Member, Newcomer, Tally};
use crate::event::Format;
use crate::fanout::Subscription;
use crate::http::App;
use crate::http::audience::{Audience, Sum};
use crate::http::coding::SharedCoder;
use crate::http::sink::{Chunk, SinkRef, Written};
use crate::http::voice::{Said, Silence, Voice};
use crate::limits;
use crate::memory::Use;

/// The task that writes.
pub(super) struct Journey {
    app: Arc<App>,
    convoy: Arc<Convoy>,
    key: ConvoyKey,
    format: Format,
    subscription: Subscription,
    coder: SharedCoder,
    /// When the coder has begun anew, and how many events it has coded since.
    anew: (Instant, u64),
    members: Vec<Member>,
    /// Streams that are further than the convoy, or wait for the coder.
    waiting: Vec<Newcomer>,
    silence: Silence,
    audience: Audience,
}

impl Journey {
    pub(super) fn new(voice: &Voice, convoy: &Arc<Convoy>, subscription: Subscription) -> Self {
        let (app, coding) = (&voice.app, voice.coder.coding());
        Self {
            app: Arc::clone(app),
            convoy: Arc::clone(convoy),
            key: (subscription.feed_key().clone(), coding),
            format: subscription.feed_key().format,
            subscription,
            coder: SharedCoder::new(coding, app.hub.memory()),
            anew: (Instant::now(), 0),
            members: Vec::new(),
            waiting: Vec::new(),
            silence: Silence::new(app.heartbeat()),
            audience: Audience::new(Arc::clone(&app.metrics)),
        }
    }

    pub(super) async fn run(mut self) {
        let convoy = Arc::clone(&self.convoy);
        loop {
            tokio::select! {
                () = convoy.knock.notified() => self.let_out(),
                batch = self.subscription.next() => self.say(Said::of(batch, self.format)).await,
                () = self.silence.fallen() => self.break_silence().await,
            }
            self.let_in().await;
            if self.size() == 0 && self.app.convoys.close(&self.key, &convoy) {
                return;
            }
        }
    }

    fn size(&self) -> usize {
        self.members.len() + self.waiting.len()
    }

    /// Writes what comes next to all. When there is more already, it comes faster than it is written: then a little rest, as long as
    /// the writing took and as the operator allows, lets each write carry more.
    async fn say(&mut self, said: Said) {
        if said.last.is_some() {
            self.dissolve();
            return;
        }
        let begun = Instant::now();
        let sum = self.audience.deliver(&said);
        self.convoy.events.fetch_add(sum.events, Ordering::Relaxed);
        self.convoy.bytes.fetch_add(sum.bytes, Ordering::Relaxed);
        self.anew.1 += sum.events;
        let coded = self.coder.encode(said.pieces);
        self.write_pieces(coded).await;
        self.silence.break_now();
        if self.subscription.has_more() {
            let most = Duration::from_millis(self.app.config.limits.batch_wait_max_ms);
            let rest = begun.elapsed().min(most);
            if rest >= limits::CONVOY_REST_MIN {
                tokio::time::sleep(rest).await
            } else {
                tokio::task::yield_now().await
            }
        }
    }

    async fn break_silence(&mut self) {
        self.let_in().await;
        self.app
            .metrics
            .heartbeats
            .inc_by(self.members.len() as u64);
        let coded = self
            .coder
            .encode(vec![Bytes::from_static(self.format.heartbeat())]);
        self.write_pieces(coded).await;
    }

    /// Writes to all; the pieces are let go before anybody waits.
    async fn write_pieces(&mut self, pieces: Vec<Bytes>) {
        let chunk = Chunk::of(&pieces, self.app.hub.memory());
        drop(pieces);
        self.write(&chunk).await;
    }

    async fn write(&mut self, chunk: &Chunk) {
        if chunk.is_empty() {
            return;
        }
        for (number, turn) in turns(self.members.len()).enumerate() {
            if number > 0 {
                tokio::task::yield_now().await;
            }
            for (index, written) in self.write_to(turn, chunk).into_iter().rev() {
                let member = self.remove(index);
                if let Written::Part(unwritten) = written {
                    self.leave(member, unwritten);
                }
            }
        }
    }

    /// Writes to some of the members; those that did not take all, in order. Their sockets are looked up first and together: members lie
    /// apart in memory, and one look-up does not wait for the other.
    fn write_to(&self, range: Range<usize>, chunk: &Chunk) -> Vec<(usize, Written)> {
        let sinks: Vec<SinkRef<'_>> = self.members[range.clone()]
            .iter()
            .map(|member| member.sink.as_ref())
            .collect();
        let written = range
            .zip(sinks)
            .map(|(index, sink)| (index, sink.write(chunk)));
        written
            .filter(|(_, written)| !matches!(written, Written::Whole))
            .collect()
    }

    fn remove(&mut self, index: usize) -> Member {
        let member = self.members.swap_remove(index);
        self.audience.remove(&member.streams);
        member
    }

    fn leave(&self, member: Member, unwritten: Bytes) {
        let (end, sum) = self.coder.leave(member.joined);
        let memory = self.app.hub.memory();
        let end = Chunk::of(&[end], memory);
        let unwritten = if end.is_empty() {
            unwritten
        } else {
            memory.keep(
                Use::Unwritten,
                [&unwritten[..], member.sink.as_ref().form(&end)]
                    .concat()
                    .into(),
            )
        };
        let (subscription, sum) = (
            self.subscription.fork(member.client),
            member.before.then(sum),
        );
        member.leave(
            self.convoy.delivered(),
            Left {
                subscription,
                unwritten,
                sum,
                turned_away: false,
            },
        );
    }

    /// Sends everybody on alone.
    fn dissolve(&mut self) {
        while !self.members.is_empty() {
            let member = self.remove(self.members.len() - 1);
            self.leave(member, Bytes::new());
        }
    }

    fn let_out(&mut self) {
        if !self.convoy.leaving.swap(false, Ordering::Acquire) {
            return;
        }
        self.waiting
            .retain(|newcomer| !newcomer.member.left.is_closed());
        for index in (0..self.members.len()).rev() {
            let (is_gone, wants_out) = (
                self.members[index].left.is_closed(),
                self.members[index].state.wants_out(),
            );
            if is_gone || wants_out {
                let member = self.remove(index);
                self.leave(member, Bytes::new());
            }
        }
    }

    /// Takes in who is where the convoy is. A coder begins anew for them, but not at every event: that would code each by itself.
    async fn let_in(&mut self) {
        let mut newcomers = std::mem::take(&mut self.waiting);
        newcomers.append(&mut self.convoy.door.lock());
        for newcomer in newcomers {
            self.bring_up(newcomer);
        }
        let here = self.subscription.live_at();
        let may_begin = self.anew.0.elapsed() >= limits::CONVOY_ANEW_PAUSE
            || self.anew.1 >= limits::CONVOY_ANEW_EVENTS;
        if may_begin
            && self
                .waiting
                .iter()
                .any(|newcomer| newcomer.subscription.live_at() == here)
        {
            self.anew = (Instant::now(), 0);
            let end = self.coder.begin_anew();
            self.write_pieces(vec![end]).await;
            for newcomer in std::mem::take(&mut self.waiting) {
                self.bring_up(newcomer);
            }
        }
        self.convoy.size.store(self.size(), Ordering::Relaxed);
    }

    /// Writes to a newcomer what lies between its place and the convoy's.
    fn bring_up(&mut self, mut newcomer: Newcomer) {
        loop {
            let (Some(own), Some(convoy)) =
                (newcomer.subscription.live_at(), self.subscription.live_at())
            else {
                return newcomer.leave(Bytes::new(), true);
            };
            if own >= convoy {
                return self.seat(newcomer, own == convoy && self.coder.is_fresh());
            }
            let Some(batch) = newcomer.subscription.next().now_or_never() else {
                continue;
            };
            let said = Said::of(batch, self.format);
            if let Tally::Apart(sum) = &mut *newcomer.member.state.tally.lock() {
                let mut alone = Audience::new(Arc::clone(&self.app.metrics));
                alone.add(&newcomer.member.streams);
                *sum += alone.deliver(&said);
            }
            let chunk = Chunk::of(&newcomer.coder.encode(said.pieces), self.app.hub.memory());
            match newcomer.member.sink.as_ref().write(&chunk) {
                Written::Whole => {}
                Written::Part(unwritten) => return newcomer.leave(unwritten, false),
                Written::Broken => return,
            }
        }
    }

    /// Takes a newcomer aboard, or lets it wait, unless it has changed its mind.
    fn seat(&mut self, newcomer: Newcomer, is_here: bool) {
        if newcomer.member.left.is_closed() {
            return;
        }
        if newcomer.member.state.wants_out() {
            return newcomer.leave(Bytes::new(), false);
        }
        if !is_here {
            return self.waiting.push(newcomer);
        }
        let Newcomer {
            mut member, coder, ..
        } = newcomer;
        member.come_aboard(self.convoy.delivered());
        (member.before, member.joined) = (coder.sum(), self.coder.sum());
        self.audience.add(&member.streams);
        self.members.push(member);
    }
}

impl Newcomer {
    fn leave(self, unwritten: Bytes, turned_away: bool) {
        let Self {
            subscription,
            coder,
            member,
        } = self;
        member.leave(
            Sum::default(),
            Left {
                subscription,
                unwritten,
                sum: coder.sum(),
                turned_away,
            },
        );
    }
}

/// The turns in which so many members are written to. From the end on: who takes the place of one that is removed has been written to.
fn turns(members: usize) -> impl Iterator<Item = Range<usize>> {
    let ends = (1..=members).rev().step_by(limits::CONVOY_TURN_WRITES);
    ends.map(|end| end.saturating_sub(limits::CONVOY_TURN_WRITES)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_written_to_in_one_turn() {
        for members in [0, 1, 255, 256, 257, 512, 1000] {
            let turns: Vec<_> = turns(members).collect();
            assert!(
                turns
                    .iter()
                    .all(|turn| turn.len() <= limits::CONVOY_TURN_WRITES),
                "{turns:?}"
            );
            let numbers: Vec<usize> = turns.into_iter().flat_map(Iterator::rev).collect();
            assert_eq!(numbers, (0..members).rev().collect::<Vec<_>>());
        }
    }
}
