//! What Slurm tells the processes of a step that `srun` has started.

use super::{Rank, Starter, number};

pub(super) fn rank(variable: &impl Fn(&str) -> Option<String>) -> Option<Rank> {
    // A batch script has a rank as well, and is no step.
    let step = variable("SLURM_STEP_ID").or_else(|| variable("SLURM_STEPID"))?;
    let job = variable("SLURM_JOB_ID").or_else(|| variable("SLURM_JOBID"))?;
    let again = number(variable, &["SLURM_RESTART_COUNT"]).unwrap_or(0);
    Some(Rank {
        number: number(variable, &["SLURM_PROCID"])?,
        tasks: number(variable, &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"])?,
        nodes: number(variable, &["SLURM_STEP_NUM_NODES", "SLURM_NNODES"]).unwrap_or(1),
        here: 1,
        node: variable("SLURMD_NODENAME"),
        starter: Starter::Slurm,
        name: format!("slurm-{job}-{step}-{again}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::TAKEN;
    use super::super::tests::rank;
    use super::*;

    fn rank_with(set: &[(&str, &str)]) -> Option<Rank> {
        let step =
            [("SLURM_JOB_ID", "7"), ("SLURM_STEP_ID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_PROCID", "2")];
        rank(&[set, &step].concat())
    }

    #[test]
    fn a_process_of_a_step_knows_its_rank() {
        let found = rank_with(&[("SLURM_NNODES", "2"), ("SLURMD_NODENAME", "n01")]).unwrap();
        assert_eq!((found.number, found.tasks, found.nodes), (2, 4, 2));
        assert_eq!((found.node.as_deref(), found.name.as_str()), (Some("n01"), "slurm-7-0-0"));
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
            assert_eq!(rank_with(&set), None, "{set:?}");
        }
    }
}
