//! Those who do not belong to a cluster, and what each side says of it.

use super::stage::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

const NO_TOKEN: &str = "the other side has not the token of this cluster";

/// Worker 1 of a cluster that goes on whatever comes.
fn begun(folder: &Folder) -> Process {
    let mut app = Process::start(first(&folder.path("connection"), "tcp://127.0.0.1:0", "0"));
    assert_eq!(app.says(), "begins with 1");
    app
}

/// Where its door is.
fn door(folder: &Folder) -> String {
    let text = std::fs::read_to_string(folder.path("connection")).unwrap();
    text.lines().nth(1).unwrap().strip_prefix("address ").unwrap().to_owned()
}

/// Where its door and its engine listen.
fn listeners(app: &Process) -> Vec<SocketAddr> {
    ports_of(app.id()).into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
}

/// The cluster goes on: one that belongs to it joins, and works.
fn goes_on(app: &mut Process, file: &Path) {
    let mut friend = Process::start(worker(file));
    app.ask("until 2");
    app.ask("work 20");
    assert_eq!(app.ask("end"), "ended");
    assert!(friend.end().success());
    assert!(app.end().success());
}

#[test]
fn s02_another_token_is_refused_in_words_on_both_sides() {
    let folder = Folder::new();
    let mut app = begun(&folder);
    let text = std::fs::read_to_string(folder.path("connection")).unwrap();
    let at = text.find("token ").unwrap() + 6;
    let digit = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    let wrong = folder.file("wrong", [&text[..at], digit, &text[at + 1..]].concat(), 0o600);
    let (status, _, said) = run(worker(&wrong));
    assert_eq!(status.code(), Some(1));
    let wanted = format!(
        "a worker cannot start: worker 1 at {} does not let this process in: {NO_TOKEN}\n",
        door(&folder)
    );
    assert_eq!(said, wanted);
    app.complains(&format!("away: {NO_TOKEN}"));
    goes_on(&mut app, &folder.path("connection"));
}

#[test]
fn n05_another_executable_is_refused_in_words_on_both_sides() {
    let folder = Folder::new();
    let mut app = begun(&folder);
    let other = other_build(&folder);
    let (status, _, said) = run(worker_of(&other, &folder.path("connection")));
    assert_eq!(status.code(), Some(1));
    let (_, why) = said.split_once("does not let this process in: the executable is ").expect(&said);
    let (here, there) = why.trim_end().split_once(" here and ").expect(&said);
    let there = there.strip_suffix(" there; all workers must run the same").expect(&said);
    assert!(here.len() == 16 && there.len() == 16 && here != there, "{said}");
    app.complains(&format!("away: the executable is {there} here and {here} there"));
    goes_on(&mut app, &folder.path("connection"));
}

#[test]
fn n04_another_version_is_refused_in_words_on_both_sides() {
    let folder = Folder::new();
    let mut app = begun(&folder);
    let mut visitor = TcpStream::connect(door(&folder)).unwrap();
    let mut hello = b"poniard\x1a".to_vec();
    hello.extend(7_u32.to_le_bytes());
    visitor.write_all(&hello).unwrap();
    let mut answer = [0; 12];
    visitor.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"poniard\x1a\x01\0\0\0");
    app.complains("away: the protocol is 1 here and 7 there");
    // And a door of another version, to one who comes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = std::fs::read_to_string(folder.path("connection")).unwrap();
    let text = text.replace(&door(&folder), &listener.local_addr().unwrap().to_string());
    let later = folder.file("later", text, 0o600);
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&hello).unwrap();
        // Until he has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (status, _, said) = run(worker(&later));
    assert_eq!(status.code(), Some(1));
    assert!(said.ends_with("does not let this process in: the protocol is 1 here and 7 there\n"), "{said}");
    answers.join().unwrap();
    goes_on(&mut app, &folder.path("connection"));
}

#[test]
fn n01_n02_strangers_are_told_nothing_hold_nobody_up_and_fill_no_log() {
    let folder = Folder::new();
    let mut app = begun(&folder);
    let places = listeners(&app);
    assert_eq!(places.len(), 3, "the door, the engine, and the port for large values");
    for place in &places {
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00",
            &[0xff; 4096],
        ] {
            let mut visitor = TcpStream::connect(place).unwrap();
            visitor.set_read_timeout(Some(LIMIT)).unwrap();
            // It may be gone before all was said.
            let _ = visitor.write_all(garbage);
            let mut answer = Vec::new();
            let _ = visitor.read_to_end(&mut answer);
            assert!(!answer.starts_with(b"poniard"), "{place} answers {answer:?}");
        }
    }
    app.complains("away: the other side is no worker of Poniard");
    // Those who say nothing, at all ports, more than are heard at a time: they are there until the end.
    let silent: Vec<TcpStream> =
        places.iter().flat_map(|place| (0..80).map(move |_| TcpStream::connect(place).unwrap())).collect();
    goes_on(&mut app, &folder.path("connection"));
    let lines = app.complaints();
    assert!(lines.iter().filter(|line| line.contains("turned")).count() <= 10, "{lines:?}");
    drop(silent);
}

/// Bytes that a process has in memory.
fn resident(app: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", app.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// How many files a process may have open.
fn descriptors_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(usize::MAX)
}

#[test]
fn n02_ten_thousand_who_say_nothing_hold_nobody_up_and_cost_little() {
    for address in ["tcp://127.0.0.1:0", "127.0.0.1:0"] {
        let folder = Folder::new();
        let mut app = Process::start(first(&folder.path("connection"), address, "0"));
        assert_eq!(app.says(), "begins with 1");
        let (places, before) = (listeners(&app), resident(&app));
        let count = 10_000.min(descriptors_max().saturating_sub(500));
        let patience = std::time::Duration::from_secs(1);
        let silent: Vec<TcpStream> = (0..count)
            .filter_map(|number| TcpStream::connect_timeout(&places[number % places.len()], patience).ok())
            .collect();
        assert!(10 * silent.len() >= 9 * count, "{} of {count} were let in at {address}", silent.len());
        let more = resident(&app).saturating_sub(before);
        assert!(more < 256 << 20, "{more} bytes more for {} of {count} at {address}", silent.len());
        println!("{address}: {} of {count} were let in, {} MiB more", silent.len(), more >> 20);
        goes_on(&mut app, &folder.path("connection"));
    }
}

/// Processor time that a process has taken, in hundredths of a second.
fn taken(app: &Process) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", app.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // Of the process itself, in its own code and in the kernel's.
    fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn n03_who_speaks_another_protocol_is_sent_away_at_little_cost() {
    let folder = Folder::new();
    let mut app = begun(&folder);
    let (places, door): (_, SocketAddr) = (listeners(&app), door(&folder).parse().unwrap());
    let hellos = [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
        b"SSH-2.0-OpenSSH_9.7\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    ];
    let (before, rounds) = (taken(&app), 10);
    // Side by side: one who announces more than he says is heard for seconds.
    let visit = |place: SocketAddr, hello: &'static [u8]| {
        std::thread::spawn(move || {
            let mut visitor = TcpStream::connect(place).unwrap();
            visitor.set_read_timeout(Some(LIMIT)).unwrap();
            let _ = visitor.write_all(hello);
            let mut answer = Vec::new();
            // Closed, or reset because not all was read: but not held.
            if let Err(error) = visitor.read_to_end(&mut answer) {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{place}");
            }
            let says = String::from_utf8_lossy(&answer);
            let asks_for_page = hello.starts_with(b"GET") || hello.starts_with(b"POST");
            let has_said = says.contains("This is a port of a Poniard cluster, and no web page.");
            assert!(has_said || place != door || !asks_for_page, "the door says {says:?}");
            assert!(if has_said { asks_for_page } else { answer.len() < 64 }, "{place} says {says:?}");
        })
    };
    let all = || places.iter().flat_map(|place| hellos.map(|hello| visit(*place, hello)));
    let visitors: Vec<_> = (0..rounds).flat_map(|_| all()).collect();
    visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
    let each = (taken(&app) - before) as f64 * 10.0 / (rounds * 4 * places.len()) as f64;
    assert!(each <= 10.0, "each costs {each} ms of a processor");
    goes_on(&mut app, &folder.path("connection"));
}

#[test]
fn n02_who_speaks_slowly_or_announces_much_is_sent_away_while_others_work() {
    let folder = Folder::new();
    let mut app = begun(&folder);
    let file = folder.path("connection");
    let door: SocketAddr = door(&folder).parse().unwrap();
    let mut friend = Process::start(worker(&file));
    app.ask("until 2");
    let slow = |place: SocketAddr, words: Vec<u8>| {
        std::thread::spawn(move || {
            let mut visitor = TcpStream::connect(place).unwrap();
            visitor.set_read_timeout(Some(std::time::Duration::from_millis(100))).unwrap();
            let begin = std::time::Instant::now();
            for word in words.iter().cycle() {
                assert!(begin.elapsed() < LIMIT, "{place} listens for ever");
                let said = visitor.write_all(std::slice::from_ref(word));
                let is_closed = match visitor.read(&mut [0; 256]) {
                    Ok(0) => true,
                    Ok(_) => false,
                    Err(error) => {
                        !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
                    }
                };
                if said.is_err() || is_closed {
                    return;
                }
            }
        })
    };
    let mut visitors = Vec::new();
    for place in listeners(&app) {
        let begin = if place == door { b"poniard\x1a\x01\0\0\0".to_vec() } else { vec![0xff, 0xff, 1] };
        visitors.extend((0..10).map(|_| slow(place, begin.clone())));
        // These announce as much as there is no memory for.
        visitors.extend([u32::MAX, 1 << 31, 1 << 20].map(|bytes| slow(place, bytes.to_le_bytes().to_vec())));
    }
    // Meanwhile those who belong here work, and another one comes.
    for _ in 0..10 {
        app.ask("work 20");
    }
    let mut second = Process::start(worker(&file));
    app.ask("until 3");
    app.ask("work 20");
    visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
    app.ask("work 20");
    assert_eq!(app.ask("end"), "ended");
    assert!(friend.end().success() && second.end().success() && app.end().success());
}

#[test]
fn f25_a_door_without_descriptors_left_opens_again() {
    let folder = Folder::new();
    let file = folder.path("connection");
    // Few more than worker 1 needs for itself.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100 && exec \"$@\"", "sh"]);
    let asked = first(&file, "tcp://127.0.0.1:0", "0");
    command.arg(asked.get_program()).args(asked.get_args());
    command.envs(asked.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1");
    let crowd: Vec<TcpStream> = (0..120).map(|_| TcpStream::connect(door(&folder)).unwrap()).collect();
    goes_on(&mut app, &file);
    drop(crowd);
}

#[test]
fn s02_a_connection_file_that_others_can_read_is_refused() {
    let folder = Folder::new();
    let text = "poniard connection 1\naddress 127.0.0.1:1\ntoken 00\n";
    let open = folder.file("open", text, 0o644);
    let (status, _, said) = run(worker(&open));
    assert_eq!(status.code(), Some(1));
    let wanted = format!(
        "a worker cannot start: cannot use {}: others may read or write it (mode 644); `chmod 600` it\n",
        open.display()
    );
    assert_eq!(said, wanted);
    let broken = folder.file("broken", text, 0o600);
    let (_, _, said) = run(worker(&broken));
    assert!(said.ends_with("it is no connection file of this version\n"), "{said}");
}

#[test]
fn a_worker_1_that_does_not_come_is_waited_for_and_not_for_ever() {
    let folder = Folder::new();
    let missing = folder.path("connection");
    let mut command = Command::new(env!("CARGO_BIN_EXE_poniard"));
    command.args(["worker", "start", "--patience", "1", "--connect", text(&missing), "--"]);
    command.arg(program()).args(ARGUMENTS);
    let (status, _, said) = run(command);
    assert_eq!(status.code(), Some(1));
    assert_eq!(said, format!("a worker cannot start: there is no file {} (for 1s)\n", missing.display()));
    let listening = ["run", "--file", text(&missing), "--listen", "127.0.0.1:0"];
    let mut app = Process::start(poniard(&[&listening[..], &["--wait", "2", "--patience", "1"]].concat()));
    app.complains("0 of 2 workers of other servers have joined within 1s");
    assert_eq!(app.end().code(), Some(4));
    assert!(!missing.exists());
}

#[test]
fn s03_tcp_beyond_this_machine_must_be_asked_for_by_name() {
    let folder = Folder::new();
    let file = folder.path("connection");
    let mut app = Process::start(first(&file, "tcp://192.0.2.1:7100", "0"));
    let said = app.complains("PONIARD_LISTEN is `tcp://192.0.2.1:7100`");
    assert!(said.contains("use tls://, or say --insecure"), "{said}");
    assert_eq!(app.end().code(), Some(4));
    // With TLS it is an address like others, and this machine has not got it.
    let mut app = Process::start(first(&file, "tls://192.0.2.1:7100", "0"));
    app.complains("cannot listen at 192.0.2.1:7100");
    assert_eq!(app.end().code(), Some(4));
}
