//! `srun ./app`: the processes of a step are a cluster.

use super::stage::*;

/// Stands for srun: starts so many processes of a step, each with its rank, and ends with the worst of their statuses.
const SRUN: &str = r#"#!/bin/sh
count=$1
shift
export SLURM_JOB_ID=4711 SLURM_STEP_ID=0 SLURM_NTASKS=$count SLURM_STEP_NUM_TASKS=$count SLURM_NNODES=1
export SLURM_STEP_NODELIST=localhost SLURMD_NODENAME=localhost
rank=$((count - 1))
others=""
while [ "$rank" -gt 0 ]; do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank "$@" < /dev/null &
    others="$others $!"
    rank=$((rank - 1))
done
SLURM_PROCID=0 SLURM_LOCALID=0 "$@"
worst=$?
for other in $others; do
    wait "$other" || worst=$?
done
exit "$worst"
"#;

#[test]
fn srun_n_3_is_a_cluster_of_three_workers() {
    let folder = Folder::new();
    let srun = folder.script("srun", SRUN);
    let mut command = std::process::Command::new(&srun);
    command.arg("3").arg(program()).args(ARGUMENTS).env(MARK, "1").env("PONIARD_THREADS", "1");
    command.env("HOME", folder.path("home"));
    let mut step = Process::start(command);
    assert_eq!(step.says(), "begins with 1 2 3");
    step.ask("work 50");
    let processes = step.ask("processes");
    let file = folder.path("home/.poniard/slurm-4711-0-0.connection");
    assert!(file.exists());
    assert_eq!(step.ask("end"), "ended");
    assert!(!file.exists());
    assert!(step.end().success());
    assert!(!processes.split(' ').any(|process| is_alive(process.parse().unwrap())));
}

#[test]
fn a_batch_script_and_a_step_of_one_are_programs_like_others() {
    let mut command = poniard(&["run", "-n", "2"]);
    command.envs([("SLURM_JOB_ID", "7"), ("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]);
    let mut app = Process::start(command);
    assert_eq!(app.says(), "begins with 1 2");
    assert!(app.end().success());
}
