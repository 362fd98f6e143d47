//! The function form: `spawn(f, (a, b))`.

use crate::options::Options;
use crate::refers::Refers;
use crate::region::{self, Form};
use crate::task::DTask;
use poniard_model::{Data, Site};
use poniard_pool::{Arg, Code, Dep, Many, Value};
use std::cell::Cell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// Spawns `function` with a tuple of arguments, as `spawn!` does, except that `sync` does not wait for the task.
///
/// `&p` of a handle gives the function `&T`, `&v` of handles gives it `&[&T]`, and everything else is passed as it is: a
/// handle by value is passed as the handle, because a function's type alone does not tell which of the two is meant.
///
/// ```
/// use poniard::prelude::*;
/// let p = poniard::spawn(|x: i64| x + 1, (4,));
/// let q = poniard::spawn(|x: &i64, y: i64| x + y, (&p, 2));
/// assert_eq!(q.fetch()?, 7);
/// # Ok::<(), TaskError>(())
/// ```
#[track_caller]
pub fn spawn<F, K, X, R>(function: F, arguments: X) -> DTask<R>
where
    X: IntoArguments<K>,
    F: Apply<X::Arguments, R>,
    R: Data,
{
    let site = site::<F>(Location::caller());
    let arguments = (Code::new(function), arguments.into_arguments());
    DTask(region::spawn(
        arguments,
        None,
        |(function, arguments)| Ok(function.apply(arguments)),
        site,
        Form::Function,
    ))
}

/// As [`spawn`], with options.
///
/// ```
/// use poniard::prelude::*;
/// let task = spawn_with(Options::new().single(1), |x: i64, y: i64| x + y, (1, 2));
/// assert_eq!(task.fetch()?, 3);
/// # Ok::<(), TaskError>(())
/// ```
#[track_caller]
pub fn spawn_with<F, K, X, R>(options: Options, function: F, arguments: X) -> DTask<R>
where
    X: IntoArguments<K>,
    F: Apply<X::Arguments, R>,
    R: Data,
{
    let site = site::<F>(Location::caller());
    let arguments = (Code::new(function), arguments.into_arguments());
    DTask(region::spawn_checkpointed(
        arguments,
        options,
        |(function, arguments)| Ok(function.apply(arguments)),
        site,
        Form::Function,
    ))
}

/// What an element of the tuple becomes; `K` tells the cases apart.
pub trait IntoArgument<K> {
    /// What the engine takes.
    type Argument: Arg;
    /// The conversion.
    fn into_argument(self) -> Self::Argument;
}

/// A tuple of elements; `K` is a tuple of their cases.
pub trait IntoArguments<K> {
    /// What the engine takes.
    type Arguments: Arg;
    /// The conversion.
    fn into_arguments(self) -> Self::Arguments;
}

/// A function that takes what the arguments open to.
pub trait Apply<A: Arg, R>: Clone + Send + 'static {
    /// Calls it.
    fn apply(self, arguments: A::Out<'_>) -> R;
}

/// A value.
#[derive(Debug)]
pub struct AsIs;
/// A handle, by reference.
#[derive(Debug)]
pub struct OneResult;
/// A mutable, by an exclusive reference.
#[derive(Debug)]
pub struct OneAlone;
/// Handles, by reference.
#[derive(Debug)]
pub struct SeveralResults;

impl<T: Data> IntoArgument<AsIs> for T {
    type Argument = Value<T>;
    fn into_argument(self) -> Value<T> {
        Value::new(self)
    }
}

impl<H: Refers> IntoArgument<OneResult> for &H {
    type Argument = Dep<H::Value>;
    fn into_argument(self) -> Dep<H::Value> {
        Dep::new(self.handle().clone())
    }
}

impl<H: Refers> IntoArgument<SeveralResults> for &[H] {
    type Argument = Many<H::Value>;
    fn into_argument(self) -> Many<H::Value> {
        Many::new(self.iter().map(|task| task.handle().clone()))
    }
}

impl<H: Refers> IntoArgument<SeveralResults> for &Vec<H> {
    type Argument = Many<H::Value>;
    fn into_argument(self) -> Many<H::Value> {
        self.as_slice().into_argument()
    }
}

impl<H: Refers, const N: usize> IntoArgument<SeveralResults> for &[H; N] {
    type Argument = Many<H::Value>;
    fn into_argument(self) -> Many<H::Value> {
        self.as_slice().into_argument()
    }
}

macro_rules! tuples {
    ($(($($name:ident $kind:ident $place:tt),*))*) => {$(
        impl<$($kind, $name: IntoArgument<$kind>),*> IntoArguments<($($kind,)*)> for ($($name,)*) {
            type Arguments = ($($name::Argument,)*);
            #[allow(clippy::unused_unit)]
            fn into_arguments(self) -> Self::Arguments {
                ($(self.$place.into_argument(),)*)
            }
        }

        impl<Call, Result, $($name: Arg),*> Apply<($($name,)*), Result> for Call
        where
            Call: for<'a> FnOnce($($name::Out<'a>),*) -> Result + Clone + Send + 'static,
        {
            #[allow(unused_variables)]
            fn apply(self, arguments: <($($name,)*) as Arg>::Out<'_>) -> Result {
                self($(arguments.$place),*)
            }
        }
    )*};
}

tuples! {
    () (A KA 0) (A KA 0, B KB 1) (A KA 0, B KB 1, C KC 2) (A KA 0, B KB 1, C KC 2, D KD 3)
    (A KA 0, B KB 1, C KC 2, D KD 3, E KE 4) (A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5)
}

/// The site of a spawn by function: made once for each place and function, and kept.
pub(crate) fn site<F>(caller: &'static Location<'static>) -> &'static Site {
    type Key = (usize, &'static str);
    static SITES: Mutex<Option<HashMap<Key, &'static Site>>> = Mutex::new(None);
    thread_local! {
        /// The last one of this thread: loops spawn from one place.
        static LAST: Cell<Option<(Key, &'static Site)>> = const { Cell::new(None) };
    }
    let key: Key = (std::ptr::from_ref(caller).addr(), std::any::type_name::<F>());
    if let Some((last, site)) = LAST.get()
        && last == key
    {
        return site;
    }
    let mut sites = SITES.lock().unwrap_or_else(PoisonError::into_inner);
    let site = *sites
        .get_or_insert_default()
        .entry(key)
        .or_insert_with(|| Box::leak(Box::new(Site::new(short_name(key.1), caller.file(), caller.line()))));
    LAST.set(Some((key, site)));
    site
}

/// `stats::mean` of `crate::stats::mean`; `closure` of a closure.
fn short_name(full: &'static str) -> &'static str {
    let path = full.split('<').next().unwrap_or(full);
    if full.ends_with("{{closure}}") { "closure" } else { path.rsplit("::").next().unwrap_or(path) }
}
