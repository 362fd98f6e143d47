// Both, as one scope.

use poniard::prelude::*;

fn main() {
    let _list = mutable!(vec![0; 10], scope = Scope::worker(1).thread(0));
}
