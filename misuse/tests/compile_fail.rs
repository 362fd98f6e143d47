//! Wrong uses of the macros, and what rustc says of them: it must help somebody who sees Poniard for the first time.
//!
//! Each file in `compile_fail` has a twin of the same name in `poniard`'s tests, `compile_pass`: the program that was meant. After a change of
//! a message run this test with `TRYBUILD=overwrite`, and read what has changed.
#![forbid(unsafe_code)]

#[test]
fn wrong_uses_of_spawn_are_explained() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
