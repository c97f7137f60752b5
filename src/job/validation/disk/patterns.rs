//! The files that a path means: itself, those in a folder, those that match a pattern.

mod braces;

use super::{identity, not_found};
use crate::files::{Access, FileAccess};
use glob::Pattern;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What the name of a file ends with while it is being written.
pub const UNFINISHED: &str = ".part";

/// The files that a path means, sorted by name, each once. A path that exists is taken as it is.
/// Otherwise `*` stands for any part of a name, `?` for one letter, `[a-f]` for one of several, `{a,b}`
/// for either, and `**` between slashes for any number of folders. Folders are not descended into
/// without `**`. Hidden files and files that are being written are left out unless they are named.
pub fn files(path: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let shown = path.display();
    let checked = access.check(path, Access::Read);
    checked.map_err(|error| format!("cannot read {shown}: {error}"))?;
    let found = if path.is_dir() {
        let mut files = entries(path, Hidden::LeftOut, access)?;
        files.retain(|it| !it.is_dir());
        files
    } else if path.exists() {
        return Ok(vec![path.into()]);
    } else if is_pattern(&path.to_string_lossy()) && !path.is_symlink() {
        matching_any(path, access)?
    } else {
        return Err(not_found(path));
    };
    match (found.is_empty(), path.is_dir()) {
        (false, _) => Ok(found),
        (true, true) => Err(format!("there are no files in {shown}")),
        (true, false) => Err(format!("no file matches {shown}")),
    }
}

/// Whether names that begin with a dot are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hidden {
    Listed,
    LeftOut,
}

/// The files and folders in a folder, sorted, without those that are being written.
fn entries(folder: &Path, hidden: Hidden, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let wrong = |error| format!("cannot list {}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in access.names(folder).map_err(wrong)? {
        let name = entry.to_string_lossy();
        let is_listed = hidden == Hidden::Listed || !name.starts_with('.');
        if is_listed && !name.ends_with(UNFINISHED) {
            paths.push(folder.join(&entry));
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The files that match one of the alternatives of a pattern. An alternative without a placeholder
/// names a file, which has to exist.
fn matching_any(pattern: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let text = pattern.to_string_lossy();
    let alternatives = braces::alternatives(&text)
        .map_err(|reason| format!("the pattern {}: {reason}", pattern.display()))?;
    let is_one_of_several = alternatives.len() > 1;
    let mut found = BTreeSet::new();
    for alternative in alternatives {
        let path = Path::new(&alternative);
        if is_one_of_several && (path.exists() || !alternative.contains(['*', '?', '['])) {
            found.extend(files(path, access)?);
        } else {
            found.extend(matching(path, access)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// A component of a pattern.
enum Step<'a> {
    /// The name itself.
    Named(Component<'a>),
    /// Any name that fits.
    Fitting(Pattern, Hidden),
    /// Any number of folders.
    Folders,
}

impl<'a> Step<'a> {
    fn of(component: Component<'a>, shown: &Path) -> Result<Self, String> {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !name.contains(['*', '?', '[']) {
            return Ok(Step::Named(component));
        }
        if name == "**" {
            return Ok(Step::Folders);
        }
        if name.contains("**") {
            return Err(format!(
                "the pattern {}: `**` stands alone between slashes, as in `**/*.csv`",
                shown.display()
            ));
        }
        let hidden = match name.starts_with('.') {
            true => Hidden::Listed,
            false => Hidden::LeftOut,
        };
        let pattern = Pattern::new(&name).map_err(|error| {
            let (shown, at) = (shown.display(), error.pos + 1);
            format!(
                "the pattern {shown}: `{name}` at letter {at}: {}",
                error.msg
            )
        })?;
        Ok(Step::Fitting(pattern, hidden))
    }
}

/// Goes down the components of a pattern, with every folder that matches so far.
fn matching(pattern: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let mut steps = Vec::new();
    for component in pattern.components() {
        steps.push(Step::of(component, pattern)?);
    }
    if let Some(Step::Folders) = steps.last() {
        // Every file below.
        let any = Pattern::new("*").map_err(|error| error.to_string())?;
        steps.push(Step::Fitting(any, Hidden::LeftOut));
    }
    let mut found = vec![PathBuf::new()];
    for step in &steps {
        found = step.follow(found, access)?;
    }
    found.retain(|path| !path.is_dir());
    Ok(found)
}

impl Step<'_> {
    fn follow(&self, found: Vec<PathBuf>, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
        match self {
            Step::Named(name) => {
                let mut named = found;
                named.iter_mut().for_each(|path| path.push(name));
                named.retain(|path| path.symlink_metadata().is_ok());
                match named.iter().find(|path| !path.exists()) {
                    Some(link) => Err(not_found(link)),
                    None => Ok(named),
                }
            }
            Step::Fitting(pattern, hidden) => {
                let mut next = Vec::new();
                for folder in found.into_iter().filter(|path| may_be_folder(path)) {
                    next.extend(fitting(&folder, pattern, *hidden, access)?);
                }
                Ok(next)
            }
            Step::Folders => with_folders_below(found, access),
        }
    }
}

/// The names in a folder that fit, and the one that is spelt like the pattern.
fn fitting(
    folder: &Path,
    pattern: &Pattern,
    hidden: Hidden,
    access: &FileAccess,
) -> Result<Vec<PathBuf>, String> {
    let mut paths = entries(listed(folder), hidden, access)?;
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == pattern.as_str() || pattern.matches(&name)
    });
    let paths = paths.iter().map(|path| below(folder, path));
    Ok(paths.collect())
}

/// Folders and all folders below them, each once: links are followed, and a circle of links ends.
fn with_folders_below(roots: Vec<PathBuf>, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let mut known = BTreeSet::new();
    let mut folders = Vec::new();
    let mut waiting: Vec<PathBuf> = roots.into_iter().rev().collect();
    while let Some(folder) = waiting.pop() {
        let is_new =
            may_be_folder(&folder) && identity(listed(&folder)).is_some_and(|it| known.insert(it));
        if !is_new {
            continue;
        }
        let within = entries(listed(&folder), Hidden::LeftOut, access)?;
        let within = within.into_iter().rev().filter(|path| path.is_dir());
        waiting.extend(within.map(|path| below(&folder, &path)));
        folders.push(folder);
    }
    Ok(folders)
}

/// A listed path, in terms of the folder as the pattern has it: without `./` where that has none.
fn below(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path.file_name().unwrap_or_default())
}

/// The folder to list for the path of a pattern so far.
fn listed(folder: &Path) -> &Path {
    match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    }
}

fn may_be_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_path_means_a_file_a_folder_or_what_matches() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [
            "y/2.csv",
            "y/1.csv",
            "y/.3.csv",
            "y/4.csv.part",
            "x/1.csv",
            "x/1.txt",
            "y/z/1.csv",
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), "").unwrap();
        }
        let found = |path: &str| {
            files(&at(path), &FileAccess::default())
                .map(|files| {
                    let names = files.iter().map(|it| {
                        it.strip_prefix(folder.path())
                            .unwrap()
                            .display()
                            .to_string()
                    });
                    names.collect::<Vec<_>>().join(" ")
                })
                .map_err(|error| error.replace(&folder.path().display().to_string(), "…"))
        };
        assert_eq!(found("y").unwrap(), "y/1.csv y/2.csv");
        assert_eq!(found("y/.3.csv").unwrap(), "y/.3.csv");
        assert_eq!(found("*/1.*").unwrap(), "x/1.csv x/1.txt y/1.csv");
        assert_eq!(found("?/z/*").unwrap(), "y/z/1.csv");
        assert_eq!(found("y/.*").unwrap(), "y/.3.csv");
        assert_eq!(found("y/[14].csv").unwrap(), "y/1.csv");
        assert_eq!(found("{y/z,x}/*.csv").unwrap(), "x/1.csv y/z/1.csv");
        assert_eq!(
            found("{y,x}/1.{csv,txt}").unwrap_err(),
            "there is no file …/y/1.txt"
        );
        insta::assert_snapshot!(found("*.json").unwrap_err(), @"no file matches …/*.json");
        fs::create_dir(at("empty")).unwrap();
        insta::assert_snapshot!(found("empty").unwrap_err(), @"there are no files in …/empty");
        insta::assert_snapshot!(found("y/1.cvs").unwrap_err(), @"there is no file …/y/1.cvs; did you mean `1.csv`?");
        insta::assert_snapshot!(found("y**.csv").unwrap_err(), @"the pattern …/y**.csv: `**` stands alone between slashes, as in `**/*.csv`");
        insta::assert_snapshot!(found("y/[1.csv").unwrap_err(), @"the pattern …/y/[1.csv: `[1.csv` at letter 1: invalid range pattern");
        insta::assert_snapshot!(found("{y,x/*").unwrap_err(), @"the pattern …/{y,x/*: a `{` has no `}`");
    }

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    fn found_in(folder: &tempfile::TempDir, pattern: &str) -> Result<String, String> {
        let shown = |path: &Path| {
            path.strip_prefix(folder.path())
                .unwrap()
                .display()
                .to_string()
        };
        let found = files(&folder.path().join(pattern), &FileAccess::default());
        let found = found.map(|files| {
            files
                .iter()
                .map(|it| shown(it))
                .collect::<Vec<_>>()
                .join(" ")
        });
        found.map_err(|error| error.replace(&folder.path().display().to_string(), "…"))
    }

    #[test]
    fn letters_of_names_are_matched_not_bytes() {
        let folder = folder_with(&[
            "größe",
            "part-07",
            "part-7",
            "aXbXc",
            "data[1]/a.csv",
            "a.csv.gz",
        ]);
        let found = |pattern| found_in(&folder, pattern).unwrap();
        assert_eq!(found("gr??e"), "größe");
        assert_eq!(found("part-??"), "part-07");
        assert_eq!(found("part-*"), "part-07 part-7");
        assert_eq!(found("a*X*c"), "aXbXc");
        assert_eq!(found("*.csv*"), "a.csv.gz");
        assert_eq!(found("data[1]/*"), "data[1]/a.csv");
        assert_eq!(
            found_in(&folder, "*.csv").unwrap_err(),
            "no file matches …/*.csv"
        );
    }

    #[test]
    fn two_stars_stand_for_any_number_of_folders() {
        let folder = folder_with(&[
            "1.csv",
            "a/2.csv",
            "a/b/3.csv",
            "a/b/3.txt",
            "a/.c/4.csv",
            "d/2.csv",
        ]);
        let found = |pattern| found_in(&folder, pattern).unwrap();
        assert_eq!(found("**/*.csv"), "1.csv a/2.csv a/b/3.csv d/2.csv");
        assert_eq!(found("**"), "1.csv a/2.csv a/b/3.csv a/b/3.txt d/2.csv");
        assert_eq!(found("a/**/?.csv"), "a/2.csv a/b/3.csv");
        assert_eq!(found("**/b/*"), "a/b/3.csv a/b/3.txt");
        assert_eq!(found("**/**/2.csv"), "a/2.csv d/2.csv");
        assert_eq!(found("{a,d}/**/2.csv"), "a/2.csv d/2.csv");
    }

    #[cfg(unix)]
    #[test]
    fn a_circle_of_links_ends_and_each_folder_is_read_once() {
        use std::os::unix::fs::symlink;
        let folder = folder_with(&["a/1.csv", "b/c/2.csv"]);
        let at = |name: &str| folder.path().join(name);
        symlink(at(""), at("a/up")).unwrap();
        symlink(at("b"), at("b/c/again")).unwrap();
        symlink("loop", at("loop")).unwrap();
        assert_eq!(found_in(&folder, "**/*.csv").unwrap(), "a/1.csv b/c/2.csv");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_called_one() {
        use std::os::unix::fs::symlink;
        let folder = folder_with(&["in/1.csv"]);
        let at = |name: &str| folder.path().join(name);
        symlink(at("gone.csv"), at("in/2.csv")).unwrap();
        symlink("circle", at("circle")).unwrap();
        symlink("nowhere", at("lost")).unwrap();
        let readable = |path: &str| {
            let found = files(&at(path), &FileAccess::default())?;
            found
                .iter()
                .try_for_each(|file| super::super::readable(file, &FileAccess::default()))
        };
        let refusal = |path| {
            let error = readable(path).unwrap_err();
            error.replace(&folder.path().display().to_string(), "…")
        };
        insta::assert_snapshot!(refusal("in/2.csv"), @"…/in/2.csv is a link to …/gone.csv, which does not exist");
        insta::assert_snapshot!(refusal("in"), @"…/in/2.csv is a link to …/gone.csv, which does not exist");
        insta::assert_snapshot!(refusal("in/*"), @"…/in/2.csv is a link to …/gone.csv, which does not exist");
        insta::assert_snapshot!(refusal("lost/1.csv"), @"…/lost is a link to nowhere, which does not exist");
        insta::assert_snapshot!(refusal("lost/*"), @"…/lost is a link to nowhere, which does not exist");
        insta::assert_snapshot!(refusal("circle"), @"…/circle is a link to circle, which cannot be followed: Too many levels of symbolic links (os error 40)");
    }
}
