//! Tests of the pipeline's order, bounds and endings, with generated items.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use std::time::Duration;

use super::queue::{BATCHES_PER_TURN, ItemQueue, LINGER};
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

/// Parses an item's bytes as a number. Later items of a batch are ready sooner.
fn number(_: &Item, bytes: &[u8]) -> Result<usize> {
    let number: usize = String::from_utf8_lossy(bytes).parse().unwrap();
    (0..(7 - number % 7) * 1000).for_each(|i| {
        std::hint::black_box(i);
    });
    Ok(number)
}

fn run_all(items: Items, settings: Settings) -> Vec<usize> {
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
            assert_eq!(run_all(items(n), settings), (0..n).collect::<Vec<_>>());
        }
    }
}

#[test]
fn draws_no_more_items_than_the_window_holds() {
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
fn waits_for_a_slow_item_and_reads_at_most_a_window_ahead() {
    let room = room(SETTINGS.batch);
    let (release, gate) = channel::<()>();
    let slow = Deferred::new(move || {
        gate.recv().expect("the test releases it");
        Ok(b"0".to_vec())
    });
    let mut slow = Some(Item::new("0", Content::Deferred(slow)));
    let drawn = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&drawn);
    let source = (0..200).map(move |i| {
        // The window is full of items after the slow one; only now release it.
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

/// A queue with `n` items that have been read.
fn queue_of_read_items(settings: Settings, n: usize) -> ItemQueue<()> {
    let mut queue = ItemQueue::new(settings);
    for i in 0..n {
        let number = queue.admit();
        let read = Read {
            bytes: Ok(Vec::new()),
            holds: Holds::default(),
        };
        queue.put_read(number, item(i), read);
    }
    queue
}

/// Takes everything that a turn allows, puts it back as prepared, and returns how many items that was.
fn prepare_a_turn(queue: &mut ItemQueue<()>) -> usize {
    let taken: Vec<_> = std::iter::from_fn(|| queue.take_read()).collect();
    let n = taken.len();
    for (number, item, _) in taken {
        let outcome = Ok(());
        queue.put_prepared(number, Prepared { item, outcome });
    }
    n
}

#[test]
fn preparers_prepare_a_turn_of_batches_and_the_model_processes_them_all() {
    let mut queue = queue_of_read_items(SETTINGS, (BATCHES_PER_TURN + 1) * SETTINGS.batch);
    let (number, item, _) = queue.take_read().unwrap();
    assert_eq!(prepare_a_turn(&mut queue), BATCHES_PER_TURN * SETTINGS.batch - 1);
    assert!(queue.take_batch(LINGER).is_none(), "one is still being prepared");
    assert!(queue.take_read().is_none(), "no other may be started");
    queue.put_prepared(number, Prepared { item, outcome: Ok(()) });
    for _ in 0..BATCHES_PER_TURN {
        assert_eq!(queue.take_batch(Duration::ZERO).unwrap().len(), SETTINGS.batch);
        assert!(!queue.may_prepare());
        queue.batch_is_done();
    }
    assert_eq!(prepare_a_turn(&mut queue), SETTINGS.batch);
}

#[test]
fn an_idle_preparer_ends_the_turn_after_a_moment() {
    let mut queue = queue_of_read_items(SETTINGS, 3);
    assert_eq!(prepare_a_turn(&mut queue), 3);
    assert!(queue.is_starving());
    assert!(queue.take_batch(Duration::ZERO).is_none(), "one more may come");
    assert_eq!(queue.take_batch(LINGER).unwrap().len(), 3);

    let mut queue = queue_of_read_items(SETTINGS, 3);
    prepare_a_turn(&mut queue);
    queue.end_input();
    assert_eq!(queue.take_batch(Duration::ZERO).unwrap().len(), 3, "no more can come");
}

#[test]
fn side_by_side_preparers_continue_while_the_model_computes() {
    let sharing = Sharing::SideBySide;
    let mut queue = queue_of_read_items(Settings { sharing, ..SETTINGS }, 2 * SETTINGS.batch + 1);
    assert_eq!(prepare_a_turn(&mut queue), 2 * SETTINGS.batch + 1);
    for n in [SETTINGS.batch, SETTINGS.batch, 1] {
        assert_eq!(queue.take_batch(Duration::ZERO).unwrap().len(), n);
        assert!(queue.may_prepare());
        queue.batch_is_done();
    }
}

#[test]
fn reports_failures_and_panics_for_their_items() {
    let prepare = |item: &Item, _: &[u8]| match item.name.to_string().as_str() {
        "3" => panic!("on purpose"),
        "5" => Err(unexpected_failure(item)),
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
fn a_panic_while_drawing_or_reading_is_an_error_and_not_the_end_of_the_input() {
    // Often, because another reader may be faster than the one that panics.
    for _ in 0..200 {
        let source = (0..9).map(|i| match i {
            7 => panic!("on purpose"),
            i => item(i),
        });
        let outcome: Result<()> = run(Box::new(source), SETTINGS, &Stop::default(), number, |_| Ok(()));
        assert!(outcome.unwrap_err().to_string().contains("on purpose"));
    }

    let read = Content::Deferred(Deferred::new(|| panic!("on purpose")));
    let source = (0..3).map(item).chain([Item::new("x", read)]);
    let mut failures = 0;
    let outcome: Result<()> = run(Box::new(source), SETTINGS, &Stop::default(), number, |batch| {
        failures += batch.iter().filter(|prepared| prepared.outcome.is_err()).count();
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(failures, 1);
}

#[test]
fn an_error_while_processing_ends_the_run() {
    let refuse = |_: Vec<Prepared<usize>>| Err(Error::usage("enough", "stop"));
    let outcome = run(items(1000), SETTINGS, &Stop::default(), number, refuse);
    assert_eq!(outcome.unwrap_err().to_string(), "enough");
}

#[test]
fn passes_on_results_while_the_input_is_idle() {
    let (sender, receiver) = channel::<usize>();
    let source = receiver.into_iter().map(item);
    sender.send(0).unwrap();
    let mut seen = 0;
    let outcome: Result<()> = run(Box::new(source), SETTINGS, &Stop::default(), number, |batch| {
        // The next item is sent only after the previous one came out: a pipeline that waits for more would hang.
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
fn a_stop_ends_the_run_after_the_current_batch_even_if_the_input_hangs() {
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
    assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>(), "in order and complete");
    assert!(seen.len() <= 4);
    drop(hang);
}
