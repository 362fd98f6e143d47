//! Handles in async code, with any executor.

use crate::alone::alone;
use crate::signals::Gate;
use poniard::prelude::*;
use tokio::runtime::Builder;

fn block_on<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread().build().unwrap().block_on(future)
}

fn fails() -> i64 {
    panic!("it fails")
}

#[test]
fn a_handle_can_be_awaited_by_reference_and_by_value() {
    let task = spawn!((|x| x + 1)(1));
    block_on(async {
        assert_eq!(*(&task).await.unwrap(), 2);
        assert_eq!(*(&task).await.unwrap(), 2);
        assert_eq!(*task.await.unwrap(), 2);
        assert!(spawn!(fails()).await.unwrap_err().is_panic());
    });
}

#[test]
fn awaiting_does_not_block_the_executor() {
    alone(1, || {
        let gate = Gate::running();
        block_on(async {
            let (waits, opens) = (async { (&gate.task).await.is_ok() }, async { gate.open() });
            let (mut waits, mut opens) = (std::pin::pin!(waits), Some(opens));
            let ended = std::future::poll_fn(|context| {
                let polled = waits.as_mut().poll(context);
                if let Some(opens) = opens.take() {
                    assert!(polled.is_pending());
                    let mut opens = std::pin::pin!(opens);
                    let _ = opens.as_mut().poll(context);
                    context.waker().wake_by_ref();
                }
                polled
            });
            assert!(ended.await);
        });
    });
}
