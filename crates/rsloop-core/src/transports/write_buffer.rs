//! What a transport was given to write and the kernel has not taken yet.

use std::collections::VecDeque;
use std::io::IoSlice;

use pyo3::prelude::*;

use crate::py::piece::Piece;

/// Pieces in the order written, the first one partly sent.
#[derive(Default)]
pub(super) struct WriteBuffer {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are sent.
    sent: usize,
    /// Bytes of all pieces that are not.
    len: usize,
}

impl WriteBuffer {
    /// The number of bytes that wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Adds a piece, of which the first `sent` bytes are sent already: nonzero only for the
    /// first piece of an empty buffer.
    pub(super) fn push(&mut self, py: Python<'_>, piece: Piece, sent: usize) {
        debug_assert!(sent == 0 || self.pieces.is_empty());
        self.len += piece.as_bytes(py).len() - sent;
        if self.pieces.is_empty() {
            self.sent = sent;
        }
        self.pieces.push_back(piece);
    }

    /// The bytes that wait, at most `most` pieces of them.
    pub(super) fn slices<'a>(&'a self, py: Python<'a>, most: usize) -> Vec<IoSlice<'a>> {
        let mut skip = self.sent;
        let pieces = self.pieces.iter().take(most);
        pieces
            .map(|piece| IoSlice::new(&piece.as_bytes(py)[std::mem::take(&mut skip)..]))
            .collect()
    }

    /// Forgets the first `count` bytes, which are sent.
    pub(super) fn advance(&mut self, py: Python<'_>, count: usize) {
        self.len -= count;
        self.sent += count;
        while let Some(first) = self.pieces.front() {
            let len = first.as_bytes(py).len();
            if self.sent < len {
                break;
            }
            self.sent -= len;
            self.pieces.pop_front(); // a plain `bytes` at most: no Python code runs
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
