//! The connection of a client: the task that reads the subscription, and what it has received.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::cursor::{MovedReason, Offset, Requested};
use crate::fanout::{Batch, Hub, Moved, SubscribeRequest, subscribe};

#[derive(Debug)]
pub(super) enum Item {
    Frames(Bytes),
    Moved(Moved),
    /// The stream has reached its end, with this id.
    End(Bytes),
}

pub(super) struct Connection {
    pub(super) server: usize,
    pub(super) cluster: usize,
    pub(super) task: JoinHandle<()>,
    /// Whether the task has come to its end, and not panicked.
    pub(super) has_returned: Rc<Cell<bool>>,
    /// Batches that the client may read; without any, it lags.
    pub(super) reads: Rc<Semaphore>,
    pub(super) inbox: Rc<RefCell<VecDeque<Item>>>,
}

impl Connection {
    /// Whether the server has ended it.
    pub(super) fn is_ended(&self) -> bool {
        let is_ended = self.task.is_finished();
        assert!(
            !is_ended || self.has_returned.get(),
            "its task has panicked"
        );
        is_ended
    }
}

pub(super) async fn read(
    hub: Arc<Hub>,
    request: SubscribeRequest,
    reads: Rc<Semaphore>,
    inbox: Rc<RefCell<VecDeque<Item>>>,
) {
    let Ok(mut started) = subscribe(&hub, request).await else {
        return;
    };
    inbox
        .borrow_mut()
        .extend(started.moved.drain(..).map(Item::Moved));
    loop {
        reads.acquire().await.expect("never closed").forget();
        // Dropping an unfinished `next` and calling it again must lose nothing.
        let first = tokio::select! {
            biased;
            batch = started.subscription.next() => Some(batch),
            () = tokio::task::yield_now() => None,
        };
        let batch = match first {
            Some(batch) => batch,
            None => started.subscription.next().await,
        };
        match batch {
            Batch::Frames {
                pieces, delivered, ..
            } => {
                let frames = |piece: &Bytes| {
                    str::from_utf8(piece)
                        .expect("UTF-8")
                        .matches("event: message")
                        .count()
                };
                let counted: u64 = delivered.iter().map(|topic| topic.events).sum();
                assert_eq!(
                    pieces.iter().map(|bytes| frames(bytes) as u64).sum::<u64>(),
                    counted
                );
                inbox
                    .borrow_mut()
                    .extend(pieces.into_iter().map(Item::Frames));
            }
            Batch::Moved(moved) => inbox.borrow_mut().push_back(Item::Moved(moved)),
            Batch::Waiting(_) => {}
            Batch::ReplayRefused => return,
            Batch::End { id, .. } => return inbox.borrow_mut().push_back(Item::End(id)),
        }
    }
}

/// The notice that live subscribers share.
pub(super) fn moved(text: &str) -> Moved {
    let field = |name: &str| {
        let mut fields = text
            .trim_end()
            .split("; ")
            .filter_map(|field| field.split_once('='));
        fields
            .find(|(key, _)| *key == name)
            .expect("a field")
            .1
            .to_owned()
    };
    let number = |name| field(name).parse::<i64>().expect("a number");
    let reasons = MovedReason::ALL.into_iter();
    Moved {
        topic: field("topic").into(),
        partition: crate::cursor::Partition(field("partition").parse().expect("a number")),
        requested: Requested::Offset(Offset(number("asked"))),
        actual: Offset(number("actual")),
        reason: reasons
            .into_iter()
            .find(|reason| reason.as_str() == field("reason"))
            .expect("known"),
    }
}
