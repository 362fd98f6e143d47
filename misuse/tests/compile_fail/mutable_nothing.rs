//! Nothing to make.

use poniard::prelude::*;

fn main() {
    let _nothing: Mutable<()> = mutable!();
}
