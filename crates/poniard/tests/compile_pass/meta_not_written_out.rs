use poniard::prelude::*;

fn id(task: &DTask<i64>) -> String {
    task.id().to_string()
}

fn main() {
    let p = spawn!(|| 1);
    assert_eq!(spawn!(id(&p), meta = true).fetch().unwrap(), p.id().to_string());
}
