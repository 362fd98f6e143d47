//! What was meant by each of the wrong programs of the crate `misuse`: the file of the same name in `compile_pass`, and what it
//! asserts.
//!
//! One test program of them all: a program each took 20 GB of disk to link.
#![forbid(unsafe_code)]

macro_rules! programs {
    ($($name:ident)*) => {
        $(
            #[allow(unused_imports, clippy::ptr_arg, clippy::useless_vec, reason = "they are what users write")]
            mod $name {
                include!(concat!("compile_pass/", stringify!($name), ".rs"));

                #[test]
                fn runs() {
                    main();
                }
            }
        )*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

programs! {
    after_no_task
    argument_is_lock_guard
    argument_is_rc
    argument_missing
    argument_of_wrong_type
    argument_outside_of_call
    async_block
    awaited_inside
    borrow_moved
    borrowed_local
    borrowed_mutably
    borrowed_text
    capture_not_declared
    capture_not_declared_in_closure
    closure_argument_count
    closure_not_applied
    default_in_the_middle
    fetch_of_no_clone
    handle_for_reference
    handles_of_another_type
    keyword_before_positional
    keyword_of_plain_function
    keyword_of_wrong_type
    keyword_unknown
    lazy_with_loop
    macro_call
    meta_not_written_out
    method_call
    mutable_in_two_places
    mutable_nothing
    mutable_of_rc
    mutable_option_unknown
    mutable_read_for_write
    not_a_call
    nothing
    option_of_wrong_type
    option_twice
    option_unknown
    option_without_comma
    rc_moved
    reference_for_value
    result_not_serialisable
    result_not_sync
    return_in_body
    shard_option_unknown
    shard_options_conflict
    struct_without_serde
    try_of_no_error
    try_without_result
}

fn names_in(folder: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> =
        entries.filter_map(|name| Some(name.to_string_lossy().strip_suffix(".rs")?.to_owned())).collect();
    names.sort();
    names
}

#[test]
fn every_wrong_use_has_a_twin_that_compiles() {
    assert_eq!(names_in("../../misuse/tests/compile_fail"), NAMES);
    assert_eq!(names_in("tests/compile_pass"), NAMES);
}
