//! What takes messages to other workers, and what gathers them.

use crate::message::Message;
use poniard_model::WorkerId;
use std::sync::Arc;

/// A letter of so many bytes goes at once: while it is on its way the next one is written.
const LETTER_BYTES: usize = 16 << 10;

/// Takes letters to other workers: each arrives once, and in the order of the calls for one worker as far as they are small, or
/// the worker is gone, and the driver is told.
pub(crate) trait Post: Send + Sync + std::fmt::Debug {
    /// Sends messages, one behind the other, without waiting for the worker.
    fn deliver(&self, to: WorkerId, letter: Vec<u8>);

    /// Sends a letter that arrives behind all large ones that were sent before it.
    fn deliver_behind_large(&self, to: WorkerId, letter: Vec<u8>);
}

/// Messages of one round of the driver, gathered for each worker: a letter costs no more than a message.
#[derive(Debug)]
pub(crate) struct Outgoing {
    post: Arc<dyn Post>,
    letters: Vec<(WorkerId, Vec<u8>)>,
}

impl Outgoing {
    pub(crate) fn new(post: Arc<dyn Post>) -> Outgoing {
        Outgoing { post, letters: Vec::new() }
    }

    /// Sends a message, at the end of the round at the latest.
    pub(crate) fn send(&mut self, to: WorkerId, message: Message) {
        let place = self.letters.iter().position(|(worker, _)| *worker == to);
        let place = place.unwrap_or_else(|| {
            self.letters.push((to, Vec::new()));
            self.letters.len() - 1
        });
        let letter = &mut self.letters[place].1;
        let before = letter.len();
        message.write(letter);
        if letter.len() < LETTER_BYTES {
            return;
        }
        // A large message goes alone: it may be overtaken, and what was said before it may not.
        let is_large = letter.len() - before >= LETTER_BYTES;
        let last = if is_large { letter.split_off(before) } else { Vec::new() };
        let first = std::mem::take(letter);
        for letter in [first, last].into_iter().filter(|letter| !letter.is_empty()) {
            self.post.deliver(to, letter);
        }
    }

    /// Sends a message that arrives behind all large ones that were sent before it, and before or behind small ones.
    pub(crate) fn send_behind_large(&self, to: WorkerId, message: Message) {
        self.post.deliver_behind_large(to, message.encode());
    }

    /// The round is over.
    pub(crate) fn deliver(&mut self) {
        for (to, letter) in self.letters.drain(..).filter(|(_, letter)| !letter.is_empty()) {
            self.post.deliver(to, letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<(WorkerId, Vec<u8>)>>);

    impl Post for Kept {
        fn deliver(&self, to: WorkerId, letter: Vec<u8>) {
            self.0.lock().unwrap().push((to, letter));
        }

        fn deliver_behind_large(&self, to: WorkerId, letter: Vec<u8>) {
            self.deliver(to, letter);
        }
    }

    fn said(letter: &[u8]) -> Vec<usize> {
        let messages = Message::read_all(letter).map(|message| message.expect("it is a message"));
        messages.map(|message| if let Message::Over(leases) = message { leases.len() } else { 0 }).collect()
    }

    #[test]
    fn messages_share_letters_keep_their_order_and_large_ones_go_alone() {
        let kept = Arc::new(Kept::default());
        let mut outgoing = Outgoing::new(kept.clone());
        let sizes = [1, 2, 30_000, 3, 4];
        for size in sizes {
            outgoing.send(WorkerId(2), Message::Over(vec![7; size]));
            outgoing.send(WorkerId(3), Message::Over(vec![7; size]));
        }
        outgoing.deliver();
        outgoing.deliver();
        let kept = kept.0.lock().unwrap();
        for worker in [WorkerId(2), WorkerId(3)] {
            let letters: Vec<_> =
                kept.iter().filter(|(to, _)| *to == worker).map(|(_, letter)| said(letter)).collect();
            assert_eq!(letters, [vec![1, 2], vec![30_000], vec![3, 4]], "{worker}");
        }
    }
}
