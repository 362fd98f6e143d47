#![doc = include_str!("README.md")]

mod batch;
mod bulk;
mod inlet;
mod window;

pub use batch::MESSAGE_BYTES_MAX;
pub use bulk::{PIECE_BYTES_MAX, Piece, Transfer};

use crate::engine::Lane;
use crate::frame::{BODY_BYTES_MAX, FRAME_BYTES_MAX, Head, Kind, News};
use crate::secret::Secret;
use crate::timing::Timing;
use batch::{Batch, Partial};
use bulk::{Course, Cut, Transfers};
use inlet::{Arrival, Inlet};
use std::time::Duration;
use window::Window;

/// The most that may be out to one peer in frames of messages. Less than engines queue for a frozen peer without
/// blocking who sends, and enough for a gigabyte a second with a quarter of a millisecond there and back.
pub const CONTROL_WINDOW_BYTES: usize = 256 << 10;

/// The most pieces that may be out to one peer and not yet taken by whoever reads them there: a megabyte.
pub const BULK_WINDOW_PIECES: u64 = 16;

/// What may wait to be sent to one peer in messages: more is refused. As much as a busy runtime makes in a second.
pub const WAITING_BYTES_MAX: usize = 64 << 20;

/// How many transfers may wait to be sent to one peer: more is refused. They hold no memory but their owners'.
pub const WAITING_TRANSFERS_MAX: usize = 4096;

/// So much that came and is not acknowledged is acknowledged at once, so that the sender's window never runs dry.
const NEWS_BYTES: usize = CONTROL_WINDOW_BYTES / 4;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send it to the peer.
    Frame(Lane, Vec<u8>),
    /// A message came.
    Message(Vec<u8>),
    /// A piece of bulk came. It must be [taken](Link::taken).
    Piece(Piece),
}

/// The peer does what no peer does that runs this program: nothing that it says can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) &'static str);

/// Everything between two lives of two processes. Pure: no clock, no lock, no IO.
#[derive(Debug)]
pub(crate) struct Link {
    session: Secret<u64>,
    timing: Timing,
    control: Window<Vec<u8>>,
    batch: Batch,
    bulk: Window<Cut>,
    transfers: Transfers,
    control_in: Inlet,
    partial: Partial,
    bulk_in: Inlet,
    course: Course,
    /// When what came must be acknowledged.
    news_at: Option<Duration>,
    /// What came since it was acknowledged last.
    news_bytes: usize,
    /// From when on a frame of messages may go out that is not full.
    flush_at: Duration,
    /// When the peer is asked next whether it hears us. That is the sign of life as well.
    ask_at: Duration,
    /// Since when it has not answered anything that it was asked.
    unanswered_since: Option<Duration>,
}

/// The probe that no window is in doubt about: a sign of life that wants one back.
const SIGN_OF_LIFE: u64 = 0;

impl Link {
    /// A link over which nothing has gone.
    pub(crate) fn new(now: Duration, session: u64, timing: Timing) -> Link {
        Link {
            session: Secret(session),
            timing,
            control: Window::new(CONTROL_WINDOW_BYTES, u64::MAX),
            batch: Batch::default(),
            bulk: Window::new(usize::MAX, BULK_WINDOW_PIECES),
            transfers: Transfers::default(),
            control_in: Inlet::new(u64::MAX),
            partial: Partial::default(),
            bulk_in: Inlet::new(BULK_WINDOW_PIECES),
            course: Course::default(),
            news_at: None,
            news_bytes: 0,
            flush_at: now,
            ask_at: now + timing.heartbeat(),
            unanswered_since: None,
        }
    }

    /// The number that every frame of the link carries.
    pub(crate) fn session(&self) -> u64 {
        self.session.0
    }

    /// Sends a message, now or soon. Gives it back when too much waits already, or it is too large for a message.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        message: Vec<u8>,
        out: &mut Vec<Output>,
    ) -> Result<(), Vec<u8>> {
        if message.len() > MESSAGE_BYTES_MAX || self.batch.bytes() + message.len() > WAITING_BYTES_MAX {
            return Err(message);
        }
        self.batch.push(message);
        self.flush(now, out);
        Ok(())
    }

    /// Sends data, as its turn comes. Gives it back when too many transfers wait already.
    pub(crate) fn send_bulk(
        &mut self,
        now: Duration,
        transfer: Transfer,
        out: &mut Vec<Output>,
    ) -> Result<(), Transfer> {
        if self.transfers.len() >= WAITING_TRANSFERS_MAX {
            return Err(transfer);
        }
        self.transfers.push(transfer);
        self.send_pieces(now, out);
        Ok(())
    }

    /// A piece that came is worked off: one more may come.
    ///
    /// # Panics
    /// When more is taken than came.
    pub(crate) fn taken(&mut self, now: Duration) {
        self.bulk_in.allow_one_more(BULK_WINDOW_PIECES);
        self.news_soon(now, PIECE_BYTES_MAX);
    }

    /// A frame of the link came.
    pub(crate) fn on_frame(
        &mut self,
        now: Duration,
        (news, kind): (News, Kind),
        body: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        self.control.on_news(now, news.control, u64::MAX)?;
        self.bulk.on_news(now, news.bulk, news.bulk_limit)?;
        match kind {
            Kind::News => {}
            Kind::Data { lane: Lane::Control, number } => self.on_messages(now, number, body, out)?,
            Kind::Data { lane: Lane::Bulk, number } => self.on_piece(now, number, body, out)?,
            Kind::Probe { lane, probe } => {
                self.emit(now, Lane::Control, Kind::Answer { lane, probe }, &[], out);
            }
            Kind::Answer { lane, probe } => {
                self.unanswered_since = None;
                self.on_answer(now, lane, probe, out);
            }
        }
        self.on_time(now, out);
        Ok(())
    }

    /// The connection broke or came back.
    pub(crate) fn on_break(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.control.doubt(now, &self.timing);
        self.bulk.doubt(now, &self.timing);
        self.on_time(now, out);
    }

    /// Time passes.
    pub(crate) fn on_time(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.flush(now, out);
        self.send_pieces(now, out);
        if let Some(probe) = self.control.ask(now, &self.timing, !self.batch.is_empty()) {
            self.emit(now, Lane::Control, Kind::Probe { lane: Lane::Control, probe }, &[], out);
        }
        if let Some(probe) = self.bulk.ask(now, &self.timing, self.transfers.len() > 0) {
            self.emit(now, Lane::Bulk, Kind::Probe { lane: Lane::Bulk, probe }, &[], out);
        }
        if now >= self.ask_at {
            self.ask_at = now + self.timing.heartbeat();
            self.emit(now, Lane::Control, Kind::Probe { lane: Lane::Control, probe: SIGN_OF_LIFE }, &[], out);
        }
        if self.news_at.is_some_and(|at| now >= at) {
            self.emit(now, Lane::Control, Kind::News, &[], out);
        }
    }

    /// When `on_time` has something to do.
    pub(crate) fn deadline(&self) -> Duration {
        let can_flush = !self.batch.is_empty() && self.control.has_room();
        let soonest = [
            can_flush.then_some(self.flush_at),
            self.control.deadline(&self.timing, !self.batch.is_empty()),
            self.bulk.deadline(&self.timing, self.transfers.len() > 0),
            self.news_at,
        ];
        soonest.into_iter().flatten().fold(self.ask_at, Duration::min)
    }

    /// Whether the peer has not answered for a lease: what it is told does not arrive, or its answers do not. True once a
    /// lease.
    pub(crate) fn is_unanswered(&mut self, now: Duration) -> bool {
        let is_long = self.unanswered_since.is_some_and(|since| now >= since + self.timing.lease);
        if is_long {
            self.unanswered_since = Some(now);
        }
        is_long
    }

    /// This process itself did not run for that long.
    pub(crate) fn slept(&mut self, time: Duration) {
        self.unanswered_since = self.unanswered_since.map(|since| since + time);
    }

    /// Panics when the link contradicts itself.
    pub(crate) fn check(&self) {
        self.control.check();
        self.bulk.check();
        self.batch.check();
        assert!(self.batch.bytes() <= WAITING_BYTES_MAX + 4);
        assert!(self.transfers.len() <= WAITING_TRANSFERS_MAX);
        assert!(self.bulk.sent().count() as u64 <= BULK_WINDOW_PIECES);
        assert!(self.bulk_in.wanted() <= self.bulk_in.limit(), "more came than was allowed");
    }

    fn on_messages(
        &mut self,
        now: Duration,
        number: u64,
        body: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        self.news_soon(now, body.len());
        match self.control_in.arrive(number) {
            Arrival::Next => self.partial.read(body, |message| out.push(Output::Message(message))),
            Arrival::Again | Arrival::Early => Ok(()),
        }
    }

    fn on_piece(
        &mut self,
        now: Duration,
        number: u64,
        body: &[u8],
        out: &mut Vec<Output>,
    ) -> Result<(), Violation> {
        self.news_soon(now, body.len());
        if self.bulk_in.arrive(number) == Arrival::Next {
            out.push(Output::Piece(self.course.read(body)?));
        }
        Ok(())
    }

    fn on_answer(&mut self, now: Duration, lane: Lane, probe: u64, out: &mut Vec<Output>) {
        let again: Vec<(u64, Vec<u8>)> = match lane {
            Lane::Control if self.control.on_answer(now, probe) => {
                self.control.sent().map(|(number, body)| (number, body.clone())).collect()
            }
            Lane::Bulk if self.bulk.on_answer(now, probe) => {
                self.bulk.sent().map(|(number, cut)| (number, cut.body())).collect()
            }
            _ => Vec::new(),
        };
        for (number, body) in again {
            self.emit(now, lane, Kind::Data { lane, number }, &body, out);
        }
    }

    /// Sends what waits: a full frame at once, and another one if none went out lately.
    fn flush(&mut self, now: Duration, out: &mut Vec<Output>) {
        while self.control.has_room()
            && !self.batch.is_empty()
            && (now >= self.flush_at || self.batch.bytes() >= BODY_BYTES_MAX)
        {
            let body = self.batch.take(BODY_BYTES_MAX);
            let number = self.control.push(now, body.clone(), body.len());
            self.emit(now, Lane::Control, Kind::Data { lane: Lane::Control, number }, &body, out);
            self.flush_at = now + self.timing.flush_after;
        }
    }

    fn send_pieces(&mut self, now: Duration, out: &mut Vec<Output>) {
        while self.bulk.has_room()
            && let Some(cut) = self.transfers.take()
        {
            let (body, bytes) = (cut.body(), cut.bytes());
            let number = self.bulk.push(now, cut, bytes);
            self.emit(now, Lane::Bulk, Kind::Data { lane: Lane::Bulk, number }, &body, out);
        }
    }

    /// Something came that the peer must hear of: soon, or at once when it is much.
    fn news_soon(&mut self, now: Duration, bytes: usize) {
        self.news_bytes += bytes;
        let at = if self.news_bytes >= NEWS_BYTES { now } else { now + self.timing.news_after };
        self.news_at = Some(self.news_at.map_or(at, |before| before.min(at)));
    }

    fn emit(&mut self, now: Duration, lane: Lane, kind: Kind, body: &[u8], out: &mut Vec<Output>) {
        let news = News {
            control: self.control_in.wanted(),
            bulk: self.bulk_in.wanted(),
            bulk_limit: self.bulk_in.limit(),
        };
        let frame = Head::Link { session: self.session.0, news, kind }.frame(body);
        debug_assert!(frame.len() <= FRAME_BYTES_MAX);
        // On the bulk lane the news would be late.
        if lane == Lane::Control {
            (self.news_at, self.news_bytes) = (None, 0);
        }
        if matches!(kind, Kind::Probe { .. }) {
            self.unanswered_since.get_or_insert(now);
        }
        out.push(Output::Frame(lane, frame));
    }
}
