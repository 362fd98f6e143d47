//! A worker process: drives the pool and the store, so that tasks and their large results keep to a memory budget, and sends
//! tasks to other workers.
//!
//! * [`budget`]: obeys the policy of `store::spill`: which results leave memory, which tasks may run.
//! * [`environment`]: what the environment says about the size of a process.
//! * [`machine`]: how much memory there is.
//! * [`directory`]: which workers and processors there are.
//! * `enter`: what is called before `main`; `code`: what another process says of code. The two files with `unsafe`.
//! * `status`, `explain`: what the workers do, and why a task waits.
//! * `traffic`: how many bytes went to other workers.
//! * `message`: what workers say to each other.
//! * [`window`]: where this program answers who asks from outside what it does.
//! * [`workers`]: processes that are started, tasks that leave and come home, guests.
#![deny(unsafe_code)]

pub mod budget;
#[cfg(feature = "cluster")]
#[allow(unsafe_code)]
mod code;
pub mod directory;
#[cfg(feature = "cluster")]
#[allow(unsafe_code)]
mod enter;
pub mod environment;
mod explain;
pub mod machine;
#[cfg(feature = "cluster")]
mod message;
mod settings;
mod status;
mod traffic;
#[cfg(feature = "cluster")]
pub mod window;
#[cfg(not(feature = "cluster"))]
#[path = "window_absent.rs"]
pub mod window;
#[cfg(feature = "cluster")]
pub mod workers;
#[cfg(not(feature = "cluster"))]
#[path = "workers_absent.rs"]
pub mod workers;

pub use budget::{MemoryConfig, MemoryUsage, memory};
pub use explain::explain;
pub use settings::Settings;
pub use status::{TaskCounts, WorkerMemory, WorkerStatus, set_grace};
pub use traffic::{Traffic, traffic};
