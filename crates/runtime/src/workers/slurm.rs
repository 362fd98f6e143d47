//! What Slurm tells the processes of a step that `srun` has started.

use crate::environment::variable;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Programs that a process of the step starts have its environment too, and are none of its processes.
pub(crate) const TAKEN: &str = "PONIARD_SLURM_TAKEN";

/// A process of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) number: usize,
    /// How many there are.
    pub(crate) tasks: usize,
    /// On how many servers.
    pub(crate) nodes: usize,
    /// What this server is called among them.
    pub(crate) node: Option<String>,
    /// Of the step, among all that ever were.
    name: String,
}

/// Of this process, since its start: the environment says it only then.
static RANK: OnceLock<Option<Rank>> = OnceLock::new();

impl Rank {
    /// Of this process, if it is one of several of a step. First called before the environment says that this is taken.
    pub(crate) fn of_environment() -> Option<Rank> {
        RANK.get_or_init(|| Rank::of(variable)).clone()
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Rank> {
        let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
        if variable(TAKEN).is_some() {
            return None;
        }
        // A batch script has a rank as well, and is no step.
        let step = variable("SLURM_STEP_ID").or_else(|| variable("SLURM_STEPID"))?;
        let job = variable("SLURM_JOB_ID").or_else(|| variable("SLURM_JOBID"))?;
        let tasks = number("SLURM_STEP_NUM_TASKS").or_else(|| number("SLURM_NTASKS"))?;
        let nodes = number("SLURM_STEP_NUM_NODES").or_else(|| number("SLURM_NNODES")).unwrap_or(1);
        let rank = number("SLURM_PROCID").filter(|rank| tasks > 1 && *rank < tasks)?;
        let name = format!("{job}-{step}-{}", number("SLURM_RESTART_COUNT").unwrap_or(0));
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let node = variable("SLURMD_NODENAME");
        name.chars().all(is_plain).then_some(Rank { number: rank, tasks, nodes, node, name })
    }

    /// The file by which the processes of the step find each other: in the home folder, which the servers of a cluster share.
    ///
    /// # Errors
    /// When nobody says where that is.
    pub(crate) fn connection_file(&self) -> Result<PathBuf, String> {
        if let Some(path) = std::env::var_os("PONIARD_CONNECTION") {
            return Ok(path.into());
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
        let home = home.ok_or("HOME is not set, so the processes of this Slurm step cannot find each other; set PONIARD_CONNECTION to a file that all of them see")?;
        Ok(PathBuf::from(home).join(".poniard").join(format!("slurm-{}.connection", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(set: &[(&str, &str)]) -> Option<Rank> {
        let step =
            [("SLURM_JOB_ID", "7"), ("SLURM_STEP_ID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_PROCID", "2")];
        let all: Vec<_> = set.iter().chain(&step).copied().collect();
        Rank::of(|name| {
            let value = all.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)?;
            (!value.is_empty()).then(|| value.to_owned())
        })
    }

    #[test]
    fn a_process_of_a_step_knows_its_rank() {
        let found = rank(&[("SLURM_NNODES", "2"), ("SLURMD_NODENAME", "n01")]).unwrap();
        assert_eq!((found.number, found.tasks, found.nodes), (2, 4, 2));
        assert_eq!((found.node.as_deref(), found.name.as_str()), (Some("n01"), "7-0-0"));
    }

    #[test]
    fn what_is_no_process_among_several_is_left_alone() {
        for set in [
            [("SLURM_STEP_ID", "")],
            [("SLURM_NTASKS", "1")],
            [("SLURM_PROCID", "4")],
            [("SLURM_PROCID", "")],
            [("SLURM_JOB_ID", "../x")],
            [(TAKEN, "1")],
        ] {
            assert_eq!(rank(&set), None, "{set:?}");
        }
    }
}
