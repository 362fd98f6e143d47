//! A value that threads must not share.

use poniard::prelude::*;
use std::rc::Rc;

fn main() {
    let _list = mutable!(Rc::new(1));
}
