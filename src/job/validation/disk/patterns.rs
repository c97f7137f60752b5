//! The files that a path means: itself, those in a folder, those that match a pattern.

use super::not_found;
use crate::files::{Access, FileAccess};
use std::path::{Component, Path, PathBuf};

/// What the name of a file ends with while it is being written.
pub const UNFINISHED: &str = ".part";

/// The files that a path means, sorted by name. A path that is there is taken as it is; otherwise `*`
/// stands for any part of a name and `?` for any letter. Folders are not gone into, and hidden files
/// and such as are still being written are left out, unless they are named.
pub fn files(path: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let shown = path.display();
    let checked = access.check(path, Access::Read);
    checked.map_err(|error| format!("cannot read {shown}: {error}"))?;
    let found = if path.is_dir() {
        entries(path, access)?
            .into_iter()
            .filter(|it| !it.is_dir())
            .collect()
    } else if path.exists() {
        return Ok(vec![path.into()]);
    } else if is_pattern(&path.to_string_lossy()) {
        matching(path, access)?
    } else {
        return Err(not_found(path));
    };
    match (found.is_empty(), path.is_dir()) {
        (false, _) => Ok(found),
        (true, true) => Err(format!("there are no files in {shown}")),
        (true, false) => Err(format!("no file matches {shown}")),
    }
}

/// The visible files and folders in a folder, sorted.
fn entries(folder: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let wrong = |error| format!("cannot list {}: {error}", folder.display());
    let mut paths = Vec::new();
    for entry in access.names(folder).map_err(wrong)? {
        let name = entry.to_string_lossy();
        if !name.starts_with('.') && !name.ends_with(UNFINISHED) {
            paths.push(folder.join(&entry));
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Goes down the components of a pattern, with every folder that matches so far.
fn matching(pattern: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !is_pattern(&name) {
            found.iter_mut().for_each(|path| path.push(component));
            found.retain(|path| path.exists());
            continue;
        }
        let mut next = Vec::new();
        for folder in found.into_iter().filter(|path| may_be_folder(path)) {
            let here = match folder.as_os_str().is_empty() {
                true => Path::new("."),
                false => &folder,
            };
            let names = entries(here, access)?.into_iter();
            let names = names.filter_map(|path| path.file_name().map(ToOwned::to_owned));
            let fitting = names.filter(|found| fits(&found.to_string_lossy(), &name));
            next.extend(fitting.map(|name| folder.join(name)));
        }
        found = next;
    }
    found.retain(|path| !path.is_dir());
    Ok(found)
}

fn may_be_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

/// Whether a name fits a pattern.
fn fits(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) =
        (name.chars().collect(), pattern.chars().collect());
    let (mut at, mut to) = (0, 0);
    // Where the last star stood, and how much it stands for so far.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(to) {
            Some('*') => {
                star = Some((to, at));
                to += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[at] => {
                at += 1;
                to += 1;
            }
            _ => {
                let Some((stood, stands_for)) = star else {
                    return false;
                };
                star = Some((stood, stands_for + 1));
                (at, to) = (stands_for + 1, stood + 1);
            }
        }
    }
    pattern[to..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn stars_and_question_marks_stand_for_letters() {
        for (name, pattern, does) in [
            ("a.csv", "*.csv", true),
            ("a.csv.gz", "*.csv", false),
            ("a.csv.gz", "*.csv*", true),
            ("aXbXc", "a*X*c", true),
            ("aXbX", "a*X*c", false),
            ("part-07", "part-??", true),
            ("part-7", "part-??", false),
            ("größe", "gr??e", true),
            ("", "*", true),
            ("a", "", false),
        ] {
            assert_eq!(fits(name, pattern), does, "{name} {pattern}");
        }
    }

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
        insta::assert_snapshot!(found("*.json").unwrap_err(), @"no file matches …/*.json");
        fs::create_dir(at("empty")).unwrap();
        insta::assert_snapshot!(found("empty").unwrap_err(), @"there are no files in …/empty");
        insta::assert_snapshot!(found("y/1.cvs").unwrap_err(), @"there is no file …/y/1.cvs; did you mean `1.csv`?");
    }
}
