use std::rc::Rc;

use poniard::prelude::*;

fn main() {
    let x = Rc::new(3);
    spawn!(move || *x + 1);
}
