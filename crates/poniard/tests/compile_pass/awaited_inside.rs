use poniard::prelude::*;

#[cfg(feature = "async")]
async fn three() -> i64 {
    3
}

fn main() {
    #[cfg(feature = "async")]
    assert_eq!(spawn!(async three()).fetch().unwrap(), 3);
}
