//! Scripts of the log: what is typed above `----` in tests/log_scripts/*.txt leads to what stands
//! below it. `REWRITE=1 cargo test --test log_scripts` writes down what happens now.

#[path = "support/cluster.rs"]
#[allow(dead_code, reason = "the simulation uses other parts of it")]
mod cluster;
#[path = "log_scripts/script.rs"]
mod script;
#[path = "log_scripts/show.rs"]
mod show;

use script::Script;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log_scripts")
}

fn scripts() -> Vec<PathBuf> {
    let files = fs::read_dir(folder()).expect("the folder of scripts");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(paths.len() > 10, "only {} scripts were found", paths.len());
    paths
}

#[test]
fn the_tables_name_every_script_and_no_other() {
    let readme = fs::read_to_string(folder().join("README.md")).expect("the tables");
    let links = readme.split("](").skip(1);
    let named: BTreeSet<&str> = links
        .filter_map(|link| link.split(')').next()?.strip_suffix(".txt"))
        .collect();
    let paths = scripts();
    let found: BTreeSet<&str> = paths
        .iter()
        .filter_map(|path| path.file_stem()?.to_str())
        .collect();
    assert_eq!(named, found);
}

/// The names are those that the program has for its commands.
#[test]
fn every_command_is_written_in_a_script() {
    let names = arms("src/log/commands/mod.rs", "Command::");
    let names: Vec<&str> = names
        .iter()
        .filter_map(|arm| arm.split('"').nth(1))
        .collect();
    assert!(names.contains(&"prepare-join-cluster"), "{names:?}");
    let texts = all_texts();
    // An entry is told as its position, its writer and its command.
    let written = |name: &&str| texts.contains(&format!(": {name}"));
    let missing: Vec<&str> = names.into_iter().filter(|name| !written(name)).collect();
    assert_eq!(missing, [""; 0], "no script writes these");
}

#[test]
fn every_reason_to_change_nothing_is_given_in_a_script() {
    let reasons = arms("src/log/command.rs", "Reason::");
    let reasons: Vec<&str> = reasons
        .iter()
        .filter_map(|arm| arm.split(' ').next())
        .collect();
    assert!(reasons.contains(&"Unreadable"), "{reasons:?}");
    let texts = all_texts();
    let given: BTreeSet<&str> = texts
        .lines()
        .filter_map(|line| Some(line.split_once(" ignored: ")?.1))
        .collect();
    let missing: Vec<&str> = reasons
        .into_iter()
        .filter(|it| !given.contains(it))
        .collect();
    assert_eq!(missing, [""; 0], "no script gives these");
}

/// What follows a type's name in the arms of a match, each in a line of its own.
fn arms(path: &str, of: &str) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let source = fs::read_to_string(source).expect("the source");
    let lines = source.lines();
    let arms = lines.filter_map(|line| line.trim().strip_prefix(of));
    arms.filter(|arm| arm.contains(" => "))
        .map(String::from)
        .collect()
}

fn all_texts() -> String {
    let texts = scripts()
        .into_iter()
        .map(|path| fs::read_to_string(path).expect("a script"));
    texts.collect::<Vec<String>>().concat()
}

#[test]
fn scripts_end_as_written() {
    let paths = scripts();
    let mut differing = Vec::new();
    for path in paths {
        let expected = fs::read_to_string(&path).expect("a script");
        let actual = rewritten(&expected);
        if env::var_os("REWRITE").is_some() {
            fs::write(&path, &actual).expect("the script is written");
        } else if actual != expected {
            differing.push(format!(
                "--- {}\n{}",
                path.display(),
                difference(&expected, &actual)
            ));
        }
    }
    assert!(
        differing.is_empty(),
        "{}\nREWRITE=1 accepts what happens now",
        differing.join("\n")
    );
}

/// The script with what happens below every `----`.
fn rewritten(text: &str) -> String {
    let mut script = Script::default();
    let mut output = String::new();
    for block in text.trim_end().split("\n\n") {
        let commands = block.split("----").next().unwrap_or_default().trim_end();
        output.push_str(commands);
        output.push('\n');
        let lines = commands.lines().filter(|line| !line.starts_with('#'));
        let lines: Vec<&str> = lines.collect();
        if !lines.is_empty() {
            output.push_str("----\n");
            for line in lines {
                output.push_str(&script.run(line));
            }
        }
        output.push('\n');
    }
    output.truncate(output.trim_end().len());
    output + "\n"
}

/// The first lines that differ, with their numbers.
fn difference(expected: &str, actual: &str) -> String {
    let mut shown = String::new();
    let (mut expected, mut actual) = (expected.lines(), actual.lines());
    for number in 1.. {
        let pair = (expected.next(), actual.next());
        if pair.0 == pair.1 && pair.0.is_some() {
            continue;
        }
        let (Some(was), Some(is)) = (pair.0.or(Some("(end)")), pair.1.or(Some("(end)"))) else {
            break;
        };
        let _ = writeln!(shown, "line {number}\n  written: {was}\n  happens: {is}");
        break;
    }
    shown
}
