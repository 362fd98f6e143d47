//! What was asked for, as the environment of a program.

use std::ffi::OsString;
use std::path::PathBuf;

/// What a command line says anew, whatever was in the environment before.
pub(crate) const NAMES: [&str; 11] = [
    "PONIARD_WORKERS",
    "PONIARD_LISTEN",
    "PONIARD_CONTACT",
    "PONIARD_CONNECTION",
    "PONIARD_JOINERS",
    "PONIARD_HOSTS",
    "PONIARD_SSH",
    "PONIARD_INSECURE",
    "PONIARD_WORKER",
    "PONIARD_OWNER",
    "PONIARD_JOIN_TIMEOUT",
];

/// A program that is to be started.
#[derive(Debug, PartialEq)]
pub(crate) struct Program {
    /// Its name, and its arguments.
    pub(crate) words: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
}

/// How large a worker is; what is not said is by the environment, or as the machine has it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Size {
    pub(crate) threads: Option<String>,
    pub(crate) memory: Option<String>,
    pub(crate) labels: Option<String>,
}

/// A program as worker 1.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct First {
    /// In all.
    pub(crate) workers: Option<usize>,
    pub(crate) size: Size,
    pub(crate) hosts: Vec<String>,
    pub(crate) ssh: Option<String>,
    pub(crate) listen: Option<String>,
    pub(crate) contact: Option<String>,
    pub(crate) file: Option<PathBuf>,
    /// How many that are started by hand are waited for, and for how many seconds.
    pub(crate) joiners: Option<usize>,
    pub(crate) patience: Option<u64>,
    pub(crate) is_insecure: bool,
}

/// A program as a worker that finds worker 1 by a file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Other {
    pub(crate) file: PathBuf,
    pub(crate) size: Size,
    pub(crate) patience: Option<u64>,
}

type Environment = Vec<(&'static str, OsString)>;

impl Size {
    fn add_to(self, environment: &mut Environment) {
        let said = [
            ("PONIARD_THREADS", self.threads),
            ("PONIARD_MEMORY", self.memory),
            ("PONIARD_LABELS", self.labels),
        ];
        environment.extend(said.into_iter().filter_map(|(name, value)| Some((name, value?.into()))));
    }
}

impl First {
    /// The environment of the program.
    pub(crate) fn environment(self) -> Environment {
        let others = match self.workers {
            Some(workers) => workers - 1,
            None => self.hosts.len(),
        };
        let mut environment = vec![("PONIARD_WORKERS", others.to_string().into())];
        let hosts = (!self.hosts.is_empty()).then(|| self.hosts.join(","));
        let said = [
            ("PONIARD_HOSTS", hosts),
            ("PONIARD_SSH", self.ssh),
            ("PONIARD_LISTEN", self.listen),
            ("PONIARD_CONTACT", self.contact),
            ("PONIARD_JOINERS", self.joiners.map(|joiners| joiners.to_string())),
            ("PONIARD_JOIN_TIMEOUT", self.patience.map(|seconds| seconds.to_string())),
            ("PONIARD_INSECURE", self.is_insecure.then(|| "1".to_owned())),
        ];
        environment.extend(said.into_iter().filter_map(|(name, value)| Some((name, value?.into()))));
        environment.extend(self.file.map(|file| ("PONIARD_CONNECTION", file.into_os_string())));
        self.size.add_to(&mut environment);
        environment
    }
}

impl Other {
    /// The environment of the program.
    pub(crate) fn environment(self) -> Environment {
        let mut environment =
            vec![("PONIARD_WORKER", "join".into()), ("PONIARD_CONNECTION", self.file.into_os_string())];
        environment.extend(self.patience.map(|seconds| ("PONIARD_JOIN_TIMEOUT", seconds.to_string().into())));
        self.size.add_to(&mut environment);
        environment
    }
}
