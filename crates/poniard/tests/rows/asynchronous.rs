//! Tasks that are futures.

use crate::alone::alone;
use crate::signals::{Gate, LIMIT};
use poniard::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

async fn add1(x: i64) -> i64 {
    tokio::task::yield_now().await;
    x + 1
}

async fn length(text: &str, more: usize) -> Result<usize, String> {
    tokio::task::yield_now().await;
    if text.is_empty() { Err("empty".to_owned()) } else { Ok(text.len() + more) }
}

/// Never ends by itself.
async fn forever() -> i64 {
    std::future::pending().await
}

#[test]
fn an_async_task_takes_values_and_results_and_gives_one() {
    let p = spawn!(async add1(1));
    assert_eq!(spawn!((|x: &i64| x + 1)(&p)).fetch().unwrap(), 3);
    let text = spawn!((|x: i64| "x".repeat(x as usize))(p));
    assert_eq!(spawn!(async length(&text, 5)?).fetch().unwrap(), 7);
    assert_eq!(spawn!(async add1(spawn!(async add1(1))), name = "outer").fetch().unwrap(), 3);
}

#[test]
fn an_error_and_a_panic_of_a_future_are_the_tasks() {
    async fn panics() -> i64 {
        tokio::task::yield_now().await;
        panic!("in the future")
    }
    let error = spawn!(async length(&spawn!(|| String::new()), 1)?, name = "async").fetch().unwrap_err();
    assert!(
        error.to_string().starts_with("task `async` (") && error.to_string().ends_with("failed: empty"),
        "{error}"
    );
    let error = spawn!(async panics()).fetch().unwrap_err();
    assert!(error.is_panic() && error.to_string().ends_with("in the future"), "{error}");
    fn fails() -> i64 {
        panic!("the root")
    }
    assert!(
        spawn!(async add1(spawn!(fails()))).fetch().unwrap_err().root().to_string().ends_with("the root")
    );
}

#[test]
fn a_panic_of_what_goes_with_a_future_is_the_tasks_too() {
    /// Cannot be copied.
    #[derive(Serialize, Deserialize)]
    struct Single(i64);
    impl Clone for Single {
        fn clone(&self) -> Single {
            panic!("while the argument was copied")
        }
    }
    async fn takes(single: Single) -> i64 {
        single.0
    }
    /// Panics when it is dropped, also where a time limit cuts its future off.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("while the future was dropped");
        }
    }
    async fn holds() -> i64 {
        let _bomb = Bomb;
        forever().await
    }
    async fn fails() -> Result<i64, String> {
        Err("its own error".to_owned())
    }
    let single = spawn!(|| Single(1));
    let error = spawn!(async takes(single.clone())).fetch().unwrap_err();
    assert!(error.is_panic() && error.to_string().ends_with("was copied"), "{error}");
    drop(single);
    let retries = Retries::new(1).filter(|_| panic!("in the filter"));
    let error = spawn!(async fails()?, retries = retries).fetch().unwrap_err();
    assert!(error.to_string().ends_with("its own error"), "{error}");
    // Alone: the panics of other tests keep the thread of all futures busy with their backtraces.
    alone(1, || {
        let task = spawn!(async holds(), timeout = Duration::from_millis(50));
        let error = task.fetch().unwrap_err();
        assert!(error.is_panic() && error.to_string().ends_with("was dropped"), "{error}");
    });
}

#[test]
fn an_async_task_holds_no_processor() {
    alone(1, || {
        let waiting: Vec<_> = (0..1000).map(|_| spawn!(async forever())).collect();
        assert_eq!(spawn!(|| 1).fetch().unwrap(), 1);
        assert!(poniard::status().threads < 16);
        waiting.iter().for_each(DTask::cancel);
        assert!(waiting.iter().all(|task| task.fetch().unwrap_err().is_cancelled()));
    });
}

#[test]
fn a_handle_can_be_awaited_in_an_async_task() {
    async fn doubled(task: &Chunk<i64>) -> Result<i64, TaskError> {
        Ok(*task.await? * 2)
    }
    async fn awaits_inside(x: i64) -> Result<i64, TaskError> {
        let (a, b) = (spawn!((|x| x + 1)(x)), spawn!(async add1(x)));
        Ok(*(&a).await? + *b.await?)
    }
    let p = spawn!((|x| x)(21));
    assert_eq!(spawn!(async doubled(&p)?, meta = true).fetch().unwrap(), 42);
    assert_eq!(spawn!(async awaits_inside(1)?).fetch().unwrap(), 4);
}

#[test]
fn a_cancelled_async_task_fails_at_once_and_its_future_is_dropped() {
    struct Told(std::sync::mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    async fn holds(told: Pinned<Told>, started: Pinned<std::sync::mpsc::Sender<()>>) -> i64 {
        started.send(()).unwrap();
        let _told = told;
        forever().await
    }
    alone(1, || {
        let ((dropped, was_dropped), (started, has_started)) = (channel(), channel());
        let task = spawn!(async holds(Pinned(Told(dropped)), Pinned(started)));
        has_started.recv_timeout(LIMIT).unwrap();
        task.cancel();
        assert!(task.is_ready() && task.fetch().unwrap_err().is_cancelled());
        was_dropped.recv_timeout(LIMIT).unwrap();
    });
}

#[test]
fn an_async_task_fails_at_its_limit() {
    let task = spawn!(async forever(), timeout = Duration::from_millis(20));
    assert!(task.fetch().unwrap_err().is_timeout());
    let fast = spawn!(async add1(1), timeout = Duration::from_secs(60));
    assert_eq!(fast.fetch().unwrap(), 2);
}

#[test]
fn an_async_task_is_tried_again() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    async fn flaky(text: String) -> Result<String, String> {
        tokio::task::yield_now().await;
        if CALLS.fetch_add(1, Ordering::SeqCst) < 2 { Err("not yet".to_owned()) } else { Ok(text) }
    }
    let retries = Retries::new(2).backoff(Duration::from_millis(1));
    assert_eq!(spawn!(async flaky("whole".to_owned())?, retries = retries).fetch().unwrap(), "whole");
    assert_eq!(CALLS.load(Ordering::SeqCst), 3);
}

#[test]
fn sync_and_bulk_hold_for_async_tasks() {
    alone(1, || {
        static ENDED: AtomicU32 = AtomicU32::new(0);
        async fn ends() -> u32 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ENDED.fetch_add(1, Ordering::SeqCst)
        }
        sync(|| (0..50).for_each(|_| drop(spawn!(async ends())))).unwrap();
        assert_eq!(ENDED.load(Ordering::SeqCst), 50);
        let tasks = spawn_bulk(|| [spawn!(async add1(1)), spawn!(async add1(2))]);
        assert_eq!(fetch_all(&tasks).unwrap(), [2, 3]);
        let gate = Gate::aside();
        let last = spawn_sequential(|| {
            drop(spawn!(_gate = &gate.task => 1));
            spawn!(async add1(3))
        });
        assert!(!last.is_ready());
        gate.open();
        assert_eq!(last.fetch().unwrap(), 4);
    });
}

#[test]
fn a_time_out_of_a_future_is_tried_again() {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    async fn slow_at_first() -> u32 {
        let call = CALLS.fetch_add(1, Ordering::SeqCst);
        if call == 0 { std::future::pending().await } else { call }
    }
    // Alone: the panics of other tests keep the thread of all futures busy with their backtraces.
    alone(1, || {
        let task = spawn!(async slow_at_first(), timeout = Duration::from_millis(50), retries = 1);
        assert_eq!(task.fetch().unwrap(), 1);
    });
}
