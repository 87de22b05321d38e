//! What is watched, and what has come.

use std::ops::BitOr;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interest(u8);

impl Interest {
    /// Nothing: the descriptor is not in the poller.
    pub const NONE: Self = Self(0);
    /// Reading would not block: there is data, an end of file, a connection to accept or an error.
    pub const READABLE: Self = Self(1);
    /// Writing would not block: there is room, a connection is established, or there is an error.
    pub const WRITABLE: Self = Self(2);
    /// Both.
    pub const BOTH: Self = Self(3);

    /// Tell whether everything in `other` is in `self`.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Return `self` without what is in `other`.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Tell whether nothing is watched.
    #[inline]
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Tell whether readability is watched.
    #[inline]
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.contains(Self::READABLE)
    }

    /// Tell whether writability is watched.
    #[inline]
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.contains(Self::WRITABLE)
    }
}

impl BitOr for Interest {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What has come for a descriptor.
///
/// A hang-up or an error is reported as both, because either a read or a write will find it out; after
/// [`Readiness::masked`] only what was watched remains. This is what CPython's `selectors.EpollSelector` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Readiness {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
}

impl Readiness {
    /// Nothing has come.
    pub const NONE: Self = Self {
        readable: false,
        writable: false,
    };
    /// A read would not block.
    pub const READABLE: Self = Self {
        readable: true,
        writable: false,
    };
    /// A write would not block.
    pub const WRITABLE: Self = Self {
        readable: false,
        writable: true,
    };
    /// Both, or a hang-up, or an error.
    pub const BOTH: Self = Self {
        readable: true,
        writable: true,
    };

    /// Return what of it `interest` asked for.
    #[inline]
    #[must_use]
    pub const fn masked(self, interest: Interest) -> Self {
        Self {
            readable: self.readable && interest.is_readable(),
            writable: self.writable && interest.is_writable(),
        }
    }

    /// Tell whether nothing has come.
    #[inline]
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.readable && !self.writable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_add_up_and_come_apart() {
        assert_eq!(Interest::READABLE | Interest::WRITABLE, Interest::BOTH);
        assert_eq!(
            Interest::BOTH.without(Interest::READABLE),
            Interest::WRITABLE
        );
        assert!(Interest::BOTH.contains(Interest::READABLE));
        assert!(!Interest::READABLE.contains(Interest::BOTH));
        assert!(Interest::READABLE.contains(Interest::NONE));
        assert!(Interest::READABLE.without(Interest::BOTH).is_none());
        let interest = Interest::NONE | Interest::WRITABLE;
        assert!(interest.is_writable() && !interest.is_readable());
    }

    #[test]
    fn masking_leaves_what_was_asked_for() {
        assert_eq!(
            Readiness::BOTH.masked(Interest::WRITABLE),
            Readiness::WRITABLE
        );
        assert_eq!(
            Readiness::READABLE.masked(Interest::BOTH),
            Readiness::READABLE
        );
        assert!(Readiness::READABLE.masked(Interest::WRITABLE).is_none());
        assert!(Readiness::BOTH.masked(Interest::NONE).is_none());
    }
}
