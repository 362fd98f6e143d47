use poniard::prelude::*;

fn id(task: &DTask<i64>) -> String {
    task.id().to_string()
}

fn main() {
    let p = spawn!(|| 1);
    let flag = true;
    spawn!(id(&p), meta = flag);
}
