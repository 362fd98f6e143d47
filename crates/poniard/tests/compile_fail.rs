//! Wrong uses of the macros, and what rustc says of them: it must help somebody who sees Poniard for the first time.
//!
//! Each file in `compile_fail` has a twin of the same name in `compile_pass`: the program that was meant. After a change of
//! a message run this test with `TRYBUILD=overwrite`, and read what has changed.
#![forbid(unsafe_code)]

#[test]
fn wrong_uses_of_spawn_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    cases.pass("tests/compile_pass/*.rs");
}

#[test]
fn every_wrong_use_has_a_twin_that_compiles() {
    let names = |folder: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.filter(|name| name.to_string_lossy().ends_with(".rs")).collect();
        names.sort();
        names
    };
    assert_eq!(names("compile_fail"), names("compile_pass"));
}
