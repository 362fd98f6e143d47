//! Regions: what is spawned in a block is caught, and let out at once, held back, or ordered.
//!
//! A region is one implementation of [`Region`]. Regions of one thread are a stack; what is spawned goes to the innermost
//! one, which hands it on to the next, as it is, changed, or later; behind the outermost one is the engine. A task that runs
//! on the same thread meanwhile, because the thread waits, does not see the regions of the code that it interrupts.

mod bulk;
mod checkpointed;
mod sequence;
mod sync;

pub use bulk::spawn_bulk;
pub(crate) use checkpointed::{reading, spawn_checkpointed};
pub use sequence::spawn_sequential;
pub use sync::sync;

use crate::checkpoints::Key;
use crate::cluster;
use crate::options::{self, Options};
use crate::place;
use crate::reach;
use crate::task::AnyTask;
use poniard_model::{Data, Site, TaskOptions};
use poniard_pool::{AnyHandle, Arg, Extra, Function, Handle, Held, Lives, current, inputs_of, lives_of};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// What catches the tasks that are spawned in a block.
pub(crate) trait Region {
    /// Takes a group of tasks: one that was spawned, or all that an inner region let out together. `outwards` takes
    /// groups on their way to the engine.
    fn catch(&self, group: Vec<Caught>, outwards: &dyn Fn(Vec<Caught>));
}

/// A task on its way from its spawn to the engine.
pub(crate) struct Caught {
    pub(crate) held: Held,
    pub(crate) extra: Option<Extra>,
    pub(crate) form: Form,
}

/// How a task was spawned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By the macro: `sync` waits for it.
    Macro,
    /// By the function: `sync` does not.
    Function,
}

impl Caught {
    /// Makes the task wait for others.
    pub(crate) fn after(&mut self, tasks: &[poniard_pool::AnyHandle]) {
        self.extra.get_or_insert_default().after(tasks);
    }
}

/// One region, or the options of a block.
struct Frame {
    /// The task that this thread ran when the block began.
    of: usize,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Options(Rc<Options>),
    Region(Rc<dyn Region>),
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// How many frames there are; above `NEW` on a thread that has not spawned yet.
    static DEPTH: Cell<usize> = const { Cell::new(NEW) };
}

/// Marks a thread that has not spawned yet, so that its first spawn comes by [`settle`], and each one until the runtime runs.
const NEW: usize = 1 << 32;

/// Makes sure, on the first spawn of a thread, that the runtime runs that the environment describes; or tells why it cannot.
pub(crate) fn settle() -> Result<(), String> {
    if DEPTH.get() >= NEW {
        cluster::ensure()?;
        DEPTH.set(DEPTH.get() - NEW);
    }
    Ok(())
}

/// Whether a spawn on this thread goes straight to the engine, with no options.
#[inline]
pub(crate) fn is_plain() -> bool {
    DEPTH.get() == 0 && !current::hands_down()
}

/// Calls `work` inside a frame, which goes when it returns or panics.
fn inside<R>(kind: Kind, work: impl FnOnce() -> R) -> R {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            FRAMES.with_borrow_mut(|frames| frames.pop());
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    FRAMES.with_borrow_mut(|frames| frames.push(Frame { of: current::frame(), kind }));
    DEPTH.set(DEPTH.get() + 1);
    let _pop = Pop;
    work()
}

/// Calls `work` inside a region.
pub(crate) fn enter<R>(region: Rc<dyn Region>, work: impl FnOnce() -> R) -> R {
    inside(Kind::Region(region), work)
}

/// Calls `work`; what it spawns on this thread, and what those tasks spawn, asks for `options` where it does not say otherwise.
///
/// ```
/// use poniard::prelude::*;
/// let task = with_options(Options::new().name("inner"), || spawn!((|x| x + 1)(1)));
/// assert_eq!(&*task.name(), "inner");
/// ```
///
/// Tasks to wait for (`after`) hold for the tasks that `work` spawns itself.
pub fn with_options<R>(options: Options, work: impl FnOnce() -> R) -> R {
    inside(Kind::Options(Rc::new(options)), work)
}

/// The frames that hold for a spawn here, innermost first.
fn frames() -> Vec<Kind> {
    let of = current::frame();
    FRAMES.with_borrow(|frames| {
        let ours = frames.iter().rev().take_while(|frame| frame.of == of);
        ours.map(|frame| frame.kind.clone()).collect()
    })
}

/// What a task asks for that is spawned here with `options` of its own, before it is resolved.
pub(crate) struct Asked {
    options: TaskOptions,
    after: Vec<AnyTask>,
    handed_down: TaskOptions,
    /// Where the data live that the task uses.
    data: Vec<Lives>,
    /// The tasks whose results it uses, if some results may not be used everywhere.
    inputs: Vec<AnyHandle>,
    /// What the task's result is known by in the next run.
    key: Option<Key>,
}

impl Asked {
    /// Nothing but these options.
    pub(crate) fn only(options: Options) -> Asked {
        let handed_down = TaskOptions::default();
        Asked {
            options: options.asked,
            after: options.after,
            handed_down,
            data: Vec::new(),
            inputs: Vec::new(),
            key: options.key,
        }
    }

    /// With the data that these arguments give access to.
    pub(crate) fn using<A: Arg>(mut self, arguments: &mut A) -> Asked {
        self.data = lives_of(arguments);
        if reach::are_results_bound() {
            self.inputs = inputs_of(arguments);
        }
        self
    }

    /// What the engine needs to know.
    pub(crate) fn resolve(self) -> Option<Extra> {
        let plain = self.after.is_empty()
            && self.key.is_none()
            && !self.options.is_set()
            && !self.handed_down.is_set();
        let refused = settle().err();
        let (data, nowhere) = match place::place(&self.options, &self.data, &self.inputs) {
            Ok(data) => (data, None),
            Err(reason) => (None, Some(reason)),
        };
        if plain && refused.is_none() && data.is_none() && nowhere.is_none() {
            return None;
        }
        let mut extra = options::resolve(self.options, &self.after, self.handed_down, data);
        extra.impossible = refused.or(nowhere).or(extra.impossible);
        extra.note = self.key.map(|key| Arc::new(key) as _);
        Some(extra)
    }

    /// The same for a task whose result is known by this key.
    pub(crate) fn known_by(mut self, key: Option<Key>) -> Asked {
        self.key = key.or(self.key);
        self
    }

    /// The same with weaker options for what is not asked for.
    pub(crate) fn or(mut self, weaker: &TaskOptions) -> Asked {
        self.options = self.options.or(weaker);
        self
    }
}

/// What a spawn here asks for: its own options, then those of the regions, then what the running task hands down.
pub(crate) fn asked(own: Option<Box<Options>>) -> Asked {
    let Options { asked: mut options, mut after, key, .. } = own.map(|own| *own).unwrap_or_default();
    let mut handed_down = TaskOptions::default();
    for frame in frames() {
        if let Kind::Options(region) = frame {
            options = options.or(&region.asked);
            handed_down = handed_down.or(&region.asked);
            after.extend(region.after.iter().cloned());
        }
    }
    if let Some(inherited) = current::inherited() {
        options = options.or(&inherited);
        handed_down = handed_down.or(&inherited);
    }
    Asked { options, after, handed_down, data: Vec::new(), inputs: Vec::new(), key }
}

/// Spawns a task that regions or options have to do with.
#[cold]
#[inline(never)]
pub(crate) fn spawn<A: Arg, R: Data>(
    mut arguments: A,
    options: Option<Box<Options>>,
    body: Function<A, R>,
    site: &'static Site,
    form: Form,
) -> Handle<R> {
    let extra = asked(options).using(&mut arguments).resolve();
    if !in_region() {
        return match extra {
            Some(extra) => poniard_pool::spawn_with(arguments, body, site, extra),
            None => poniard_pool::spawn(arguments, body, site),
        };
    }
    let (handle, held) = poniard_pool::hold(arguments, body, site);
    submit(vec![Caught { held, extra, form }]);
    handle
}

/// Whether a region holds for a spawn here.
pub(crate) fn in_region() -> bool {
    let of = current::frame();
    FRAMES.with_borrow(|frames| {
        let mut ours = frames.iter().rev().take_while(|frame| frame.of == of);
        ours.any(|frame| matches!(frame.kind, Kind::Region(_)))
    })
}

/// Sends tasks through the regions that hold here, innermost first, to the engine.
pub(crate) fn submit(group: Vec<Caught>) {
    let regions: Vec<Rc<dyn Region>> = frames()
        .into_iter()
        .filter_map(|frame| match frame {
            Kind::Region(region) => Some(region),
            Kind::Options(_) => None,
        })
        .collect();
    pass(&regions, group);
}

fn pass(regions: &[Rc<dyn Region>], group: Vec<Caught>) {
    match regions.split_first() {
        Some((region, outer)) => region.catch(group, &|group| pass(outer, group)),
        None => group.into_iter().for_each(|caught| caught.held.launch(caught.extra)),
    }
}
