//! Lines over real sockets of this machine.

use super::*;
use poniard_fabric::tls::Tls;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

const A: WorkerId = WorkerId(2);
const B: WorkerId = WorkerId(3);
const LIMIT: Duration = Duration::from_secs(30);

/// What readers have told. One test at a time has them: what is told goes to a function without an environment.
static TOLD: Mutex<Vec<Told>> = Mutex::new(Vec::new());
static ALONE: Mutex<()> = Mutex::new(());

fn tell(told: Told) {
    TOLD.lock().unwrap().push(told);
}

fn lines(me: WorkerId, tls: Option<Tls>, timeout: Duration) -> Lines {
    let site = Site { address: Ipv4Addr::LOCALHOST.into(), told: None, tls };
    Lines::start(site, me, [7; 32], timeout, 1 << 30, tell).unwrap()
}

/// Waits for the next thing that is told.
fn told() -> Told {
    let begin = Instant::now();
    loop {
        let first = {
            let mut told = TOLD.lock().unwrap();
            (!told.is_empty()).then(|| told.remove(0))
        };
        if let Some(told) = first {
            return told;
        }
        assert!(begin.elapsed() < LIMIT, "nothing is told");
        std::thread::yield_now();
    }
}

fn pulled() -> Result<Buf, String> {
    match told() {
        Told::Pulled { result, .. } => result,
        other => panic!("{other:?}"),
    }
}

fn block(len: usize) -> Arc<dyn SharedBytes> {
    let bytes: Vec<u8> = (0..len).map(|place| (place % 251) as u8).collect();
    Arc::new(Buf::from_vec(bytes))
}

/// Someone between a reader and a giver, who passes on so many bytes of each answer and then does what he is told.
struct Proxy {
    address: String,
    passed: Receiver<u64>,
}

#[derive(Clone, Copy)]
enum Then {
    Cuts,
    IsSilent,
}

impl Proxy {
    fn to(there: String, bytes: u64, then: Then) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, passed) = channel();
        std::thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let there = TcpStream::connect(&there).unwrap();
                let (mut up, mut to) = (here.try_clone().unwrap(), there.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut up, &mut to));
                let Ok(copied) = std::io::copy(&mut (&there).take(bytes), &mut (&here)) else { continue };
                if sender.send(copied).is_err() {
                    return;
                }
                match then {
                    Then::Cuts => drop((
                        here.shutdown(std::net::Shutdown::Both),
                        there.shutdown(std::net::Shutdown::Both),
                    )),
                    // Open, and mute.
                    Then::IsSilent => std::mem::forget((here, there)),
                }
            }
        });
        Proxy { address, passed }
    }
}

#[test]
fn a_buffer_comes_whole_over_tcp_and_over_tls_and_is_counted() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (_, others) = Tls::of_new_cluster().unwrap();
    for tls in [None, Some(others)] {
        let (mut giver, mut reader) = (lines(A, tls.clone(), LIMIT), lines(B, tls, LIMIT));
        giver.meet(B, reader.address().to_owned());
        reader.meet(A, giver.address().to_owned());
        let bytes = block(5_000_001);
        assert_eq!(giver.lend(WorkerId(9), &bytes, 1), None, "nobody of that number reads here");
        assert_eq!(giver.lend(B, &bytes, 1), Some(1));
        assert!(!giver.is_all_sent());
        let before = crate::traffic().streamed_bytes;
        for _ in 0..3 {
            reader.readers.ask(A, 1, 5_000_001);
        }
        for _ in 0..3 {
            assert!(*pulled().unwrap() == *bytes.bytes());
        }
        assert!(crate::traffic().streamed_bytes - before >= 15_000_003);
        assert!(giver.is_all_sent());
        reader.readers.ask(A, 1, 7);
        assert_eq!(
            pulled().unwrap_err(),
            "cannot read 7 bytes of w2: it has 5000001 bytes under number 1, and not 7 from 0 on"
        );
        giver.end(B, 1);
        reader.readers.ask(A, 1, 5_000_001);
        assert_eq!(
            pulled().unwrap_err(),
            "cannot read 5000001 bytes of w2: nothing is lent to w3 under number 1"
        );
    }
}

#[test]
fn a_cut_and_a_silent_connection_go_on_from_the_byte_where_it_was() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for then in [Then::Cuts, Then::IsSilent] {
        // Silent is what says nothing for a quarter of a third of it.
        let timeout = Duration::from_secs(6);
        let (mut giver, mut reader) = (lines(A, None, timeout), lines(B, None, timeout));
        giver.meet(B, String::new());
        let proxy = Proxy::to(giver.address().to_owned(), 1 << 20, then);
        reader.meet(A, proxy.address.clone());
        let bytes = block(3 << 20);
        giver.lend(B, &bytes, 5);
        let before = crate::traffic().streamed_bytes;
        reader.readers.ask(A, 5, 3 << 20);
        assert!(*pulled().unwrap() == *bytes.bytes());
        assert!(proxy.passed.iter().take(3).eq([1 << 20; 3]), "each connection carries a part");
        let sent = crate::traffic().streamed_bytes - before;
        assert!(sent >= 3 << 20, "{sent}");
    }
}

#[test]
fn a_giver_that_goes_takes_its_pulls_with_it_at_once() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut giver, mut reader) = (lines(A, None, LIMIT), lines(B, None, LIMIT));
    giver.meet(B, String::new());
    let proxy = Proxy::to(giver.address().to_owned(), 1 << 20, Then::IsSilent);
    reader.meet(A, proxy.address.clone());
    giver.lend(B, &block(3 << 20), 5);
    for _ in 0..10 {
        reader.readers.ask(A, 5, 3 << 20);
    }
    assert_eq!(proxy.passed.recv_timeout(LIMIT), Ok(1 << 20));
    let begin = Instant::now();
    reader.lose(Duration::ZERO, A);
    drop(reader);
    assert!(begin.elapsed() < LIMIT / 2, "its threads ended");
    assert!(TOLD.lock().unwrap().is_empty(), "what was asked for is nobody's any more");
}

#[test]
fn without_a_way_it_is_told_and_so_is_all_that_is_asked_for_later() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let unreachable = |address: String, why: &str| {
        let mut reader = lines(B, None, Duration::from_secs(1));
        reader.meet(A, address);
        for lease in [1, 2] {
            reader.readers.ask(A, lease, 1 << 20);
            let Told::Unreachable { giver: A, lease: told, why: said } = told() else {
                panic!("it is reached")
            };
            assert_eq!(told, lease);
            assert!(said.contains(why), "{said}");
        }
        assert!(reader.no_way(A) && !reader.no_way(A), "it is news once");
    };
    // Nobody is there.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    unreachable(nobody.to_string(), "Connection refused");
    // Another worker is there: loopback is the address of every host.
    let other = lines(WorkerId(4), None, LIMIT);
    unreachable(other.address().to_owned(), "is another worker");
    // Something else is.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = (&stream).write_all(b"220 mail.example.org ESMTP\r\n");
            let _ = (&stream).read(&mut [0; 512]);
        }
    });
    unreachable(address, "the other side is no worker of Poniard");
}

#[test]
fn s02_who_has_not_the_token_gets_nothing_and_is_told_so() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut giver = lines(A, None, LIMIT);
    giver.meet(B, String::new());
    giver.lend(B, &block(1 << 20), 1);
    let site = Site { address: Ipv4Addr::LOCALHOST.into(), told: None, tls: None };
    let mut stranger = Lines::start(site, B, [8; 32], LIMIT, 1 << 30, tell).unwrap();
    stranger.meet(A, giver.address().to_owned());
    stranger.readers.ask(A, 1, 1 << 20);
    let Told::Unreachable { why, .. } = told() else { panic!("it has the token") };
    assert!(why.ends_with("the other side has not the token of this cluster"), "{why}");
    // Who says nothing of the protocol is not even answered.
    let mut stream = TcpStream::connect(giver.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"SSH-2.0-OpenSSH_9.7\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty());
}

#[test]
fn what_is_lent_lives_until_the_last_reader_and_is_sent_once_for_all_of_them() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    use crate::message::{BufferTold, Bytes, Message, Outcome};
    use poniard_store::refs::GlobalChunk;
    let result = |leases: &[u64]| {
        let buffers = leases.iter().map(|lease| BufferTold::Afar { lease: *lease, len: 8 }).collect();
        let of = GlobalChunk { owner: A, chunk: poniard_model::TaskId(1).into() };
        Parcel::Message(Message::Result(of, Outcome::Made(Bytes::new(Vec::new(), buffers))))
    };
    let now = Duration::from_secs(1);
    let mut fetches = Fetches::new(1 << 30, tell);
    let first = fetches.begin(now, A, result(&[1, 2, 1]));
    let second = fetches.begin(now, A, result(&[2]));
    let (asks, whole) = fetches.go_on(now);
    let asked: Vec<u64> = asks.iter().map(|(_, want)| want.lease).collect();
    assert!(asked == [1, 2] && whole.is_empty(), "each once: {asked:?}");
    let buf = || Ok(Buf::from_vec(vec![1_u8; 8]));
    assert_eq!(fetches.arrived(now, A, 2, buf()), [second]);
    assert!(matches!(fetches.take(second), Some((A, Parcel::Message(_)))));
    assert_eq!(fetches.arrived(now, A, 1, buf()), [first]);
    assert_eq!(fetches.take_over(), [(A, 2), (A, 2), (A, 1), (A, 1)], "as often as it was told");
    // One of the wrong length, and a giver that goes.
    let third = fetches.begin(now, A, result(&[3]));
    fetches.go_on(now);
    assert_eq!(fetches.arrived(now, A, 3, Ok(Buf::from_vec(vec![1_u8; 9]))), [third]);
    let lost = fetches.begin(now, A, result(&[4]));
    fetches.go_on(now);
    fetches.lose(now, A);
    assert!(fetches.arrived(now, A, 4, buf()).is_empty());
    assert!(fetches.take(lost).is_none() && fetches.take(third).is_none(), "lost with their sender");
}

#[test]
fn arguments_are_kept_until_nobody_reads_them_and_come_once_for_all_who_read_them_together() {
    use crate::message::{AttemptsTold, BufferTold, Bytes, DemandTold, PieceTold, RestTold, Run, SiteTold};
    use poniard_model::TaskId;
    use poniard_sched::{Order, Sending};
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let guest = |task: u64| {
        let task = TaskId(task);
        let value = Bytes::new(Vec::new(), vec![BufferTold::Afar { lease: 1, len: 8 }]);
        let pieces = vec![PieceTold::Value(value)];
        let (site, demand) = (SiteTold::Offset(0), DemandTold::default());
        let attempts = AttemptsTold::default();
        let run = Run {
            task,
            entry: 0,
            body: 0,
            site,
            demand,
            attempts,
            rest: RestTold::Never,
            inherited: None,
            pieces,
        };
        let sending = Sending { task, number: 1 };
        Parcel::Guest(Order { sending, attempt: 1, expected_ns: None, is_watched: false }, run)
    };
    let bytes_of = |parcel: Option<(WorkerId, Parcel)>| {
        let Some((A, Parcel::Guest(_, mut run))) = parcel else { panic!("it is a task") };
        let (_, mut buffers) = run.values().remove(0).clone().into_parts();
        let Some(BufferTold::Pulled(Ok(buf))) = buffers.pop() else { panic!("it is here") };
        buf
    };
    let now = Duration::from_secs(1);
    let mut fetches = Fetches::new(100, tell);
    let first = fetches.begin(now, A, guest(1));
    let second = fetches.begin(now, A, guest(2));
    assert_eq!(fetches.go_on(now).0.len(), 1, "once for both");
    assert_eq!(fetches.arrived(now, A, 1, Ok(Buf::from_vec(vec![5_u8; 8]))), [first, second]);
    let (one, two) = (bytes_of(fetches.take(first)), bytes_of(fetches.take(second)));
    assert_eq!(one.as_ptr(), two.as_ptr());
    drop(one);
    // A third that comes while the second reads; and one that is called back.
    let third = fetches.begin(now, A, guest(3));
    let fourth = fetches.begin(now, A, guest(4));
    assert!(fetches.withdraw(fourth).is_some());
    assert_eq!(fetches.go_on(now), (Vec::new(), vec![third]));
    let three = bytes_of(fetches.take(third));
    drop(two);
    assert_eq!(fetches.take_over(), [(A, 1)], "the one that was called back");
    drop(three);
    let Told::Ended { giver: A, lease: 1, pull } = told() else { panic!("nobody reads it any more") };
    // It is told once more before that is heard: it comes anew.
    let fifth = fetches.begin(now, A, guest(5));
    assert_eq!(fetches.go_on(now).0.len(), 1);
    assert_eq!(fetches.take_over(), [(A, 1); 3]);
    fetches.ended(now, A, 1, pull);
    assert!(fetches.take_over().is_empty(), "that was over before");
    assert_eq!(fetches.arrived(now, A, 1, Err("it is not there".into())), [fifth]);
    assert_eq!(fetches.take_over(), [(A, 1)]);
}
