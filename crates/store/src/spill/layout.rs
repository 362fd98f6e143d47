//! How the parts of a chunk lie in the file: pure arithmetic on their lengths.
//!
//! A chunk is a head and some buffers. Whole blocks of large parts are written where they lie, without a copy; what is
//! left of them, and all small parts, are packed one behind the other into pieces of their own at the end.

/// What the disk reads and writes at once: lengths and offsets are multiples, and direct IO needs memory aligned to it.
pub(super) const BLOCK: usize = 4096;

/// Bytes of one request: large enough for the disk's full rate, small enough that an urgent read need not wait long.
pub(super) const PIECE: usize = 4 << 20;

/// A part of at least this size is written where it lies; below, a copy costs less than a request of its own.
const LARGE: usize = 64 << 10;

/// Some bytes of one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) part: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// What one request moves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    /// Whole blocks of one part.
    Body(Span),
    /// Bytes of several parts, and zeros up to a whole block.
    Packed(Vec<Span>),
}

impl Piece {
    /// Bytes of the chunk in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Body(span) => span.len,
            Piece::Packed(spans) => spans.iter().map(|span| span.len).sum(),
        }
    }
}

/// Cuts parts of these lengths into pieces.
pub(super) fn pieces(lengths: &[usize]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut packed = Vec::new();
    let mut packed_pieces = Vec::new();
    let mut room = PIECE;
    for (part, &length) in lengths.iter().enumerate() {
        let body = if length >= LARGE { length - length % BLOCK } else { 0 };
        let cuts = (0..body).step_by(PIECE);
        pieces.extend(cuts.map(|start| Piece::Body(Span { part, start, len: PIECE.min(body - start) })));
        let mut start = body;
        while start < length {
            let len = room.min(length - start);
            packed.push(Span { part, start, len });
            (start, room) = (start + len, room - len);
            if room == 0 {
                packed_pieces.push(Piece::Packed(std::mem::take(&mut packed)));
                room = PIECE;
            }
        }
    }
    pieces.append(&mut packed_pieces);
    if !packed.is_empty() {
        pieces.push(Piece::Packed(packed));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_byte_is_in_one_piece(
            lengths in prop::collection::vec(prop_oneof![0usize..10_000, 60_000usize..9_000_000], 0..6),
        ) {
            let mut seen: Vec<Vec<(usize, usize)>> = vec![Vec::new(); lengths.len()];
            for piece in pieces(&lengths) {
                prop_assert!(piece.len() <= PIECE && piece.len() > 0);
                let spans = match piece {
                    Piece::Body(span) => {
                        prop_assert_eq!((span.start % BLOCK, span.len % BLOCK), (0, 0));
                        vec![span]
                    }
                    Piece::Packed(spans) => spans,
                };
                spans.iter().for_each(|span| seen[span.part].push((span.start, span.len)));
            }
            for (part, mut spans) in seen.into_iter().enumerate() {
                spans.sort_unstable();
                let mut end = 0;
                for (start, len) in spans {
                    prop_assert_eq!(start, end);
                    end = start + len;
                }
                prop_assert_eq!(end, lengths[part]);
            }
        }
    }

    #[test]
    fn a_head_and_an_odd_tail_share_one_piece() {
        let packed = vec![Span { part: 0, start: 0, len: 200 }, Span { part: 1, start: PIECE, len: 7 }];
        let body = Span { part: 1, start: 0, len: PIECE };
        assert_eq!(pieces(&[200, PIECE + 7]), [Piece::Body(body), Piece::Packed(packed)]);
    }
}
