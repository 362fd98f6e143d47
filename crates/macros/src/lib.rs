//! The macros of Poniard: `spawn!`, `lazy!`, `mutable!`, `shard!` and `#[task]`.
//!
//! A call is checked by rustc as an ordinary call: the macros put the user's function in front of the converted
//! arguments, inside a closure that captures nothing, so that it can become a plain function pointer.
//!
//! * `call`: what is written inside `spawn!(..)`.
//! * `expand`: what becomes of it.
//! * `data`: `mutable!` and `shard!`.
//! * `keywords`: `#[task]`, functions with keyword arguments.
#![forbid(unsafe_code)]

mod call;
mod data;
mod expand;
mod keywords;

use proc_macro::TokenStream;

/// Spawns a call as a task: `spawn!(f(&a, b)? , option = value)`.
///
/// | written | what happens |
/// |---|---|
/// | `spawn!(f(&a, b))` | calls `f` with the result of the task `a` and the value `b` |
/// | `spawn!(f(a)?)` | an `Err` fails the task |
/// | `spawn!((\|x, k\| x * k)(&a, 3))` | a closure without captures, applied to arguments |
/// | `spawn!(x = &a, k = 3 => x * k)` | a body with its captures declared |
/// | `spawn!(\|\| body)` | a body without arguments |
/// | `spawn!(move x = &a => body)`, `spawn!(move \|\| body)` | a body with real captures: it stays in this process, and its result is `Pinned` |
/// | `spawn!(async f(&a)?)` | a future; it holds no processor while it waits (feature `async`) |
/// | `spawn!(f(a, key = b))` | keyword arguments of a `#[task]` function; `f(a, ..)` takes all defaults |
///
/// Options come last: `spawn!(f(a), name = "first", priority = 3)`. They are the methods of `poniard::Options`.
#[proc_macro]
pub fn spawn(input: TokenStream) -> TokenStream {
    expand::spawn(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a lazy task: like `spawn!`, but nothing runs before `collect` or `compute`.
///
/// A block becomes a graph: each `let name = call;` in it is a lazy task, and its last call is the value of the block.
#[proc_macro]
pub fn lazy(input: TokenStream) -> TokenStream {
    expand::lazy(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a value that tasks change in place: `mutable!(expression)`, a `Mutable`.
///
/// The expression is evaluated once, here. With `scope = s`, `worker = 2` or `processor = p` it is evaluated in a task there,
/// which is waited for, and tasks that use the value run there; a failure is the error of the tasks that use it. On another worker
/// it has what is declared before it: `mutable!(n = n => vec![0; n], worker = 2)`.
#[proc_macro]
pub fn mutable(input: TokenStream) -> TokenStream {
    data::mutable(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a value for each worker: `shard!(expression)`, a `Shard`.
///
/// The expression is evaluated once for each piece, in a task where the piece lives. `per_thread = true` makes a piece for each
/// processor; `workers = [1, 2]`, `procs = [p, q]` and `scope = s` tell which of them have one. A failure is the error of the
/// tasks that use the shard. What the expression uses is declared before it where workers are several: `shard!(n = n => vec![0; n])`.
#[proc_macro]
pub fn shard(input: TokenStream) -> TokenStream {
    data::shard(input.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Gives a function keyword arguments with defaults, for `spawn!`:
/// `#[task] fn plot(n: i64, #[default(Color::Blue)] color: Color)` and `spawn!(plot(1, color = Color::Red))`.
#[proc_macro_attribute]
pub fn task(attribute: TokenStream, item: TokenStream) -> TokenStream {
    keywords::task(attribute.into(), item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
