//! What OpenMPI tells the processes that `mpirun` has started.

use super::{Rank, Starter, number};

pub(super) fn rank(variable: &impl Fn(&str) -> Option<String>) -> Option<Rank> {
    let tasks = number(variable, &["OMPI_COMM_WORLD_SIZE"])?;
    let here = number(variable, &["OMPI_COMM_WORLD_LOCAL_SIZE"]).unwrap_or(1);
    // Where it does not say so, all that are not here are elsewhere.
    let nodes = number(variable, &["OMPI_MCA_orte_num_nodes"]).unwrap_or(if here < tasks { 2 } else { 1 });
    // Of the job among those that mpirun has started on this server.
    let job = variable("PMIX_NAMESPACE").or_else(|| variable("OMPI_MCA_ess_base_jobid"))?;
    Some(Rank {
        number: number(variable, &["OMPI_COMM_WORLD_RANK"])?,
        tasks,
        nodes,
        here,
        node: None,
        starter: Starter::Mpirun,
        name: format!("mpirun-{job}"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::rank;
    use super::*;

    fn rank_with(set: &[(&str, &str)]) -> Option<Rank> {
        let job =
            [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "3"), ("PMIX_NAMESPACE", "1171652609")];
        rank(&[set, &job].concat())
    }

    #[test]
    fn a_process_of_a_job_knows_its_rank() {
        let found =
            rank_with(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "2"), ("OMPI_MCA_orte_num_nodes", "2")]).unwrap();
        assert_eq!((found.number, found.tasks, found.here, found.nodes), (1, 3, 2, 2));
        assert_eq!((found.starter, found.name.as_str()), (Starter::Mpirun, "mpirun-1171652609"));
        assert_eq!(rank_with(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "3")]).unwrap().nodes, 1);
        assert_eq!(rank_with(&[("OMPI_COMM_WORLD_LOCAL_SIZE", "2")]).unwrap().nodes, 2);
    }

    #[test]
    fn what_is_no_process_among_several_is_left_alone() {
        for set in [
            [("OMPI_COMM_WORLD_SIZE", "1")],
            [("OMPI_COMM_WORLD_SIZE", "")],
            [("OMPI_COMM_WORLD_RANK", "3")],
            [("OMPI_COMM_WORLD_RANK", "")],
            [("PMIX_NAMESPACE", "../x")],
        ] {
            assert_eq!(rank_with(&set), None, "{set:?}");
        }
    }
}
