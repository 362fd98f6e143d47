//! Files as arguments and results.

use crate::alone::alone;
use crate::folder::Folder;
use poniard::prelude::*;
use poniard::{FileError, by_path, by_reader};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn sum(xs: &[f64]) -> f64 {
    xs.iter().sum()
}

fn lens(all: &[&Vec<f64>]) -> Vec<usize> {
    all.iter().map(|one| one.len()).collect()
}

fn file_error(error: &TaskError) -> &FileError {
    error.downcast_ref().expect("the root is a file's error")
}

/// A format of one number as text, that counts how often it reads.
fn counting(reads: &Arc<AtomicUsize>) -> impl poniard::Format<i64> + use<> {
    let reads = reads.clone();
    let read = move |from: &mut dyn Read| -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
        reads.fetch_add(1, Ordering::SeqCst);
        Ok(io::read_to_string(from)?.parse()?)
    };
    by_reader(read, |value: &i64, to: &mut dyn Write| write!(to, "{value}"))
}

#[test]
fn a30_file_is_lazy() {
    let folder = Folder::new();
    let path = folder.file("huge");
    let huge = std::fs::File::create(&path).unwrap();
    huge.set_len(1 << 40).unwrap();
    let reads = Arc::new(AtomicUsize::new(0));
    let file = File::<i64>::open(&path).unwrap().format(counting(&reads));
    let task = lazy!((|x: &i64| *x)(&file));
    assert_eq!((file.path(), reads.load(Ordering::SeqCst)), (&*path, 0));
    drop(task);
    assert_eq!(reads.load(Ordering::SeqCst), 0);
}

#[test]
fn a30_a_missing_file_is_an_error_at_once_that_says_where_it_was_looked_for() {
    let error = File::<i64>::open("no/such.file").unwrap_err();
    assert!(error.is_not_found());
    let here = std::env::current_dir().unwrap();
    let text = format!(
        "cannot open no/such.file: there is no such file in {}, the working directory",
        here.display()
    );
    assert_eq!(error.to_string(), text);
    assert_eq!(TaskError::from(error).to_string(), text, "`?` in a function of the program keeps the words");
    let folder = Folder::new();
    let error = File::<i64>::open(folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("it is a folder, not a file"), "{error}");
    let error = File::<i64>::open(folder.file("none")).unwrap_err();
    assert!(error.to_string().ends_with("none: there is no such file"), "{error}");
    assert!(File::<i64>::open("").unwrap_err().to_string().ends_with("the path is empty"));
}

#[test]
fn a30_a_relative_path_is_one_from_where_the_file_was_opened() {
    alone(2, || {
        let folder = Folder::new();
        std::env::set_current_dir(folder.path()).unwrap();
        let file = to_file(&7_i64, "seven").unwrap();
        std::env::set_current_dir("/").unwrap();
        assert!(file.path().is_absolute());
        assert_eq!(file.fetch().unwrap(), 7);
    });
}

#[test]
fn a31_a_task_receives_the_contents() {
    let folder = Folder::new();
    let file = to_file(&vec![1.0, 2.0, 3.0], folder.file("a")).unwrap();
    let other = to_file(&vec![1.0; 10_000], folder.file("b")).unwrap();
    assert_eq!(spawn!(sum(&file)).fetch().unwrap(), 6.0);
    assert_eq!(spawn!((|xs: Vec<f64>| xs.len())(other.clone())).fetch().unwrap(), 10_000);
    assert_eq!(spawn!(lens(&[file.clone(), other.clone()])).fetch().unwrap(), [3, 10_000]);
    assert_eq!(spawn!(lens(&vec![file.clone(); 3])).fetch().unwrap(), [3; 3]);
    assert_eq!(spawn!(xs = &file, k = 2.0 => sum(xs) * k).fetch().unwrap(), 12.0);
    assert_eq!(spawn(|xs: &Vec<f64>| xs.len(), (&file,)).fetch().unwrap(), 3);
    assert_eq!(spawn(lens, (&vec![file.clone(), other.clone()],)).fetch().unwrap(), [3, 10_000]);
    fn path_of(file: &File<Vec<f64>>) -> std::path::PathBuf {
        file.path().to_owned()
    }
    assert_eq!(spawn!(path_of(&file), meta = true).fetch().unwrap(), file.path());
    assert_eq!(file.fetch().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(file.fetch_ref().unwrap().len(), 3);
}

#[test]
fn a31_a_lazy_task_reads_when_it_is_collected() {
    let folder = Folder::new();
    let reads = Arc::new(AtomicUsize::new(0));
    let file = to_file_with(&4_i64, folder.file("four"), counting(&reads)).unwrap();
    let both = lazy!((|x: &i64, all: &[&i64]| *x + all.len() as i64)(&file, &[file.clone(), file.clone()]));
    let twice = lazy!((|x: i64, y: &i64| x * y)(file.clone(), &both));
    spawn!(|| 1).wait();
    assert_eq!(reads.load(Ordering::SeqCst), 0);
    assert_eq!(twice.collect().unwrap(), 24);
    assert_eq!(reads.load(Ordering::SeqCst), 1);
}

#[test]
fn a31_tasks_that_use_a_file_at_once_read_it_once() {
    let folder = Folder::new();
    let reads = Arc::new(AtomicUsize::new(0));
    let file = to_file_with(&4_i64, folder.file("four"), counting(&reads)).unwrap();
    let held = file.fetch_ref().unwrap();
    let tasks: Vec<_> = (0..20).map(|k| spawn!((|x: &i64, k| x * k)(&file, k))).collect();
    assert_eq!(fetch_all(&tasks).unwrap().iter().sum::<i64>(), 4 * 190);
    assert_eq!((*held, reads.load(Ordering::SeqCst)), (4, 1));
    drop((held, tasks));
    file.write(&5).unwrap();
    assert_eq!(spawn!((|x: &i64| *x)(&file)).fetch().unwrap(), 5, "what was written since is read");
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[test]
fn a31_reading_holds_no_processor() {
    alone(1, || {
        let folder = Folder::new();
        let (begun, has_begun) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = std::sync::Mutex::new(gone);
        let read = move |_: &mut dyn Read| -> io::Result<i64> {
            begun.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
            Ok(1)
        };
        std::fs::write(folder.file("slow"), "").unwrap();
        let file = File::<i64>::open(folder.file("slow")).unwrap();
        let file = file.with(read, |_: &i64, _: &mut dyn Write| io::Result::Ok(()));
        let slow = spawn!((|x: &i64| *x)(&file));
        has_begun.recv().unwrap();
        // The only processor is free for this one, though the file is being read.
        assert_eq!(spawn!(|| 2).fetch().unwrap(), 2);
        go.send(()).unwrap();
        assert_eq!(slow.fetch().unwrap(), 1);
    });
}

#[test]
fn a31_a_file_that_cannot_be_read_is_the_error_of_the_task_that_uses_it() {
    let folder = Folder::new();
    let file = to_file(&"text".to_owned(), folder.file("text")).unwrap();
    std::fs::remove_file(file.path()).unwrap();
    let error = spawn!((|text: &String| text.len())(&file)).fetch().unwrap_err();
    assert!(file_error(&error).is_not_found());
    let end = format!("cannot read {0} as binary: there is no such file", file.path().display());
    assert!(error.to_string().ends_with(&end), "{error}");
    file.write(&"again".to_owned()).unwrap();
    assert_eq!(spawn!((|text: &String| text.len())(&file)).fetch().unwrap(), 5, "a failure is not kept");

    let failing = |_: &mut dyn Read| -> Result<String, io::Error> { Err(io::Error::other("no luck")) };
    let file = file.with(failing, |_: &String, _: &mut dyn Write| io::Result::Ok(()));
    let error = file.fetch().unwrap_err();
    let io = std::error::Error::source(file_error(&error)).unwrap().downcast_ref::<io::Error>();
    assert_eq!(io.unwrap().to_string(), "no luck", "the function's own error is its source");
    let panicking = |_: &mut dyn Read| -> io::Result<String> { panic!("in the user's code") };
    let file = file.with(panicking, |_: &String, _: &mut dyn Write| io::Result::Ok(()));
    assert!(spawn!((|text: &String| text.len())(&file)).fetch().unwrap_err().is_panic());
}

#[test]
fn a32_a_value_comes_back_in_the_default_format() {
    type Value = (String, Vec<f64>, Option<Vec<u8>>, poniard::Tile<f32>, poniard::Blob);
    let folder = Folder::new();
    let tile = poniard::Tile::from_fn(&[300, 70], poniard::Order::Row, |at| (at[0] * at[1]) as f32).unwrap();
    let value: Value = ("text".into(), vec![0.5; 3000], Some(vec![1; 9]), tile, vec![9_u8; 5_000_000].into());
    let file = to_file(&value, folder.file("value")).unwrap();
    let back = File::<Value>::open(folder.file("value")).unwrap().fetch().unwrap();
    assert_eq!(back, value);
    assert!(to_file(&Vec::<i64>::new(), folder.file("none")).unwrap().fetch().unwrap().is_empty());
    drop(file);
    assert_eq!(folder.names(), ["none", "value"], "files stay when their handles go");
}

#[test]
fn a32_another_type_is_an_error_that_names_both() {
    let folder = Folder::new();
    to_file(&7_i64, folder.file("seven")).unwrap();
    let error = File::<u32>::open(folder.file("seven")).unwrap().fetch().unwrap_err();
    assert!(file_error(&error).is_of_another_type());
    assert!(error.to_string().ends_with("a value of type `i64` was written, not of `u32`"), "{error}");
}

#[test]
fn a32_what_has_no_bytes_is_refused() {
    let folder = Folder::new();
    let error = to_file(&Pinned(7), folder.file("pinned")).unwrap_err();
    assert!(
        error.to_string().contains("`poniard_model::value::Pinned<i32>` stays in the process"),
        "{error}"
    );
    let error = to_file(&spawn!(|| 1), folder.file("task")).unwrap_err();
    let end = "as binary: the value holds a handle that exists in this process only";
    assert!(error.to_string().ends_with(end), "{error}");
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a33_a_format_is_a_pair_of_functions() {
    let folder = Folder::new();
    let read = |from: &mut dyn Read| -> io::Result<Vec<String>> {
        Ok(io::read_to_string(from)?.lines().map(str::to_owned).collect())
    };
    let write = |lines: &Vec<String>, to: &mut dyn Write| -> io::Result<()> {
        lines.iter().try_for_each(|line| writeln!(to, "{line}"))
    };
    let lines = vec!["one".to_owned(), "two".to_owned()];
    let file = to_file_with(&lines, folder.file("lines"), by_reader(read, write)).unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "one\ntwo\n");
    let opened = File::open(folder.file("lines")).unwrap().with(read, write);
    assert_eq!(spawn!((|lines: &Vec<String>| lines.len())(&opened)).fetch().unwrap(), 2);
}

#[test]
fn a34_to_file_has_written_when_it_returns() {
    let folder = Folder::new();
    let file = to_file(&vec![1.0; 9000], folder.file("a")).unwrap();
    assert!(std::fs::metadata(folder.file("a")).unwrap().len() > 72_000);
    assert_eq!(folder.names(), ["a"], "no temporary file is left");
    assert_eq!(spawn!(sum(&file)).fetch().unwrap(), 9000.0);
    let file = to_file(&vec![2.0; 10], folder.file("a")).unwrap();
    assert_eq!(spawn!(sum(&file)).fetch().unwrap(), 20.0, "an old file is replaced");
    let error = to_file(&1, folder.file("no/folder")).unwrap_err();
    assert!(error.to_string().contains("as binary: there is no folder "), "{error}");
}

#[test]
fn a35_a_task_writes_a_file_and_returns_it() {
    fn save(xs: &Vec<f64>, path: std::path::PathBuf) -> Result<File<Vec<f64>>, FileError> {
        to_file(xs, path)
    }
    fn add_up(file: &File<Vec<f64>>) -> Result<f64, TaskError> {
        Ok(sum(&file.fetch_ref()?))
    }
    let folder = Folder::new();
    let xs = spawn!(|| vec![1.5; 1000]);
    let saved = spawn!(save(&xs, folder.file("xs"))?);
    assert_eq!(spawn!(add_up(&saved)?).fetch().unwrap(), 1500.0, "it can be passed on");
    let file = saved.fetch().unwrap();
    assert!(file.path().exists());
    assert_eq!(file.fetch().unwrap(), [1.5; 1000]);
    assert_eq!(spawn!((|files: Vec<File<Vec<f64>>>| files.len())(vec![file; 2])).fetch().unwrap(), 2);
}

#[test]
fn a35_a_handle_of_a_file_can_be_written_itself() {
    let folder = Folder::new();
    let inner = to_file(&vec![1.0, 2.0], folder.file("inner")).unwrap();
    let outer = to_file(&("see".to_owned(), inner), folder.file("outer")).unwrap();
    let (_, back) = outer.fetch().unwrap();
    assert_eq!(back.fetch().unwrap(), [1.0, 2.0]);
    let reads = Arc::new(AtomicUsize::new(0));
    let own = to_file_with(&3_i64, folder.file("own"), counting(&reads)).unwrap();
    // A format of the user's is a thing of this process: to another attempt it goes along, to a file it cannot.
    let attempts = Arc::new(AtomicUsize::new(0));
    let second = move |file: File<i64>| {
        assert_eq!(attempts.fetch_add(1, Ordering::SeqCst), 1, "the first attempt fails");
        file
    };
    let again = spawn_with(Options::new().retries(1), second, (own.clone(),)).fetch().unwrap();
    assert_eq!(again.fetch().unwrap(), 3);
    assert!(to_file(&vec![own], folder.file("refused")).is_err());
}

#[test]
fn a36_to_file_takes_formats_as_open_does() {
    let folder = Folder::new();
    let read = |path: &Path| std::fs::read_to_string(path);
    let write = |text: &String, path: &Path| std::fs::write(path, text);
    let text = "by path".to_owned();
    let file = to_file_with(&text, folder.file("text"), by_path(read, write)).unwrap();
    assert_eq!(std::fs::read_to_string(folder.file("text")).unwrap(), "by path");
    assert_eq!(file.fetch().unwrap(), "by path");
    let opened = File::<String>::open(folder.file("text")).unwrap().with_paths(read, write);
    assert_eq!(opened.fetch().unwrap(), "by path");
}

#[test]
fn a37_a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let folder = Folder::new();
    let read = |from: &mut dyn Read| io::read_to_string(from);
    let fails = |text: &String, to: &mut dyn Write| -> io::Result<()> {
        to.write_all(text.as_bytes())?;
        Err(io::Error::other("the disk is full"))
    };
    let panics = |text: &String, to: &mut dyn Write| -> io::Result<()> {
        to.write_all(text.as_bytes())?;
        panic!("in the user's code")
    };
    std::fs::write(folder.file("text"), "old").unwrap();
    let new = "new".repeat(1_000_000);
    let error = to_file_with(&new, folder.file("text"), by_reader(read, fails)).unwrap_err();
    assert!(error.to_string().ends_with("the disk is full"), "{error}");
    let format = by_reader(read, panics);
    let task = spawn!(move path = folder.file("text") => to_file_with(&new, path, format).is_ok());
    assert!(task.fetch().unwrap_err().is_panic());
    assert_eq!(std::fs::read_to_string(folder.file("text")).unwrap(), "old");
    assert_eq!(folder.names(), ["text"]);
}

/// A file of the default format with a head and two buffers, and its bytes.
fn sample(folder: &Folder) -> (File<Sample>, Vec<u8>) {
    let value = ("some text".to_owned(), vec![0.25; 600], vec![7_u8; 5001].into());
    let file = to_file(&value, folder.file("sample")).unwrap();
    let bytes = std::fs::read(file.path()).unwrap();
    (file, bytes)
}

type Sample = (String, Vec<f64>, poniard::Blob);

#[test]
fn a37_every_truncation_is_an_error() {
    let folder = Folder::new();
    let (file, bytes) = sample(&folder);
    let raw = std::fs::File::options().write(true).open(file.path()).unwrap();
    for len in (0..bytes.len() as u64).rev() {
        raw.set_len(len).unwrap();
        let error = file.fetch_ref().unwrap_err();
        assert!(file_error(&error).is_damaged(), "{len} bytes: {error}");
    }
    std::fs::write(file.path(), [&bytes[..], b"\0"].concat()).unwrap();
    assert!(file_error(&file.fetch_ref().unwrap_err()).is_damaged(), "bytes were appended");
}

#[test]
fn a37_ten_thousand_flipped_bits_are_ten_thousand_errors() {
    use std::os::unix::fs::FileExt;
    let folder = Folder::new();
    let (file, bytes) = sample(&folder);
    let raw = std::fs::File::options().write(true).open(file.path()).unwrap();
    // A walk over all bits in steps that share no factor with their number: each flip is another one.
    let bits = bytes.len() * 8;
    let step = (0..).map(|more| bits / 10_000 * 7 + 1 + more).find(|step| gcd(*step, bits) == 1).unwrap();
    let found = (0..10_000).filter(|number| {
        let bit = number * step % bits;
        let at = bit / 8;
        raw.write_all_at(&[bytes[at] ^ (1 << (bit % 8))], at as u64).unwrap();
        let is_found = file.fetch_ref().is_err_and(|error| file_error(&error).is_damaged());
        raw.write_all_at(&bytes[at..=at], at as u64).unwrap();
        is_found
    });
    assert_eq!(found.count(), 10_000);
    assert_eq!(file.fetch().unwrap().0, "some text", "all bits are back in place");
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
