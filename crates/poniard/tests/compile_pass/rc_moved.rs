use std::sync::Arc;

use poniard::prelude::*;

fn main() {
    let x = Arc::new(3);
    assert_eq!(**spawn!(move || *x + 1).fetch_ref().unwrap(), 4);
}
