//! The files that one slot of an output writes, one after the other.
//!
//! A file has its name with `.part` behind it while it is written, and is given its name, synced, when
//! it is full or the slot is sealed: whoever finds a file under its name finds all of it, and a job
//! that fails leaves what an earlier job wrote alone. The next `.part` is there before the last one
//! gets its name, so that a slot without any is one that was sealed.

use super::tail::{Tail, mend};
use crate::plugins::file::source::failed;
use crate::plugins::file_names::{UNFINISHED, of_piece, split, unfinished};
use crate::plugins::{PluginError, Start};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The files of a slot.
#[derive(Debug)]
pub(super) struct Pieces {
    path: PathBuf,
    habits: Habits,
    /// The one that is written; none when the slot is sealed.
    current: Option<Piece>,
}

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habits {
    /// When a file is full; none has one file.
    pub(super) rotation: Option<Rotation>,
    pub(super) sync: Sync,
    pub(super) packing: Packing,
}

/// A file is full with so many of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// When a file is synced to its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// When it gets its name.
    WhenFinished,
    /// After each batch as well.
    EachWrite,
}

/// What the bytes of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    /// Each batch is a gzip member of its own, so that what was acknowledged can be read.
    Gzip,
}

/// One file.
#[derive(Debug)]
struct Piece {
    number: u32,
    name: Name,
    /// Appended to, so that a writer that is gone without knowing it overwrites nothing.
    file: File,
    tail: Tail,
    rows: u64,
    bytes: u64,
}

/// What a file is called.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// A pipe or a device, which keeps its name.
    Kept(PathBuf),
    /// This, in the end.
    Given(PathBuf),
}

impl Name {
    fn written(&self) -> PathBuf {
        match self {
            Name::Kept(path) => path.clone(),
            Name::Given(path) => unfinished(path),
        }
    }
}

impl Pieces {
    /// The files of a slot: new ones for one that begins, those it left for one that goes on.
    pub(super) fn open(path: &Path, habits: Habits, start: &Start) -> Result<Self, PluginError> {
        let mut pieces = Pieces {
            path: target(path),
            habits,
            current: None,
        };
        let folder = pieces.folder();
        fs::create_dir_all(folder).map_err(|error| failed(folder, "create it", &error))?;
        let left = pieces.numbers(UNFINISHED)?;
        match (start, left.split_last()) {
            (Start::Fresh, _) => {
                for number in left {
                    let path = unfinished(&pieces.path_of(number));
                    fs::remove_file(&path).map_err(|error| failed(&path, "remove it", &error))?;
                }
                pieces.current = Some(pieces.create(1)?);
            }
            (Start::Resumed(_), Some((last, full))) => {
                for number in full {
                    pieces.reopen(*number)?.finish()?;
                }
                pieces.current = Some(pieces.reopen(*last)?);
            }
            (Start::Resumed(_), None) if pieces.is_special() || pieces.numbers("")?.is_empty() => {
                pieces.current = Some(pieces.create(1)?);
            }
            (Start::Resumed(_), None) => {}
        }
        Ok(pieces)
    }

    /// Writes whole rows. When it returns, the operating system has them.
    pub(super) fn write(&mut self, rows: u64, bytes: &[u8]) -> Result<(), PluginError> {
        let mut piece = match self.current.take() {
            Some(piece) => piece,
            None => self.unseal()?,
        };
        let written = piece.write(rows, bytes, self.habits);
        let is_full = self
            .habits
            .rotation
            .is_some_and(|full| piece.rows >= full.rows || piece.bytes >= full.bytes);
        if written.is_ok() && is_full {
            let next = self.create(piece.number + 1)?;
            self.current = Some(next);
            return piece.finish();
        }
        self.current = Some(piece);
        written
    }

    /// Gives the last file its name. Does nothing when that is done.
    pub(super) fn seal(&mut self) -> Result<(), PluginError> {
        let Some(mut piece) = self.current.take() else {
            return Ok(());
        };
        let sealed = self.seal_last(&mut piece);
        if sealed.is_err() {
            self.current = Some(piece);
        }
        sealed
    }

    fn seal_last(&self, piece: &mut Piece) -> Result<(), PluginError> {
        mend(&mut piece.file, &mut piece.tail, self.habits.packing)
            .map_err(|error| failed(&piece.name.written(), "cut its torn end", &error))?;
        let is_empty = piece.bytes == 0 && piece.number > 1;
        let mut last = piece.number;
        if is_empty {
            last -= 1;
        }
        // Of an earlier job, which had more.
        if self.habits.rotation.is_some() {
            for number in self.numbers("")?.into_iter().filter(|it| *it > last) {
                let path = self.path_of(number);
                fs::remove_file(&path).map_err(|error| failed(&path, "remove it", &error))?;
            }
        }
        if piece.bytes == 0 && self.habits.packing == Packing::Gzip {
            // Nothing at all is no gzip file.
            piece.write(0, b"", self.habits)?;
        }
        match is_empty {
            true => {
                let path = piece.name.written();
                fs::remove_file(&path).map_err(|error| failed(&path, "remove it", &error))
            }
            false => piece.finish(),
        }
    }

    /// Goes on behind what was sealed: somebody repeats what is there already.
    fn unseal(&self) -> Result<Piece, PluginError> {
        let last = self.numbers("")?.last().copied().unwrap_or(0);
        if self.habits.rotation.is_some() || last == 0 {
            return self.create(last + 1);
        }
        let part = unfinished(&self.path);
        fs::rename(&self.path, &part).map_err(|error| failed(&part, "go on with it", &error))?;
        self.reopen(last)
    }

    fn create(&self, number: u32) -> Result<Piece, PluginError> {
        let name = self.name_of(number);
        if let Name::Given(_) = &name {
            let path = name.written();
            // Never one that is there: somebody who had this slot before, and has not noticed that
            // it is another's now, would empty what its successor has written.
            File::create_new(&path).map_err(|error| failed(&path, "create it", &error))?;
        }
        Piece::append_to(number, name)
    }

    /// Opens a file that somebody left, and sees to it that it ends with a whole row.
    fn reopen(&self, number: u32) -> Result<Piece, PluginError> {
        let mut piece = Piece::append_to(number, self.name_of(number))?;
        let ends = mend(&mut piece.file, &mut piece.tail, self.habits.packing);
        let counted = ends.and_then(|()| match self.habits.rotation {
            Some(_) => self.habits.packing.rows(&piece.name.written()),
            None => Ok(0),
        });
        let wrong = |error| failed(&piece.name.written(), "go on with it", &error);
        (piece.rows, piece.bytes) = (
            counted.map_err(wrong)?,
            piece.file.metadata().map_err(wrong)?.len(),
        );
        Ok(piece)
    }

    fn name_of(&self, number: u32) -> Name {
        match self.is_special() {
            true => Name::Kept(self.path.clone()),
            false => Name::Given(self.path_of(number)),
        }
    }

    fn path_of(&self, number: u32) -> PathBuf {
        match self.habits.rotation {
            Some(_) => of_piece(&self.path, number),
            None => self.path.clone(),
        }
    }

    /// Whether it is something that cannot be given a name, such as a pipe.
    fn is_special(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|it| !it.is_file())
    }

    /// The numbers, sorted, of the files there are whose names end so.
    fn numbers(&self, end: &str) -> Result<Vec<u32>, PluginError> {
        if self.habits.rotation.is_none() {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            let is_there = Path::new(&name).is_file();
            return Ok(is_there.then_some(1).into_iter().collect());
        }
        let folder = self.folder();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, extension) = split(&name);
        let names = fs::read_dir(folder).map_err(|error| failed(folder, "list it", &error))?;
        let mut numbers = Vec::new();
        for name in names {
            let name = name.map_err(|error| failed(folder, "list it", &error))?;
            let name = name.file_name().to_string_lossy().into_owned();
            let number = name.strip_suffix(&format!("{extension}{end}"));
            let number = number.and_then(|name| name.strip_prefix(&format!("{stem}-")));
            let number =
                number.filter(|it| it.len() >= 5 && it.bytes().all(|b| b.is_ascii_digit()));
            numbers.extend(number.and_then(|it| it.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn folder(&self) -> &Path {
        folder_of(&self.path)
    }
}

impl Piece {
    fn append_to(number: u32, name: Name) -> Result<Self, PluginError> {
        let path = name.written();
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path);
        let file = file.map_err(|error| failed(&path, "open it to append", &error))?;
        Ok(Piece {
            number,
            name,
            file,
            tail: Tail::Unknown,
            rows: 0,
            bytes: 0,
        })
    }

    fn write(&mut self, rows: u64, bytes: &[u8], habits: Habits) -> Result<(), PluginError> {
        let path = self.name.written();
        mend(&mut self.file, &mut self.tail, habits.packing)
            .map_err(|error| failed(&path, "cut its torn end", &error))?;
        self.tail = Tail::Unknown;
        let packed = habits.packing.packed(bytes);
        let packed = packed.map_err(|error| failed(&path, "compress for it", &error))?;
        self.file
            .write_all(&packed)
            .map_err(|error| failed(&path, "write to it", &error))?;
        if habits.sync == Sync::EachWrite {
            sync(&self.file).map_err(|error| failed(&path, "sync it", &error))?;
        }
        self.tail = Tail::Whole;
        self.rows += rows;
        self.bytes += packed.len() as u64;
        Ok(())
    }

    /// Syncs it and gives it its name.
    fn finish(&self) -> Result<(), PluginError> {
        let path = self.name.written();
        sync(&self.file).map_err(|error| failed(&path, "sync it", &error))?;
        let Name::Given(name) = &self.name else {
            return Ok(());
        };
        fs::rename(&path, name).map_err(|error| failed(name, "give it its name", &error))?;
        let folder = folder_of(name);
        sync_folder(folder).map_err(|error| failed(folder, "sync it", &error))
    }
}

/// Where a link leads, so that it is not the link that is replaced.
fn target(path: &Path) -> PathBuf {
    let is_link = fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink());
    let target = is_link.then(|| path.canonicalize().ok()).flatten();
    target.unwrap_or_else(|| path.into())
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|it| *it != Path::new(""));
    folder.unwrap_or(Path::new("."))
}

/// Syncs what can be: pipes and terminals cannot.
fn sync(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.sync_all()?;
        #[cfg(test)]
        tests::SYNCS.with(|syncs| syncs.set(syncs.get() + 1));
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// How often a file was synced by this thread.
        pub(super) static SYNCS: Cell<u32> = const { Cell::new(0) };
    }

    /// How often files are synced while three rows are written one by one, and when they are sealed.
    fn syncs(sync: Sync, packing: Packing) -> [u32; 4] {
        let folder = tempfile::tempdir().unwrap();
        let habits = Habits {
            rotation: None,
            sync,
            packing,
        };
        let path = folder.path().join("out");
        let mut pieces = Pieces::open(&path, habits, &Start::Fresh).unwrap();
        let mut counts = [0; 4];
        for (at, count) in counts.iter_mut().enumerate() {
            let before = SYNCS.get();
            match at {
                0..3 => pieces.write(1, b"{}\n").unwrap(),
                _ => pieces.seal().unwrap(),
            }
            *count = SYNCS.get() - before;
        }
        counts
    }

    #[test]
    fn files_are_synced_when_they_get_their_name_or_after_each_write_as_well() {
        for packing in [Packing::Plain, Packing::Gzip] {
            assert_eq!(syncs(Sync::WhenFinished, packing), [0, 0, 0, 1]);
            assert_eq!(syncs(Sync::EachWrite, packing), [1, 1, 1, 1]);
        }
    }

    #[test]
    fn a_file_is_full_with_so_many_bytes_of_whole_batches() {
        let folder = tempfile::tempdir().unwrap();
        let habits = Habits {
            rotation: Some(Rotation {
                rows: u64::MAX,
                bytes: 8,
            }),
            sync: Sync::WhenFinished,
            packing: Packing::Plain,
        };
        let path = folder.path().join("out");
        let open = |start| Pieces::open(&path, habits, &start).unwrap();
        let mut pieces = open(Start::Fresh);
        for rows in ["123\n", "5678\n", "1\n3\n"] {
            pieces.write(1, rows.as_bytes()).unwrap();
        }
        // Who goes on counts the bytes that are there.
        drop(pieces);
        let mut pieces = open(Start::Resumed(None));
        for rows in ["567\n", "longer than a file may be\n", "1\n"] {
            pieces.write(1, rows.as_bytes()).unwrap();
        }
        pieces.seal().unwrap();
        let mut found: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
        found.sort_by_key(|file| file.file_name());
        let found = found.iter().map(|file| {
            let name = file.file_name().into_string().unwrap();
            (name, fs::read_to_string(file.path()).unwrap())
        });
        let expected = [
            ("out-00001", "123\n5678\n"),
            ("out-00002", "1\n3\n567\n"),
            ("out-00003", "longer than a file may be\n"),
            ("out-00004", "1\n"),
        ];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
