//! Who may look, and who cleans up.

use super::*;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;

/// Tells the child of the sweeping test where to spill.
const CHILD_SPILLS_TO: &str = "PONIARD_TEST_SPILLS_TO";

fn create(folder: &Path) -> Result<SpillFile, Error> {
    SpillFile::create(FileOptions {
        folder: folder.to_owned(),
        naming: Naming::Named,
        ..FileOptions::default()
    })
}

#[test]
fn nobody_else_can_look_into_folder_or_file() {
    let folder = Scratched::new();
    let file = create(&folder.0).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!((mode(file.path().parent().unwrap()), mode(file.path())), (0o700, 0o600));
}

#[test]
fn a_directory_that_others_control_is_refused() {
    let folder = Scratched::new();
    let (link, open, plain) = (folder.0.join("link"), folder.0.join("open"), folder.0.join("plain"));
    let refusal = |path: &Path| {
        let error = create(path).unwrap_err();
        assert!(error.is_unsafe_folder());
        error.to_string()
    };
    fs::create_dir(&open).unwrap();
    symlink(&open, &link).unwrap();
    fs::write(&plain, "").unwrap();
    assert!(refusal(&link).ends_with("it is a symbolic link"));
    assert!(refusal(&plain).ends_with("it is not a directory"));
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    assert!(refusal(&open).ends_with("others may write to it (mode 0777)"));
    fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    drop(create(&open).expect("nobody can move what is ours out of a sticky directory"));
    fs::set_permissions(&open, Permissions::from_mode(0o700)).unwrap();
    if std::os::unix::fs::chown(&open, Some(12_345), None).is_ok() {
        assert!(refusal(&open).ends_with("it belongs to user 12345"));
    } else {
        println!("SKIP: only root can give a directory away");
    }
    fs::remove_dir(&open).unwrap();
    fs::remove_file(&link).unwrap();
    fs::remove_file(&plain).unwrap();
    assert!(create(&folder.0.join("missing")).unwrap_err().to_string().contains("missing"));
}

/// What a link with one of our names points to is not touched.
#[test]
fn a_link_with_our_name_is_not_followed() {
    let folder = Scratched::new();
    let (target, link) = (folder.0.join("target"), folder.0.join("poniard-spill-1-0"));
    fs::create_dir(&target).unwrap();
    fs::write(target.join("chunks"), "precious").unwrap();
    symlink(&target, &link).unwrap();
    assert!(sweep(&folder.0).unwrap().is_empty());
    assert_eq!(fs::read_to_string(target.join("chunks")).unwrap(), "precious");
    fs::remove_file(link).unwrap();
    fs::remove_dir_all(target).unwrap();
}

/// The child of the test below: spills, says so, and waits to be killed.
#[test]
fn spills_and_waits_if_it_is_the_child() {
    let Some(folder) = std::env::var_os(CHILD_SPILLS_TO) else { return };
    let file = create(Path::new(&folder)).unwrap();
    let stored = file.write(ChunkId(1), &[&noise(100_000, 1)]).unwrap();
    println!("\nspilled {} bytes", stored.bytes());
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn what_a_killed_process_has_left_is_swept_and_what_a_living_one_has_is_not() {
    let folder = Scratched::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["spills_and_waits_if_it_is_the_child", "--nocapture", "--test-threads=1"])
        .env(CHILD_SPILLS_TO, &folder.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.starts_with("spilled ")));
    assert_eq!(folder.names().len(), 1);
    assert!(sweep(&folder.0).unwrap().is_empty(), "its process lives");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(folder.names().len(), 1, "a killed process cleans nothing up");
    let file = folder.file(Naming::Unnamed);
    assert_eq!(folder.names().len(), 0, "the next process that spills does");
    drop(file);
}

#[test]
fn many_files_made_and_swept_at_once_do_not_disturb_each_other() {
    let folder = Scratched::new();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                for round in 0..50 {
                    let file = create(&folder.0).unwrap();
                    let bytes = noise(5_000, seed * 100 + round);
                    let stored = file.write(ChunkId(round), &[&bytes]).unwrap();
                    assert!(file.path().exists(), "a living process is not swept");
                    assert!(read(&stored).unwrap()[0] == bytes);
                }
            });
        }
    });
}
