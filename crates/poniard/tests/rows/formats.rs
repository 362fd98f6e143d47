//! Formats that programs of other languages read and write.

use crate::folder::Folder;
use poniard::prelude::*;
use poniard::{Blob, Elem, FileError, Format, Npy, Order, Raw, Tile};
use std::path::Path;

fn failure<T: Data + Clone>(path: &Path, format: impl Format<T>) -> FileError {
    let error = File::<T>::open(path).unwrap().format(format).fetch().err().expect("it is refused");
    error.downcast_ref::<FileError>().expect("the root is a file's error").clone()
}

/// What becomes of a file of which any one bit is changed, or any part of the end is missing: a value, or an error.
#[allow(dead_code, reason = "some formats are features")]
fn survives_damage<T: Data>(folder: &Folder, bytes: &[u8], format: impl Format<T> + Clone) -> [usize; 2] {
    let path = folder.file("damaged");
    let mut outcomes = [0, 0];
    let mut try_it = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let read = File::<T>::open(&path).unwrap().format(format.clone()).fetch_ref();
        let is_file_error = read.as_ref().is_err_and(|error| error.downcast_ref::<FileError>().is_some());
        assert!(read.is_ok() || is_file_error, "{:?}", read.err());
        outcomes[usize::from(read.is_err())] += 1;
    };
    // An odd number of bits, so that every bit of a byte has its turn.
    let bits = (bytes.len() * 8 / 500) | 1;
    let step = (bytes.len() / 150).max(1);
    (0..bytes.len()).step_by(step).for_each(|len| try_it(&bytes[..len]));
    for bit in (0..bytes.len() * 8).step_by(bits) {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        try_it(&changed);
    }
    outcomes
}

fn comes_back<E: Elem>(folder: &Folder, number: impl Fn(usize) -> E)
where
    Vec<E>: Data,
{
    for shape in [&[][..], &[3], &[0, 2], &[2, 3], &[4, 1, 5]] {
        for order in [Order::Col, Order::Row] {
            let tile = Tile::from_fn(shape, order, |at| number(at.iter().sum())).unwrap();
            let file = to_file_with(&tile, folder.file("tile.npy"), Npy).unwrap();
            assert_eq!(file.fetch().unwrap(), tile);
        }
    }
    let numbers: Vec<E> = (0..10).map(number).collect();
    let file = to_file_with(&numbers, folder.file("vec.npy"), Npy).unwrap();
    assert_eq!(file.fetch().unwrap(), numbers);
}

#[test]
fn a33_npy_files_come_back_with_every_shape_order_and_kind_of_number() {
    let folder = Folder::new();
    comes_back(&folder, |at| at as f32);
    comes_back(&folder, |at| at as f64 / 3.0);
    comes_back(&folder, |at| -(at as i8));
    comes_back(&folder, |at| -(at as i16));
    comes_back(&folder, |at| -(at as i32));
    comes_back(&folder, |at| -(at as i64));
    comes_back(&folder, |at| at as u8);
    comes_back(&folder, |at| at as u16);
    comes_back(&folder, |at| at as u32);
    comes_back(&folder, |at| at as u64);
    let part = Tile::from_fn(&[6, 6], Order::Col, |at| (at[0] * 10 + at[1]) as u16).unwrap();
    let part = part.slice(&[1..4, 2..5]).unwrap();
    assert_eq!(to_file_with(&part, folder.file("part.npy"), Npy).unwrap().fetch().unwrap(), part);
}

/// As NumPy 2 writes `numpy.array([[1, 2, 3], [4, 5, 6]], dtype="<i2", order="F")`.
fn by_numpy() -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(b"{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }");
    bytes.resize(127, b' ');
    bytes.push(b'\n');
    bytes.extend([1_u16, 4, 2, 5, 3, 6].iter().flat_map(|number| number.to_le_bytes()));
    bytes
}

#[test]
fn a33_a_file_of_numpy_is_read_and_written_byte_by_byte() {
    let folder = Folder::new();
    let path = folder.file("numpy.npy");
    std::fs::write(&path, by_numpy()).unwrap();
    let tile = File::<Tile<i16>>::open(&path).unwrap().format(Npy).fetch().unwrap();
    assert_eq!((tile[[0, 2]], tile[[1, 0]], tile.order()), (3, 4, Some(Order::Col)));
    to_file_with(&tile, folder.file("ours.npy"), Npy).unwrap();
    assert_eq!(std::fs::read(folder.file("ours.npy")).unwrap(), by_numpy());
}

#[test]
fn a37_npy_files_that_are_not_what_is_asked_for_are_refused_in_words() {
    let folder = Folder::new();
    let path = folder.file("numpy.npy");
    std::fs::write(&path, by_numpy()).unwrap();
    let error = failure::<Tile<f64>>(&path, Npy);
    assert!(error.to_string().ends_with("as npy: its elements are `<i2`, not `<f8` (`f64`)"), "{error}");
    assert!(error.is_of_another_type());
    let error = failure::<Vec<i16>>(&path, Npy);
    assert!(
        error.to_string().ends_with("an array of shape [2, 3] is no vector; read it as a tile"),
        "{error}"
    );

    let with_header = |text: &str, elements: usize| {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + elements, 0);
        std::fs::write(&path, bytes).unwrap();
        failure::<Tile<f64>>(&path, Npy).to_string()
    };
    let of = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}")
    };
    assert!(with_header(&of(">f8", "(1,)"), 8).contains("big-endian numbers must be converted first"));
    assert!(with_header(&of("<c16", "(1,)"), 16).contains("its elements are `<c16`"));
    assert!(with_header(&of("|O", "(1,)"), 8).contains("its elements are `|O`"));
    let text = with_header(&of("<f8", "(4294967296, 4294967296)"), 8);
    assert!(text.contains("more elements than there are addresses"), "{text}");
    let text = with_header(&of("<f8", "(1000000000000,)"), 8);
    assert!(text.ends_with("takes 8000000000000 bytes, and 8 are there"), "nothing is allocated: {text}");
    assert!(with_header(&of("<f8", "(1,)"), 9).ends_with("takes 8 bytes, and 9 are there"));
    assert!(with_header("[1, 2]", 0).contains("its header is no dictionary of Python's: [1, 2]"));
}

#[test]
fn a37_damaged_npy_files_are_errors_or_other_numbers() {
    let folder = Folder::new();
    let [read, refused] = survives_damage::<Tile<i16>>(&folder, &by_numpy(), Npy);
    assert!(refused > by_numpy().len(), "each truncation, and most changes of the header: {read} {refused}");
}

#[test]
fn n08_numbers_that_are_none_and_names_that_are_no_text_come_back() {
    use std::os::unix::ffi::OsStrExt;
    let odd = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE / 3.0, f64::MAX];
    let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let folder = Folder::new();
    let name = std::ffi::OsStr::from_bytes(b"odd \xff\xfe name");
    let file = to_file_with(&odd, folder.path().join(name), Npy).unwrap();
    assert_eq!(bits(&file.fetch().unwrap()), bits(&odd));
    let again = File::<Vec<f64>>::open(folder.path().join(name)).unwrap().format(Npy);
    assert_eq!(bits(&again.fetch().unwrap()), bits(&odd));
    let default = to_file(&odd, folder.file("default")).unwrap();
    assert_eq!(bits(&default.fetch().unwrap()), bits(&odd));
    std::fs::write(folder.path().join(name), b"short").unwrap();
    let error = failure::<Vec<f64>>(&folder.path().join(name), Npy);
    assert!(error.is_damaged() && error.to_string().contains("odd"), "{error}");
}

#[test]
fn n08_a_value_that_nests_without_end_is_an_error_and_not_the_end_of_the_process() {
    /// What is written is a level deeper than any stack.
    #[derive(Clone, Debug, serde::Deserialize)]
    enum List {
        End,
        More(#[allow(dead_code, reason = "it is never read whole")] Box<List>),
    }
    impl serde::Serialize for List {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeTuple;
            let levels = 3_000_000;
            let mut bytes = serializer.serialize_tuple(levels + 1)?;
            for level in 0..=levels {
                bytes.serialize_element(&u8::from(level < levels))?;
            }
            bytes.end()
        }
    }
    let folder = Folder::new();
    let file = to_file(&List::More(Box::new(List::End)), folder.file("endless")).unwrap();
    let error = file.fetch().unwrap_err();
    assert!(error.to_string().ends_with("it is nested too deeply to be read"), "{error}");
    assert!(error.downcast_ref::<FileError>().is_some());
}

#[test]
fn a33_raw_bytes_are_mapped() {
    let folder = Folder::new();
    let blob: Blob = (0..100_000).map(|at| at as u8).collect::<Vec<u8>>().into();
    let file = to_file_with(&blob, folder.file("blob"), Raw).unwrap();
    let back = file.fetch().unwrap();
    assert_eq!(back, blob);
    assert!(format!("{back:?}").contains("mapped file"), "{back:?}");
    assert_eq!(spawn!((|bytes: &[u8]| bytes.len())(&file)).fetch().unwrap(), 100_000);
    std::fs::write(folder.file("none"), "").unwrap();
    assert!(File::<Blob>::open(folder.file("none")).unwrap().format(Raw).fetch().unwrap().is_empty());
}

#[test]
fn a33_raw_elements_are_a_tile_of_a_given_shape() {
    let folder = Folder::new();
    let tile = Tile::from_fn(&[50, 70], Order::Row, |at| (at[0] * 70 + at[1]) as u32).unwrap();
    let format = Raw.tile([50, 70], Order::Row);
    let file = to_file_with(&tile, folder.file("tile"), format.clone()).unwrap();
    assert_eq!(std::fs::metadata(file.path()).unwrap().len(), 50 * 70 * 4);
    let mut back = file.fetch().unwrap();
    assert_eq!(back, tile);
    back.set(&[0, 0], 9).unwrap();
    assert_eq!(file.fetch().unwrap(), tile, "the file is not written to");
    let error = failure::<Tile<u32>>(file.path(), Raw.tile([50, 71], Order::Row));
    assert!(error.is_of_another_type());
    assert!(
        error.to_string().ends_with("shape [50, 71] of `u32` takes 14200 bytes, and there are 14000"),
        "{error}"
    );
    assert!(failure::<Tile<u32>>(file.path(), Raw.tile([usize::MAX, 2], Order::Row)).is_of_another_type());
    let error = to_file_with(&tile, folder.file("other"), Raw.tile([70, 50], Order::Row)).unwrap_err();
    assert!(error.to_string().ends_with("the tile has shape [50, 70], and the format [70, 50]"), "{error}");
}

#[test]
fn a35_a_file_in_a_format_of_ours_can_be_written_itself() {
    let folder = Folder::new();
    let file = to_file_with(&vec![1.0, 2.0], folder.file("vec.npy"), Npy).unwrap();
    let outer = to_file(&vec![file], folder.file("files")).unwrap();
    assert_eq!(outer.fetch().unwrap()[0].fetch().unwrap(), [1.0, 2.0]);
}

#[cfg(feature = "json")]
#[test]
fn a33_json_files_are_text_that_others_read() {
    use poniard::Json;
    use std::collections::BTreeMap;
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    enum Tree {
        Leaf(i64),
        Nodes(Vec<Tree>),
    }
    let folder = Folder::new();
    let value = BTreeMap::from([("a".to_owned(), Tree::Nodes(vec![Tree::Leaf(1), Tree::Leaf(-2)]))]);
    let file = to_file_with(&value, folder.file("tree.json"), Json).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(text, r#"{"a":{"Nodes":[{"Leaf":1},{"Leaf":-2}]}}"#);
    assert_eq!(spawn!((|all: &BTreeMap<String, Tree>| all.len())(&file)).fetch().unwrap(), 1);
    assert_eq!(file.fetch().unwrap(), value);

    let path = folder.file("wrong.json");
    let refused = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        failure::<Tree>(&path, Json)
    };
    assert!(refused(br#"{"Leaf":1"#).is_damaged());
    assert!(refused(b"").is_damaged());
    assert!(refused(br#"{"Leaf":"one"}"#).is_of_another_type());
    assert!(refused(br#"{"Leaf":1} x"#).to_string().contains("trailing characters"));
    assert!(refused(b"{\"Leaf\":\xff}").is_of_another_type());
    let deep = [r#"{"Nodes":["#.repeat(100_000), "]}".repeat(100_000)].concat();
    assert!(refused(deep.as_bytes()).to_string().contains("recursion limit"));
}

#[cfg(feature = "csv")]
#[test]
fn a33_csv_files_are_a_record_a_line() {
    use poniard::Csv;
    #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Town {
        name: String,
        people: u64,
        height: Option<f64>,
    }
    let town = |name: &str, people, height| Town { name: name.to_owned(), people, height };
    let towns = vec![town("Norwich, CT", 40125, Some(2.5)), town("St. \"Pölten\"", 55_000, None)];
    let folder = Folder::new();
    let file = to_file_with(&towns, folder.file("towns.csv"), Csv).unwrap();
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert_eq!(text, "name,people,height\n\"Norwich, CT\",40125,2.5\n\"St. \"\"Pölten\"\"\",55000,\n");
    assert_eq!(file.fetch().unwrap(), towns);
    let tabs = to_file_with(&towns, folder.file("towns.tsv"), Csv.separated_by(b'\t')).unwrap();
    assert!(std::fs::read_to_string(tabs.path()).unwrap().starts_with("name\tpeople\theight\nNorwich, CT\t"));
    assert_eq!(tabs.fetch().unwrap(), towns);
    let none = to_file_with(&Vec::<Town>::new(), folder.file("none.csv"), Csv).unwrap();
    assert!(none.fetch().unwrap().is_empty());

    let path = folder.file("wrong.csv");
    let refused = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        failure::<Vec<Town>>(&path, Csv)
    };
    let error = refused(b"name,people,height\na,1,\nb,many,\n");
    assert!(error.is_of_another_type());
    assert!(error.to_string().contains("line 3: field 1: invalid digit found in string"), "{error}");
    assert!(refused(b"name,people\na,1,2\n").to_string().contains("found record with 3 fields"));
    let error = refused(b"name,people,height\n\xff,1,\n").to_string();
    assert!(
        error.contains("line 2") && error.contains("field: 0") && error.contains("invalid utf-8"),
        "{error}"
    );
    assert!(refused(b"name,height\na,1\n").to_string().contains("missing field `people`"));
}

#[cfg(feature = "arrow")]
mod tables {
    use super::*;
    use crate::alone::alone_with;
    use arrow_array::{ArrayRef, Float32Array, Int16Array, RecordBatch, StringArray};
    use poniard::{ArrowIpc, ArrowStream, Parquet, Table};
    use std::sync::Arc;

    fn table() -> Table {
        let batch = |from: i16| {
            let delay: ArrayRef = Arc::new(Int16Array::from_iter_values(from..from + 100));
            let time: ArrayRef = Arc::new(Float32Array::from_iter_values((0..100).map(|at| at as f32 / 4.0)));
            let names = (0..100).map(|at| (at % 3 > 0).then(|| format!("flight {at}")));
            let name: ArrayRef = Arc::new(StringArray::from_iter(names));
            RecordBatch::try_from_iter_with_nullable([
                ("delay", delay, false),
                ("time", time, false),
                ("name", name, true),
            ])
            .unwrap()
        };
        let (first, second) = (batch(0), batch(100));
        Table::new(first.schema(), vec![first, second]).unwrap()
    }

    fn rows(table: &Table) -> usize {
        table.rows()
    }

    #[test]
    fn a33_an_arrow_file_is_loaded_as_a_table() {
        let folder = Folder::new();
        let file = to_file_with(&table(), folder.file("t.arrow"), ArrowIpc).unwrap();
        assert_eq!(spawn!(rows(&file)).fetch().unwrap(), 200);
        assert_eq!(file.fetch().unwrap(), table());
        let stream = to_file_with(&table(), folder.file("t.arrows"), ArrowStream).unwrap();
        assert_eq!(stream.fetch().unwrap(), table());
        let none = to_file_with(&Table::default(), folder.file("none.arrow"), ArrowIpc).unwrap();
        assert_eq!(none.fetch().unwrap(), Table::default());
        assert!(!failure::<Table>(stream.path(), ArrowIpc).is_not_found(), "a stream is no file of Arrow");
    }

    #[test]
    fn a33_a_parquet_file_is_loaded_as_a_table() {
        let folder = Folder::new();
        let file = to_file_with(&table(), folder.file("t.parquet"), Parquet).unwrap();
        let back = file.fetch().unwrap();
        assert_eq!((back.rows(), back.schema()), (200, table().schema()));
        let delays = |table: &Table| -> Vec<i16> {
            let column = |batch: &RecordBatch| batch.column(0).as_any().downcast_ref::<Int16Array>().cloned();
            table.batches().iter().flat_map(|batch| column(batch).unwrap().values().to_vec()).collect()
        };
        assert_eq!(delays(&back), (0..200).collect::<Vec<i16>>());
    }

    /// A file of a few thousand bytes that stands for 8,000,000.
    fn growing(folder: &Folder) -> std::path::PathBuf {
        let column: ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![7; 1_000_000]));
        let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let path = folder.file("grows.parquet");
        to_file_with(&Table::new(batch.schema(), vec![batch]).unwrap(), &path, Parquet).unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() < 8000);
        path
    }

    #[test]
    fn n08_a_small_file_that_grows_beyond_the_budget_is_refused_before_it_is_read() {
        alone_with(2, &[("PONIARD_MEMORY", "1MiB")], || {
            let text = failure::<Table>(&growing(&Folder::new()), Parquet).to_string();
            assert!(text.contains("it says that it grows to 8000000 bytes, more than 1000 times"), "{text}");
            assert!(text.ends_with("more than the memory budget of 1048576"), "{text}");
        });
    }

    #[test]
    fn n08_a_small_file_that_grows_within_the_budget_is_read() {
        let folder = Folder::new();
        let file = File::<Table>::open(growing(&folder)).unwrap().format(Parquet);
        assert_eq!(file.fetch_ref().unwrap().rows(), 1_000_000);
    }

    #[test]
    fn a_table_is_a_value_of_tasks_and_of_our_own_files() {
        let folder = Folder::new();
        let made = spawn!(table());
        assert_eq!(spawn!(rows(&made)).fetch().unwrap(), 200);
        let file = to_file(&table(), folder.file("table")).unwrap();
        assert_eq!(file.fetch().unwrap(), table());
        let outer = to_file(&vec![file.format(ArrowIpc)], folder.file("handles")).unwrap();
        assert!(outer.fetch().unwrap()[0].path().ends_with("table"));
        let mut other = table().into_batches();
        other.push(RecordBatch::new_empty(Table::default().schema().clone()));
        assert!(Table::new(other[0].schema(), other).is_err());
    }

    #[test]
    fn a37_damaged_tables_are_errors_or_other_tables_and_never_panics() {
        let folder = Folder::new();
        let bytes = |name: &str| std::fs::read(folder.file(name)).unwrap();
        to_file_with(&table(), folder.file("a"), ArrowIpc).unwrap();
        let [read, refused] = survives_damage::<Table>(&folder, &bytes("a"), ArrowIpc);
        assert!(refused > 100, "{read} {refused}");
        // Each bit of the lengths in the footer: nothing is allocated that is not there.
        let whole = bytes("a");
        for bit in (whole.len() - 160) * 8..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(folder.file("damaged"), changed).unwrap();
            let read = File::<Table>::open(folder.file("damaged")).unwrap().format(ArrowIpc).fetch_ref();
            assert!(read.map_or(0, |table| table.rows()) <= 200);
        }
        to_file_with(&table(), folder.file("s"), ArrowStream).unwrap();
        survives_damage::<Table>(&folder, &bytes("s"), ArrowStream);
        to_file_with(&table(), folder.file("p"), Parquet).unwrap();
        let [read, refused] = survives_damage::<Table>(&folder, &bytes("p"), Parquet);
        assert!(refused > 100, "{read} {refused}");
    }
}
