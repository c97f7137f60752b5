//! The files that one slot of an output writes, one after the other.
//!
//! A file has its name with `.part` behind it while it is written, and is given its name, synced, when
//! it is full or the slot is sealed: whoever finds a file under its name finds all of it, and a job
//! that fails leaves what an earlier job wrote alone. The next `.part` is there before the last one
//! gets its name, so that a slot without any is one that was sealed. The slot has a lock on its path until
//! then.

use super::tail::mend;
use crate::files::{NewFile, PathLock, WrittenFile};
use crate::plugins::file::source::failed;
use crate::plugins::file_names::{UNFINISHED, of_piece, split, unfinished};
use crate::plugins::{PluginContext, PluginError, Start};
use crate::stop_flag::StopFlag;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a slot.
#[derive(Debug)]
pub(super) struct Pieces {
    file: NewFile,
    habits: Habits,
    writer: Writer,
    /// `None` if the slot is sealed.
    lock: Option<PathLock>,
    /// The one that is written; `None` if the slot is sealed.
    current: Option<Piece>,
}

/// Who writes files.
#[derive(Debug)]
pub(super) struct Writer {
    /// The job, task and slot, as another writer reads it that is refused.
    name: String,
    stop: StopFlag,
}

impl Writer {
    pub(super) fn of(context: &PluginContext<'_>) -> Self {
        Writer {
            name: context.holder(),
            stop: context.stop.clone(),
        }
    }
}

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habits {
    /// When a file is full; with `None` there is one.
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
    /// Its name in the folder, in the end.
    name: OsString,
    /// Its path while it is written.
    path: PathBuf,
    file: WrittenFile,
    rows: u64,
    /// With rotation, each file has a lock besides the one of the slot.
    _lock: Option<PathLock>,
}

impl Pieces {
    /// The files of a slot: new ones for one that begins, those it left for one that goes on. Refused while
    /// another writer has them.
    pub(super) fn open(
        file: NewFile,
        writer: Writer,
        habits: Habits,
        start: &Start,
    ) -> Result<Self, PluginError> {
        let mut pieces = Pieces {
            file,
            habits,
            writer,
            lock: None,
            current: None,
        };
        pieces.lock = Some(pieces.locked(&pieces.file.name)?);
        let left = pieces.numbers(UNFINISHED)?;
        match (start, left.split_last()) {
            (Start::Fresh, _) => {
                for number in left {
                    pieces.discard(number)?;
                }
                pieces.current = Some(pieces.create(1)?);
            }
            (Start::Resumed(_), Some((last, full))) => {
                for number in full {
                    pieces.reopen(*number)?.finish()?;
                }
                pieces.current = Some(pieces.reopen(*last)?);
            }
            (Start::Resumed(_), None) if pieces.numbers("")?.is_empty() => {
                return Err(pieces.is_gone());
            }
            // A predecessor has sealed it.
            (Start::Resumed(_), None) => pieces.lock = None,
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
            .is_some_and(|full| piece.rows >= full.rows || piece.file.bytes() >= full.bytes);
        if written.is_ok() && is_full {
            let next = self.create(piece.number + 1)?;
            self.current = Some(next);
            return piece.finish();
        }
        self.current = Some(piece);
        written
    }

    /// Gives the last file its name, and lets others write. Does nothing when that is done.
    pub(super) fn seal(&mut self) -> Result<(), PluginError> {
        let Some(mut piece) = self.current.take() else {
            return Ok(());
        };
        let sealed = self.seal_last(&mut piece);
        match sealed {
            Ok(()) => self.lock = None,
            Err(_) => self.current = Some(piece),
        }
        sealed
    }

    fn seal_last(&self, piece: &mut Piece) -> Result<(), PluginError> {
        let cut = piece.file.cut_torn_end();
        cut.map_err(|error| failed(&piece.path, "cut its torn end", &error))?;
        let is_empty = piece.file.bytes() == 0 && piece.number > 1;
        let mut last = piece.number;
        if is_empty {
            last -= 1;
        }
        // Of an earlier job, which had more.
        if self.habits.rotation.is_some() {
            for number in self.numbers("")?.into_iter().filter(|it| *it > last) {
                self.remove(&self.name_of(number))?;
            }
        }
        if piece.file.bytes() == 0 && self.habits.packing == Packing::Gzip {
            // Nothing at all is no gzip file.
            piece.write(0, b"", self.habits)?;
        }
        match is_empty {
            true => self.remove(part_of(&piece.name).as_ref()),
            false => piece.finish(),
        }
    }

    /// Goes on behind what was sealed: what is repeated is there already.
    fn unseal(&mut self) -> Result<Piece, PluginError> {
        self.lock = Some(self.locked(&self.file.name)?);
        let last = self.numbers("")?.last().copied().unwrap_or(0);
        if self.habits.rotation.is_some() || last == 0 {
            return self.create(last + 1);
        }
        let part = part_of(&self.file.name);
        let renamed = self.file.folder.rename(&self.file.name, part.as_ref());
        renamed.map_err(|error| failed(&self.file.path, "go on with it", &error))?;
        self.reopen(last)
    }

    /// Removes a file that an earlier job left unfinished.
    fn discard(&self, number: u32) -> Result<(), PluginError> {
        let name = self.name_of(number);
        let _lock = self.lock_of_piece(&name)?;
        self.remove(part_of(&name).as_ref())
    }

    fn remove(&self, name: &OsStr) -> Result<(), PluginError> {
        let removed = self.file.folder.remove(name);
        removed.map_err(|error| failed(&self.path_of(name), "remove it", &error))
    }

    fn create(&self, number: u32) -> Result<Piece, PluginError> {
        let name = self.name_of(number);
        let lock = self.lock_of_piece(&name)?;
        let path = self.written(&name);
        // Never one that is there: a predecessor that does not know yet that it has a successor would
        // empty what that has written.
        let file = WrittenFile::create_new(&self.file.folder, part_of(&name).as_ref());
        Ok(Piece {
            number,
            file: file.map_err(|error| failed(&path, "create it", &error))?,
            name,
            path,
            rows: 0,
            _lock: lock,
        })
    }

    /// Opens a file that a predecessor left, and cuts what is behind its last whole row.
    fn reopen(&self, number: u32) -> Result<Piece, PluginError> {
        let name = self.name_of(number);
        let lock = self.lock_of_piece(&name)?;
        let path = self.written(&name);
        let packing = self.habits.packing;
        let file = WrittenFile::append(&self.file.folder, part_of(&name).as_ref(), |file| {
            mend(file, packing)
        });
        let wrong = |error| failed(&path, "go on with it", &error);
        let mut file = file.map_err(wrong)?;
        let rows = match self.habits.rotation {
            Some(_) => packing.rows(file.file()).map_err(wrong)?,
            None => 0,
        };
        Ok(Piece {
            number,
            name,
            path,
            file,
            rows,
            _lock: lock,
        })
    }

    fn locked(&self, name: &OsStr) -> Result<PathLock, PluginError> {
        let Writer { name: writer, stop } = &self.writer;
        let lock = PathLock::acquire(&self.file.folder, name, writer, stop);
        lock.map_err(|error| failed(&self.path_of(name), "write it", &error))
    }

    /// The lock of a file among several; a single one has that of the slot.
    fn lock_of_piece(&self, name: &OsStr) -> Result<Option<PathLock>, PluginError> {
        match self.habits.rotation {
            Some(_) => self.locked(name).map(Some),
            None => Ok(None),
        }
    }

    fn is_gone(&self) -> PluginError {
        PluginError(format!(
            "{}: a peer of this job wrote it before, here or on another machine, and it is not here; rows \
             that were acknowledged are in it, so bring it back or run the job again, and let nothing else \
             touch it",
            self.written(&self.name_of(1)).display()
        ))
    }

    fn name_of(&self, number: u32) -> OsString {
        match self.habits.rotation {
            Some(_) => of_piece(Path::new(&self.file.name), number).into(),
            None => self.file.name.clone(),
        }
    }

    fn path_of(&self, name: &OsStr) -> PathBuf {
        self.file.path.with_file_name(name)
    }

    fn written(&self, name: &OsStr) -> PathBuf {
        unfinished(&self.path_of(name))
    }

    /// The numbers, sorted, of the files there are whose names end so.
    fn numbers(&self, end: &str) -> Result<Vec<u32>, PluginError> {
        let folder = &self.file.folder;
        let wrong = |error| failed(&self.file.path, "list its folder", &error);
        if self.habits.rotation.is_none() {
            let mut name = self.file.name.clone();
            name.push(end);
            let found = folder.regular(&name).map_err(wrong)?;
            return Ok(found.map(|_| 1).into_iter().collect());
        }
        let name = self.file.name.to_string_lossy();
        let (stem, extension) = split(&name);
        let mut numbers = Vec::new();
        for name in folder.names().map_err(wrong)? {
            let name = name.to_string_lossy();
            let number = name.strip_suffix(&format!("{extension}{end}"));
            let number = number.and_then(|name| name.strip_prefix(&format!("{stem}-")));
            let number =
                number.filter(|it| it.len() >= 5 && it.bytes().all(|b| b.is_ascii_digit()));
            numbers.extend(number.and_then(|it| it.parse::<u32>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// The name of a file while it is written.
fn part_of(name: &OsStr) -> PathBuf {
    unfinished(Path::new(name))
}

impl Piece {
    fn write(&mut self, rows: u64, bytes: &[u8], habits: Habits) -> Result<(), PluginError> {
        let path = &self.path;
        let packed = habits.packing.packed(bytes);
        let packed = packed.map_err(|error| failed(path, "compress for it", &error))?;
        let written = self.file.write_all(&packed);
        written.map_err(|error| failed(path, "write to it", &error))?;
        if habits.sync == Sync::EachWrite {
            sync(self.file.file()).map_err(|error| failed(path, "sync it", &error))?;
        }
        self.rows += rows;
        Ok(())
    }

    /// Syncs it and gives it its name.
    fn finish(&mut self) -> Result<(), PluginError> {
        let path = &self.path;
        sync(self.file.file()).map_err(|error| failed(path, "sync it", &error))?;
        let renamed = self.file.rename_to(&self.name);
        renamed.map_err(|error| failed(path, "give it its name", &error))
    }
}

fn sync(file: &File) -> io::Result<()> {
    file.sync_all()?;
    #[cfg(test)]
    tests::SYNCS.with(|syncs| syncs.set(syncs.get() + 1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Destination, FileAccess};
    use std::cell::Cell;
    use std::fs;

    fn pieces_in(folder: &Path, habits: Habits, start: &Start) -> Pieces {
        let found = FileAccess::default().destination(&folder.join("out"));
        let Destination::File(file) = found.unwrap() else {
            panic!("a path in a new folder is a file");
        };
        let writer = Writer {
            name: "job 1".into(),
            stop: StopFlag::default(),
        };
        Pieces::open(file, writer, habits, start).unwrap()
    }

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
        let mut pieces = pieces_in(folder.path(), habits, &Start::Fresh);
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
        let open = |start| pieces_in(folder.path(), habits, &start);
        let mut pieces = open(Start::Fresh);
        for rows in ["123\n", "5678\n", "1\n3\n"] {
            pieces.write(1, rows.as_bytes()).unwrap();
        }
        // A successor counts the bytes that are there.
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
