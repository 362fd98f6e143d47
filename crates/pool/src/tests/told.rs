//! Arguments tell what they are, whatever happens to their task meanwhile.

use super::counted::{Counted, none_left};
use super::*;
use crate::{Code, Dep, Many, Own, Part, Told, Value, hold, promise};
use std::sync::atomic::AtomicIsize;

/// What the arguments of a held task are, in a letter each.
fn letters(held: &crate::Held) -> String {
    let mut letters = String::new();
    held.parts(&mut |part| {
        letters.push(match part {
            Part::Value(_) => 'v',
            Part::Result(_) => 'r',
            Part::Code(_) => 'c',
            Part::Opaque => 'o',
        });
    });
    letters
}

#[test]
fn a_held_task_tells_its_arguments_and_runs_after_that() {
    let _pool = together();
    let one = spawn(Value::new(1_u64), |one| Ok(one), &SITE);
    let more = [spawn(Value::new(2_u64), |two| Ok(two), &SITE), one.clone()];
    let inputs = (Value::new(10_u64), Dep::new(one.clone()), Own::new(one), Many::new(more.clone()));
    let arguments = (Code::new(|x: u64| x), Local::new(|| 5_u64), inputs);
    let (task, held) = hold(
        arguments,
        |(same, local, (ten, one, own, more))| {
            Ok(same(ten) + local() + one + own + more.iter().copied().sum::<u64>())
        },
        &SITE,
    );
    assert_eq!(letters(&held), "covrrrr");
    assert_eq!(letters(&held), "covrrrr", "as often as one likes");
    held.launch(None);
    assert_eq!(task.get().unwrap(), &20);
}

#[test]
fn results_are_told_as_bytes_beside_the_opened_arguments() {
    let _pool = together();
    let (one, text) = (
        spawn(Value::new(1_u64), |one| Ok(one), &SITE),
        spawn(Value::new("a".to_owned()), |text| Ok(text), &SITE),
    );
    let inputs = || (Dep::new(one.clone()), Many::new([one.clone(), one.clone()]), Own::new(text.clone()));
    let told = spawn(
        Told::with_contents(inputs()),
        |(contents, (one, more, text))| {
            let heads: Vec<Vec<u8>> =
                contents.iter().map(|content| content.as_ref().unwrap().head().to_vec()).collect();
            Ok((heads, one + more[1], text))
        },
        &SITE,
    );
    let (heads, sum, text_again) = told.get().unwrap();
    assert_eq!(heads, &[vec![1], vec![1], vec![1], vec![1, b'a']]);
    assert_eq!((*sum, &**text_again), (2, "a"));
    let silent = spawn(Told::silent(inputs()), |(contents, _)| Ok(contents.len()), &SITE);
    assert_eq!(silent.get().unwrap(), &0);
}

#[test]
fn a_task_that_is_cancelled_while_it_tells_is_dropped_once() {
    let _pool = together();
    static ALIVE: AtomicIsize = AtomicIsize::new(0);
    for _ in 0..2_000 {
        let (input, completion) = promise::<u64>(&SITE);
        let captured = Counted::new(&ALIVE);
        let arguments = (Local::new(move || drop(captured)), Dep::new(input));
        let (task, held) = hold(arguments, |(work, _)| Ok(work()), &SITE);
        std::thread::scope(|scope| {
            scope.spawn(|| task.erase().cancel());
            let letters = letters(&held);
            assert!(letters == "or" || letters == "o", "{letters}");
        });
        assert_eq!(letters(&held), "o", "it was cancelled");
        held.launch(None);
        completion.finish(Ok(1));
        assert!(task.erase().error().is_some_and(TaskError::is_cancelled));
    }
    none_left(&ALIVE);
}
