//! Runs the example that draws as three processes of `mpirun`, where MPI is to be had.

use crate::error::Error;
use crate::mpi;
use crate::step::Step;
use crate::workspace::root;

/// With the features of the tests, so that what they have built is used.
const BUILD: Step = Step {
    name: "flights with all features",
    environment: &[],
    command: &["cargo", "build", "--workspace", mpi::ALL, "--example", "flights"],
};

const RUN: Step = Step {
    name: "flights, mpirun -n 3",
    environment: &[("PONIARD_THREADS", "1")],
    command: &[
        "mpirun",
        "--oversubscribe",
        "--allow-run-as-root",
        "-n",
        "3",
        "target/debug/examples/flights",
        "--svg",
        "target/ci/flights-mpirun.svg",
    ],
};

/// Runs it, or says that it does not.
pub(crate) fn run() -> Result<(), Error> {
    if !mpi::is_to_be_had() {
        return Ok(());
    }
    BUILD.run(root())?;
    RUN.run(root())
}
