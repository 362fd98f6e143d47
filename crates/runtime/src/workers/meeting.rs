//! Where workers of other servers come in, and where further ones are started, as the environment says it.

use super::job::job;
use super::rank::Rank;
use crate::environment::variable;
use crate::machine::node;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Says by which file other servers find worker 1.
pub(crate) const CONNECTION: &str = "PONIARD_CONNECTION";
/// What says that this process is worker 1 of several servers.
pub(crate) const OF_SEVERAL: [&str; 2] = ["PONIARD_LISTEN", "PONIARD_HOSTS"];
/// The process for which that was said.
pub(crate) const OWNER: &str = "PONIARD_OWNER";
/// How a program is started on another server, unless told otherwise: whoever would have to be asked for a password is not there.
const SSH: &str = "ssh -o BatchMode=yes";
/// Workers of other servers that are waited for.
const JOINERS_MAX: usize = 4096;

/// Where the workers come from that this process does not start on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// They come in by a door, or are started on other servers.
    Door(Doorway),
    /// They are the other processes of the job that `mpirun` has started, which talk by MPI.
    Job {
        /// For so long they are waited for.
        patience: Duration,
        /// How many of them are on this server, this one included.
        here: usize,
    },
}

/// Where workers of other servers come in, and where further ones are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doorway {
    pub(super) listen: Listen,
    /// The connection file, if there is a door.
    pub(super) file: Option<PathBuf>,
    /// How many come by the door and are waited for, and for how long.
    pub(super) joiners: usize,
    pub(super) patience: Duration,
    /// Servers on which workers are started, in turn.
    pub(super) hosts: Vec<String>,
    /// By what: a command and its first arguments.
    pub(super) ssh: Vec<String>,
    /// Whether it is that of processes that were started together.
    is_step: bool,
    /// How many of those are on this server, this one included.
    here: usize,
}

/// Where worker 1 listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: SocketAddr,
    pub(super) is_tls: bool,
    /// What others call this server.
    pub(super) told: String,
}

impl Meeting {
    /// What `PONIARD_LISTEN`, `PONIARD_CONTACT`, `PONIARD_CONNECTION`, `PONIARD_JOINERS`, `PONIARD_HOSTS`, `PONIARD_SSH` and
    /// `PONIARD_INSECURE` say; else Slurm, to the first process of a step, or `mpirun`, to that of a job.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn of_environment() -> Result<Option<Meeting>, String> {
        // Programs that this one starts have its environment too, and are not meant.
        if variable(OWNER).is_some_and(|owner| owner != std::process::id().to_string()) {
            return Ok(None);
        }
        let rank = Rank::of_environment().filter(|rank| rank.number == 0);
        if let (Some(_), Some(rank)) = (job(), &rank) {
            let patience = join_patience(variable("PONIARD_JOIN_TIMEOUT"))?;
            return Ok(Some(Meeting::Job { patience, here: rank.here }));
        }
        Ok(Doorway::of(variable, rank)?.map(Meeting::Door))
    }

    /// Whether nobody has met here yet: later clusters of a process are its own, since the other processes of a step or a job end
    /// with the first.
    pub(super) fn is_new(&self) -> bool {
        static WAS_STEP: AtomicBool = AtomicBool::new(false);
        let is_step = match self {
            Meeting::Door(door) => door.is_step,
            Meeting::Job { .. } => true,
        };
        !is_step || !WAS_STEP.swap(true, Ordering::Relaxed)
    }

    /// How many processes share the memory of this machine, of which this one starts so many.
    pub fn sharers(&self, workers: usize) -> usize {
        match self {
            Meeting::Door(door) if !door.hosts.is_empty() => 1,
            Meeting::Door(door) => workers + door.here,
            Meeting::Job { here, .. } => workers + here,
        }
    }
}

impl Doorway {
    fn of(variable: impl Fn(&str) -> Option<String>, rank: Option<Rank>) -> Result<Option<Doorway>, String> {
        let words = |name: &str, between: char| -> Vec<String> {
            let text = variable(name).unwrap_or_default();
            text.split(between).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let (hosts, mut ssh) = (words("PONIARD_HOSTS", ','), words("PONIARD_SSH", ' '));
        if ssh.is_empty() {
            ssh = SSH.split(' ').map(str::to_owned).collect();
        }
        if let Some(host) = hosts.iter().find(|host| host.starts_with('-')) {
            return Err(format!("PONIARD_HOSTS names `{host}`, which is no host but an option of ssh"));
        }
        let mut file = variable(CONNECTION).map(PathBuf::from);
        let mut joiners = joiners(variable("PONIARD_JOINERS"))?;
        let is_insecure = variable("PONIARD_INSECURE").is_some_and(|text| text == "1");
        let mut listen = match (variable("PONIARD_LISTEN"), &rank) {
            (Some(text), _) => Listen::parse(&text, is_insecure)?,
            (None, Some(rank)) => Listen::for_rank(rank),
            (None, None) if !hosts.is_empty() => Listen::towards(&hosts)?,
            (None, None) => return Ok(None),
        };
        if let Some(contact) = variable("PONIARD_CONTACT") {
            listen.told = contact_name(&contact)?;
        }
        let (is_step, here) = (rank.is_some(), rank.as_ref().map_or(1, |rank| rank.here));
        if let Some(rank) = rank {
            (file, joiners) = (Some(rank.connection_file()?), rank.tasks - 1);
        }
        if file.is_none() && hosts.is_empty() {
            return Err("PONIARD_LISTEN is set and PONIARD_CONNECTION is not; set that to the file by which others find this process".to_owned());
        }
        if file.is_none() && joiners > 0 {
            return Err(format!(
                "PONIARD_JOINERS is {joiners}, and without PONIARD_CONNECTION nobody can join"
            ));
        }
        let patience = join_patience(variable("PONIARD_JOIN_TIMEOUT"))?;
        Ok(Some(Doorway { listen, file, joiners, patience, hosts, ssh, is_step, here }))
    }

    /// Whether further workers are started on other servers.
    pub(super) fn has_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }
}

impl Listen {
    fn parse(text: &str, is_insecure: bool) -> Result<Listen, String> {
        let wrong = |why: &str| format!("PONIARD_LISTEN is `{text}`{why}");
        let (scheme, place) =
            text.split_once("://").map_or((None, text), |(scheme, place)| (Some(scheme), place));
        let address = place.to_socket_addrs().ok().and_then(|mut all| all.next());
        let address = address.ok_or_else(|| {
            wrong("; set it to an address of this server and a port, such as tls://10.0.0.1:7100, port 0 for any two that are free")
        })?;
        let is_here = address.ip().is_loopback();
        let is_tls = match scheme {
            None => !is_here,
            Some("tls") => true,
            Some("tcp") if is_here || is_insecure => false,
            Some("tcp") => {
                return Err(wrong(
                    ", where others can read and change what is sent: use tls://, or say --insecure (PONIARD_INSECURE=1) if that is meant",
                ));
            }
            Some(_) => return Err(wrong(": it begins with tcp:// or tls://")),
        };
        if address.port() == u16::MAX {
            return Err(wrong(": the next port is used as well, and there is none"));
        }
        let told = if address.ip().is_unspecified() { node() } else { host(address.ip()) };
        Ok(Listen { address, is_tls, told })
    }

    /// On one server nobody else has to reach it; on several, all.
    fn for_rank(rank: &Rank) -> Listen {
        if rank.nodes == 1 {
            return Listen::at(Ipv4Addr::LOCALHOST.into());
        }
        let told = rank.node.clone().unwrap_or_else(node);
        Listen { address: (Ipv4Addr::UNSPECIFIED, 0).into(), is_tls: true, told }
    }

    /// At the address that this server has towards the first of these. Nothing is sent for that.
    fn towards(hosts: &[String]) -> Result<Listen, String> {
        let host = hosts[0].rsplit('@').next().expect("there is a last part");
        let address = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
            socket.connect((host, 22))?;
            socket.local_addr()
        });
        let address = address.map_err(|error| {
            format!("cannot tell by which address {host} reaches this server: {error}; say it by --listen (PONIARD_LISTEN)")
        })?;
        Ok(Listen::at(address.ip()))
    }

    fn at(address: IpAddr) -> Listen {
        Listen { address: (address, 0).into(), is_tls: !address.is_loopback(), told: host(address) }
    }

    /// How others reach a port of this server.
    pub(super) fn told(&self, port: u16) -> String {
        format!("{}:{port}", self.told)
    }
}

/// How long a process that joins waits for worker 1, and that for those who join.
///
/// # Errors
/// When it is no number of seconds.
pub(super) fn join_patience(text: Option<String>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(super::roll::JOINING) };
    let seconds = text.trim().parse().ok().filter(|seconds| (1..=86_400).contains(seconds));
    let wrong = || format!("PONIARD_JOIN_TIMEOUT is `{text}`; set it to a number of seconds, a day at most");
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

fn joiners(text: Option<String>) -> Result<usize, String> {
    let Some(text) = text else { return Ok(0) };
    let joiners = text.trim().parse().ok().filter(|joiners| *joiners <= JOINERS_MAX);
    joiners.ok_or_else(|| format!("PONIARD_JOINERS is `{text}`; set it to a number from 0 to {JOINERS_MAX}"))
}

/// What others call this server where they cannot reach it by the address at which it listens.
fn contact_name(text: &str) -> Result<String, String> {
    if let Ok(address) = text.parse() {
        return Ok(host(address));
    }
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    if text.is_empty() || text.starts_with('-') || !text.chars().all(is_plain) {
        return Err(format!(
            "PONIARD_CONTACT is `{text}`; set it to a host name or an address, without a port: that is the one of PONIARD_LISTEN"
        ));
    }
    Ok(text.to_owned())
}

fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(set: &[(&str, &str)]) -> Result<Option<Doorway>, String> {
        let value =
            |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Doorway::of(value, None)
    }

    fn listens(text: &str, insecure: &str) -> Result<(bool, String), String> {
        let set = [("PONIARD_LISTEN", text), ("PONIARD_CONNECTION", "f"), ("PONIARD_INSECURE", insecure)];
        meeting(&set).map(|meeting| {
            let listen = meeting.unwrap().listen;
            (listen.is_tls, listen.told(listen.address.port()))
        })
    }

    #[test]
    fn nothing_said_is_nothing_done() {
        assert_eq!(meeting(&[]), Ok(None));
        assert_eq!(meeting(&[("PONIARD_SSH", "rsh"), ("PONIARD_CONNECTION", "f")]), Ok(None));
    }

    #[test]
    fn s03_beyond_this_host_it_is_tls_unless_asked_for_by_name() {
        assert_eq!(listens("127.0.0.1:7100", ""), Ok((false, "127.0.0.1:7100".to_owned())));
        assert_eq!(listens("tls://[::1]:7100", ""), Ok((true, "[::1]:7100".to_owned())));
        assert_eq!(listens("10.0.0.1:7100", ""), Ok((true, "10.0.0.1:7100".to_owned())));
        let refused = listens("tcp://10.0.0.1:7100", "").unwrap_err();
        assert_eq!(
            refused,
            "PONIARD_LISTEN is `tcp://10.0.0.1:7100`, where others can read and change what is sent: use tls://, or say --insecure \
             (PONIARD_INSECURE=1) if that is meant"
        );
        assert_eq!(listens("tcp://10.0.0.1:7100", "1"), Ok((false, "10.0.0.1:7100".to_owned())));
        assert_eq!(listens("0.0.0.0:7", ""), Ok((true, format!("{}:7", node()))));
    }

    #[test]
    fn what_makes_no_sense_is_said_in_words() {
        for (set, part) in [
            (&[("PONIARD_LISTEN", "here")][..], "PONIARD_LISTEN is `here`; set it to an address"),
            (&[("PONIARD_LISTEN", "udp://127.0.0.1:1")], "it begins with tcp:// or tls://"),
            (&[("PONIARD_LISTEN", "127.0.0.1:65535")], "the next port is used as well"),
            (&[("PONIARD_LISTEN", "127.0.0.1:1")], "set that to the file by which others find this process"),
            (&[("PONIARD_HOSTS", "a,-oProxyCommand=x")], "no host but an option of ssh"),
            (&[("PONIARD_HOSTS", "127.0.0.1"), ("PONIARD_JOINERS", "2")], "nobody can join"),
            (&[("PONIARD_JOINERS", "many")], "PONIARD_JOINERS is `many`"),
        ] {
            let error = meeting(set).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn others_may_have_to_call_it_by_another_name() {
        let called = |contact: &str| {
            let listen = [("PONIARD_LISTEN", "127.0.0.1:7"), ("PONIARD_CONNECTION", "f")];
            let set = [&listen[..], &[("PONIARD_CONTACT", contact)]].concat();
            meeting(&set).map(|meeting| meeting.unwrap().listen.told(7))
        };
        assert_eq!(called("gate.example.org"), Ok("gate.example.org:7".to_owned()));
        assert_eq!(called("10.0.0.9"), Ok("10.0.0.9:7".to_owned()));
        assert_eq!(called("fe80::1"), Ok("[fe80::1]:7".to_owned()));
        for wrong in ["", "10.0.0.9:7", "-oProxy", "two words"] {
            let error = called(wrong).unwrap_err();
            assert!(error.starts_with(&format!("PONIARD_CONTACT is `{wrong}`; set it to")), "{error}");
        }
    }

    #[test]
    fn hosts_need_no_more_than_their_names() {
        let found = meeting(&[("PONIARD_HOSTS", "127.0.0.1, me@127.0.0.1")]).unwrap().unwrap();
        assert_eq!(found.hosts, ["127.0.0.1", "me@127.0.0.1"]);
        assert_eq!((found.listen.told(7), found.listen.is_tls), ("127.0.0.1:7".to_owned(), false));
        assert_eq!(found.ssh.join(" "), SSH);
    }
}
