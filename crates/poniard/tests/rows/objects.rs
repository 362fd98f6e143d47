//! Files in object stores.

use crate::folder::Folder;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem};
use poniard::prelude::*;
use poniard::{Binary, FileError, Npy, Raw, to_file_in};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// More than one part of an upload.
const LARGE: usize = 20_000_001;

fn a_file_lives_in(store: &Arc<dyn ObjectStore>) {
    let file = to_file_in(&vec![1.0, 2.0, 3.0], store.clone(), "some/numbers", Binary).unwrap();
    assert_eq!(spawn!((|xs: &[f64]| xs.iter().sum::<f64>())(&file)).fetch().unwrap(), 6.0);
    let opened = File::<Vec<f64>>::open_in(store.clone(), "some/numbers").unwrap();
    assert_eq!(opened.fetch().unwrap(), [1.0, 2.0, 3.0]);
    opened.write(&vec![4.0]).unwrap();
    assert_eq!(file.fetch().unwrap(), [4.0], "the object was replaced");

    let large: poniard::Blob = (0..LARGE).map(|at| (at / 7) as u8).collect::<Vec<u8>>().into();
    let file = to_file_in(&large, store.clone(), "large", Raw).unwrap();
    assert_eq!(file.fetch().unwrap(), large);
    let array = to_file_in(&vec![1_u16; 1000], store.clone(), "array.npy", Npy).unwrap();
    assert_eq!(array.fetch().unwrap().len(), 1000);

    let error = File::<i64>::open_in(store.clone(), "none").unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().starts_with("cannot open "), "{error}");
}

#[test]
fn a_file_lives_in_the_store_in_memory() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    a_file_lives_in(&store);
}

#[test]
fn a_file_lives_in_a_store_of_files() {
    let folder = Folder::new();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    a_file_lives_in(&store);
    assert_eq!(folder.names(), ["array.npy", "large", "some"], "no part of an upload is left");
}

#[test]
fn a_write_that_fails_leaves_the_old_object() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let read = |from: &mut dyn Read| io::read_to_string(from);
    let fails = |text: &String, to: &mut dyn Write| -> io::Result<()> {
        to.write_all(text.as_bytes())?;
        Err(io::Error::other("no more"))
    };
    let good = |text: &String, to: &mut dyn Write| to.write_all(text.as_bytes());
    let file = to_file_in(&"old".to_owned(), store.clone(), "text", poniard::by_reader(read, good)).unwrap();
    let error = to_file_in(&"new".to_owned(), store, "text", poniard::by_reader(read, fails)).unwrap_err();
    assert!(error.to_string().ends_with("no more"), "{error}");
    assert_eq!(file.fetch().unwrap(), "old");
}

#[test]
fn an_object_that_is_cut_off_or_gone_is_the_error_of_the_task() {
    let store = Arc::new(InMemory::new());
    let file = to_file_in(&7_i64, store.clone(), "seven", Binary).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.put(&"seven".into(), vec![1, 2, 3].into())).unwrap();
    let error = spawn!((|x: &i64| *x)(&file)).fetch().unwrap_err();
    assert!(error.downcast_ref::<FileError>().unwrap().is_damaged(), "{error}");
    runtime.block_on(store.delete(&"seven".into())).unwrap();
    let error = spawn!((|x: &i64| *x)(&file)).fetch().unwrap_err();
    assert!(error.downcast_ref::<FileError>().unwrap().is_not_found(), "{error}");
}

#[test]
fn an_address_leads_to_a_store_or_says_what_is_missing() {
    let folder = Folder::new();
    let address = format!("file://{}/value", folder.path().display());
    let file = to_file(&7_i64, &address).unwrap();
    assert_eq!(file.path(), folder.file("value"));
    assert_eq!(File::<i64>::open(&address).unwrap().fetch().unwrap(), 7);
    for address in ["s3://bucket/key", "gs://bucket/key", "az://container/key", "https://host/path"] {
        let error = File::<i64>::open(address).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot open {address}: ")), "{error}");
        assert!(error.contains("enable the feature of crate `object_store`"), "{error}");
    }
    assert!(File::<i64>::open("what://ever").is_err());
}

#[test]
fn a_store_is_used_from_tasks_and_futures_alike() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let file = to_file_in(&7_i64, store.clone(), "seven", Binary).unwrap();
        assert_eq!(file.fetch().unwrap(), 7, "on a thread that runs futures itself");
    });
}
