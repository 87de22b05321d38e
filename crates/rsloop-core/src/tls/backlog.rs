//! What was written and the TLS session has not taken yet.

use std::collections::VecDeque;

use pyo3::prelude::*;

use crate::py::piece::Piece;

/// Pieces in the order written.
///
/// It holds what is written during the handshake. Afterwards the session takes everything at
/// once, except while a renegotiation (TLS 1.2) makes it wait for the peer.
#[derive(Default)]
pub(super) struct Backlog {
    pieces: VecDeque<Piece>,
    /// Bytes of all pieces.
    len: usize,
}

impl Backlog {
    /// The number of bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds a piece, which is not empty.
    pub(super) fn push(&mut self, py: Python<'_>, piece: Piece) {
        self.len += piece.as_bytes(py).len();
        self.pieces.push_back(piece);
    }

    /// Takes the oldest piece.
    pub(super) fn pop(&mut self, py: Python<'_>) -> Option<Piece> {
        let piece = self.pieces.pop_front()?;
        self.len -= piece.as_bytes(py).len();
        Some(piece)
    }

    /// Puts back what [`Backlog::pop`] has taken.
    pub(super) fn unpop(&mut self, py: Python<'_>, piece: Piece) {
        self.len += piece.as_bytes(py).len();
        self.pieces.push_front(piece);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
