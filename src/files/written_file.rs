//! A file that is appended to. What another program does to it meanwhile is noticed.

use super::folder::{FileId, FileKind, Folder};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

/// A file of a folder that is being written.
#[derive(Debug)]
pub struct WrittenFile {
    folder: Arc<Folder>,
    name: OsString,
    /// Appended to, so that a writer that has a successor without knowing it overwrites nothing.
    file: File,
    id: FileId,
    /// How long it is with what was written whole.
    bytes: u64,
    /// Whether a write has failed, so that a part of it may be there.
    is_torn: bool,
}

impl WrittenFile {
    /// A new file; fails if there is something of this name.
    pub fn create_new(folder: &Arc<Folder>, name: &OsStr) -> io::Result<Self> {
        WrittenFile::of(folder, name, folder.create_new(name)?)
    }

    /// A file that may be there, from its end on. `mend` cuts what a predecessor has not written whole.
    pub fn append(
        folder: &Arc<Folder>,
        name: &OsStr,
        mend: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut file = folder.append(name)?;
        mend(&mut file)?;
        WrittenFile::of(folder, name, file)
    }

    fn of(folder: &Arc<Folder>, name: &OsStr, file: File) -> io::Result<Self> {
        Ok(WrittenFile {
            folder: folder.clone(),
            name: name.to_owned(),
            id: FileId::of_file(&file)?,
            bytes: file.metadata()?.len(),
            file,
            is_torn: false,
        })
    }

    /// Appends bytes. Fails as well if the file is not what it was.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.cut_torn_end()?;
        self.is_torn = true;
        self.file.write_all(bytes)?;
        self.is_torn = false;
        self.bytes += bytes.len() as u64;
        self.check_unchanged()
    }

    /// Cuts what a write that failed has left. It was not acknowledged, so it comes again.
    pub fn cut_torn_end(&mut self) -> io::Result<()> {
        if self.is_torn && self.file.metadata()?.len() > self.bytes {
            self.file.set_len(self.bytes)?;
        }
        self.is_torn = false;
        Ok(())
    }

    /// That it is still there and holds what was written. It may be longer: a predecessor that was stopped
    /// within a write may finish that.
    pub fn check_unchanged(&self) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let what = match self.folder.regular(&self.name)? {
            None => "removed it".into(),
            Some(found) if found != self.id => "replaced it".into(),
            Some(_) if length < self.bytes => {
                format!("cut it from {} bytes to {length}", self.bytes)
            }
            Some(_) => return Ok(()),
        };
        Err(io::Error::other(format!(
            "another program has {what} while the job wrote it, and what was acknowledged is gone; let \
             nothing else touch it, and run the job again"
        )))
    }

    /// Gives it its name, in place of a file that has it. The file stays open.
    pub fn rename_to(&self, name: &OsStr) -> io::Result<()> {
        self.check_unchanged()?;
        match self.folder.kind(name)? {
            None | Some(FileKind::Regular(_)) => {}
            Some(_) => {
                return Err(io::Error::other(
                    "since the job began, the name has been given to something that is no file, which \
                     is not replaced; move it away, or the file that was written",
                ));
            }
        }
        self.folder.rename(&self.name, name)?;
        self.folder.sync()
    }

    /// How long it is with what was written whole.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// A file that has taken one line, after this was done to it.
    fn written(meddle: impl FnOnce(&Path)) -> (tempfile::TempDir, WrittenFile) {
        let folder = tempfile::tempdir().unwrap();
        let open = Arc::new(Folder::open(folder.path()).unwrap());
        let mut file = WrittenFile::create_new(&open, "part".as_ref()).unwrap();
        file.write_all(b"one\n").unwrap();
        meddle(&folder.path().join("part"));
        (folder, file)
    }

    fn told(meddle: impl FnOnce(&Path)) -> String {
        let (_folder, file) = written(meddle);
        let error = file.rename_to("out".as_ref()).unwrap_err().to_string();
        error.split(" while").next().unwrap().to_owned()
    }

    #[test]
    fn a_file_that_another_program_has_changed_is_not_published() {
        let removed = told(|path| fs::remove_file(path).unwrap());
        assert_eq!(removed, "another program has removed it");
        let replaced = told(|path| {
            fs::write(path.with_extension("new"), "one\n").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        });
        assert_eq!(replaced, "another program has replaced it");
        let cut = told(|path| fs::write(path, "").unwrap());
        assert_eq!(cut, "another program has cut it from 4 bytes to 0");
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let (folder, file) = written(|_| ());
        std::os::unix::fs::symlink("elsewhere", folder.path().join("out")).unwrap();
        file.rename_to("out".as_ref()).unwrap_err();
        assert!(folder.path().join("out").is_symlink());
        file.rename_to("other".as_ref()).unwrap();
        let text = fs::read_to_string(folder.path().join("other"));
        assert_eq!(text.unwrap(), "one\n");
    }
}
