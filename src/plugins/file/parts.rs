//! How the slots of an input divide the files that it reads.
//!
//! The files and their sizes are those of the survey, which is made once in the life of a job. What a
//! slot reads follows from it, from its rank and from how many slots there are: after a restart, and
//! on whatever peer, it is the same.

use crate::files::FileAccess;
use crate::job::Task;
use crate::job::validation::disk;
use crate::job::vocabulary::paths;
use crate::plugins::{PluginContext, PluginError};
use crate::segment::{Segment, Value};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::path::{Path, PathBuf};

/// What a slot reads, in order.
pub(super) type Part = Vec<Stretch>;

/// A file, or the lines that begin within some of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// The how-manieth file of the survey.
    pub(super) file: u64,
    pub(super) path: PathBuf,
    pub(super) begin: u64,
    /// None reads to the end of the file, wherever that is by then.
    pub(super) end: Option<u64>,
    /// How long the whole file was when the job began; it may have grown.
    pub(super) whole: u64,
}

/// Where files may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    /// At any line.
    Lines,
    /// Nowhere.
    Files,
}

/// A file as the survey found it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Surveyed {
    path: PathBuf,
    bytes: u64,
    cut: Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Possible,
    /// It is compressed, or no file: it can only be read from its beginning.
    Impossible,
}

/// Looks at the files of a task.
pub(super) fn survey(task: &Task, access: &FileAccess) -> Result<Segment, PluginError> {
    let mut found = Vec::new();
    for path in named(task)? {
        found.extend(disk::files(Path::new(path), access).map_err(PluginError)?);
    }
    let mut files = Vec::with_capacity(found.len());
    for path in each_once(found) {
        let metadata = access
            .metadata(&path)
            .map_err(|error| PluginError(disk::absent(&path, &error)))?;
        let Some(text) = path.to_str() else {
            let message = format!("{}: the name is not UTF-8; rename it", path.display());
            return Err(PluginError(message));
        };
        let mut file = Segment::with_capacity(3);
        file.set("path", text);
        file.set("bytes", i64::try_from(metadata.len()).unwrap_or(i64::MAX));
        file.set("cut", metadata.is_file() && !is_gzip(&path));
        files.push(Value::from(file));
    }
    Ok([("files", Value::from(files))].into_iter().collect())
}

/// Without repetitions, in the order in which they are first found.
fn each_once<T: Ord + Clone>(mut items: Vec<T>) -> Vec<T> {
    let mut known = BTreeSet::new();
    items.retain(|item| known.insert(item.clone()));
    items
}

/// The part of a slot.
pub(super) fn part(context: &PluginContext<'_>, division: Division) -> Result<Part, PluginError> {
    let files = match context.survey {
        Some(survey) => surveyed(survey)?,
        None => surveyed(&survey(context.task, &context.files)?)?,
    };
    let (rank, slots) = (context.rank as usize, context.slots.max(1) as usize);
    let part = match division {
        Division::Files => whole_files(&files, rank, slots),
        Division::Lines => stretches(&files, rank, slots),
    };
    if part.is_empty() {
        let task = context.task.name.as_str();
        let files = files.len();
        tracing::warn!(job = %context.job, task, rank, slots, files, "there is nothing to read for this slot: there are fewer files, or pieces that can be read apart, than slots");
    }
    Ok(part)
}

/// Whether a name is one of a compressed file.
pub(super) fn is_gzip(path: &Path) -> bool {
    path.extension()
        .is_some_and(|it| it.eq_ignore_ascii_case("gz"))
}

/// The paths that a task names.
fn named(task: &Task) -> Result<Vec<&str>, PluginError> {
    let paths = task.params.get("path").and_then(paths);
    paths.ok_or_else(|| {
        let message = "`path` must be a path, or a list of paths";
        PluginError(format!("task `{}`: {message}", task.name))
    })
}

fn surveyed(survey: &Segment) -> Result<Vec<Surveyed>, PluginError> {
    let file = |file: &Value| {
        let Value::Map(file) = file else { return None };
        Some(Surveyed {
            path: file.get("path")?.as_str()?.into(),
            bytes: file.get("bytes")?.as_int()?.try_into().ok()?,
            cut: match file.get("cut")? {
                Value::Bool(true) => Cut::Possible,
                _ => Cut::Impossible,
            },
        })
    };
    let files = match survey.get("files") {
        Some(Value::List(files)) => files.iter().map(file).collect(),
        _ => None,
    };
    files.ok_or_else(|| {
        PluginError("the stored survey is not one of files; is it one of another plugin?".into())
    })
}

/// Each file goes to the slot that has least so far, the largest first.
fn whole_files(files: &[Surveyed], rank: usize, slots: usize) -> Part {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by_key(|file| (Reverse(files[*file].bytes), *file));
    // The slot with the least is on top, the first of several.
    let mut loads: BinaryHeap<_> = (0..slots).map(|slot| Reverse((0_u64, slot))).collect();
    let mut mine = Vec::new();
    for file in order {
        let Some(mut least) = loads.peek_mut() else {
            break;
        };
        let Reverse((load, slot)) = *least;
        if slot == rank {
            mine.push(file);
        }
        // An empty file is work, too.
        *least = Reverse((load.saturating_add(files[file].bytes.max(1)), slot));
    }
    mine.sort_unstable();
    let whole = |file| stretch(files, file, 0, None);
    mine.into_iter().map(whole).collect()
}

/// The files behind each other are cut into equal parts. A file that cannot be cut goes to the part
/// in which it begins.
fn stretches(files: &[Surveyed], rank: usize, slots: usize) -> Part {
    let lengths = files.iter().map(|file| u128::from(file.bytes.max(1)));
    let total: u128 = lengths.sum();
    let bound = |rank: usize| total * rank as u128 / slots as u128;
    let (low, high) = (bound(rank), bound(rank + 1));
    let mut mine = Part::new();
    let mut begin = 0_u128;
    for (index, file) in files.iter().enumerate() {
        let end = begin + u128::from(file.bytes.max(1));
        let within = |at: u128| u64::try_from(at.saturating_sub(begin)).unwrap_or(u64::MAX);
        let is_mine = match file.cut {
            Cut::Impossible => (low..high).contains(&begin),
            Cut::Possible => low < high && low < end && begin < high,
        };
        if is_mine {
            let is_cut = file.cut == Cut::Possible;
            let to = (is_cut && high < end).then(|| within(high));
            let from = if is_cut { within(low) } else { 0 };
            mine.push(stretch(files, index, from, to));
        }
        begin = end;
    }
    mine
}

fn stretch(files: &[Surveyed], file: usize, begin: u64, end: Option<u64>) -> Stretch {
    Stretch {
        file: file as u64,
        path: files[file].path.clone(),
        begin,
        end,
        whole: files[file].bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::cmp::Ordering;

    fn files() -> impl Strategy<Value = Vec<Surveyed>> {
        let cut = prop_oneof![3 => Just(Cut::Possible), 1 => Just(Cut::Impossible)];
        let file = (0..200_u64, cut).prop_map(|(bytes, cut)| Surveyed {
            path: "a".into(),
            bytes,
            cut,
        });
        prop::collection::vec(file, 0..8)
    }

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(Clone, PartialEq, Eq)]
    struct Counted(usize);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    /// The comparisons of a survey per file, if each of `files` files is found twice.
    fn comparisons_for_each(files: usize) -> usize {
        let before = COMPARISONS.get();
        let found = each_once((0..files).chain(0..files).map(Counted).collect());
        assert!(found.iter().map(|it| it.0).eq(0..files));
        (COMPARISONS.get() - before) / files
    }

    #[test]
    fn the_work_of_a_survey_grows_with_the_number_of_files_not_with_its_square() {
        let (few, many) = (comparisons_for_each(1_000), comparisons_for_each(100_000));
        assert!(
            many < 4 * few,
            "{few} for each of a thousand, {many} for each of a hundred thousand"
        );
    }

    proptest! {
        #[test]
        fn every_byte_of_every_file_is_in_one_part(
            files in files(), slots in 1..9_usize, whole: bool,
        ) {
            let part = |rank| match whole {
                true => whole_files(&files, rank, slots),
                false => stretches(&files, rank, slots),
            };
            let mut parts: Vec<Stretch> = (0..slots).flat_map(part).collect();
            parts.sort_by_key(|it| (it.file, it.begin));
            let mut behind = (0_u64, 0_u64);
            for stretch in parts {
                prop_assert_eq!((stretch.file, stretch.begin), behind);
                behind = match stretch.end {
                    Some(end) => {
                        prop_assert!(end > stretch.begin);
                        let file = &files[stretch.file as usize];
                        prop_assert!(file.cut == Cut::Possible && end < file.bytes.max(1));
                        (stretch.file, end)
                    }
                    None => (stretch.file + 1, 0),
                };
            }
            prop_assert_eq!(behind, (files.len() as u64, 0));
        }

        #[test]
        fn parts_are_of_one_size_where_they_can_be(bytes in 1..10_000_u64, slots in 1..9_usize) {
            let file = Surveyed { path: "a".into(), bytes, cut: Cut::Possible };
            for rank in 0..slots {
                let size: u64 = stretches(std::slice::from_ref(&file), rank, slots)
                    .iter()
                    .map(|it| it.end.unwrap_or(bytes) - it.begin)
                    .sum();
                prop_assert!(size.abs_diff(bytes / slots as u64) <= 1);
            }
        }
    }
}
