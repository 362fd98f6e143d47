// A value that threads may share.

use poniard::prelude::*;
use std::sync::Arc;

fn main() {
    let _list = mutable!(Arc::new(1));
}
