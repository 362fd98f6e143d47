//! A small tokio runtime of our own, for what waits for the network: futures of tasks, object stores.

use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

/// Threads for futures: they only wait.
const THREADS: usize = 1;

/// The runtime; the first use starts it.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("poniard-io").enable_all();
        builder.build().expect("the system starts a thread for futures")
    })
}
