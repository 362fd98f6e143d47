//! The file by which workers of other servers find worker 1 and prove that they belong to it.
//!
//! It is text: a version, the address of the door, the token, and where TLS is used the authority, the certificate and the key
//! of those who come. It is as good as an account on all servers of the cluster, so nobody else may read it.

use poniard_fabric::tls::Tls;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The first line.
const TITLE: &str = "poniard connection 1";
/// What a file may have: three texts of TLS are less than a tenth of it.
const BYTES_MAX: u64 = 64 << 10;

/// What is in the file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Where the door is: an address or a host name, and a port.
    pub(crate) address: String,
    pub(crate) token: [u8; 32],
    pub(crate) tls: Option<Tls>,
}

/// A connection file that this process has written, and that goes with this.
#[derive(Debug)]
pub(super) struct Written(PathBuf);

/// Why a file is not used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is not there: it may come.
    Missing(PathBuf),
    /// It is there, and no good.
    Refused(String),
}

impl Connection {
    /// Writes it where only this user can read it: whole, or not at all.
    ///
    /// # Errors
    /// When it cannot be written, or something else has that name.
    pub(super) fn write(&self, path: &Path) -> Result<Written, String> {
        let because = |error: io::Error| format!("cannot write {}: {error}", path.display());
        if let Ok(mut old) = File::open(path) {
            let mut title = vec![0; TITLE.len()];
            let is_ours = old.read_exact(&mut title).is_ok() && title == TITLE.as_bytes();
            if !is_ours {
                return Err(format!(
                    "{} is there, and is no connection file; choose another name",
                    path.display()
                ));
            }
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(name);
        let mut options = OpenOptions::new();
        let written = options.write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&draft, path)
        });
        written.map(|()| Written(path.to_owned())).map_err(|error| {
            let _ = fs::remove_file(&draft);
            because(error)
        })
    }

    /// Reads it, if nobody else can.
    ///
    /// # Errors
    /// When it is not there, others can read it, or it is no connection file.
    pub(super) fn read(path: &Path) -> Result<Connection, Unusable> {
        let refused = |why: String| Unusable::Refused(format!("cannot use {}: {why}", path.display()));
        let file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing(path.to_owned()),
            _ => refused(error.to_string()),
        })?;
        let about = file.metadata().map_err(|error| refused(error.to_string()))?;
        let mine = fs::metadata("/proc/self").map_err(|error| refused(error.to_string()))?.uid();
        if !about.is_file() {
            return Err(refused("it is no file".to_owned()));
        }
        if about.mode() & 0o077 != 0 {
            let mode = about.mode() & 0o777;
            return Err(refused(format!("others may read or write it (mode {mode:o}); `chmod 600` it")));
        }
        if about.uid() != mine {
            return Err(refused(format!("it belongs to user {}, and this is user {mine}", about.uid())));
        }
        let mut text = String::new();
        let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
        read.map_err(|error| refused(error.to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(refused(format!("it has more than {BYTES_MAX} bytes")));
        }
        Connection::parse(&text).ok_or_else(|| refused("it is no connection file of this version".to_owned()))
    }

    fn text(&self) -> String {
        let mut text = format!("{TITLE}\naddress {}\ntoken ", self.address);
        self.token.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a text takes more"));
        text.push('\n');
        for part in self.tls.iter().flat_map(|tls| [tls.authority.as_str(), &tls.certificate, tls.key()]) {
            text.push_str(part.trim_end());
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Option<Connection> {
        let rest = text.strip_prefix(TITLE)?.strip_prefix('\n')?;
        let (address, rest) = rest.strip_prefix("address ")?.split_once('\n')?;
        let (digits, rest) = rest.strip_prefix("token ")?.split_once('\n')?;
        let mut token = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        for (index, byte) in token.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
        }
        let tls = if rest.is_empty() { None } else { Some(parse_tls(rest)?) };
        Some(Connection { address: address.to_owned(), token, tls })
    }
}

/// Three texts, each with its last line.
fn parse_tls(text: &str) -> Option<Tls> {
    let mut parts = Vec::new();
    let mut part = String::new();
    for line in text.lines() {
        part.push_str(line);
        part.push('\n');
        if line.starts_with("-----END ") {
            parts.push(std::mem::take(&mut part));
        }
    }
    let [authority, certificate, key]: [String; 3] = parts.try_into().ok()?;
    part.is_empty().then(|| Tls::new(authority, certificate, key))
}

/// Without what is secret.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Missing(path) => write!(f, "there is no file {}", path.display()),
            Unusable::Refused(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("poniard-connection-{}-{name}", std::process::id()))
    }

    fn connection(tls: Option<Tls>) -> Connection {
        Connection { address: "node1:7100".to_owned(), token: [0xab; 32], tls }
    }

    #[test]
    fn what_is_written_is_read_and_goes_with_the_writer() {
        for (name, tls) in [("plain", None), ("tls", Some(Tls::of_new_cluster().unwrap().1))] {
            let (path, connection) = (path(name), connection(tls));
            let written = connection.write(&path).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert!(Connection::read(&path).unwrap() == connection);
            drop(written);
            assert_eq!(
                Connection::read(&path).unwrap_err().to_string(),
                format!("there is no file {}", path.display())
            );
        }
        assert!(!format!("{:?}", connection(None)).contains("171"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_its_mode() {
        let path = path("open");
        let written = connection(None).write(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Connection::read(&path).unwrap_err().to_string();
        let wanted =
            format!("cannot use {}: others may read or write it (mode 644); `chmod 600` it", path.display());
        assert_eq!(error, wanted);
        drop(written);
    }

    #[test]
    fn what_is_something_else_is_neither_read_nor_written_over() {
        let path = path("thesis");
        let good = connection(None).text();
        let mut texts = vec!["dear reader".to_owned(), String::new(), "x".repeat(70_000)];
        texts.extend((0..good.len() - 1).step_by(7).map(|len| good[..len].to_owned()));
        texts.push(format!("{good}-----BEGIN"));
        for text in texts {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let error = Connection::read(&path).unwrap_err();
            assert!(matches!(error, Unusable::Refused(_)), "{text}");
            if !text.starts_with(TITLE) {
                let error = connection(None).write(&path).map(drop).unwrap_err();
                assert!(
                    error.ends_with("is there, and is no connection file; choose another name"),
                    "{error}"
                );
            }
        }
        fs::remove_file(&path).unwrap();
    }
}
