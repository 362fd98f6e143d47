//! The side of whoever has lent something: a port at which workers of other hosts ask for it.

use super::lent::Lent;
use super::pipe::Pipe;
use super::wire::{self, Request};
use crate::traffic;
use crate::workers::reception::{Greeted, Host, Reception};
use poniard_fabric::Identity;
use poniard_fabric::admission::{AdmissionError, admit};
use poniard_fabric::entropy::entropy;
use poniard_fabric::tls::Tls;
use poniard_model::WorkerId;
use poniard_model::codec::SharedBytes;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A line on which nothing is asked for this long is closed. Readers close theirs sooner.
const IDLE: Duration = Duration::from_secs(60);
/// So many bytes are given to the kernel at a time: enough that it has always some, and few enough that a stop is seen.
const PART_BYTES: usize = 4 << 20;

/// An open port. Dropped, it is closed, with all lines that came in by it.
#[derive(Debug)]
pub(super) struct Giver {
    _reception: Reception,
    open: Arc<Open>,
}

/// The lines that are open.
#[derive(Debug, Default)]
struct Open(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    last: u64,
    /// By number: whose they are, as soon as that was said.
    streams: HashMap<u64, (Option<WorkerId>, TcpStream)>,
    is_over: bool,
}

/// What those need who serve readers.
struct Service {
    me: WorkerId,
    lent: Arc<Lent>,
    open: Arc<Open>,
    /// For so long a reader may take nothing.
    patience: Duration,
}

impl Giver {
    /// Serves readers at this port from now on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn open(
        listener: TcpListener,
        me: WorkerId,
        token: [u8; 32],
        tls: Option<Tls>,
        lent: Arc<Lent>,
        patience: Duration,
    ) -> io::Result<Giver> {
        let open = Arc::<Open>::default();
        let service = Service { me, lent, open: open.clone(), patience };
        Ok(Giver { _reception: Reception::open(listener, me.to_string(), token, tls, service)?, open })
    }

    /// A worker is gone: its lines are closed.
    pub(super) fn lose(&self, reader: WorkerId) {
        self.open.end(|whose| whose == Some(reader));
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        self.open.lock().is_over = true;
        self.open.end(|_| true);
    }
}

impl Open {
    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line has come in. Gives its number.
    fn begin(&self, stream: &TcpStream) -> io::Result<u64> {
        let mut lines = self.lock();
        if lines.is_over {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        lines.last += 1;
        let number = lines.last;
        lines.streams.insert(number, (None, stream.try_clone()?));
        Ok(number)
    }

    fn is_of(&self, number: u64, reader: WorkerId) {
        if let Some((whose, _)) = self.lock().streams.get_mut(&number) {
            *whose = Some(reader);
        }
    }

    fn end(&self, which: impl Fn(Option<WorkerId>) -> bool) {
        for (whose, stream) in self.lock().streams.values() {
            if which(*whose) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

impl Host for Service {
    type Guest = ();

    fn admit(&self, _: &TcpStream, line: &mut Greeted, identity: &Identity) -> Result<(), AdmissionError> {
        // That it is this worker: two hosts may have the same address, as loopback is.
        admit(line, identity, entropy()?, || self.me.0.to_le_bytes().to_vec())
    }

    fn attend(&self, (): (), stream: &TcpStream, line: Greeted) {
        let Ok(number) = self.open.begin(stream) else { return };
        // It ends when the reader wants no more of it, is gone, or takes nothing for too long: there is nobody to be told.
        let _ = self.serve(number, line);
        let _ = stream.shutdown(Shutdown::Both);
        self.open.lock().streams.remove(&number);
    }
}

impl Service {
    fn serve(&self, number: u64, line: Greeted) -> io::Result<()> {
        let mut pipe = Pipe::accepted(line)?;
        pipe.stream().set_read_timeout(Some(IDLE))?;
        pipe.stream().set_write_timeout(Some(self.patience))?;
        loop {
            let Request { reader, lease, offset, len } = Request::read(&mut pipe)?;
            self.open.is_of(number, reader);
            let bytes = self.lent.bytes(reader, lease).and_then(|bytes| match range(&*bytes, offset, len) {
                Some(_) => Ok(bytes),
                None => {
                    let all = bytes.bytes().len();
                    Err(format!("it has {all} bytes under number {lease}, and not {len} from {offset} on"))
                }
            });
            match bytes {
                Err(why) => wire::refuse(&mut pipe, &why)?,
                Ok(bytes) => {
                    let part = range(&*bytes, offset, len).expect("it was just looked at");
                    wire::announce(&mut pipe, len)?;
                    Counted(&mut pipe).write_all(part)?;
                    pipe.flush()?;
                    self.lent.sent(reader, lease);
                }
            }
        }
    }
}

/// A range of a buffer that ends where that does.
fn range(bytes: &dyn SharedBytes, offset: u64, len: u64) -> Option<&[u8]> {
    let rest = bytes.bytes().get(usize::try_from(offset).ok()?..)?;
    (rest.len() as u64 == len).then_some(rest)
}

/// Counts what goes through.
struct Counted<'a>(&'a mut Pipe);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(&bytes[..bytes.len().min(PART_BYTES)])?;
        traffic::count_streamed(written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
