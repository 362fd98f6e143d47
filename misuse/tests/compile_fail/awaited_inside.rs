use poniard::prelude::*;

async fn three() -> i64 {
    3
}

fn main() {
    spawn!(three().await);
}
