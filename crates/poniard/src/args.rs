//! How an argument of `spawn!` becomes one of the pool's, by its type.
//!
//! The macro writes `(&&Wrap::of(&argument)).kind().argument(argument)`. Method look-up tries `&Wrap` first, then
//! `&&Wrap`, then `Wrap`; so a handle finds [`HandleKind`], another reference [`BorrowedKind`], and all the rest
//! [`PlainKind`]: dispatch on the type, without specialisation and without a bound that would swallow rustc's own words.

use crate::chunk::Chunk;
use crate::file::File;
use crate::lazy::Lazy;
use crate::mutable::Mutable;
use crate::refers::Refers;
use crate::shard::Shard;
use crate::task::DTask;
use poniard_model::{Data, Site};
use poniard_pool::{Dep, Handle, Hold, HoldMany, Lent, Many, Own, Read, Value, Write, promise};
use std::fmt;
use std::marker::PhantomData;

/// The type of an argument, without the argument.
pub struct Wrap<E>(PhantomData<fn() -> E>);

impl<E> Wrap<E> {
    /// Of this argument.
    #[inline]
    pub fn of(_: &E) -> Wrap<E> {
        Wrap(PhantomData)
    }
}

impl<E> fmt::Debug for Wrap<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrap")
    }
}

/// Handles, and what holds several of them.
pub trait HandleKind {
    /// How such an argument is converted.
    type Kind;
    /// How this argument is converted.
    fn kind(&self) -> Self::Kind;
}

/// References that are no handles.
pub trait BorrowedKind {
    /// How this argument is converted: not at all.
    fn kind(&self) -> Borrowed {
        Borrowed
    }
}

/// Values.
pub trait PlainKind {
    /// How this argument is converted.
    #[inline]
    fn kind(&self) -> Plain {
        Plain
    }
}

impl<T: ?Sized> BorrowedKind for &&Wrap<&T> {}
impl<T: ?Sized> BorrowedKind for &&Wrap<&mut T> {}
impl<E> PlainKind for Wrap<E> {}

macro_rules! handles {
    ($($(#[$generics:tt])? $wrapped:ty => $kind:ident;)*) => {$(
        impl<T $(, const $generics: usize)?> HandleKind for &Wrap<$wrapped> {
            type Kind = $kind;
            #[inline]
            fn kind(&self) -> $kind {
                $kind
            }
        }
    )*};
}

handles! {
    &DTask<T> => ByReference;
    DTask<T> => ByValue;
    &Vec<DTask<T>> => Several;
    &[DTask<T>] => Several;
    #[N] &[DTask<T>; N] => Several;
    &Chunk<T> => ByReference;
    Chunk<T> => ByValue;
    &Vec<Chunk<T>> => Several;
    &[Chunk<T>] => Several;
    #[N] &[Chunk<T>; N] => Several;
    &Lazy<T> => LazyByReference;
    Lazy<T> => LazyByValue;
    &Vec<Lazy<T>> => LazySeveral;
    &[Lazy<T>] => LazySeveral;
    #[N] &[Lazy<T>; N] => LazySeveral;
    &Mutable<T> => ReadMutable;
    &mut Mutable<T> => WriteMutable;
    &Shard<T> => ReadPiece;
    &mut Shard<T> => WritePiece;
    &File<T> => FileByReference;
    File<T> => FileByValue;
    &Vec<File<T>> => FileSeveral;
    &[File<T>] => FileSeveral;
    #[N] &[File<T>; N] => FileSeveral;
}

/// `&p`: the function receives `&T`.
#[derive(Debug)]
pub struct ByReference;
/// `p`: the function receives `T`.
#[derive(Debug)]
pub struct ByValue;
/// `&v`: the function receives `&[&T]`.
#[derive(Debug)]
pub struct Several;
/// `&l` of a lazy task.
#[derive(Debug)]
pub struct LazyByReference;
/// `l`, a lazy task.
#[derive(Debug)]
pub struct LazyByValue;
/// `&v` of lazy tasks.
#[derive(Debug)]
pub struct LazySeveral;
/// `&f` of a file: the function receives `&T`, its contents.
#[derive(Debug)]
pub struct FileByReference;
/// `f`, a file: the function receives `T`.
#[derive(Debug)]
pub struct FileByValue;
/// `&v` of files: the function receives `&[&T]`.
#[derive(Debug)]
pub struct FileSeveral;
/// `&m`: the function receives `&T`, shared with other readers.
#[derive(Debug)]
pub struct ReadMutable;
/// `&mut m`: the function receives `&mut T`, alone with it.
#[derive(Debug)]
pub struct WriteMutable;
/// `&x` of a shard: the function receives `&T`, the piece of where it runs.
#[derive(Debug)]
pub struct ReadPiece;
/// `&mut x` of a shard: the function receives `&mut T`, the piece of where it runs.
#[derive(Debug)]
pub struct WritePiece;
/// `x`: the function receives it as it is.
#[derive(Debug)]
pub struct Plain;
/// `&x` of something that is no handle: refused.
#[derive(Debug)]
pub struct Borrowed;

impl ByReference {
    /// For `spawn!`.
    #[inline]
    pub fn argument<H: Refers>(self, task: &H) -> Dep<H::Value> {
        Dep::new(task.handle().clone())
    }
    /// For `lazy!`.
    pub fn lazy_argument<H: Refers>(self, task: &H) -> Dep<H::Value> {
        self.argument(task)
    }
    /// With `meta = true`: the function receives `&Chunk<T>`.
    pub fn hold<H: Refers>(self, task: &H) -> Hold<H::Value, Chunk<H::Value>> {
        Hold::new(task.handle().clone(), task.as_chunk())
    }
}

impl ByValue {
    /// For `spawn!`.
    #[inline]
    pub fn argument<H: Refers<Value: Clone>>(self, task: H) -> Own<H::Value> {
        Own::new(task.handle().clone())
    }
    /// For `lazy!`.
    pub fn lazy_argument<H: Refers<Value: Clone>>(self, task: H) -> Own<H::Value> {
        self.argument(task)
    }
    /// With `meta = true`: the function receives `&Chunk<T>`.
    pub fn hold<H: Refers>(self, task: H) -> Hold<H::Value, Chunk<H::Value>> {
        ByReference.hold(&task)
    }
}

impl Several {
    /// For `spawn!`.
    pub fn argument<H: Refers, V: AsRef<[H]> + ?Sized>(self, tasks: &V) -> Many<H::Value> {
        Many::new(tasks.as_ref().iter().map(|task| task.handle().clone()))
    }
    /// For `lazy!`.
    pub fn lazy_argument<H: Refers, V: AsRef<[H]> + ?Sized>(self, tasks: &V) -> Many<H::Value> {
        self.argument(tasks)
    }
    /// With `meta = true`: the function receives `&[Chunk<T>]`.
    pub fn hold<H: Refers, V: AsRef<[H]> + ?Sized>(self, tasks: &V) -> HoldMany<H::Value, Chunk<H::Value>> {
        let tasks = tasks.as_ref();
        HoldMany::new(
            tasks.iter().map(|task| task.handle().clone()),
            tasks.iter().map(Refers::as_chunk).collect(),
        )
    }
}

impl LazyByReference {
    /// For `spawn!`: the lazy task is launched.
    pub fn argument<T: Data>(self, task: &Lazy<T>) -> Dep<T> {
        Dep::new(task.launch().0)
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Data>(self, task: &Lazy<T>) -> Dep<T> {
        Dep::new(task.handle().0.clone())
    }
}

impl LazyByValue {
    /// For `spawn!`: the lazy task is launched.
    pub fn argument<T: Data + Clone>(self, task: Lazy<T>) -> Own<T> {
        Own::new(task.launch().0)
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Data + Clone>(self, task: Lazy<T>) -> Own<T> {
        let handle = task.handle().0.clone();
        // This may be the last that knows of it.
        task.keep_for_graph();
        Own::new(handle)
    }
}

impl LazySeveral {
    /// For `spawn!`: the lazy tasks are launched.
    pub fn argument<T: Data, V: AsRef<[Lazy<T>]> + ?Sized>(self, tasks: &V) -> Many<T> {
        Many::new(tasks.as_ref().iter().map(|task| task.launch().0))
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Data, V: AsRef<[Lazy<T>]> + ?Sized>(self, tasks: &V) -> Many<T> {
        Many::new(tasks.as_ref().iter().map(|task| task.handle().0.clone()))
    }
}

impl FileByReference {
    /// For `spawn!`: the file is being read from now on.
    pub fn argument<T: Data>(self, file: &File<T>) -> Dep<T> {
        Dep::new(file.reading().0)
    }
    /// For `lazy!`: the file is read with the graph.
    pub fn lazy_argument<T: Data>(self, file: &File<T>) -> Dep<T> {
        Dep::new(file.reading_later().0)
    }
    /// With `meta = true`: the function receives `&File<T>`, and nothing is read.
    pub fn hold<T: Data>(self, file: &File<T>) -> Hold<(), File<T>> {
        Hold::new(nothing(), file.clone())
    }
}

impl FileByValue {
    /// For `spawn!`.
    pub fn argument<T: Data + Clone>(self, file: File<T>) -> Own<T> {
        Own::new(file.reading().0)
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Data + Clone>(self, file: File<T>) -> Own<T> {
        Own::new(file.reading_later().0)
    }
    /// With `meta = true`: the function receives `&File<T>`.
    pub fn hold<T: Data>(self, file: File<T>) -> Hold<(), File<T>> {
        FileByReference.hold(&file)
    }
}

impl FileSeveral {
    /// For `spawn!`.
    pub fn argument<T: Data, V: AsRef<[File<T>]> + ?Sized>(self, files: &V) -> Many<T> {
        Many::new(files.as_ref().iter().map(|file| file.reading().0))
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Data, V: AsRef<[File<T>]> + ?Sized>(self, files: &V) -> Many<T> {
        Many::new(files.as_ref().iter().map(|file| file.reading_later().0))
    }
    /// With `meta = true`: the function receives `&[File<T>]`.
    pub fn hold<T: Data, V: AsRef<[File<T>]> + ?Sized>(self, files: &V) -> HoldMany<(), File<T>> {
        HoldMany::new([], files.as_ref().to_vec())
    }
}

/// A task that has ended: there is nothing to wait for.
fn nothing() -> Handle<()> {
    static SITE: Site = Site::new("nothing to wait for", file!(), line!());
    let (handle, completion) = promise(&SITE);
    completion.finish(Ok(()));
    handle
}

impl ReadMutable {
    /// For `spawn!`.
    #[inline]
    pub fn argument<T: Send + Sync + 'static>(self, mutable: &Mutable<T>) -> Read<T> {
        mutable.read()
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Send + Sync + 'static>(self, mutable: &Mutable<T>) -> Read<T> {
        mutable.read()
    }
    /// With `meta = true`: the function receives `&Mutable<T>`.
    pub fn hold<T: Send + Sync + 'static>(self, mutable: &Mutable<T>) -> Lent<Mutable<T>> {
        Lent::new(mutable.clone())
    }
}

impl WriteMutable {
    /// For `spawn!`.
    #[inline]
    pub fn argument<T: Send + Sync + 'static>(self, mutable: &mut Mutable<T>) -> Write<T> {
        mutable.write()
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Send + Sync + 'static>(self, mutable: &mut Mutable<T>) -> Write<T> {
        mutable.write()
    }
    /// With `meta = true`: the function receives `&Mutable<T>`.
    pub fn hold<T: Send + Sync + 'static>(self, mutable: &mut Mutable<T>) -> Lent<Mutable<T>> {
        Lent::new(mutable.clone())
    }
}

impl ReadPiece {
    /// For `spawn!`.
    #[inline]
    pub fn argument<T: Send + Sync + 'static>(self, shard: &Shard<T>) -> Read<T> {
        shard.read()
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Send + Sync + 'static>(self, shard: &Shard<T>) -> Read<T> {
        shard.read()
    }
    /// With `meta = true`: the function receives `&Shard<T>`.
    pub fn hold<T: Send + Sync + 'static>(self, shard: &Shard<T>) -> Lent<Shard<T>> {
        Lent::new(shard.clone())
    }
}

impl WritePiece {
    /// For `spawn!`.
    #[inline]
    pub fn argument<T: Send + Sync + 'static>(self, shard: &mut Shard<T>) -> Write<T> {
        shard.write()
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Send + Sync + 'static>(self, shard: &mut Shard<T>) -> Write<T> {
        shard.write()
    }
    /// With `meta = true`: the function receives `&Shard<T>`.
    pub fn hold<T: Send + Sync + 'static>(self, shard: &mut Shard<T>) -> Lent<Shard<T>> {
        Lent::new(shard.clone())
    }
}

impl Plain {
    /// For `spawn!`.
    #[inline]
    pub fn argument<T: Data>(self, value: T) -> Value<T> {
        Value::new(value)
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: Data>(self, value: T) -> Value<T> {
        Value::new(value)
    }
    /// With `meta = true`: values are no handles, and stay as they are.
    pub fn hold<T: Data>(self, value: T) -> Value<T> {
        Value::new(value)
    }
}

/// What a task may borrow from its spawner: nothing.
#[diagnostic::on_unimplemented(
    message = "a task cannot borrow a `{Self}` from its spawner, which may have gone on when the task runs",
    label = "borrowed from here",
    note = "hand it over, `spawn!(x = x.clone() => f(&x))`; or make it a task, `let p = spawn!(|| ..)`, and pass `&p`"
)]
pub trait OutlivesItsSpawner {
    /// Nothing has it; asking for it keeps rustc from saying more than the message above.
    type Argument;
}

impl Borrowed {
    /// For `spawn!`.
    pub fn argument<T: OutlivesItsSpawner + ?Sized>(self, _: &T) -> T::Argument {
        unreachable!("nothing outlives its spawner")
    }
    /// For `lazy!`.
    pub fn lazy_argument<T: OutlivesItsSpawner + ?Sized>(self, borrowed: &T) -> T::Argument {
        self.argument(borrowed)
    }
    /// With `meta = true`.
    pub fn hold<T: OutlivesItsSpawner + ?Sized>(self, borrowed: &T) -> T::Argument {
        self.argument(borrowed)
    }
}
