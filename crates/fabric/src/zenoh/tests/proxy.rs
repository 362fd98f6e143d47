//! A socket that hands everything on to another one, until it is told not to.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

/// Stands between two processes.
pub(super) struct Proxy {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    thawed: Condvar,
}

#[derive(Default)]
struct State {
    is_cut: bool,
    is_frozen: bool,
    is_over: bool,
    streams: Vec<UnixStream>,
    pumps: Vec<JoinHandle<()>>,
}

impl Proxy {
    /// Listens at `path` and hands on to `target`.
    pub(super) fn start(path: PathBuf, target: PathBuf) -> Proxy {
        let listener = UnixListener::bind(&path).expect("the path is new");
        let shared = Arc::new(Shared::default());
        let state = shared.clone();
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if state.state.lock().unwrap().is_over {
                    return;
                }
                connect(&state, stream, &target);
            }
        });
        Proxy { path, shared, acceptor: Some(acceptor) }
    }

    pub(super) fn cut(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.is_cut = true;
        state.close();
    }

    pub(super) fn heal(&self) {
        self.shared.state.lock().unwrap().is_cut = false;
    }

    pub(super) fn freeze(&self) {
        self.shared.state.lock().unwrap().is_frozen = true;
    }

    pub(super) fn thaw(&self) {
        self.shared.state.lock().unwrap().is_frozen = false;
        self.shared.thawed.notify_all();
    }
}

impl State {
    fn close(&mut self) {
        for stream in self.streams.drain(..) {
            // It may be closed already.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let pumps = {
            let mut state = self.shared.state.lock().unwrap();
            (state.is_over, state.is_frozen) = (true, false);
            state.close();
            std::mem::take(&mut state.pumps)
        };
        self.shared.thawed.notify_all();
        // So that the acceptor looks.
        UnixStream::connect(&self.path).ok();
        let acceptor = self.acceptor.take();
        for thread in pumps.into_iter().chain(acceptor) {
            thread.join().ok();
        }
    }
}

fn connect(shared: &Arc<Shared>, from: UnixStream, target: &PathBuf) {
    let mut state = shared.state.lock().unwrap();
    if state.is_cut {
        return;
    }
    let Ok(to) = UnixStream::connect(target) else { return };
    let copy = |stream: &UnixStream| stream.try_clone().expect("there are descriptors left");
    for (source, sink) in [(copy(&from), copy(&to)), (copy(&to), copy(&from))] {
        let shared = shared.clone();
        state.pumps.push(thread::spawn(move || pump(&shared, source, sink)));
    }
    state.streams.extend([from, to]);
}

/// Hands on what comes until one of the two ends.
fn pump(shared: &Shared, mut source: UnixStream, mut sink: UnixStream) {
    let mut space = vec![0; 64 << 10];
    while let Ok(count) = source.read(&mut space) {
        let state = shared.state.lock().unwrap();
        drop(shared.thawed.wait_while(state, |state| state.is_frozen).unwrap());
        if count == 0 || sink.write_all(&space[..count]).is_err() {
            break;
        }
    }
    source.shutdown(Shutdown::Both).ok();
    sink.shutdown(Shutdown::Both).ok();
}
