//! Start of the runtime to the first result, in fresh processes: `cargo bench -p poniard-benches --bench start`.
#![forbid(unsafe_code)]

use poniard::prelude::*;
use poniard_benches::{heading, print, repetitions};
use std::process::Command;
use std::time::Instant;

fn main() {
    if std::env::var_os("START_CHILD").is_some() {
        let began = Instant::now();
        let two = spawn!((|x| x + 1)(1)).fetch().expect("it does not fail");
        let took = began.elapsed();
        assert_eq!(two, 2);
        println!("{}", took.as_nanos());
        return;
    }
    heading();
    let this = std::env::current_exe().expect("this program has a path");
    let start = |_| {
        let output = Command::new(&this).env("START_CHILD", "1").output().expect("this program starts again");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse::<f64>().expect("the child prints nanoseconds") / 1e3
    };
    let mut times: Vec<f64> = (0..repetitions().max(20)).map(start).collect();
    print("first spawn to first result, fresh process", &mut times, "us");
}
