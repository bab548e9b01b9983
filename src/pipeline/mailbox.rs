//! The hand-over between two threads: one slot, no queue.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What happens when a message arrives while the one before is still in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// The new one replaces it: latency is bounded by one message, whatever the receiver does.
    NewestWins,
    /// The sender waits until the receiver has taken it: nothing is lost.
    Wait,
}

/// What became of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It lies in the slot.
    Delivered,
    /// It lies in the slot, and the one that lay there is gone.
    Replaced,
    /// The mailbox is closed; the message is gone.
    Closed,
}

/// What came out of a mailbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// A message.
    Message(T),
    /// Nothing came in the time given.
    Nothing,
    /// Closed and empty: nothing will come.
    Closed,
}

/// One slot between a sending and a receiving thread.
#[derive(Debug)]
pub struct Mailbox<T> {
    hand_over: HandOver,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    slot: Option<T>,
    closed: bool,
}

impl<T> Mailbox<T> {
    /// An open, empty mailbox.
    pub fn new(hand_over: HandOver) -> Self {
        Self { hand_over, state: Mutex::new(State { slot: None, closed: false }), changed: Condvar::new() }
    }

    /// Puts `message` into the slot; with [`HandOver::Wait`] after the one before was taken.
    pub fn send(&self, message: T) -> Sent {
        let mut state = self.lock();
        while self.hand_over == HandOver::Wait && state.slot.is_some() && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Sent::Closed;
        }
        let replaced = state.slot.replace(message);
        drop(state);
        self.changed.notify_all();
        if replaced.is_some() { Sent::Replaced } else { Sent::Delivered }
    }

    /// Takes the message, waiting for one up to `patience` (without end where that is `None`).
    pub fn receive(&self, patience: Option<Duration>) -> Received<T> {
        let deadline = patience.map(|p| Instant::now() + p);
        let mut state = self.lock();
        loop {
            if let Some(message) = state.slot.take() {
                drop(state);
                self.changed.notify_all();
                return Received::Message(message);
            }
            if state.closed {
                return Received::Closed;
            }
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                        return Received::Nothing;
                    };
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits so long, or until it is closed: a receiver's way to put off what it holds.
    pub fn rest(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while !state.closed
            && let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets nothing more in; what lies in the slot can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Closes, and throws away what lies in the slot.
    pub fn abort(&self) {
        let mut state = self.lock();
        state.closed = true;
        let thrown_away = state.slot.take();
        drop(state);
        self.changed.notify_all();
        drop(thrown_away);
    }

    /// No code of ours panics while it holds the lock, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_message_wins() {
        let mailbox = Mailbox::new(HandOver::NewestWins);
        assert_eq!(mailbox.send(1), Sent::Delivered);
        assert_eq!(mailbox.send(2), Sent::Replaced);
        assert_eq!(mailbox.receive(None), Received::Message(2));
        assert_eq!(mailbox.receive(Some(Duration::ZERO)), Received::Nothing);
        assert_eq!(mailbox.send(3), Sent::Delivered);
    }

    #[test]
    fn a_waiting_hand_over_loses_nothing() {
        let mailbox = Mailbox::new(HandOver::Wait);
        std::thread::scope(|s| {
            s.spawn(|| {
                for n in 0..1000 {
                    assert_eq!(mailbox.send(n), Sent::Delivered);
                }
                mailbox.close();
            });
            for n in 0..1000 {
                assert_eq!(mailbox.receive(None), Received::Message(n));
            }
            assert_eq!(mailbox.receive(None), Received::Closed);
        });
    }

    #[test]
    fn closing_keeps_the_last_message_and_aborting_does_not() {
        let mailbox = Mailbox::new(HandOver::Wait);
        mailbox.send(1);
        mailbox.close();
        assert_eq!(mailbox.send(2), Sent::Closed);
        assert_eq!(mailbox.receive(None), Received::Message(1));
        assert_eq!(mailbox.receive(None), Received::Closed);

        let mailbox = Mailbox::new(HandOver::Wait);
        mailbox.send(1);
        mailbox.abort();
        assert_eq!(mailbox.receive(None), Received::Closed);
    }

    #[test]
    fn a_rest_is_as_long_as_asked_and_ends_with_the_mailbox() {
        let mailbox = Mailbox::<i32>::new(HandOver::NewestWins);
        let began = Instant::now();
        mailbox.rest(Duration::from_millis(20));
        assert!(began.elapsed() >= Duration::from_millis(20));
        std::thread::scope(|s| {
            let resting = s.spawn(|| mailbox.rest(Duration::from_secs(3600)));
            mailbox.close();
            resting.join().expect("no panic");
        });
    }

    #[test]
    fn closing_wakes_both_ends() {
        let full = Mailbox::new(HandOver::Wait);
        full.send(0);
        let empty = Mailbox::<i32>::new(HandOver::Wait);
        std::thread::scope(|s| {
            let sender = s.spawn(|| full.send(1));
            let receiver = s.spawn(|| empty.receive(None));
            full.close();
            empty.close();
            assert_eq!(sender.join().expect("no panic"), Sent::Closed);
            assert_eq!(receiver.join().expect("no panic"), Received::Closed);
        });
    }
}
