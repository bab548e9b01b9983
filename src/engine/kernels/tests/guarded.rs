//! Memory with forbidden pages before and behind it: a read or write outside ends the process, in assembly too, where the
//! address sanitizer does not look.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::{ptr, slice};

/// At which end of the memory the forbidden page lies next to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Before,
    Behind,
}

/// Bytes next to a forbidden page.
pub(super) struct Guarded {
    mapping: NonNull<u8>,
    mapped: usize,
    begin: usize,
    len: usize,
}

impl Guarded {
    /// A copy of `bytes`.
    pub(super) fn new(bytes: &[u8], edge: Edge) -> Self {
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).expect("pages have a size");
        let inner = bytes.len().next_multiple_of(page);
        let mapped = inner + 2 * page;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: new memory, at a place that the system chooses.
        let mapping = unsafe { libc::mmap(ptr::null_mut(), mapped, protection, flags, -1, 0) };
        assert_ne!(mapping, libc::MAP_FAILED, "no memory");
        for at in [0, page + inner] {
            // SAFETY: whole pages of the mapping, which nothing points into yet.
            let rc = unsafe { libc::mprotect(mapping.byte_add(at), page, libc::PROT_NONE) };
            assert_eq!(rc, 0, "the page cannot be forbidden");
        }
        let begin = page + if edge == Edge::Behind { inner - bytes.len() } else { 0 };
        let mapping = NonNull::new(mapping.cast()).expect("not the null page");
        let mut guarded = Self { mapping, mapped, begin, len: bytes.len() };
        guarded.copy_from_slice(bytes);
        guarded
    }
}

impl Deref for Guarded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: these bytes lie within the mapping's open pages, are initialized (with 0 by the system) and ours.
        unsafe { slice::from_raw_parts(self.mapping.add(self.begin).as_ptr(), self.len) }
    }
}

impl DerefMut for Guarded {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed once.
        unsafe { slice::from_raw_parts_mut(self.mapping.add(self.begin).as_ptr(), self.len) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: what was mapped, which nothing points into any more.
        unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapped) };
    }
}
