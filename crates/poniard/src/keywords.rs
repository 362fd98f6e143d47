//! What stands for the keywords of a function that has none, so that rustc can say what is missing.

use std::marker::PhantomData;

/// Below the name `__Keywords` the macros import a function, and with it the type of the same name that `#[task]` makes.
/// Where that is missing, this one is found: it is imported by a `*`, which gives way to a name that is written out.
#[derive(Debug)]
pub struct __Keywords<F = PlainFunction>(PhantomData<F>);

/// A function without `#[task]`.
#[derive(Debug)]
pub struct PlainFunction;

/// A function that knows its parameters by name: none that the type above stands for.
#[diagnostic::on_unimplemented(
    message = "only a function with the attribute `#[poniard::task]` takes arguments by name",
    label = "has no `#[poniard::task]`",
    note = "write `#[poniard::task]` above it and `#[default(..)]` before each parameter that is given by name; or give all \
            arguments in their order"
)]
pub trait TaskAttribute {
    /// Nothing has it; asking for it keeps rustc from saying more than the message above.
    type Keywords;
}

impl<F> __Keywords<F> {
    /// Where the type of `#[task]` begins to collect keywords.
    pub fn __keywords() -> F::Keywords
    where
        F: TaskAttribute,
    {
        unreachable!("nothing implements `TaskAttribute`")
    }

    /// Where the type of `#[task]` calls the function.
    pub fn __call<A, K, R>(_: A, _: K) -> R {
        unreachable!("there are no keywords to call it with")
    }
}
