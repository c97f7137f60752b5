//! The files that a path means: itself, those in a folder, those that match a pattern.

use super::not_found;
use crate::files::{Access, FileAccess};
use glob::Pattern;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// What the name of a file ends with while it is being written.
pub const UNFINISHED: &str = ".part";

/// The files that a path means, sorted by name. A path that is there is taken as it is. Otherwise, in a name,
/// `*` stands for any text, `?` for any letter, `[a-z]` for one of these, `{a,b}` for either; and `**` stands for
/// any number of folders. Folders are not gone into otherwise. Hidden files and those that are still being
/// written are left out, unless they are named. `**` follows no links, so that it ends.
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
    } else if is_pattern(&path.to_string_lossy()) && !path.is_symlink() {
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
    text.contains(['*', '?', '[', '{'])
}

/// Any number of folders.
const FOLDERS: &str = "**";

/// Goes down the components of a pattern, with every folder that matches so far.
fn matching(pattern: &Path, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        if !matches!(component, Component::Normal(_)) || !is_pattern(&name) {
            found.iter_mut().for_each(|path| path.push(component));
            found.retain(|path| path.exists());
        } else if name == FOLDERS {
            found = folders_below(found, access)?;
        } else {
            let wanted = NamePattern::new(&name, pattern)?;
            let mut next = Vec::new();
            for folder in found.into_iter().filter(|path| may_be_folder(path)) {
                let names = entries(here(&folder), access)?.into_iter();
                let names = names.filter_map(|path| path.file_name().map(ToOwned::to_owned));
                let fitting = names.filter(|found| wanted.fits(found));
                next.extend(fitting.map(|name| folder.join(name)));
            }
            found = next;
        }
    }
    // A pattern that ends with `**` means the files in those folders.
    if pattern.ends_with(FOLDERS) {
        let mut files = Vec::new();
        for folder in &found {
            let names = entries(here(folder), access)?.into_iter();
            let names = names.filter_map(|path| path.file_name().map(ToOwned::to_owned));
            files.extend(names.map(|name| folder.join(name)));
        }
        found = files;
    }
    found.retain(|path| !path.is_dir());
    found.sort();
    found.dedup();
    Ok(found)
}

/// These folders, and all below them that are visible and no links.
fn folders_below(folders: Vec<PathBuf>, access: &FileAccess) -> Result<Vec<PathBuf>, String> {
    let (mut open, mut found) = (folders, Vec::new());
    open.retain(|path| may_be_folder(path));
    while let Some(folder) = open.pop() {
        for path in entries(here(&folder), access)? {
            if path.is_dir() && !path.is_symlink() {
                open.extend(path.file_name().map(|name| folder.join(name)));
            }
        }
        found.push(folder);
    }
    Ok(found)
}

/// What a name has to be: one of the alternatives that its braces give.
struct NamePattern(Vec<Pattern>);

impl NamePattern {
    fn new(name: &str, path: &Path) -> Result<Self, String> {
        let wrong = |reason: &str| {
            let path = path.display();
            format!("{path} is no pattern: `{name}`: {reason}")
        };
        if name.contains(FOLDERS) {
            let reason = "`**` stands for folders, and is a name of its own, as in `a/**/*.csv`";
            return Err(wrong(reason));
        }
        let names = alternatives(name).map_err(wrong)?;
        let patterns = names.iter().map(|name| Pattern::new(name));
        let patterns = patterns.collect::<Result<_, _>>();
        Ok(NamePattern(patterns.map_err(|error| wrong(error.msg))?))
    }

    fn fits(&self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        self.0.iter().any(|pattern| pattern.matches(&name))
    }
}

/// The names that stand for one with braces, as `a.csv` and `a.txt` for `a.{csv,txt}`.
fn alternatives(name: &str) -> Result<Vec<String>, &'static str> {
    const UNCLOSED: &str = "`{` without `}`; braces and what they hold are one name, without `/`";
    let Some((front, rest)) = name.split_once('{') else {
        return Ok(vec![name.to_owned()]);
    };
    let (mut depth, mut begin, mut choices) = (1, 0, Vec::new());
    for (at, letter) in rest.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(&rest[begin..at]);
                begin = at + 1;
            }
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            choices.push(&rest[begin..at]);
            let behind = &rest[at + 1..];
            let names = choices
                .into_iter()
                .map(|choice| alternatives(&format!("{front}{choice}{behind}")));
            return Ok(names.collect::<Result<Vec<_>, _>>()?.concat());
        }
    }
    Err(UNCLOSED)
}

/// A folder as it can be listed: a relative pattern begins here.
fn here(folder: &Path) -> &Path {
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
    fn a_name_fits_a_pattern() {
        for (name, pattern, does) in [
            ("a.csv", "*.csv", true),
            ("a.csv.gz", "*.csv", false),
            ("a.csv.gz", "*.csv*", true),
            ("a.csv.gz", "*.{csv,csv.gz}", true),
            ("a.tsv", "*.{csv,csv.gz}", false),
            ("aXbXc", "a*X*c", true),
            ("aXbX", "a*X*c", false),
            ("part-07", "part-??", true),
            ("part-7", "part-??", false),
            ("part-7", "part-[0-9]", true),
            ("a.csv", "{a,{b,c}}.{csv,t?t}", true),
            ("c.txt", "{a,{b,c}}.{csv,t?t}", true),
            ("d.txt", "{a,{b,c}}.{csv,t?t}", false),
            ("größe", "gr??e", true),
        ] {
            let wanted = NamePattern::new(pattern, Path::new(pattern)).unwrap();
            assert_eq!(wanted.fits(OsStr::new(name)), does, "{name} {pattern}");
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
        assert_eq!(found("**/1.csv").unwrap(), "x/1.csv y/1.csv y/z/1.csv");
        assert_eq!(found("y/**").unwrap(), "y/1.csv y/2.csv y/z/1.csv");
        assert_eq!(found("y/**/*.csv").unwrap(), "y/1.csv y/2.csv y/z/1.csv");
        assert_eq!(
            found("{x,y}/1.{csv,txt}").unwrap(),
            "x/1.csv x/1.txt y/1.csv"
        );
        insta::assert_snapshot!(found("y**.csv").unwrap_err(), @"…/y**.csv is no pattern: `y**.csv`: `**` stands for folders, and is a name of its own, as in `a/**/*.csv`");
        insta::assert_snapshot!(found("{x/1,y}.csv").unwrap_err(), @"…/{x/1,y}.csv is no pattern: `{x`: `{` without `}`; braces and what they hold are one name, without `/`");
        insta::assert_snapshot!(found("*.json").unwrap_err(), @"no file matches …/*.json");
        fs::create_dir(at("empty")).unwrap();
        insta::assert_snapshot!(found("empty").unwrap_err(), @"there are no files in …/empty");
        std::os::unix::fs::symlink(at("y"), at("y/z/loop")).unwrap();
        assert_eq!(found("**/2.csv").unwrap(), "y/2.csv");
        std::os::unix::fs::symlink(at("gone.csv"), at("link.csv")).unwrap();
        insta::assert_snapshot!(found("link.csv").unwrap_err(), @"…/link.csv is a link to …/gone.csv, where there is no file");
        insta::assert_snapshot!(found("y/1.cvs").unwrap_err(), @"there is no file …/y/1.cvs; did you mean `1.csv`?");
    }
}
