//! Numbers that nobody can foresee, from the operating system.

use std::fs::File;
use std::io::{self, Read};

/// 256 bits from the system's source of them: for tokens and nonces.
///
/// # Errors
/// When the system does not give any.
pub fn entropy() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
