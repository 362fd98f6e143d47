//! Who may talk to us: the same protocol, the same executable, the same secret token.
//!
//! ```text
//! A                                            B
//!   Hello: protocol, build, nonce a  ────────►
//!   ◄────────  Hello: protocol, build, nonce b
//!   Proof: a, MAC(token; A, B, b, a) ────────►
//!   ◄──────── Proof: b, MAC(token; B, A, a, b)
//! ```
//!
//! The token never travels. A proof answers the other's fresh nonce and names who says it to whom, so a captured one is
//! worth nothing later, for somebody else, or sent back to whoever has made it. Frames may be lost: each side repeats its
//! hello until it has the other's proof, and a hello is always answered by a proof, which needs nothing else to be
//! understood. Both then know a number that nobody else can know, the session, and every later frame carries it.
//!
//! Until then each frame is at most [`HANDSHAKE_BYTES_MAX`](crate::frame::HANDSHAKE_BYTES_MAX) long, and nothing is
//! allocated for one.

use crate::frame::{Head, Protocol, Refusal};
use crate::peer::Peer;
use crate::secret::Secret;
use poniard_model::planted;
use std::fmt;

/// A hash of the executable, whatever it was made of: only equal ones can call each other's functions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Build(pub [u8; 32]);

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The secret that all workers of a cluster have, 256 random bits. It prints as nothing.
#[derive(Clone, Debug)]
pub struct Token(Secret<[u8; 32]>);

impl Token {
    /// The token of these bytes, which nobody can guess.
    pub fn new(bytes: [u8; 32]) -> Token {
        Token(Secret(bytes))
    }

    /// A secret for one purpose, from which the token cannot be found.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        *self.mac("derived", &[purpose.as_bytes()]).as_bytes()
    }

    /// The parts have fixed lengths, or there is one: so they need no marks between them.
    pub(crate) fn mac(&self, label: &str, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.0);
        hasher.update(label.as_bytes()).update(&[0]);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// What a worker must prove to others, and they to it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Of its executable.
    pub build: Build,
    /// Of its cluster.
    pub token: Token,
}

/// Why there will be no link with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The other side speaks another version, or is no worker at all.
    ProtocolMismatch {
        /// What this worker speaks.
        ours: Protocol,
        /// What the other one speaks.
        theirs: Protocol,
    },
    /// The other side is another executable.
    BuildMismatch {
        /// The hash of this one.
        ours: Build,
        /// The hash of the other one.
        theirs: Build,
    },
    /// One side does not have the other's token.
    WrongToken,
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::ProtocolMismatch { ours, theirs } if ours.magic == theirs.magic => {
                write!(f, "the protocol is {} here and {} there", ours.version, theirs.version)
            }
            HandshakeError::ProtocolMismatch { .. } => f.write_str("the other side is no worker of Poniard"),
            HandshakeError::BuildMismatch { ours, theirs } => {
                write!(
                    f,
                    "the executable is {ours:?} here and {theirs:?} there; all workers must run the same"
                )
            }
            HandshakeError::WrongToken => f.write_str("the other side has not the token of this cluster"),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl HandshakeError {
    /// The frame that tells the other side.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let refusal = match *self {
            HandshakeError::ProtocolMismatch { ours, .. } => Refusal::Protocol(ours),
            HandshakeError::BuildMismatch { ours, .. } => Refusal::Build(ours.0),
            HandshakeError::WrongToken => Refusal::Token,
        };
        Head::Refusal(refusal).frame(&[])
    }

    /// What the other side's refusal means here.
    pub(crate) fn told(refusal: Refusal, identity: &Identity) -> HandshakeError {
        match refusal {
            Refusal::Protocol(theirs) => HandshakeError::ProtocolMismatch { ours: Protocol::OURS, theirs },
            Refusal::Build(theirs) => {
                HandshakeError::BuildMismatch { ours: identity.build, theirs: Build(theirs) }
            }
            Refusal::Token => HandshakeError::WrongToken,
        }
    }
}

type Nonce = [u8; 32];

/// The handshake with one peer. Pure: the nonce is given in.
#[derive(Debug)]
pub(crate) struct Handshake {
    me: Peer,
    peer: Peer,
    nonce: Nonce,
    /// From its hello or its proof. One life has one nonce for us, so a second one is somebody else's.
    theirs: Option<Nonce>,
    is_proved: bool,
}

impl Handshake {
    /// Of `me` with `peer`, who has not said anything yet. Nobody else may know the nonce before it is sent.
    pub(crate) fn new(me: Peer, peer: Peer, nonce: Nonce) -> Handshake {
        Handshake { me, peer, nonce, theirs: None, is_proved: false }
    }

    /// Whether the peer has proved that it has the token.
    pub(crate) fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// The frame that is repeated until the peer has proved itself.
    pub(crate) fn hello(&self, identity: &Identity) -> Vec<u8> {
        let mut body = [0; 64];
        body[..32].copy_from_slice(&identity.build.0);
        body[32..].copy_from_slice(&self.nonce);
        Head::Hello(Protocol::OURS).frame(&body)
    }

    /// The peer's hello came. Returns our proof, or nothing when the bytes are no hello of the peer.
    pub(crate) fn on_hello(
        &mut self,
        identity: &Identity,
        protocol: Protocol,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, HandshakeError> {
        if protocol != Protocol::OURS {
            return Err(HandshakeError::ProtocolMismatch { ours: Protocol::OURS, theirs: protocol });
        }
        let Some((build, nonce)) = build_and_nonce(body) else { return Ok(None) };
        if build != identity.build {
            return Err(HandshakeError::BuildMismatch { ours: identity.build, theirs: build });
        }
        // A nonce of ours that comes back would let us prove ourselves to ourselves.
        if nonce == self.nonce || (self.is_proved && self.theirs != Some(nonce)) {
            return Ok(None);
        }
        self.theirs = Some(nonce);
        let proof = proof(&identity.token, (self.me, &self.nonce), (self.peer, &nonce));
        Ok(Some(Head::Proof { nonce: self.nonce, proof: *proof.as_bytes() }.frame(&[])))
    }

    /// The peer's proof came. Returns whether it is the first good one.
    pub(crate) fn on_proof(
        &mut self,
        identity: &Identity,
        theirs: Nonce,
        said: [u8; 32],
    ) -> Result<bool, HandshakeError> {
        if self.is_proved || theirs == self.nonce {
            return Ok(false);
        }
        let wanted = proof(&identity.token, (self.peer, &theirs), (self.me, &self.nonce));
        // `blake3::Hash` compares in constant time.
        if planted!(any_proof) || wanted == blake3::Hash::from_bytes(said) {
            (self.theirs, self.is_proved) = (Some(theirs), true);
            return Ok(true);
        }
        Err(HandshakeError::WrongToken)
    }

    /// The number that only the two know, once the peer's hello has come.
    pub(crate) fn session(&self, identity: &Identity) -> Option<u64> {
        let theirs = self.theirs?;
        let ours = (self.me, self.nonce);
        let (low, high) = (ours.min((self.peer, theirs)), ours.max((self.peer, theirs)));
        let hash = identity.token.mac("session", &[&name(low.0), &low.1, &name(high.0), &high.1]);
        Some(u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes")))
    }
}

/// What `prover` says to the nonce of `verifier`.
fn proof(token: &Token, prover: (Peer, &Nonce), verifier: (Peer, &Nonce)) -> blake3::Hash {
    token.mac("proof", &[&name(prover.0), &name(verifier.0), verifier.1, prover.1])
}

fn name(peer: Peer) -> [u8; 12] {
    let mut name = [0; 12];
    name[..4].copy_from_slice(&peer.worker.0.to_le_bytes());
    name[4..].copy_from_slice(&peer.incarnation.to_le_bytes());
    name
}

fn build_and_nonce(body: &[u8]) -> Option<(Build, Nonce)> {
    let (build, nonce) = body.split_first_chunk::<32>()?;
    Some((Build(*build), *nonce.first_chunk::<32>()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::frame::{FRAME_BYTES_MAX, HANDSHAKE_BYTES_MAX};

    fn identity(build: u8, token: u8) -> Identity {
        Identity { build: Build([build; 32]), token: Token::new([token; 32]) }
    }

    fn pair() -> (Handshake, Handshake) {
        let (a, b) = (Peer::new(1, 7), Peer::new(2, 8));
        (Handshake::new(a, b, [1; 32]), Handshake::new(b, a, [2; 32]))
    }

    fn hello(
        from: &Handshake,
        identity: &Identity,
        to: &mut Handshake,
        its: &Identity,
    ) -> Result<(Nonce, [u8; 32]), HandshakeError> {
        let frame = from.hello(identity);
        let Ok((Head::Hello(protocol), body)) = Head::read(&frame, HANDSHAKE_BYTES_MAX) else {
            panic!("no hello")
        };
        let proof = to.on_hello(its, protocol, body)?.expect("it is a hello");
        let Ok((Head::Proof { nonce, proof }, _)) = Head::read(&proof, HANDSHAKE_BYTES_MAX) else {
            panic!("no proof")
        };
        Ok((nonce, proof))
    }

    #[test]
    fn two_of_a_cluster_prove_themselves_and_share_a_session() {
        let ((mut a, mut b), us) = (pair(), identity(1, 2));
        let of_b = hello(&a, &us, &mut b, &us).unwrap();
        let of_a = hello(&b, &us, &mut a, &us).unwrap();
        assert_eq!(a.on_proof(&us, of_b.0, of_b.1), Ok(true));
        assert_eq!(b.on_proof(&us, of_a.0, of_a.1), Ok(true));
        assert_eq!(a.on_proof(&us, of_b.0, of_b.1), Ok(false), "once is enough");
        assert_eq!(a.session(&us), b.session(&us));
        assert!(a.session(&us).is_some());
    }

    #[test]
    fn another_version_and_another_program_are_told_apart() {
        let ((mut a, _), us) = (pair(), identity(1, 2));
        let later = Protocol { version: 2, ..Protocol::OURS };
        let error = HandshakeError::ProtocolMismatch { ours: Protocol::OURS, theirs: later };
        assert_eq!(a.on_hello(&us, later, b"whatever that version says"), Err(error));
        assert_eq!(error.to_string(), "the protocol is 1 here and 2 there");
        let http = Protocol { magic: *b"GET / HT", version: 7 };
        let error = a.on_hello(&us, http, &[]).unwrap_err();
        assert_eq!(error.to_string(), "the other side is no worker of Poniard");
    }

    #[test]
    fn another_build_is_named_on_both_sides() {
        let (mut a, b) = pair();
        let (ours, theirs) = (identity(1, 2), identity(3, 2));
        let error = HandshakeError::BuildMismatch { ours: ours.build, theirs: theirs.build };
        assert_eq!(hello(&b, &theirs, &mut a, &ours), Err(error));
        let frame = error.frame();
        let Ok((Head::Refusal(refusal), _)) = Head::read(&frame, HANDSHAKE_BYTES_MAX) else { panic!() };
        let told = HandshakeError::BuildMismatch { ours: theirs.build, theirs: ours.build };
        assert_eq!(HandshakeError::told(refusal, &theirs), told);
    }

    #[test]
    pub(crate) fn another_token_is_refused_on_both_sides() {
        let ((mut a, mut b), us, them) = (pair(), identity(1, 2), identity(1, 3));
        let of_b = hello(&a, &us, &mut b, &them).unwrap();
        let of_a = hello(&b, &them, &mut a, &us).unwrap();
        assert_eq!(a.on_proof(&us, of_b.0, of_b.1), Err(HandshakeError::WrongToken));
        assert_eq!(b.on_proof(&them, of_a.0, of_a.1), Err(HandshakeError::WrongToken));
        assert!(!a.is_proved() && !b.is_proved());
    }

    #[test]
    fn a_proof_is_enough_for_who_has_forgotten_the_hello() {
        let ((mut a, mut b), us) = (pair(), identity(1, 2));
        let of_b = hello(&a, &us, &mut b, &us).unwrap();
        assert_eq!(a.on_proof(&us, of_b.0, of_b.1), Ok(true));
        assert_eq!(a.session(&us), b.session(&us));
    }

    #[test]
    fn a_captured_proof_is_worth_nothing_to_others_later_or_reflected() {
        let ((mut a, mut b), us) = (pair(), identity(1, 2));
        let of_b = hello(&a, &us, &mut b, &us).unwrap();
        let of_a = hello(&b, &us, &mut a, &us).unwrap();
        let mut reflected = pair().0;
        hello(&b, &us, &mut reflected, &us).unwrap();
        assert_eq!(reflected.on_proof(&us, of_a.0, of_a.1), Ok(false), "it is our own nonce");
        let renamed = reflected.on_proof(&us, of_b.0, of_a.1);
        assert_eq!(renamed, Err(HandshakeError::WrongToken));
        let mut later = Handshake::new(Peer::new(1, 7), Peer::new(2, 8), [9; 32]);
        hello(&b, &us, &mut later, &us).unwrap();
        assert_eq!(later.on_proof(&us, of_b.0, of_b.1), Err(HandshakeError::WrongToken));
        let thief = Handshake::new(Peer::new(3, 1), Peer::new(1, 7), [2; 32]);
        let mut visited = Handshake::new(Peer::new(1, 7), Peer::new(3, 1), [1; 32]);
        hello(&thief, &us, &mut visited, &us).unwrap();
        assert_eq!(visited.on_proof(&us, of_b.0, of_b.1), Err(HandshakeError::WrongToken));
    }

    #[test]
    fn the_token_is_in_no_frame_and_prints_as_nothing() {
        let ((a, mut b), us) = (pair(), identity(1, 77));
        let mut all = a.hello(&us);
        let (nonce, proof) = hello(&a, &us, &mut b, &us).unwrap();
        all.extend([nonce, proof].concat());
        assert!(!all.windows(4).any(|bytes| bytes == [77; 4]));
        assert!(all.len() < FRAME_BYTES_MAX);
        assert_eq!(format!("{:?}", us.token), "Token((..))");
    }
}
