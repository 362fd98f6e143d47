//! Processes that somebody else starts together, each with a rank: the one of rank 0 is worker 1, and the others are its workers.
//!
//! By what the environment says, they find each other by a file that all of them see, whoever has started them.

mod mpirun;
mod slurm;

use crate::environment::variable;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Programs that a process with a rank starts have its environment too, and are not of the rank.
pub(crate) const TAKEN: &str = "PONIARD_RANK_TAKEN";

/// One of several processes that were started together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) number: usize,
    /// How many there are.
    pub(crate) tasks: usize,
    /// On how many servers.
    pub(crate) nodes: usize,
    /// How many of them share this server's memory, where that is known.
    pub(crate) here: usize,
    /// What this server is called among them.
    pub(crate) node: Option<String>,
    pub(crate) starter: Starter,
    /// Of all of them, among all that ever were.
    name: String,
}

/// Who has started them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    Slurm,
    Mpirun,
}

/// Of this process, since its start: the environment says it only then.
static RANK: OnceLock<Option<Rank>> = OnceLock::new();

impl Rank {
    /// Of this process, if it is one of several. First called before the environment says that this is taken.
    pub(crate) fn of_environment() -> Option<Rank> {
        RANK.get_or_init(|| Rank::of(variable)).clone()
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Rank> {
        if variable(TAKEN).is_some() {
            return None;
        }
        // Slurm starts what starts the processes of mpirun, and is heard of there too.
        let rank = mpirun::rank(&variable).or_else(|| slurm::rank(&variable))?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let is_among = rank.tasks > 1 && rank.number < rank.tasks;
        (is_among && rank.name.chars().all(is_plain)).then_some(rank)
    }

    /// The file by which they find each other: in the home folder, which the servers of a cluster share.
    ///
    /// # Errors
    /// When nobody says where that is.
    pub(crate) fn connection_file(&self) -> Result<PathBuf, String> {
        if let Some(path) = std::env::var_os("PONIARD_CONNECTION") {
            return Ok(path.into());
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.ok_or_else(|| {
            format!(
                "HOME is not set, so the processes of this {} cannot find each other; set PONIARD_CONNECTION to a file that all of \
                 them see",
                self.starter.told()
            )
        })?;
        Ok(PathBuf::from(home).join(".poniard").join(format!("{}.connection", self.name)))
    }
}

impl Starter {
    fn told(self) -> &'static str {
        match self {
            Starter::Slurm => "Slurm step",
            Starter::Mpirun => "job of mpirun",
        }
    }
}

/// A number that the environment gives.
fn number(variable: impl Fn(&str) -> Option<String>, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| variable(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn rank(set: &[(&str, &str)]) -> Option<Rank> {
        Rank::of(|name| {
            let value = set.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)?;
            (!value.is_empty()).then(|| value.to_owned())
        })
    }

    #[test]
    fn what_a_process_with_a_rank_starts_has_none() {
        let job = [("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "2"), ("PMIX_NAMESPACE", "1")];
        assert!(rank(&job).is_some());
        assert_eq!(rank(&[&job[..], &[(TAKEN, "1")]].concat()), None);
    }

    #[test]
    fn of_mpirun_in_a_step_of_slurm_mpirun_is_heard() {
        let step =
            [("SLURM_JOB_ID", "7"), ("SLURM_STEP_ID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_PROCID", "2")];
        let job = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "8"), ("PMIX_NAMESPACE", "1")];
        let found = rank(&[&step[..], &job].concat()).unwrap();
        assert_eq!((found.number, found.tasks, found.starter), (1, 8, Starter::Mpirun));
    }
}
