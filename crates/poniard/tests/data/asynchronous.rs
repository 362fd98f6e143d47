//! Async tasks and large values: a task that awaits holds up nobody who needs memory.

use crate::alone::alone_with;
use poniard::prelude::*;

fn block(first: u64) -> Vec<u64> {
    (first..first + 8192).collect()
}

#[test]
fn chunks_on_disk_are_awaited_by_many_tasks_at_once() {
    async fn first(chunk: &Chunk<Vec<u64>>) -> Result<u64, TaskError> {
        Ok(chunk.await?[0])
    }
    alone_with(2, &[("PONIARD_MEMORY", "256KiB")], || {
        let chunks: Vec<_> = (0..64).map(|i| put(block(i)).unwrap()).collect();
        let tasks: Vec<_> = chunks.iter().map(|chunk| spawn!(async first(chunk)?, meta = true)).collect();
        for (i, task) in tasks.iter().enumerate() {
            assert_eq!(task.fetch().unwrap(), i as u64);
        }
    });
}

#[test]
fn a_task_that_awaits_does_not_keep_the_one_it_waits_for_from_memory() {
    async fn extended(large: &Vec<u64>) -> Result<usize, TaskError> {
        let other = spawn!((|n: usize| vec![1_u64; n])(large.len()));
        Ok(large.len() + (&other).await?.len())
    }
    alone_with(2, &[("PONIARD_MEMORY", "100KiB")], || {
        // Each of the two is more than half of the budget.
        for _ in 0..10 {
            let large = spawn!(block(1));
            assert_eq!(spawn!(async extended(&large)?).fetch().unwrap(), 2 * 8192);
        }
    });
}

#[test]
fn a_large_value_may_be_waited_for_in_the_middle_of_an_async_task() {
    async fn blocks(large: &Vec<u64>) -> Result<u64, TaskError> {
        let chunk = put(block(large[0]))?;
        let others: Vec<_> = (0..8).map(|i| put(block(i))).collect::<Result<_, _>>()?;
        Ok(chunk.fetch()?[0] + others[3].fetch()?[0])
    }
    alone_with(2, &[("PONIARD_MEMORY", "256KiB")], || {
        for _ in 0..10 {
            let large = spawn!(block(5));
            assert_eq!(spawn!(async blocks(&large)?).fetch().unwrap(), 8);
        }
    });
}

#[test]
fn a_task_that_waits_for_its_next_attempt_keeps_nobody_from_memory() {
    fn fails_once(large: &Vec<u64>, path: &std::path::PathBuf) -> Result<usize, std::io::Error> {
        if path.exists() { Ok(large.len()) } else { Err(std::io::Error::other("not yet")) }
    }
    alone_with(1, &[("PONIARD_MEMORY", "150KiB")], || {
        let mark = std::env::temp_dir().join(format!("poniard-mark-{}", std::process::id()));
        let path = put(mark.clone()).unwrap();
        let large = spawn!(block(1));
        let pause = Retries::new(1000).on_error(true).backoff(std::time::Duration::from_millis(20));
        let task = spawn!(fails_once(&large, &path)?, retries = pause);
        // More than there is room for beside it, one after the other.
        for i in 0..20 {
            assert_eq!(spawn!(block(i)).fetch().unwrap()[0], i);
        }
        std::fs::write(&mark, "").unwrap();
        let result = task.fetch();
        std::fs::remove_file(&mark).unwrap();
        assert_eq!(result.unwrap(), 8192);
    });
}
