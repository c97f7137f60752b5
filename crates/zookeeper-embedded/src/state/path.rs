//! Paths of nodes: which are valid, and how they are taken apart.

use crate::protocol::ErrorCode;

/// The nodes that every server has and nobody may delete.
pub(crate) const SYSTEM_PATHS: [&str; 4] =
    ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

/// Refuses what ZooKeeper refuses: relative paths, empty or dotted components, odd characters.
pub(crate) fn validate(path: &str) -> Result<(), ErrorCode> {
    if path == "/" {
        return Ok(());
    }
    let components = path.strip_prefix('/').ok_or(ErrorCode::BadArguments)?;
    let dotted_or_empty = components
        .split('/')
        .any(|name| matches!(name, "" | "." | ".."));
    if dotted_or_empty || components.contains(is_forbidden) {
        return Err(ErrorCode::BadArguments);
    }
    Ok(())
}

/// The weaker rule for paths that need not be valid, because they will not be found then.
pub(crate) fn require_absolute(path: &str) -> Result<(), ErrorCode> {
    if path.contains('/') && !path.contains('\0') {
        Ok(())
    } else {
        Err(ErrorCode::BadArguments)
    }
}

/// The parent of a valid path; the root is its own parent.
pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(slash) => &path[..slash],
    }
}

/// The last component of a valid path.
pub(crate) fn name(path: &str) -> &str {
    path.rfind('/').map_or(path, |slash| &path[slash + 1..])
}

/// All ancestors of a valid path, the nearest first, ending with the root.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let start = (path != "/").then(|| parent(path));
    std::iter::successors(start, |path| (*path != "/").then(|| parent(path)))
}

/// What all descendants of a path, and no other nodes, start with.
pub(crate) fn descendant_prefix(path: &str) -> String {
    match path {
        "/" => "/".to_owned(),
        path => format!("{path}/"),
    }
}

/// The Java server looks at UTF-16 units, so everything beyond the basic plane is out as well.
fn is_forbidden(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..=char::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths() {
        for path in ["/", "/a", "/a/b", "/a.b/..c", "/ä/a b"] {
            assert_eq!(validate(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn invalid_paths() {
        for path in [
            "",
            "a",
            "//",
            "/a/",
            "/a//b",
            "/.",
            "/a/..",
            "/a/./b",
            "/a\0",
            "/\u{7f}",
            "/\u{1f600}",
        ] {
            assert_eq!(validate(path), Err(ErrorCode::BadArguments), "{path:?}");
        }
    }

    #[test]
    fn paths_come_apart() {
        assert_eq!((parent("/a/b"), name("/a/b")), ("/a", "b"));
        assert_eq!((parent("/a"), name("/a")), ("/", "a"));
        assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
        assert_eq!(ancestors("/").count(), 0);
    }
}
