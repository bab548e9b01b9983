//! Frames that come back after use, so that a stream in its steady state allocates nothing.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Frame, FrameKind, Size};

/// Hands out frames and takes them back when they are dropped.
///
/// It never refuses: the number of frames is bounded by those who hold them (each thread one or two, each mailbox one).
/// Clones share one pool.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    free: Vec<Arc<Frame>>,
    made: usize,
}

impl Pool {
    /// A frame of `size` whose pixels hold whatever its last user left there.
    pub fn take(&self, size: Size) -> PooledFrame {
        let mut shelf = lock(&self.shelf);
        let mut frame = shelf.free.pop().unwrap_or_else(|| {
            shelf.made += 1;
            Arc::new(Frame::black(size))
        });
        drop(shelf);
        let unique = Arc::make_mut(&mut frame);
        unique.reshape(size);
        unique.presented = None;
        unique.kind = FrameKind::Picture;
        unique.mirrored = false;
        PooledFrame(SharedFrame { frame: Some(frame), shelf: Arc::clone(&self.shelf) })
    }

    /// How many frames were ever allocated: constant once the stream runs.
    pub fn allocated(&self) -> usize {
        lock(&self.shelf).made
    }
}

/// Nothing that can panic runs while the lock is held, so a poisoned shelf is as good as any.
fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A frame with one owner, who may write to it.
#[derive(Debug)]
pub struct PooledFrame(SharedFrame);

impl PooledFrame {
    /// Ends writing; from now on the frame can be cloned and read by several.
    pub fn share(self) -> SharedFrame {
        self.0
    }
}

impl Deref for PooledFrame {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        &self.0
    }
}

impl DerefMut for PooledFrame {
    fn deref_mut(&mut self) -> &mut Frame {
        // The frame has one owner, so this borrows and never copies.
        Arc::make_mut(self.0.arc_mut())
    }
}

/// A frame that several read; the last one to drop it sends it back to its pool. Cloning copies no pixels.
#[derive(Debug, Clone)]
pub struct SharedFrame {
    /// `None` only while it is being dropped.
    frame: Option<Arc<Frame>>,
    shelf: Arc<Mutex<Shelf>>,
}

impl SharedFrame {
    fn arc_mut(&mut self) -> &mut Arc<Frame> {
        self.frame.get_or_insert_with(|| unreachable!("only drop takes the frame"))
    }
}

impl Deref for SharedFrame {
    type Target = Frame;

    fn deref(&self) -> &Frame {
        match &self.frame {
            Some(frame) => frame,
            None => unreachable!("only drop takes the frame"),
        }
    }
}

impl Drop for SharedFrame {
    fn drop(&mut self) {
        if let Some(frame) = self.frame.take() {
            // Counted under the lock: of two last owners who drop at once, exactly one sees a count of 1.
            let mut shelf = lock(&self.shelf);
            if Arc::strong_count(&frame) == 1 {
                shelf.free.push(frame);
            } else {
                drop(frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(8, 4);

    #[test]
    fn a_stream_reuses_its_frames() {
        let pool = Pool::default();
        for n in 0..100 {
            let mut input = pool.take(SIZE);
            input.sequence = n;
            let output = pool.take(SIZE).share();
            let readers = [output.clone(), output];
            drop(input);
            drop(readers);
        }
        assert_eq!(pool.allocated(), 2);
    }

    #[test]
    fn frames_dropped_on_other_threads_come_back() {
        let pool = Pool::default();
        for _ in 0..200 {
            let frame = pool.take(SIZE).share();
            std::thread::scope(|s| {
                for _ in 0..2 {
                    let reader = frame.clone();
                    s.spawn(move || assert_eq!(reader.pixels.len(), SIZE.rgb_len()));
                }
                drop(frame);
            });
        }
        assert_eq!(pool.allocated(), 1);
    }

    #[test]
    fn a_reused_frame_keeps_its_buffer_and_forgets_what_it_was() {
        let pool = Pool::default();
        let mut frame = pool.take(SIZE);
        frame.presented = Some(std::time::Duration::from_secs(1));
        frame.kind = FrameKind::Placeholder;
        let address = frame.pixels.as_ptr();
        drop(frame);
        let again = pool.take(Size::new(4, 4));
        assert_eq!(again.pixels.as_ptr(), address);
        assert_eq!((again.size, again.pixels.len(), again.presented), (Size::new(4, 4), 48, None));
        assert_eq!(again.kind, FrameKind::Picture);
    }
}
