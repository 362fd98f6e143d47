//! What a worker process learns when it is born, by its standard input or by a message of its job.

use super::lines::Site;
use crate::settings::Settings;
use poniard_fabric::tls::Tls;
use poniard_model::WorkerId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Bytes of a birth: a few paths and numbers.
const BIRTH_BYTES_MAX: u32 = 1 << 20;

/// What a worker process learns when it is born.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Birth {
    /// Its number.
    pub(crate) number: WorkerId,
    /// Its own life.
    pub(crate) life: u64,
    /// The cluster's secret.
    pub(crate) token: [u8; 32],
    /// Where worker 1 is.
    pub(crate) place: Place,
    /// Whether this is another server, where what is about the machine is by the environment.
    pub(crate) is_elsewhere: bool,
    /// Where it listens for workers of other hosts, if there are any and it does not find that out itself.
    pub(crate) lines: Option<Site>,
    /// As worker 1 has them.
    pub(crate) settings: Settings,
}

/// Where worker 1 is, to another one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// On this machine, with its socket in this folder.
    Here(PathBuf),
    /// On a server that others reach.
    Server {
        /// The address or the name of that, and the port of the engine.
        engine: String,
        /// What is shown there.
        tls: Option<Tls>,
    },
    /// In the job of this process, at rank 0.
    Job,
}

impl Birth {
    /// Tells a new process.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let bytes = postcard::to_allocvec(self).map_err(io::Error::other)?;
        to.write_all(&(bytes.len() as u32).to_le_bytes())?;
        to.write_all(&bytes)?;
        to.flush()
    }

    /// Learns it.
    ///
    /// # Errors
    /// When nobody tells.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Birth> {
        let mut len = [0; 4];
        from.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len);
        if len > BIRTH_BYTES_MAX {
            return Err(io::Error::other("it is not by worker 1"));
        }
        let mut bytes = vec![0; len as usize];
        from.read_exact(&mut bytes)?;
        postcard::from_bytes(&bytes).map_err(io::Error::other)
    }
}

/// Without the secret.
impl fmt::Debug for Birth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Birth").field("number", &self.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn birth() -> Birth {
        let settings = Settings {
            threads: 2,
            labels: vec!["fast".into()],
            budget: 1 << 30,
            alone: 2 << 30,
            spill_folders: vec!["/scratch".into()],
            spill_limit: u64::MAX,
            worker_timeout: Duration::from_secs(2),
            respawn: 0,
            no_worker_timeout: Duration::from_secs(1),
            cancel_grace: Duration::from_secs(5),
        };
        let place = Place::Here("/run/poniard".into());
        Birth {
            number: WorkerId(2),
            life: 7,
            token: [9; 32],
            place,
            is_elsewhere: false,
            lines: None,
            settings,
        }
    }

    #[test]
    fn what_is_told_is_learned_and_nothing_is_told_of_the_secret() {
        let mut pipe = Vec::new();
        birth().write(&mut pipe).unwrap();
        assert!(Birth::read(&mut pipe.as_slice()).unwrap() == birth());
        assert!(!format!("{:?}", birth()).contains('9'));
    }

    #[test]
    fn what_is_no_birth_is_an_error_and_not_read_to_its_end() {
        for bytes in [&[][..], &[1], &[3, 0, 0, 0, 1, 2], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 8]] {
            assert!(Birth::read(&mut &*bytes).is_err());
        }
    }
}
