//! Which waiter gets a permit, and which permit is revoked. The runtime's clock is paused.

use std::net::IpAddr;

use tokio::time::advance;

use super::*;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the address of a client may be unknown"
)]
fn client(number: u8) -> Client {
    Some(IpAddr::from([192, 0, 2, number]))
}

fn permits(permits: usize, permits_per_client: Option<usize>, queue: usize) -> ReplayPermits {
    ReplayPermits::new(PermitLimits {
        permits,
        permits_per_client,
        queue,
    })
}

async fn granted(waiter: &mut ReplayWaiter) -> ReplayPermit {
    match waiter.wait().await {
        WaitOutcome::Granted(permit) => permit,
        other => panic!("no permit: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn permits_and_their_queue_are_bounded() {
    let permits = permits(1, None, 1);
    let permit = permits.try_acquire(client(1)).expect("one is free");
    assert!(permits.try_acquire(client(2)).is_none());
    let mut waiter = permits.enqueue(client(2)).expect("one may wait");
    assert!(permits.enqueue(client(3)).is_none() && permits.would_refuse(client(3)));
    assert_eq!(
        (permits.in_use(), permits.waiting(), waiter.position()),
        (1, 1, Some(1))
    );
    drop(permit);
    let permit = granted(&mut waiter).await;
    drop(waiter);
    assert_eq!((permits.in_use(), permits.waiting()), (1, 0));
    drop(permit);
    assert!(permits.try_acquire(client(3)).is_some());
}

#[tokio::test(start_paused = true)]
async fn one_client_never_has_all_permits() {
    let permits = permits(3, Some(2), 10);
    let held = [
        permits.try_acquire(client(1)),
        permits.try_acquire(client(1)),
    ];
    assert!(permits.try_acquire(client(1)).is_none() && permits.try_acquire(client(2)).is_some());
    // It waits, and other clients do not wait behind it.
    let waiter = permits.enqueue(client(1)).expect("room");
    assert!(permits.try_acquire(client(2)).is_some());
    // Clients without a known address are not one client.
    let all = self::permits(3, Some(1), 0);
    let unknown = [
        all.try_acquire(None),
        all.try_acquire(None),
        all.try_acquire(None),
    ];
    assert!(unknown.iter().all(Option::is_some));
    drop((held, waiter));
    assert_eq!((permits.in_use(), permits.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn waiters_are_served_round_robin_by_client() {
    let permits = permits(1, None, 10);
    let mut permit = permits.try_acquire(client(9)).expect("free");
    let mut waiters: Vec<_> = [1, 1, 1, 2]
        .map(|of| permits.enqueue(client(of)).expect("room"))
        .into();
    assert_eq!(
        [0, 3, 1, 2].map(|number: usize| waiters[number].position()),
        [1, 2, 3, 4].map(Some)
    );
    for next in [0, 2, 0, 0] {
        drop(permit);
        permit = granted(&mut waiters.remove(next)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fills_the_queue_makes_room_for_others() {
    let permits = permits(1, None, 3);
    let _permit = permits.try_acquire(client(1)).expect("free");
    let mut waiters: Vec<_> = [1, 1, 1]
        .map(|of| permits.enqueue(client(of)).expect("room"))
        .into();
    assert!(permits.would_refuse(client(1)) && permits.enqueue(client(1)).is_none());
    assert!(!permits.would_refuse(client(2)));
    let other = permits.enqueue(client(2)).expect("a waiter is evicted");
    assert!(matches!(waiters[2].wait().await, WaitOutcome::Evicted));
    assert_eq!((permits.waiting(), other.position()), (3, Some(2)));
    // Two and one: no client has more than its share.
    assert!(permits.enqueue(client(2)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_loses_its_permit_when_others_wait() {
    let permits = permits(2, None, 10);
    let stalled = permits.try_acquire(client(1)).expect("free");
    let reading = permits.try_acquire(client(1)).expect("free");
    stalled.park(Vec::new());
    advance(limits::REPLAY_STALL * 5).await;
    // No other client waits: it keeps the permit.
    assert!(stalled.resume().is_some());
    stalled.park(Vec::new());
    reading.park(Vec::new());
    let mut waiter = permits.enqueue(client(2)).expect("room");
    advance(limits::REPLAY_STALL / 2).await;
    assert!(reading.resume().is_some());
    reading.park(Vec::new());
    let _permit = granted(&mut waiter).await;
    assert!(stalled.resume().is_none(), "its entries are gone");
    assert!(reading.resume().is_some());
    drop(stalled);
    assert_eq!(permits.in_use(), 2, "it had no permit to return");
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_due_only_when_a_waiter_could_have_it() {
    let permits = permits(2, Some(1), 10);
    let (first, _second) = (
        permits.try_acquire(client(1)).expect("free"),
        permits.try_acquire(client(2)).expect("free"),
    );
    advance(limits::REPLAY_HOLD_MAX).await;
    assert!(!first.is_due());
    let own = permits.enqueue(client(2)).expect("room");
    assert!(!first.is_due(), "the waiter's client has its share");
    drop(own);
    let _other = permits.enqueue(client(3)).expect("room");
    assert!(first.is_due());
}

#[tokio::test(start_paused = true)]
async fn an_unclaimed_permit_goes_to_the_next_waiter() {
    let permits = permits(1, None, 10);
    let permit = permits.try_acquire(client(1)).expect("free");
    let (mut late, mut next) = (
        permits.enqueue(client(2)).expect("room"),
        permits.enqueue(client(3)).expect("room"),
    );
    drop(permit);
    let permit = granted(&mut next).await;
    assert!(matches!(late.wait().await, WaitOutcome::Expired));
    drop(late);
    assert_eq!(permits.in_use(), 1);
    // A waiter that is dropped before it claims its permit returns it.
    let granted = {
        let waiting = permits.enqueue(client(4)).expect("room");
        drop(permit);
        permits.in_use() == 1 && waiting.position().is_none()
    };
    assert!(granted && permits.in_use() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_its_position_again_after_a_while() {
    let permits = permits(1, None, 10);
    let _permit = permits.try_acquire(client(1)).expect("free");
    let first = permits.enqueue(client(2)).expect("room");
    let mut second = permits.enqueue(client(3)).expect("room");
    assert!(matches!(second.wait().await, WaitOutcome::StillWaiting(2)));
    drop(first);
    assert!(matches!(second.wait().await, WaitOutcome::StillWaiting(1)));
}
