//! Who gets a place, and who must give one back. Time is the runtime's and paused.

use std::net::IpAddr;

use tokio::time::advance;

use super::*;

#[allow(clippy::unnecessary_wraps, reason = "an address may not be known")]
fn client(number: u8) -> Client {
    Some(IpAddr::from([192, 0, 2, number]))
}

fn places(places: usize, places_per_client: Option<usize>, queue: usize) -> ReplayPlaces {
    ReplayPlaces::new(PlaceLimits {
        places,
        places_per_client,
        queue,
    })
}

async fn redeemed(ticket: &mut ReplayTicket) -> ReplayPlace {
    match ticket.redeem().await {
        Turn::Place(place) => place,
        other => panic!("no place: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn places_are_bounded_and_the_queue_before_them_too() {
    let places = places(1, None, 1);
    let place = places.take(client(1)).expect("one is free");
    assert!(places.take(client(2)).is_none());
    let mut ticket = places.queue(client(2)).expect("one may wait");
    assert!(places.queue(client(3)).is_none() && places.are_exhausted(client(3)));
    assert_eq!(
        (places.taken(), places.waiting(), ticket.place()),
        (1, 1, Some(1))
    );
    drop(place);
    let place = redeemed(&mut ticket).await;
    drop(ticket);
    assert_eq!((places.taken(), places.waiting()), (1, 0));
    drop(place);
    assert!(places.take(client(3)).is_some());
}

#[tokio::test(start_paused = true)]
async fn one_client_never_has_all_places() {
    let places = places(3, Some(2), 10);
    let held = [places.take(client(1)), places.take(client(1))];
    assert!(places.take(client(1)).is_none() && places.take(client(2)).is_some());
    // It waits, and who comes after it does not wait behind it.
    let ticket = places.queue(client(1)).expect("a place in the queue");
    assert!(places.take(client(2)).is_some());
    // Clients whose address is not known are not one client.
    let all = self::places(3, Some(1), 0);
    let unknown = [all.take(None), all.take(None), all.take(None)];
    assert!(unknown.iter().all(Option::is_some));
    drop((held, ticket));
    assert_eq!((places.taken(), places.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn in_the_queue_clients_take_turns() {
    let places = places(1, None, 10);
    let mut place = places.take(client(9)).expect("free");
    let mut tickets: Vec<_> = [1, 1, 1, 2]
        .map(|of| places.queue(client(of)).expect("room"))
        .into();
    assert_eq!(
        [0, 3, 1, 2].map(|number: usize| tickets[number].place()),
        [1, 2, 3, 4].map(Some)
    );
    for next in [0, 2, 0, 0] {
        drop(place);
        place = redeemed(&mut tickets.remove(next)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_fills_the_queue_makes_room_for_others() {
    let places = places(1, None, 3);
    let _place = places.take(client(1)).expect("free");
    let mut tickets: Vec<_> = [1, 1, 1]
        .map(|of| places.queue(client(of)).expect("room"))
        .into();
    assert!(places.are_exhausted(client(1)) && places.queue(client(1)).is_none());
    assert!(!places.are_exhausted(client(2)));
    let other = places.queue(client(2)).expect("room is made");
    assert!(matches!(tickets[2].redeem().await, Turn::PutOut));
    assert_eq!((places.waiting(), other.place()), (3, Some(2)));
    // Two and one: nobody has more than their share.
    assert!(places.queue(client(2)).is_none());
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_loses_its_place_when_others_wait() {
    let places = places(2, None, 10);
    let stalled = places.take(client(1)).expect("free");
    let reading = places.take(client(1)).expect("free");
    stalled.park(Vec::new());
    advance(limits::REPLAY_STALL * 5).await;
    // Nobody waits: it keeps it.
    assert!(stalled.resume().is_some());
    stalled.park(Vec::new());
    reading.park(Vec::new());
    let mut ticket = places.queue(client(2)).expect("room");
    advance(limits::REPLAY_STALL / 2).await;
    assert!(reading.resume().is_some());
    reading.park(Vec::new());
    let _place = redeemed(&mut ticket).await;
    assert!(stalled.resume().is_none(), "what lay in it is gone");
    assert!(reading.resume().is_some());
    drop(stalled);
    assert_eq!(places.taken(), 2, "it had no place to give back any more");
}

#[tokio::test(start_paused = true)]
async fn a_turn_ends_only_when_somebody_waits_who_may_have_the_place() {
    let places = places(2, Some(1), 10);
    let (first, _second) = (
        places.take(client(1)).expect("free"),
        places.take(client(2)).expect("free"),
    );
    advance(limits::REPLAY_HOLD_MAX).await;
    assert!(!first.is_due());
    let own = places.queue(client(2)).expect("room");
    assert!(!first.is_due(), "the other's client has its share");
    drop(own);
    let _other = places.queue(client(3)).expect("room");
    assert!(first.is_due());
}

#[tokio::test(start_paused = true)]
async fn a_place_that_nobody_comes_for_goes_to_the_next() {
    let places = places(1, None, 10);
    let place = places.take(client(1)).expect("free");
    let (mut late, mut next) = (
        places.queue(client(2)).expect("room"),
        places.queue(client(3)).expect("room"),
    );
    drop(place);
    let place = redeemed(&mut next).await;
    assert!(matches!(late.redeem().await, Turn::Missed));
    drop(late);
    assert_eq!(places.taken(), 1);
    // And one who leaves before coming for it gives it back.
    let granted = {
        let waiting = places.queue(client(4)).expect("room");
        drop(place);
        places.taken() == 1 && waiting.place().is_none()
    };
    assert!(granted && places.taken() == 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_long_is_told_its_place_again() {
    let places = places(1, None, 10);
    let _place = places.take(client(1)).expect("free");
    let first = places.queue(client(2)).expect("room");
    let mut second = places.queue(client(3)).expect("room");
    assert!(matches!(second.redeem().await, Turn::Wait(2)));
    drop(first);
    assert!(matches!(second.redeem().await, Turn::Wait(1)));
}
