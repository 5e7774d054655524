//! A convoy: streams that are live at the same place of the same feed, and their sockets.
//!
//! It has one subscription. What comes is read once, put into one chunk, and written to each socket, so that a delivery costs a
//! write and hardly anything else. A stream joins when it is live, and what lies between its place and the convoy's is written to it
//! first. It leaves, with its place and what its socket did not take, when its client is slow, or when it ends; the others
//! do not notice.
//!
//! A feed has a few convoys at the most, one for each core, so that all cores write.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::App;
use super::audience::{Audience, Sum};
use super::handover::chunk;
use super::voice::{Said, Silence};
use crate::event::Format;
use crate::fanout::{Client, FeedKey, Subscription};
use crate::limits;
use crate::stream::Stream;

/// The convoys of all feeds.
#[derive(Debug, Default)]
pub struct Convoys {
    by_feed: Mutex<HashMap<FeedKey, Vec<Arc<Convoy>>>>,
}

/// What a convoy shares with its streams.
#[derive(Debug, Default)]
struct Convoy {
    /// Who is to be taken in.
    door: Mutex<Vec<Newcomer>>,
    knock: Notify,
    /// Somebody wants to leave, or is gone.
    leaving: AtomicBool,
    /// How many streams there are, those at the door too.
    size: AtomicUsize,
    /// What each stream was handed that was there from the beginning.
    events: AtomicU64,
    bytes: AtomicU64,
}

/// A stream before it is where the convoy is.
#[derive(Debug)]
struct Newcomer {
    subscription: Subscription,
    member: Member,
}

/// A stream of a convoy.
#[derive(Debug)]
struct Member {
    socket: Arc<TcpStream>,
    client: Client,
    streams: Arc<[Arc<Stream>]>,
    state: Arc<SeatState>,
    left: oneshot::Sender<Box<Left>>,
}

/// What a stream and its convoy tell each other.
#[derive(Debug, Default)]
struct SeatState {
    wants_out: AtomicBool,
    tally: Mutex<Tally>,
}

/// How a stream's deliveries are found without counting each.
#[derive(Debug)]
enum Tally {
    /// Not in the convoy: so many.
    Apart(Sum),
    /// In the convoy: what the convoy has delivered, less this.
    Aboard(Sum),
}

impl Default for Tally {
    fn default() -> Self {
        Self::Apart(Sum::default())
    }
}

/// A stream leaves its convoy.
#[derive(Debug)]
pub(super) struct Left {
    /// Where it goes on.
    pub(super) subscription: Subscription,
    /// What its socket did not take.
    pub(super) unwritten: Bytes,
    /// The convoy takes nobody in now.
    pub(super) turned_away: bool,
}

/// A stream's hold on its convoy.
pub(super) struct Seat {
    convoy: Arc<Convoy>,
    state: Arc<SeatState>,
    left: oneshot::Receiver<Box<Left>>,
}

impl Convoys {
    /// Brings a live stream into the smallest convoy of its feed, or a new one.
    pub(super) fn join(
        &self,
        app: &Arc<App>,
        socket: Arc<TcpStream>,
        streams: &Arc<[Arc<Stream>]>,
        subscription: Subscription,
    ) -> Seat {
        let (sender, left) = oneshot::channel();
        let state = Arc::new(SeatState::default());
        let member = Member {
            socket,
            client: subscription.client(),
            streams: Arc::clone(streams),
            state: Arc::clone(&state),
            left: sender,
        };
        let mut by_feed = self.by_feed.lock();
        let convoys = by_feed.entry(subscription.feed_key().clone()).or_default();
        let smallest = convoys
            .iter()
            .min_by_key(|convoy| convoy.size())
            .filter(|convoy| convoy.size() < limits::CONVOY_SPLIT_STREAMS || convoys.len() >= limits::convoys_of_a_feed_max());
        let convoy = smallest.cloned().unwrap_or_else(|| {
            let convoy = Arc::new(Convoy::default());
            convoys.push(Arc::clone(&convoy));
            tokio::spawn(Journey::new(app, &convoy, subscription.fork(None)).run());
            convoy
        });
        convoy.size.fetch_add(1, Ordering::Relaxed);
        convoy.door.lock().push(Newcomer { subscription, member });
        drop(by_feed);
        convoy.knock.notify_one();
        Seat { convoy, state, left }
    }

    /// Ends a convoy without streams; whether nobody was at its door.
    fn close(&self, key: &FeedKey, convoy: &Arc<Convoy>) -> bool {
        let mut by_feed = self.by_feed.lock();
        if !convoy.door.lock().is_empty() {
            return false;
        }
        if let Some(convoys) = by_feed.get_mut(key) {
            convoys.retain(|other| !Arc::ptr_eq(other, convoy));
            if convoys.is_empty() {
                by_feed.remove(key);
            }
        }
        true
    }
}

impl Convoy {
    fn size(&self) -> usize {
        self.size.load(Ordering::Relaxed)
    }

    fn delivered(&self) -> Sum {
        Sum { events: self.events.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

impl Seat {
    /// Waits until the convoy leaves the stream; `None` when the socket is broken.
    pub(super) async fn left(&mut self) -> Option<Box<Left>> {
        (&mut self.left).await.ok()
    }

    /// Asks to be left at the end of a frame.
    pub(super) async fn leave(&mut self) -> Option<Box<Left>> {
        self.state.wants_out.store(true, Ordering::Relaxed);
        self.convoy.leaving.store(true, Ordering::Release);
        self.convoy.knock.notify_one();
        self.left().await
    }

    /// What the stream was handed here.
    pub(super) fn delivered(&self) -> Sum {
        match *self.state.tally.lock() {
            Tally::Apart(delivered) => delivered,
            Tally::Aboard(before) => self.convoy.delivered() - before,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.left.close();
        self.convoy.leaving.store(true, Ordering::Release);
        self.convoy.knock.notify_one();
    }
}

impl SeatState {
    fn wants_out(&self) -> bool {
        self.wants_out.load(Ordering::Relaxed)
    }
}

impl Member {
    /// Writes a whole chunk, or says what is left of it.
    fn write(&self, chunk: &Bytes) -> Written {
        match self.socket.try_write(chunk) {
            Ok(written) if written == chunk.len() => Written::Whole,
            Ok(written) => Written::Part(chunk.slice(written..)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Part(chunk.clone()),
            Err(_) => Written::Broken,
        }
    }

    /// Comes aboard a convoy that has delivered so much.
    fn come_aboard(&self, convoy: Sum) {
        let mut tally = self.state.tally.lock();
        if let Tally::Apart(own) = *tally {
            *tally = Tally::Aboard(convoy - own);
        }
    }

    fn leave(self, convoy: Sum, left: Left) {
        let mut tally = self.state.tally.lock();
        if let Tally::Aboard(before) = *tally {
            *tally = Tally::Apart(convoy - before);
        }
        drop(tally);
        // It may be gone already.
        let _ = self.left.send(Box::new(left));
    }
}

enum Written {
    Whole,
    Part(Bytes),
    Broken,
}

/// A convoy on its way: the task that writes.
struct Journey {
    app: Arc<App>,
    convoy: Arc<Convoy>,
    subscription: Subscription,
    format: Format,
    members: Vec<Member>,
    /// Streams that are further than the convoy.
    ahead: Vec<Newcomer>,
    silence: Silence,
    audience: Audience,
}

impl Journey {
    fn new(app: &Arc<App>, convoy: &Arc<Convoy>, subscription: Subscription) -> Self {
        Self {
            app: Arc::clone(app),
            convoy: Arc::clone(convoy),
            format: subscription.feed_key().format,
            subscription,
            members: Vec::new(),
            ahead: Vec::new(),
            silence: Silence::new(app.heartbeat()),
            audience: Audience::new(Arc::clone(&app.metrics)),
        }
    }

    async fn run(mut self) {
        let convoy = Arc::clone(&self.convoy);
        loop {
            tokio::select! {
                () = convoy.knock.notified() => self.let_out(),
                batch = self.subscription.next() => self.say(Said::of(batch, self.format)).await,
                () = self.silence.fallen() => self.break_silence().await,
            }
            self.let_in();
            let size = self.members.len() + self.ahead.len();
            if size == 0 && self.app.convoys.close(self.subscription.feed_key(), &convoy) {
                return;
            }
        }
    }

    /// Writes what comes next to all. When there is more already, it comes faster than it is written: then a little rest, as long as
    /// the writing took, lets each write carry more.
    async fn say(&mut self, said: Said) {
        if said.last.is_some() {
            self.dissolve();
            return;
        }
        let begun = Instant::now();
        let sum = self.audience.deliver(&said);
        self.convoy.events.fetch_add(sum.events, Ordering::Relaxed);
        self.convoy.bytes.fetch_add(sum.bytes, Ordering::Relaxed);
        self.write(&chunk(&said.pieces)).await;
        self.silence.break_now();
        let took = begun.elapsed();
        if took >= limits::CONVOY_REST_MIN && self.subscription.has_more() {
            tokio::time::sleep(took.min(limits::CONVOY_REST_MAX)).await;
        }
    }

    async fn break_silence(&mut self) {
        self.app.metrics.heartbeats.inc_by(self.members.len() as u64);
        self.write(&chunk(&[Bytes::from_static(self.format.heartbeat())])).await;
    }

    async fn write(&mut self, chunk: &Bytes) {
        let mut index = 0;
        while let Some(member) = self.members.get(index) {
            match member.write(chunk) {
                Written::Whole => index += 1,
                Written::Part(unwritten) => {
                    let member = self.remove(index);
                    self.leave(member, unwritten);
                }
                Written::Broken => drop(self.remove(index)),
            }
            if index % limits::CONVOY_TURN_WRITES == limits::CONVOY_TURN_WRITES - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn remove(&mut self, index: usize) -> Member {
        let member = self.members.swap_remove(index);
        self.audience.remove(&member.streams);
        member
    }

    fn leave(&self, member: Member, unwritten: Bytes) {
        let subscription = self.subscription.fork(member.client);
        member.leave(self.convoy.delivered(), Left { subscription, unwritten, turned_away: false });
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
        self.ahead.retain(|newcomer| !newcomer.member.left.is_closed());
        for index in (0..self.members.len()).rev() {
            let (is_gone, wants_out) = (self.members[index].left.is_closed(), self.members[index].state.wants_out());
            if is_gone || wants_out {
                let member = self.remove(index);
                self.leave(member, Bytes::new());
            }
        }
    }

    fn let_in(&mut self) {
        let mut newcomers = std::mem::take(&mut self.ahead);
        newcomers.append(&mut self.convoy.door.lock());
        for newcomer in newcomers {
            self.bring_up(newcomer);
        }
        self.convoy.size.store(self.members.len() + self.ahead.len(), Ordering::Relaxed);
    }

    /// Writes to a newcomer what lies between its place and the convoy's.
    fn bring_up(&mut self, mut newcomer: Newcomer) {
        loop {
            let here = (newcomer.subscription.live_at(), self.subscription.live_at());
            let (Some(own), Some(convoy)) = here else {
                let left = Left { subscription: newcomer.subscription, unwritten: Bytes::new(), turned_away: true };
                newcomer.member.leave(Sum::default(), left);
                return;
            };
            if own == convoy {
                newcomer.member.come_aboard(self.convoy.delivered());
                self.audience.add(&newcomer.member.streams);
                self.members.push(newcomer.member);
                return;
            }
            if own > convoy {
                self.ahead.push(newcomer);
                return;
            }
            let Some(batch) = newcomer.subscription.next().now_or_never() else { continue };
            let said = Said::of(batch, self.format);
            if let Tally::Apart(sum) = &mut *newcomer.member.state.tally.lock() {
                let mut alone = Audience::new(Arc::clone(&self.app.metrics));
                alone.add(&newcomer.member.streams);
                *sum += alone.deliver(&said);
            }
            match newcomer.member.write(&chunk(&said.pieces)) {
                Written::Whole => {}
                Written::Part(unwritten) => {
                    let left = Left { subscription: newcomer.subscription, unwritten, turned_away: false };
                    newcomer.member.leave(Sum::default(), left);
                    return;
                }
                Written::Broken => return,
            }
        }
    }
}
