//! Order, bounds and ends of the pipeline, with items that are made on the spot.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use std::time::Duration;

use super::places::{BATCHES_A_TURN, LINGER, Places};
use super::window::room;
use super::*;
use crate::input::{Content, Deferred};

const SETTINGS: Settings = Settings {
    preparers: 3,
    batch: 4,
    sharing: Sharing::TakeTurns,
};

fn item(i: usize) -> Item {
    Item::new(i.to_string(), Content::Bytes(i.to_string().into_bytes()))
}

fn items(n: usize) -> Items {
    Box::new((0..n).map(item))
}

/// The number that an item's bytes are; later ones of a batch are ready sooner.
fn number(_: &Item, bytes: &[u8]) -> Result<usize> {
    let number: usize = String::from_utf8_lossy(bytes).parse().unwrap();
    (0..(7 - number % 7) * 1000).for_each(|i| {
        std::hint::black_box(i);
    });
    Ok(number)
}

fn collected(items: Items, settings: Settings) -> Vec<usize> {
    let mut seen = Vec::new();
    let outcome: Result<()> = run(items, settings, &Stop::default(), number, |batch| {
        assert!(batch.len() <= settings.batch);
        seen.extend(batch.into_iter().map(|prepared| prepared.outcome.unwrap()));
        Ok(())
    });
    outcome.unwrap();
    seen
}

#[test]
fn results_come_in_the_order_of_the_input() {
    for n in [0, 1, 3, 4, 5, 500] {
        for sharing in [Sharing::TakeTurns, Sharing::SideBySide] {
            let settings = Settings { sharing, ..SETTINGS };
            assert_eq!(collected(items(n), settings), (0..n).collect::<Vec<_>>());
        }
    }
}

#[test]
fn no_more_is_drawn_than_the_window_holds() {
    let drawn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&drawn);
    let source = (0..1000).map(move |i| {
        counter.fetch_add(1, Ordering::SeqCst);
        item(i)
    });
    let mut processed = 0;
    let outcome: Result<()> = run(Box::new(source), SETTINGS, &Stop::default(), number, |batch| {
        processed += batch.len();
        let ahead = drawn.load(Ordering::SeqCst) - processed;
        assert!(ahead <= room(SETTINGS.batch), "{ahead} ahead");
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(processed, 1000);
}

#[test]
fn a_slow_item_is_waited_for_in_its_place_and_no_more_than_a_window_is_behind_it() {
    let room = room(SETTINGS.batch);
    let (release, gate) = channel::<()>();
    let slow = Deferred::new(move || {
        gate.recv().expect("the test lets it go");
        Ok(b"0".to_vec())
    });
    let mut slow = Some(Item::new("0", Content::Deferred(slow)));
    let drawn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&drawn);
    let source = (0..200).map(move |i| {
        // The window is full behind the slow item: only now it comes.
        if counter.fetch_add(1, Ordering::SeqCst) + 1 == room {
            release.send(()).unwrap();
        }
        slow.take().unwrap_or_else(|| item(i))
    });
    let mut most_ahead = 0;
    let mut seen = Vec::new();
    let outcome: Result<()> = run(Box::new(source), SETTINGS, &Stop::default(), number, |batch| {
        seen.extend(batch.into_iter().map(|prepared| prepared.outcome.unwrap()));
        most_ahead = most_ahead.max(drawn.load(Ordering::SeqCst) - seen.len());
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    assert!(most_ahead <= room, "{most_ahead} ahead");
}

/// Places of which `n` are read.
fn read_places(settings: Settings, n: usize) -> Places<()> {
    let mut places = Places::new(settings);
    for i in 0..n {
        let number = places.admit();
        places.put_read(number, item(i), Ok(Vec::new()));
    }
    places
}

/// Takes all that a turn gives, and puts it back prepared; how much that was.
fn prepare_a_turn(places: &mut Places<()>) -> usize {
    let taken: Vec<_> = std::iter::from_fn(|| places.take_read()).collect();
    let n = taken.len();
    for (number, item, _) in taken {
        let outcome = Ok(());
        places.put_prepared(number, Prepared { item, outcome });
    }
    n
}

#[test]
fn preparers_begin_a_turn_of_batches_and_the_model_computes_them_all() {
    let mut places = read_places(SETTINGS, (BATCHES_A_TURN + 1) * SETTINGS.batch);
    let (number, item, _) = places.take_read().unwrap();
    assert_eq!(prepare_a_turn(&mut places), BATCHES_A_TURN * SETTINGS.batch - 1);
    assert!(places.take_batch(LINGER).is_none(), "one is still in hand");
    assert!(places.take_read().is_none(), "and none is begun");
    places.put_prepared(number, Prepared { item, outcome: Ok(()) });
    for _ in 0..BATCHES_A_TURN {
        assert_eq!(places.take_batch(Duration::ZERO).unwrap().len(), SETTINGS.batch);
        assert!(!places.may_prepare());
        places.batch_is_done();
    }
    assert_eq!(prepare_a_turn(&mut places), SETTINGS.batch);
}

#[test]
fn a_preparer_without_work_ends_the_turn_after_a_moment() {
    let mut places = read_places(SETTINGS, 3);
    assert_eq!(prepare_a_turn(&mut places), 3);
    assert!(places.is_starving());
    assert!(places.take_batch(Duration::ZERO).is_none(), "one more may come");
    assert_eq!(places.take_batch(LINGER).unwrap().len(), 3);

    let mut places = read_places(SETTINGS, 3);
    prepare_a_turn(&mut places);
    places.end_input();
    assert_eq!(
        places.take_batch(Duration::ZERO).unwrap().len(),
        3,
        "none comes any more"
    );
}

#[test]
fn side_by_side_preparers_go_on_while_the_model_computes() {
    let sharing = Sharing::SideBySide;
    let mut places = read_places(Settings { sharing, ..SETTINGS }, 2 * SETTINGS.batch + 1);
    assert_eq!(prepare_a_turn(&mut places), 2 * SETTINGS.batch + 1);
    for n in [SETTINGS.batch, SETTINGS.batch, 1] {
        assert_eq!(places.take_batch(Duration::ZERO).unwrap().len(), n);
        assert!(places.may_prepare());
        places.batch_is_done();
    }
}

#[test]
fn failures_and_panics_stand_in_their_places() {
    let prepare = |item: &Item, _: &[u8]| match item.name.to_string().as_str() {
        "3" => panic!("on purpose"),
        "5" => Err(gave_up(item)),
        _ => Ok(()),
    };
    let mut failed = Vec::new();
    let outcome: Result<()> = run(items(9), SETTINGS, &Stop::default(), prepare, |batch| {
        let names = batch
            .iter()
            .filter(|p| p.outcome.is_err())
            .map(|p| p.item.name.to_string());
        failed.extend(names);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(failed, ["3", "5"]);
}

#[test]
fn an_error_of_processing_ends_the_run() {
    let refuse = |_: Vec<Prepared<usize>>| Err(Error::usage("enough", "stop"));
    let outcome = run(items(1000), SETTINGS, &Stop::default(), number, refuse);
    assert_eq!(outcome.unwrap_err().to_string(), "enough");
}

#[test]
fn results_are_not_held_back_while_the_input_is_silent() {
    let (sender, receiver) = channel::<usize>();
    let source = receiver.into_iter().map(item);
    sender.send(0).unwrap();
    let mut seen = 0;
    let outcome: Result<()> = run(Box::new(source), SETTINGS, &Stop::default(), number, |batch| {
        // The next item is sent only when the one before it came out: a pipeline that waits for more would hang.
        seen += batch.len();
        if seen < 5 {
            sender.send(seen).unwrap();
            return Ok(());
        }
        Err(Error::usage("seen enough", "stop"))
    });
    assert!(outcome.is_err());
    assert_eq!(seen, 5);
}

#[test]
fn a_stop_ends_the_run_behind_the_batch_in_hand_though_the_input_hangs() {
    let (hang, never) = channel::<Vec<u8>>();
    let stop = Stop::default();
    let hanging = Item::new(
        "hangs",
        Content::Deferred(Deferred::new(move || Ok(never.recv().unwrap_or_default()))),
    );
    let source = (0..4).map(item).chain([hanging]).chain((5..100).map(item));
    let mut seen = Vec::new();
    let outcome: Result<()> = run(Box::new(source), SETTINGS, &stop, number, |batch| {
        seen.extend(batch.into_iter().map(|prepared| prepared.outcome.unwrap()));
        stop.request();
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>(), "in order, none left out");
    assert!(seen.len() <= 4);
    drop(hang);
}
