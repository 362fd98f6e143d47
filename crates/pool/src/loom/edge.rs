//! A push against the end of the task: the waiter is handed out, or told how the task ended.

use super::*;
use crate::edge::{Dependents, Edge, Ended, Waiter};
use loom::sync::Arc;
use loom::thread;
use std::ptr::NonNull;

/// What waits: it was written before the push, and the end writes to it.
#[repr(align(8))]
struct Mark(Guarded);

type OfMark = Waiter<Mark, u32, u32>;

/// Where an edge lies until it is handed out.
struct Place(Box<std::cell::UnsafeCell<Edge>>);

// SAFETY: the edge is touched through the list only.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

fn game(pushers: usize, ended: Ended) {
    play(move || {
        let list = Arc::new((Dependents::new(), Guarded::new()));
        let marks: Vec<_> = (0..pushers).map(|_| Arc::new(Mark(Guarded::new()))).collect();
        let places: Vec<_> = (0..pushers).map(|_| Arc::new(Place(Box::new(Edge::new().into())))).collect();
        let pushers: Vec<_> = marks
            .iter()
            .zip(&places)
            .map(|(mark, place)| {
                let (list, mark, place) = (list.clone(), mark.clone(), place.clone());
                thread::spawn(move || {
                    mark.0.change();
                    let edge = NonNull::new(place.0.get()).unwrap();
                    let waiter: OfMark = Waiter::Task(NonNull::from(&*mark));
                    // SAFETY: both stay until the model ends, and nobody else has the edge.
                    match unsafe { list.0.push(edge, waiter) } {
                        Ok(()) => true,
                        Err(how) => {
                            assert_eq!(how, ended);
                            assert_eq!(list.1.count(), 1, "the result is there");
                            mark.0.change();
                            false
                        }
                    }
                })
            })
            .collect();
        list.1.change();
        let mut chain = list.0.seal(ended);
        let mut handed = 0;
        while let Some(waiter) = chain.pop() {
            let OfMark::Task(mark) = waiter else { panic!("only tasks were hung") };
            // SAFETY: the marks stay until the model ends.
            let mark = unsafe { mark.as_ref() };
            assert_eq!(mark.0.count(), 1, "what waits is complete");
            mark.0.change();
            handed += 1;
        }
        let hung = pushers.into_iter().map(|pusher| pusher.join().unwrap()).filter(|hung| *hung).count();
        assert_eq!(hung, handed, "an edge that hangs is handed out");
        assert!(marks.iter().all(|mark| mark.0.count() == 2), "and only once");
        assert_eq!(list.0.ended(), Some(ended));
    });
}

#[test]
fn one_push_against_the_end() {
    game(1, Ended::Done);
}

#[test]
fn two_pushes_against_a_failure() {
    game(2, Ended::Failed);
}

#[test]
fn who_sees_the_end_sees_the_result() {
    play(|| {
        let list = Arc::new((Dependents::new(), Guarded::new()));
        let looks = {
            let list = list.clone();
            thread::spawn(move || {
                if list.0.ended() == Some(Ended::Done) {
                    assert_eq!(list.1.count(), 1);
                }
            })
        };
        list.1.change();
        assert!(list.0.seal(Ended::Done).pop::<Mark, u32, u32>().is_none());
        looks.join().unwrap();
    });
}

/// A task that hangs on another and has a dependent itself, for the walk that looks for circles.
#[repr(align(8))]
struct Node {
    dependents: Dependents,
    mark: Guarded,
}

/// The walk goes from a list that nobody seals to one that fails meanwhile: it reads all of that or nothing.
#[test]
fn a_walk_against_a_failure() {
    type OfNode = Waiter<Node, u32, u32>;
    play(|| {
        let node = || Arc::new(Node { dependents: Dependents::new(), mark: Guarded::new() });
        let (first, second, third) = (node(), node(), node());
        let walks = Arc::new(loom::sync::Mutex::new(()));
        let places = [(); 2].map(|()| Place(Box::new(Edge::new().into())));
        for (place, (above, below)) in places.iter().zip([(&first, &second), (&second, &third)]) {
            let waiter: OfNode = Waiter::Task(NonNull::from(&**below));
            // SAFETY: all stay until the model ends, and nobody else has the edge.
            unsafe { above.dependents.push(NonNull::new(place.0.get()).unwrap(), waiter) }.unwrap();
        }
        let fails = {
            let (second, walks) = (second.clone(), walks.clone());
            thread::spawn(move || {
                let mut chain = {
                    let _nobody_walks = walks.lock().unwrap();
                    second.dependents.seal(Ended::Failed)
                };
                let Some(OfNode::Task(third)) = chain.pop() else { panic!("one task was hung") };
                // SAFETY: it stays until the model ends.
                unsafe { third.as_ref() }.mark.change();
            })
        };
        {
            let _nobody_seals = walks.lock().unwrap();
            let mut next = vec![NonNull::from(&*first)];
            while let Some(node) = next.pop() {
                // SAFETY: the nodes stay until the model ends.
                let node = unsafe { node.as_ref() };
                assert_eq!(node.mark.count(), 0, "what the walk comes to has not been told");
                // SAFETY: whoever seals takes the lock.
                let _ = unsafe {
                    node.dependents.walk(|waiter: OfNode| {
                        if let Waiter::Task(below) = waiter {
                            next.push(below);
                        }
                        std::ops::ControlFlow::<()>::Continue(())
                    })
                };
            }
        }
        fails.join().unwrap();
    });
}
