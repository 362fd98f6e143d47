//! Random programs of chunks: whatever is put, used, held and dropped in whichever order, and however little memory there is,
//! every value is what a plain map says.

use crate::alone::alone;
use crate::signals::eventually;
use poniard::prelude::*;
use poniard::{Ref, memory_usage};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A step of a program. Numbers choose among the chunks that there are.
#[derive(Clone, Debug)]
enum Step {
    /// A value of so many numbers is put.
    Put(usize),
    /// A task makes one of two; perhaps one that is made again instead of being written.
    Add(usize, usize, bool),
    /// A task takes one by value and changes it.
    Own(usize, bool),
    /// It is borrowed for a while.
    Hold(usize),
    LetGo(usize),
    Fetch(usize),
    /// A task panics that reads it.
    Panic(usize),
    /// The program panics while it borrows it.
    PanicWhileHeld(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = 0usize..1000;
    // From below the size at which values are kept to a few times above.
    let numbers = 500usize..6000;
    prop_oneof![
        4 => numbers.prop_map(Step::Put),
        4 => (any.clone(), any.clone(), prop::bool::ANY).prop_map(|(a, b, cache)| Step::Add(a, b, cache)),
        2 => (any.clone(), prop::bool::ANY).prop_map(|(which, cache)| Step::Own(which, cache)),
        2 => any.clone().prop_map(Step::Hold),
        2 => any.clone().prop_map(Step::LetGo),
        2 => any.clone().prop_map(Step::Fetch),
        1 => any.clone().prop_map(Step::Panic),
        1 => any.clone().prop_map(Step::PanicWhileHeld),
        3 => any.prop_map(Step::Drop),
    ]
}

fn numbers(seed: u64, length: usize) -> Vec<u64> {
    (0..length as u64).map(|i| seed.wrapping_mul(0x9e37_79b9) ^ i).collect()
}

fn add(a: &[u64], b: &[u64]) -> Vec<u64> {
    (0..a.len().max(b.len())).map(|i| a.get(i).unwrap_or(&0).wrapping_add(*b.get(i).unwrap_or(&0))).collect()
}

fn bump(mut own: Vec<u64>) -> Vec<u64> {
    own.iter_mut().for_each(|number| *number = number.wrapping_add(1));
    own
}

/// A handle of a value: what was put, or the result of a task.
enum Handle {
    Put(Chunk<Vec<u64>>),
    Made(DTask<Vec<u64>>),
}

impl Handle {
    fn fetch(&self) -> Vec<u64> {
        match self {
            Handle::Put(chunk) => chunk.fetch(),
            Handle::Made(task) => task.fetch(),
        }
        .expect("a value is there")
    }
    fn borrow(&self) -> Ref<Vec<u64>> {
        match self {
            Handle::Put(chunk) => chunk.fetch_ref(),
            Handle::Made(task) => task.fetch_ref(),
        }
        .expect("a value can be borrowed")
    }
    fn chunk(&self) -> Chunk<Vec<u64>> {
        match self {
            Handle::Put(chunk) => chunk.clone(),
            Handle::Made(task) => task.chunk().expect("the task ends well"),
        }
    }
}

/// The program's handles and what they should hold, side by side.
#[derive(Default)]
struct Program {
    values: Vec<(Handle, Vec<u64>)>,
    held: Vec<(Ref<Vec<u64>>, Vec<u64>)>,
    seed: u64,
}

impl Program {
    fn run(&mut self, step: &Step) {
        let len = self.values.len();
        let at = |choice: &usize| choice % len.max(1);
        match step {
            Step::Put(length) => {
                self.seed += 1;
                let value = numbers(self.seed, *length);
                self.values.push((Handle::Put(put(value.clone()).expect("there is a disk")), value));
            }
            _ if len == 0 => {}
            &Step::Add(ref a, ref b, cache) => {
                let ((a, x), (b, y)) = (&self.values[at(a)], &self.values[at(b)]);
                let task = match (a, b) {
                    (Handle::Made(a), Handle::Made(b)) => spawn!(add(a, b), cache = cache),
                    _ => spawn!(add(&a.chunk(), &b.chunk()), cache = cache),
                };
                let sum = add(x, y);
                self.values.push((Handle::Made(task), sum));
            }
            &Step::Own(ref which, cache) => {
                let (handle, value) = self.values.swap_remove(at(which));
                let task = match handle {
                    Handle::Put(chunk) => spawn!(bump(chunk), cache = cache),
                    Handle::Made(task) => spawn!(bump(task), cache = cache),
                };
                self.values.push((Handle::Made(task), bump(value)));
            }
            Step::Hold(which) => {
                let (handle, value) = &self.values[at(which)];
                self.held.push((handle.borrow(), value.clone()));
            }
            Step::LetGo(which) => {
                if !self.held.is_empty() {
                    let (held, value) = self.held.swap_remove(which % self.held.len());
                    assert_eq!(*held, value);
                }
            }
            Step::Fetch(which) => {
                let (handle, value) = &self.values[at(which)];
                assert_eq!(handle.fetch(), *value);
            }
            Step::Panic(which) => {
                let task = spawn!((|x: &Vec<u64>| -> u64 { panic!("{} on purpose", x.len()) })(
                    &self.values[at(which)].0.chunk()
                ));
                assert!(task.fetch().unwrap_err().is_panic());
            }
            Step::PanicWhileHeld(which) => {
                let handle = &self.values[at(which)].0;
                let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let held = handle.borrow();
                    panic!("{} on purpose", held.len());
                }));
                assert!(panicked.is_err());
            }
            Step::Drop(which) => drop(self.values.swap_remove(at(which))),
        }
    }

    fn finish(self) {
        for (handle, value) in &self.values {
            assert_eq!(handle.fetch(), *value);
        }
        for (held, value) in &self.held {
            assert_eq!(**held, *value);
        }
    }
}

#[test]
fn random_programs_of_chunks_agree_with_a_plain_map() {
    alone(2, || {
        std::panic::set_hook(Box::new(|info| {
            let text = info.to_string();
            if !text.contains("on purpose") {
                eprintln!("{text}");
            }
        }));
        // One byte over the largest chunk, and more.
        let budget = prop_oneof![Just(48_001_u64), 48_001u64..200_000, 200_000u64..2_000_000];
        let mut runner = TestRunner::new(Config { cases: 60, ..Config::default() });
        let threads = 1usize..4;
        runner
            .run(&(budget, threads, prop::collection::vec(step(), 1..60)), |(budget, threads, steps)| {
                let _cluster = Cluster::local().threads(threads).memory(budget).start().unwrap();
                let mut program = Program::default();
                steps.iter().for_each(|step| program.run(step));
                program.finish();
                let is_empty = || (memory_usage().resident_bytes, memory_usage().stored_bytes) == (0, 0);
                eventually(is_empty);
                Ok(())
            })
            .unwrap();
    });
}
