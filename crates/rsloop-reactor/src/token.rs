//! What an event carries back from the kernel.

use std::os::fd::RawFd;

/// Names one registration of one descriptor.
///
/// A descriptor's number is reused as soon as it is closed, while an event for its predecessor may already lie in the
/// buffer. So a token carries the number and a generation, which the registry changes with each registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    fd: RawFd,
    generation: u32,
}

impl Token {
    /// The loop's own wakeup descriptor. It is in no registry, and no other token equals it, because no descriptor is
    /// negative.
    pub const WAKEUP: Self = Self {
        fd: -1,
        generation: u32::MAX,
    };

    /// Make the token of registration `generation` of descriptor `fd`.
    #[inline]
    #[must_use]
    pub const fn new(fd: RawFd, generation: u32) -> Self {
        Self { fd, generation }
    }

    /// Return the descriptor; -1 for [`Token::WAKEUP`].
    #[inline]
    #[must_use]
    pub const fn fd(self) -> RawFd {
        self.fd
    }

    /// Return the generation.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Pack into the 64 bits which the kernel keeps for us: the generation above, the descriptor below.
    #[inline]
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        ((self.generation as u64) << 32) | (self.fd as u32) as u64
    }

    /// Unpack what [`Token::to_u64`] packed.
    #[inline]
    #[must_use]
    pub const fn from_u64(packed: u64) -> Self {
        Self {
            fd: packed as u32 as RawFd,
            generation: (packed >> 32) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_keeps_everything() {
        for token in [
            Token::WAKEUP,
            Token::new(0, 0),
            Token::new(3, 9),
            Token::new(i32::MAX, u32::MAX),
        ] {
            assert_eq!(Token::from_u64(token.to_u64()), token);
        }
    }

    #[test]
    fn no_descriptor_s_token_is_the_wakeup_s() {
        assert_eq!(Token::WAKEUP.to_u64(), u64::MAX);
        for fd in [0, 1, i32::MAX] {
            assert_ne!(Token::new(fd, u32::MAX), Token::WAKEUP);
        }
    }
}
