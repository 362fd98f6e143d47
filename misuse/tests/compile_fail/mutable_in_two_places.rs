//! Two options that both say where it lives.

use poniard::prelude::*;

fn main() {
    let _list = mutable!(vec![0; 10], worker = 1, scope = Scope::thread(0));
}
