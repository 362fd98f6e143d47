use std::rc::Rc;

use poniard::prelude::*;

fn len(x: Rc<String>) -> usize {
    x.len()
}

fn main() {
    let x = Rc::new("four".to_string());
    spawn!(len(x));
}
