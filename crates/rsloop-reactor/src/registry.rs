//! Which descriptor is watched by what.

use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;

use crate::{Interest, Poller, Token};

/// A table from descriptor to the source `T` that watches it, kept in step with a [`Poller`].
///
/// Every method that changes it takes the poller: it must be the same one each time.
///
/// A slot is vacant or holds a source; a source with [`Interest::NONE`] is not in the poller. Each insertion gives the
/// slot a new generation, which the poller's events carry ([`Token`]), so [`Registry::resolve`] recognises an event
/// that was fetched before its descriptor was removed, even if the same number has been inserted again since.
///
/// The table is indexed by the descriptor, a small number since the kernel hands out the lowest one free, and it does
/// not shrink: a vacant slot remembers its generation.
#[derive(Debug)]
pub struct Registry<T> {
    slots: Vec<Slot<T>>,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    interest: Interest,
    source: Option<T>,
}

impl<T> Registry<T> {
    /// Make an empty table, without allocating.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            len: 0,
        }
    }

    /// Put `source` into the slot of `fd`, and watch `fd` for `interest`.
    ///
    /// # Errors
    /// Those of [`Poller::add`]; EEXIST if the slot is taken; ENOMEM. The slot is then as it was, and `source` dropped.
    pub fn insert(
        &mut self,
        poller: &Poller,
        fd: RawFd,
        interest: Interest,
        source: T,
    ) -> io::Result<()> {
        let index = usize::try_from(fd).map_err(|_| Errno::BADF)?;
        let generation = match self.slots.get(index) {
            Some(slot) if slot.source.is_some() => return Err(Errno::EXIST.into()),
            Some(slot) => slot.generation.wrapping_add(1),
            None => 1,
        };
        // Before the table grows: the kernel refuses a number that names no descriptor, however large it is.
        poller.add(fd, Token::new(fd, generation), interest)?;
        if index >= self.slots.len() {
            if let Err(error) = self.grow(index) {
                let _ = poller.remove(fd);
                return Err(error);
            }
        }
        self.slots[index] = Slot {
            generation,
            interest,
            source: Some(source),
        };
        self.len += 1;
        Ok(())
    }

    #[cold]
    fn grow(&mut self, index: usize) -> io::Result<()> {
        let missing = index + 1 - self.slots.len();
        self.slots.try_reserve(missing).map_err(|_| Errno::NOMEM)?;
        self.slots.resize_with(index + 1, || Slot {
            generation: 0,
            interest: Interest::NONE,
            source: None,
        });
        Ok(())
    }

    /// Return the source of `fd`.
    #[inline]
    #[must_use]
    pub fn get(&self, fd: RawFd) -> Option<&T> {
        self.slot(fd)?.source.as_ref()
    }

    /// Return the source of `fd`, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self, fd: RawFd) -> Option<&mut T> {
        self.slots
            .get_mut(usize::try_from(fd).ok()?)?
            .source
            .as_mut()
    }

    /// Return what `fd` is watched for; [`Interest::NONE`] where there is no source.
    #[inline]
    #[must_use]
    pub fn interest(&self, fd: RawFd) -> Interest {
        self.slot(fd).map_or(Interest::NONE, |slot| slot.interest)
    }

    /// Watch `fd` for `interest` from now on. No system call is made when that changes nothing.
    ///
    /// [`Interest::NONE`] takes it out of the poller and keeps the source.
    ///
    /// # Errors
    /// ENOENT if there is no source for `fd`; those of [`Poller::modify`], and then nothing has changed.
    #[inline]
    pub fn set_interest(
        &mut self,
        poller: &Poller,
        fd: RawFd,
        interest: Interest,
    ) -> io::Result<()> {
        let slot = self.occupied(fd)?;
        if slot.interest == interest {
            return Ok(());
        }
        let token = Token::new(fd, slot.generation);
        if slot.interest.is_none() {
            poller.add(fd, token, interest)?;
        } else {
            poller.modify(fd, token, interest)?;
        }
        slot.interest = interest;
        Ok(())
    }

    /// Tell the poller again what `fd` is watched for.
    ///
    /// For a caller who has reason to think that `fd` was closed behind our back and that its number now names another
    /// descriptor, which the poller does not know: [`Registry::set_interest`] would see no change and do nothing.
    ///
    /// # Errors
    /// ENOENT if there is no source for `fd`; those of [`Poller::modify`].
    pub fn reassert(&mut self, poller: &Poller, fd: RawFd) -> io::Result<()> {
        let slot = self.occupied(fd)?;
        if slot.interest.is_none() {
            return Ok(());
        }
        poller.modify(fd, Token::new(fd, slot.generation), slot.interest)
    }

    /// Watch everything with a new poller, which is to be used with this table from now on.
    ///
    /// For what an old poller cannot be cured of: one shared with the parent after a fork, or one that reports a token
    /// again and again which does not resolve. The latter happens when a descriptor was closed before it was removed
    /// and a duplicate of it lives: the kernel goes on watching, and knows it by a number that names nothing now.
    ///
    /// Returns the descriptors that `poller` refused, because they are closed; their interest is
    /// [`Interest::NONE`] now, and their sources stay.
    #[must_use = "the sources of the refused descriptors wait for events which cannot come"]
    pub fn rewatch(&mut self, poller: &Poller) -> Vec<RawFd> {
        let mut refused = Vec::new();
        for (fd, slot) in self.slots.iter_mut().enumerate() {
            let fd = fd as RawFd;
            if poller
                .add(fd, Token::new(fd, slot.generation), slot.interest)
                .is_err()
            {
                slot.interest = Interest::NONE;
                refused.push(fd);
            }
        }
        refused
    }

    /// Take the source of `fd`, and stop watching. Call this before closing `fd`; see [`Poller::remove`].
    ///
    /// The slot is vacant afterwards, whatever the poller says about a descriptor that is already closed.
    pub fn remove(&mut self, poller: &Poller, fd: RawFd) -> Option<T> {
        let slot = self.slots.get_mut(usize::try_from(fd).ok()?)?;
        let source = slot.source.take()?;
        self.len -= 1;
        slot.withdraw(poller, fd);
        Some(source)
    }

    /// Return the descriptor which `token` names, and what it is watched for.
    ///
    /// `None` if that registration is over, and for [`Token::WAKEUP`].
    #[inline]
    #[must_use]
    pub fn resolve(&self, token: Token) -> Option<(RawFd, Interest)> {
        let slot = self.slot(token.fd())?;
        if slot.source.is_none() || slot.generation != token.generation() {
            return None;
        }
        Some((token.fd(), slot.interest))
    }

    /// Return the token of `fd`'s registration, if there is one.
    #[inline]
    #[must_use]
    pub fn token(&self, fd: RawFd) -> Option<Token> {
        let slot = self.slot(fd)?;
        slot.source
            .is_some()
            .then(|| Token::new(fd, slot.generation))
    }

    /// Visit the sources, by ascending descriptor.
    pub fn iter(&self) -> impl Iterator<Item = (RawFd, &T)> {
        // An index is a descriptor that was an i32 when it came in.
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(fd, slot)| Some((fd as RawFd, slot.source.as_ref()?)))
    }

    /// Return how many sources there are.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Tell whether there is no source.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    fn slot(&self, fd: RawFd) -> Option<&Slot<T>> {
        self.slots.get(usize::try_from(fd).ok()?)
    }

    #[inline]
    fn occupied(&mut self, fd: RawFd) -> io::Result<&mut Slot<T>> {
        usize::try_from(fd)
            .ok()
            .and_then(|index| self.slots.get_mut(index))
            .filter(|slot| slot.source.is_some())
            .ok_or_else(|| Errno::NOENT.into())
    }
}

impl<T> Slot<T> {
    fn withdraw(&mut self, poller: &Poller, fd: RawFd) {
        if self.interest.is_none() {
            return;
        }
        self.interest = Interest::NONE;
        // The poller has already forgiven what a closed descriptor causes. Should it fail in another way, the source
        // is out of the table all the same, and no event of this generation resolves any more.
        let _ = poller.remove(fd);
    }
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self::new()
    }
}
