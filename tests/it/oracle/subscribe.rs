//! What a subscriber does, and its account of what it got.

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::time::{sleep, timeout};

use super::choice::Choice;
use super::ledger::{Counts, Ledger};
use super::publish::SECRET;
use crate::support::numbered::TIME;
use crate::support::sse::{Frame, FrameParser};
use crate::support::wire::{Request, Response};

/// The longest that a run takes, on a machine that has hardly any time for it too.
const TIMEOUT: Duration = Duration::from_mins(10);

/// How long a server may let a subscriber wait when nothing more is published.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// What all subscribers of a run share.
pub struct World {
    /// Number of the cluster and address of each server.
    servers: RwLock<Vec<(usize, SocketAddr)>>,
    sent: RwLock<Counts>,
    acknowledged: RwLock<Counts>,
    /// Set when nothing more is published.
    ledger: RwLock<Option<Arc<Ledger>>>,
}

impl World {
    pub fn new(servers: Vec<(usize, SocketAddr)>, acknowledged: Counts) -> Self {
        let sent = RwLock::new(acknowledged.clone());
        Self {
            servers: RwLock::new(servers),
            sent,
            acknowledged: RwLock::new(acknowledged),
            ledger: RwLock::default(),
        }
    }

    pub fn set_servers(&self, servers: Vec<(usize, SocketAddr)>) {
        *self.servers.write().expect("not poisoned") = servers;
    }

    pub fn set_sent(&self, sent: Counts) {
        *self.sent.write().expect("not poisoned") = sent;
    }

    pub fn set_acknowledged(&self, acknowledged: Counts) {
        *self.acknowledged.write().expect("not poisoned") = acknowledged;
    }

    pub fn finish(&self, ledger: Arc<Ledger>) {
        *self.ledger.write().expect("not poisoned") = Some(ledger);
    }

    /// The cluster and address of one of the servers.
    fn any_server(&self, dice: &mut ChaCha8Rng) -> (usize, SocketAddr) {
        let servers = self.servers.read().expect("not poisoned");
        servers[dice.random_range(0..servers.len())]
    }

    fn ledger(&self) -> Option<Arc<Ledger>> {
        self.ledger.read().expect("not poisoned").clone()
    }
}

/// How a connection began.
#[derive(Clone, Debug)]
pub enum Beginning {
    /// With the last id of the connection before.
    Resumed,
    /// Without one.
    New {
        /// At this time; live where it is not given, or no record is as late.
        since: Option<i64>,
        /// The records that were acknowledged before it was asked for.
        acknowledged: Counts,
        /// Those that may have been sent when the server had answered: it is live with all that
        /// follow.
        sent: Counts,
    },
}

/// A connection, and the whole frames that were received over it, comments too.
#[derive(Debug)]
pub struct Connection {
    pub cluster: usize,
    pub beginning: Beginning,
    pub choice: Choice,
    pub frames: Vec<Frame>,
}

/// Everything that a subscriber got.
#[derive(Debug)]
pub struct Account {
    pub topics: Vec<String>,
    pub choice: Choice,
    pub connections: Vec<Connection>,
}

/// What a subscriber will do.
pub struct Plan {
    topics: Vec<String>,
    path: String,
    since: Option<i64>,
    choice: Choice,
    dice: ChaCha8Rng,
}

impl Plan {
    pub fn new(topics: &[[String; 2]], mut dice: ChaCha8Rng) -> Self {
        let chosen: &[usize] = match dice.random_range(0..4) {
            0 => &[0],
            1 => &[1],
            _ => &[0, 1],
        };
        let streams: Vec<&str> = chosen
            .iter()
            .map(|number| super::STREAMS[*number])
            .collect();
        let choice = Choice::roll(&mut dice);
        let since = (dice.random_range(0..3) == 0).then(|| TIME + dice.random_range(-100..20_000));
        Self {
            topics: chosen
                .iter()
                .flat_map(|number| topics[*number].clone())
                .collect(),
            path: format!("/v2/stream/{}?{}", streams.join(","), choice.parameter),
            since,
            choice,
            dice,
        }
    }
}

/// A subscriber between two connections.
struct Subscriber {
    plan: Plan,
    world: Arc<World>,
    /// Its last id, and the cluster that it is of.
    last_id: Option<(String, usize)>,
    connections: Vec<Connection>,
}

/// Connects, reads and is cut, again and again, until nothing more is published and everything was
/// received.
pub async fn subscribe(plan: Plan, world: Arc<World>) -> Account {
    let mut subscriber = Subscriber {
        plan,
        world,
        last_id: None,
        connections: Vec::new(),
    };
    let everything = timeout(TIMEOUT, async {
        while !subscriber.connect().await {
            let pause = subscriber.plan.dice.random_range(0..40);
            sleep(Duration::from_millis(pause)).await;
        }
    });
    let has_everything = everything.await.is_ok();
    let account = Account {
        topics: subscriber.plan.topics,
        choice: subscriber.plan.choice,
        connections: subscriber.connections,
    };
    assert!(
        has_everything,
        "a subscriber has not got everything in {TIMEOUT:?}: {account:?}"
    );
    account
}

impl Subscriber {
    /// One connection. Returns whether everything was received.
    async fn connect(&mut self) -> bool {
        let world = Arc::clone(&self.world);
        let (cluster, mut response, beginning) = self.open().await;
        let mut connection = Connection {
            cluster,
            beginning,
            choice: self.plan.choice,
            frames: Vec::new(),
        };
        let complete = read(
            &mut response,
            &world,
            &connection,
            &self.plan.topics,
            self.last_id.as_ref(),
            &mut self.plan.dice,
        )
        .await;
        connection.frames = whole_frames(&response.body);
        let mut newest = connection.frames.iter().rev();
        if let Some(id) = newest.find_map(|frame| frame.id.clone()) {
            self.last_id = Some((id, cluster));
        }
        self.connections.push(connection);
        complete
    }

    /// Asks one server after the other. One that restarts or has no place for a replay now says so.
    async fn open(&mut self) -> (usize, Response, Beginning) {
        loop {
            let Plan {
                path, since, dice, ..
            } = &mut self.plan;
            let (cluster, address) = self.world.any_server(dice);
            let acknowledged = self
                .world
                .acknowledged
                .read()
                .expect("not poisoned")
                .clone();
            let request = request(path, self.last_id.as_ref(), *since);
            let response = request.try_send(address, 16 * 1024).await;
            let Some(response) = response.filter(|response| response.status == 200) else {
                sleep(Duration::from_millis(dice.random_range(5..100))).await;
                continue;
            };
            let beginning = match self.last_id {
                Some(_) => Beginning::Resumed,
                None => Beginning::New {
                    since: *since,
                    acknowledged,
                    sent: self.world.sent.read().expect("not poisoned").clone(),
                },
            };
            return (cluster, response, beginning);
        }
    }
}

fn request(path: &str, last_id: Option<&(String, usize)>, since: Option<i64>) -> Request {
    match (last_id, since) {
        (Some((id, _)), _) => Request::get(path).last_event_id(id),
        (None, Some(time)) => Request::get(format!("{path}&since={time}")),
        (None, None) => Request::get(path),
    }
}

/// Reads until it is cut, somewhere; once nothing more is published, until everything is there.
/// Returns whether it is.
async fn read(
    response: &mut Response,
    world: &World,
    connection: &Connection,
    topics: &[String],
    last_id: Option<&(String, usize)>,
    dice: &mut ChaCha8Rng,
) -> bool {
    let goal = dice.random_range(0..150_000);
    let (mut parser, mut parsed) = (FrameParser::default(), 0);
    let mut newest = last_id.cloned();
    loop {
        let frames = parser.feed(&response.body[parsed..]);
        parsed = response.body.len();
        if let Some(id) = frames.into_iter().rev().find_map(|frame| frame.id) {
            newest = Some((id, connection.cluster));
        }
        match world.ledger() {
            Some(ledger) if ledger.is_everything(topics, connection, newest.as_ref()) => {
                return true;
            }
            None if response.body.len() >= goal => break,
            _ => {}
        }
        if dice.random_range(0..30) == 0 {
            sleep(Duration::from_millis(dice.random_range(0..400))).await;
        }
        // Where nothing comes for a while, it goes elsewhere. At the end it waits, or on a busy
        // machine it would go again and again.
        let hurry = Duration::from_millis(dice.random_range(100..1000));
        let patience = if world.ledger().is_some() {
            END_PATIENCE
        } else {
            hurry
        };
        if !timeout(patience, response.read_more("more"))
            .await
            .unwrap_or(false)
        {
            break;
        }
    }
    let received = dice.random_range(0..=response.body.len());
    response.body.truncate(received);
    false
}

/// The whole events in these bytes, and the comments between them.
fn whole_frames(body: &[u8]) -> Vec<Frame> {
    let is_shown = body
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes());
    assert!(!is_shown, "{SECRET} is shown");
    FrameParser::default().feed(body)
}
