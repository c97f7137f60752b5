//! Which paths lead into the folders of a job, and which only seem to.

use super::*;
use std::os::unix::fs::symlink;

struct Ground {
    folder: tempfile::TempDir,
    access: FileAccess,
}

/// `in` may be read and `out` written; `secret` is beside them.
fn ground() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["in", "out", "in-other"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("in/rows"), "rows").unwrap();
    fs::write(at("secret"), "secret").unwrap();
    let access = FileAccess::within(&[at("in")], &[at("out")]).unwrap();
    Ground { folder, access }
}

impl Ground {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn reads(&self, name: &str) -> io::Result<String> {
        let mut options = OpenOptions::new();
        let file = self.access.open(&self.at(name), options.read(true))?;
        io::read_to_string(file)
    }

    fn refuses(&self, name: &str) {
        let kind = self.reads(name).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::PermissionDenied), "{name}");
        let path = self.at(name);
        self.access.metadata(&path).unwrap_err();
        self.access.names(&path).unwrap_err();
        self.access.check(&path, Access::Read).unwrap_err();
    }
}

#[test]
fn what_is_read_lies_behind_all_links_within_the_folders() {
    let ground = ground();
    symlink("rows", ground.at("in/near")).unwrap();
    symlink(ground.at("secret"), ground.at("in/far")).unwrap();
    symlink(ground.folder.path(), ground.at("in/up")).unwrap();
    symlink(ground.at("in"), ground.at("door")).unwrap();
    for name in ["in/rows", "in/near", "door/rows", "in/up/in/rows"] {
        assert_eq!(ground.reads(name).unwrap(), "rows", "{name}");
    }
    for name in [
        "secret",
        "in/../secret",
        "in/far",
        "in/up/secret",
        "in-other",
        "nothing",
    ] {
        ground.refuses(name);
    }
    let missing = ground.reads("in/nothing").unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(ground.access.names(&ground.at("in")).unwrap().len(), 4);
}

#[test]
fn a_refusal_names_the_folders_and_the_option() {
    let ground = ground();
    let error = ground.reads("secret").unwrap_err().to_string();
    let error = error.replace(&ground.folder.path().display().to_string(), "…");
    insta::assert_snapshot!(error, @"jobs of this node read only within …/in, and …/secret does not lead there; its operator sets the folders with files.read");
    let none = FileAccess::within(&[], &[]).unwrap();
    let error = none.check(Path::new("/etc/passwd"), Access::Write);
    insta::assert_snapshot!(error.unwrap_err(), @"jobs of this node write in no folder, and /etc/passwd does not lead there; its operator sets the folders with files.write");
}

#[test]
fn what_the_process_is_made_of_is_not_read() {
    let ground = ground();
    let mut options = OpenOptions::new();
    for path in [
        "/proc/self/environ",
        "/proc/self/mem",
        "/dev/stdin",
        "/proc/self/fd/0",
    ] {
        let opened = ground.access.open(Path::new(path), options.read(true));
        let kind = opened.map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::PermissionDenied), "{path}");
    }
}

#[test]
fn folders_are_made_within_the_folders_that_may_be_written_only() {
    let ground = ground();
    symlink(ground.folder.path(), ground.at("out/up")).unwrap();
    let folder = ground
        .access
        .folder_to_write(&ground.at("out/a/b"))
        .unwrap();
    folder.create_new("file".as_ref()).unwrap();
    assert!(ground.at("out/a/b/file").exists());
    for name in [
        "in/a",
        "out/up/a",
        "out/../a",
        "out/a/missing/../../../../a",
        "a",
    ] {
        ground.access.folder_to_write(&ground.at(name)).unwrap_err();
        assert!(
            !ground.at("a").exists() && !ground.at("in/a").exists(),
            "{name}"
        );
    }
    // A name is no way out, either.
    symlink(ground.at("secret"), ground.at("out/link")).unwrap();
    let folder = ground.access.folder_to_write(&ground.at("out")).unwrap();
    folder.append("link".as_ref()).unwrap_err();
    assert_eq!(fs::read_to_string(ground.at("secret")).unwrap(), "secret");
}

#[test]
fn the_root_stands_for_everything_and_a_missing_folder_is_an_error() {
    let root = || vec![PathBuf::from("/")];
    let access = FileAccess::within(&root(), &root()).unwrap();
    assert_eq!(access.folders(Access::Read), None);
    let error = FileAccess::within(&["/no/such".into()], &root()).unwrap_err();
    insta::assert_snapshot!(error, @"files.read: /no/such: No such file or directory (os error 2); make the folder, or name another");
}
