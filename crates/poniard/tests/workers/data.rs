//! Data that live in one process.

use super::*;

fn count(m: &mut u32) -> u32 {
    *m += 1;
    *m
}

#[test]
fn a22_mutable_data_stay_and_a_scope_elsewhere_is_an_error() {
    alone(1, || {
        let _cluster = cluster(1);
        let mut counter = mutable!(0_u32);
        for expected in 1..20 {
            assert_eq!(spawn!(count(&mut counter)).fetch().unwrap(), expected);
        }
        let error = spawn!(count(&mut counter), scope = Scope::worker(2)).fetch().unwrap_err();
        assert!(error.is_scheduling(), "{error}");
        assert_eq!(spawn!(count(&mut counter)).fetch().unwrap(), 20, "and it was not touched");
    });
}

#[test]
fn a_shard_of_this_worker_alone_has_its_piece_here() {
    alone(2, || {
        let _cluster = cluster(1);
        fn same(x: &WorkerId) -> WorkerId {
            *x
        }
        let x = shard!(my_id(), workers = [1]);
        assert_eq!(spawn!(same(&x)).fetch().unwrap(), WorkerId(1));
        let error = spawn!(same(&x), scope = Scope::worker(2)).fetch().unwrap_err();
        assert!(error.is_scheduling(), "{error}");
    });
}
