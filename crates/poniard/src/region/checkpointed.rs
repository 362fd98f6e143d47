//! Tasks with a checkpoint.

use super::{Form, asked};
use crate::checkpoints::{copy, noted, prepare};
use crate::options::Options;
use poniard_model::{Data, Site};
use poniard_pool::{Arg, Function, Handle, Local};

/// Spawns a task that looks for its result first. Where that is found by the arguments alone, a task that only reads it
/// takes the place of this one, and waits for no input.
pub(crate) fn spawn_checkpointed<A: Arg, R: Data>(
    arguments: A,
    mut options: Options,
    body: Function<A, R>,
    site: &'static Site,
    form: Form,
) -> Handle<R> {
    let Some(how) = options.checkpoint.take() else {
        return super::spawn(arguments, Some(Box::new(options)), body, site, form);
    };
    let prepared = prepare(how, arguments, body, site, &mut |input| noted(input));
    options.key = prepared.key;
    let Some(found) = prepared.found() else {
        return super::spawn(
            prepared.arguments,
            Some(Box::new(options)),
            |(plan, (contents, arguments))| plan.run(contents, arguments),
            site,
            form,
        );
    };
    let reading = reading(&options);
    let mut arguments = prepared.arguments;
    let extra = asked(Some(Box::new(options))).using(&mut arguments).resolve();
    let (task, held) =
        poniard_pool::hold(arguments, |(plan, (contents, arguments))| plan.run(contents, arguments), site);
    let read = move || match found() {
        Some(value) => Ok(value),
        // It was there, and cannot be read: the task runs after all, and this one waits for it without a processor.
        None => {
            held.launch(extra);
            copy(task)
        }
    };
    super::spawn((Local::new(read),), Some(Box::new(reading)), |(read,)| read(), site, form)
}

/// What a task asks for that reads a result from disk in the place of one with these options.
pub(crate) fn reading(options: &Options) -> Options {
    let mut reading = Options::new().occupancy(0.0).threads(1);
    reading.asked.name = options.asked.name.clone();
    (reading.asked.persist, reading.asked.storage) = (options.asked.persist, options.asked.storage);
    reading.after = options.after.clone();
    reading.key = options.key;
    reading
}
