//! The task object: freed once, its value dropped once, and moved out only by its last reference.

use super::*;
use crate::edge::Ended;
use crate::engine::finish;
use crate::gate::{Gate, Wired};
use crate::task::arg::{Own, Wiring};
use crate::task::handle::Handle;
use crate::task::{Call, Identity, Ran, TaskRef};
use loom::sync::Arc;
use loom::thread;
use poniard_model::{Codec, Data, Site, TaskId};
use std::sync::Arc as Count;

static SITE: Site = Site::new("loom", file!(), 0);
const IDENTITY: Identity = Identity { id: TaskId(1), epoch: 0 };

/// A result: loom watches its content, and the count tells how many of it there are.
struct Result_(Guarded, Count<()>);

impl Result_ {
    fn new(alive: &Count<()>) -> Result_ {
        let content = Guarded::new();
        content.change();
        Result_(content, alive.clone())
    }
}

impl Clone for Result_ {
    fn clone(&self) -> Result_ {
        assert_eq!(self.0.count(), 1);
        Result_::new(&self.1)
    }
}

impl Drop for Result_ {
    fn drop(&mut self) {
        self.0.change();
    }
}

impl Data for Result_ {
    fn codec() -> Option<Codec<Result_>> {
        None
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A task that is claimed and about to end, with the engine's reference; and a handle.
fn source() -> (TaskRef, TaskRef) {
    let body: Call<(), Result_> = Call(|()| unreachable!("its end is played"));
    let task = TaskRef::new((), body, &SITE, IDENTITY, Gate::ready(), None);
    assert!(task.gate.claim());
    // SAFETY: the engine's reference of a new task is nobody's yet.
    (unsafe { TaskRef::from_raw(task.as_raw()) }, task)
}

/// Ends the source; gives the dependent that became ready.
fn end(task: TaskRef, alive: &Count<()>) -> Option<TaskRef> {
    // SAFETY: the result's type, for the first time.
    unsafe { task.put_value(Result_::new(alive)) };
    finish::done(task)
}

#[test]
fn the_last_handle_against_the_end() {
    play(|| {
        let alive = Count::new(());
        let (engines, handle) = source();
        let readers: Vec<_> = [handle.clone(), handle]
            .into_iter()
            .map(|handle| {
                thread::spawn(move || {
                    if handle.dependents.ended() == Some(Ended::Done) {
                        // SAFETY: the result's type, and the task has ended well.
                        assert_eq!(unsafe { handle.value::<Result_>().as_ref() }.0.count(), 1);
                    }
                })
            })
            .collect();
        assert!(end(engines, &alive).is_none());
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(Count::strong_count(&alive), 1, "the value is dropped once");
    });
}

/// A dependent that takes the value, wired while its input ends and another handle goes.
#[test]
fn the_value_moves_to_its_last_reader_or_is_copied() {
    play_bounded(3, || {
        let alive = Count::new(());
        let seen = Arc::new(Guarded::new());
        let (engines, handle) = source();
        let other = {
            let handle = handle.clone();
            thread::spawn(move || drop(handle))
        };
        let finisher = {
            let alive = alive.clone();
            thread::spawn(move || end(engines, &alive).map(run).is_some())
        };
        let body: Call<(Own<Result_>, crate::Local<Arc<Guarded>>), ()> = Call(|(own, seen)| {
            assert_eq!(own.0.count(), 1);
            seen.change();
            Ok(())
        });
        let arguments = (Own::new(Handle::from_task(handle)), crate::Local::new(seen.clone()));
        let dependent = TaskRef::new(arguments, body, &SITE, IDENTITY, Gate::wiring(), None);
        let mut wiring = Wiring::new(&dependent);
        // SAFETY: the gate is wiring, and only this thread has the arguments.
        unsafe { dependent.wire(&mut wiring) };
        match dependent.gate.wired(wiring.edges) {
            // SAFETY: the engine's reference is ours while no edge is out.
            Wired::Ready => run(unsafe { TaskRef::from_raw(dependent.as_raw()) }),
            Wired::Waiting => {}
            Wired::Poisoned => unreachable!("nothing fails"),
        }
        other.join().unwrap();
        finisher.join().unwrap();
        assert_eq!(seen.count(), 1, "the dependent runs once");
        assert_eq!(dependent.dependents.ended(), Some(Ended::Done));
        assert!(dependent.is_only());
        assert_eq!(Count::strong_count(&alive), 1, "each value is dropped once");
    });
}

fn run(task: TaskRef) {
    assert!(task.gate.claim());
    // SAFETY: it was just claimed, and its input has ended well.
    let ran = unsafe { task.run() };
    assert!(matches!(ran, Ran::Done), "{ran:?}");
    assert!(finish::done(task).is_none());
}
