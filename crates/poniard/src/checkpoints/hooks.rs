//! Checkpoints of the user's own.

use crate::disk::error::Reason;
use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

/// Functions that keep a task's result and find it again, in place of the files of `checkpoint = "name"`: the option
/// `checkpoint_with`.
///
/// `restore` is called before the task runs, when its inputs are there: `Ok(Some(value))` is its result, and it does not run;
/// with `Ok(None)` it runs, and `store` is called with its result. What fails is told on the standard error, and the work
/// goes on as if there were no checkpoint.
///
/// ```
/// use poniard::{Checkpoint, prelude::*};
/// # let path = std::env::temp_dir().join(format!("poniard-{}-own", std::process::id()));
/// # let (to, from) = (path.clone(), path.clone());
/// let own = Checkpoint::new(
///     move |value: &f64| to_file(value, &to).map(drop),
///     move || if from.exists() { File::<f64>::open(&from)?.fetch().map(Some) } else { Ok(None) },
/// );
/// let t = spawn!((|x: f64| x.sqrt())(2.0), checkpoint_with = own);
/// assert_eq!(t.fetch()?, 2.0_f64.sqrt());
/// assert!(path.exists());
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), TaskError>(())
/// ```
#[derive(Clone)]
pub struct Checkpoint {
    store: Arc<Store>,
    restore: Arc<Restore>,
    type_name: &'static str,
}

type Store = dyn Fn(&dyn Any) -> Result<(), Reason> + Send + Sync;
type Restore = dyn Fn() -> Result<Option<Box<dyn Any>>, Reason> + Send + Sync;

impl Checkpoint {
    /// Of a function that keeps a result, and one that finds it.
    pub fn new<R: 'static, E: Into<Reason>, G: Into<Reason>>(
        store: impl Fn(&R) -> Result<(), E> + Send + Sync + 'static,
        restore: impl Fn() -> Result<Option<R>, G> + Send + Sync + 'static,
    ) -> Checkpoint {
        let type_name = type_name::<R>();
        let store = move |value: &dyn Any| match value.downcast_ref::<R>() {
            Some(value) => store(value).map_err(Into::into),
            None => Err(format!("the function that keeps results takes `{type_name}`").into()),
        };
        let restore = move || -> Result<Option<Box<dyn Any>>, Reason> {
            let value = restore().map_err(Into::into)?;
            Ok(value.map(|value| Box::new(value) as Box<dyn Any>))
        };
        Checkpoint { store: Arc::new(store), restore: Arc::new(restore), type_name }
    }

    pub(crate) fn store(&self, value: &dyn Any) -> Result<(), Reason> {
        (self.store)(value)
    }

    pub(crate) fn restore<R: 'static>(&self) -> Result<Option<R>, Reason> {
        let Some(value) = (self.restore)()? else { return Ok(None) };
        match value.downcast::<R>() {
            Ok(value) => Ok(Some(*value)),
            Err(_) => {
                let (is, wanted) = (self.type_name, type_name::<R>());
                Err(format!("a value of type `{is}` was found, and the task's result is `{wanted}`").into())
            }
        }
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint of `{}`", self.type_name)
    }
}
