//! The documents against the code: their jobs are valid, their keys and defaults are the real ones,
//! their links lead somewhere.

use onyx::api::with_checks;
use onyx::config::NodeConfig;
use onyx::job::file::{Format, JobFile};
use onyx::job::validation::Checks;
use onyx::job::{Task, TaskKind};
use onyx::task::registry::Registry;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const JOB_FILES: &str = "docs/job-files.md";

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = Vec::new();
    for folder in [".", "docs", "docs/decisions", "examples/data"] {
        let files = fs::read_dir(folder).expect("a folder of pages").flatten();
        let files = files.map(|file| file.path());
        pages.extend(files.filter(|path| path.extension().is_some_and(|it| it == "md")));
    }
    pages.sort();
    pages
}

/// The blocks between fences that open with exactly this, in order.
fn blocks(page: &str, opens: &str) -> Vec<String> {
    let fence = format!("```{opens}");
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while lines.any(|line| line == fence) {
        let block = lines.by_ref().take_while(|line| *line != "```");
        blocks.push(block.collect::<Vec<_>>().join("\n") + "\n");
    }
    blocks
}

/// What `onyx-node run` would find wrong with a job file beside the flights job.
fn problems(text: &str) -> Vec<String> {
    let registry = Registry::with_built_in();
    let file = JobFile::parse("job.yaml", text, Format::Yaml);
    let job = file.and_then(|mut file| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flights");
        file.resolve_paths(&folder);
        with_checks(&registry, |checks| {
            file.into_job(&registry.vocabulary(), *checks)
        })
    });
    let problems = job.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_job_is_valid() {
    for page in ["README.md", JOB_FILES] {
        let jobs = blocks(&read(page), "yaml job");
        assert!(!jobs.is_empty(), "{page} has no job");
        for job in jobs {
            assert_eq!(problems(&job), Vec::<String>::new(), "{page}:\n{job}");
        }
    }
}

#[test]
fn the_job_in_the_readme_is_the_one_of_the_demo() {
    let words = Registry::with_built_in().vocabulary();
    let read = |text: &str| {
        let mut file = JobFile::parse("flights.yaml", text, Format::Yaml).unwrap();
        file.resolve_paths(Path::new("/"));
        file.into_job(&words, Checks::NONE).unwrap()
    };
    let shown = &blocks(&self::read("README.md"), "yaml job")[0];
    assert_eq!(read(shown), read(&self::read("examples/flights/job.yaml")));
}

#[test]
fn a_wrong_job_is_told_as_written() {
    let page = read(JOB_FILES);
    let (wrong, told) = (blocks(&page, "yaml wrong"), blocks(&page, "text"));
    assert_eq!((wrong.len(), told.len()), (1, 1));
    assert_eq!(problems(&wrong[0]), told[0].lines().collect::<Vec<_>>());
}

/// The cells of the first row of a table in a page that begins with `key`.
fn row<'a>(page: &'a str, key: &str) -> Option<Vec<&'a str>> {
    let begins = format!("| `{key}` |");
    let line = page.lines().find(|line| line.starts_with(&begins))?;
    Some(line.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn every_key_of_a_job_file_has_its_row() {
    let page = read(JOB_FILES);
    let job_keys = [
        "name",
        "workflow",
        "catalog",
        "lifecycles",
        "task-scheduler",
    ];
    for key in Task::KEYS.into_iter().chain(job_keys) {
        assert!(row(&page, key).is_some(), "no row for `{key}`");
    }
    let vocabulary = Registry::with_built_in().vocabulary();
    let plugins = vocabulary
        .plugins
        .into_iter()
        .map(|(name, plugin)| (name, plugin.signature));
    for (name, signature) in plugins.chain(vocabulary.functions) {
        let mut sections = page
            .split("\n#")
            .filter(|section| section.contains(&format!("`{name}`")));
        let section = sections.find(|section| {
            signature
                .keys
                .iter()
                .all(|key| row(section, &key.name).is_some())
        });
        assert!(
            section.is_some(),
            "no section has `{name}` and a row for each of its keys"
        );
    }
}

#[test]
fn the_defaults_of_a_task_are_the_real_ones() {
    let page = read(JOB_FILES);
    let task = Task::new("it", TaskKind::Input);
    for (key, default) in [
        ("batch-size", task.batch_size),
        ("batch-timeout-ms", task.batch_timeout_ms),
        ("min-peers", task.min_peers),
        ("pending-timeout-ms", task.pending_timeout_ms),
        ("input-retry-timeout-ms", task.input_retry_timeout_ms),
        ("max-pending", task.max_pending),
        ("max-retries", task.max_retries),
    ] {
        let cells = row(&page, key).unwrap();
        assert_eq!(cells.last(), Some(&default.to_string().as_str()), "{key}");
    }
    for page in [JOB_FILES, "docs/runtime-semantics.md"].map(read) {
        let timeouts = row(&page, "pending-timeout-ms").unwrap();
        assert!(timeouts.contains(&task.pending_timeout_ms.to_string().as_str()));
    }
}

/// Rows that begin with an option in the form `section.key` tell its default in the second cell.
#[test]
fn the_defaults_of_a_node_are_the_real_ones() {
    let page = read("docs/runtime-semantics.md") + &read("docs/coordination.md");
    let config: toml::Table = read("config/onyx-node.toml").parse().unwrap();
    let mut rows = 0;
    for line in page.lines() {
        let option = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next());
        let Some((section, key)) = option.and_then(|option| option.split_once('.')) else {
            continue;
        };
        let default = &config[section][key];
        assert_eq!(
            row(&page, &format!("{section}.{key}")).unwrap()[1],
            default.to_string()
        );
        rows += 1;
    }
    assert!(rows > 5, "only {rows} rows");
    // The file is the defaults: a test of the configuration says so.
    assert_eq!(
        NodeConfig::default(),
        NodeConfig::load(Path::new("config/onyx-node.toml")).unwrap()
    );
}

#[test]
fn the_program_in_the_readme_is_the_one_that_is_tested() {
    let tested = read("src/lib.rs");
    let tested: Vec<&str> = tested
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .collect();
    let tested: Vec<&str> = tested
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let program = &blocks(&read("README.md"), "rust")[0];
    assert!(
        tested.join("\n").contains(program.trim_end()),
        "README.md and the documentation of src/lib.rs have different programs"
    );
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        for target in read(&page)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            let is_here = !target.contains("://") && !file.is_empty();
            if is_here && !page.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/README.md");
    for decision in fs::read_dir("docs/decisions").unwrap().flatten() {
        let name = decision.file_name().to_string_lossy().into_owned();
        assert!(
            index.contains(&format!("](decisions/{name})")),
            "{name} is not in docs/README.md"
        );
    }
}

#[test]
fn every_module_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    let modules = read("src/lib.rs");
    let modules = modules
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        let named = [format!("`{module}/`"), format!("`{module}.rs`")];
        assert!(
            named.iter().any(|name| map.contains(name)),
            "ARCHITECTURE.md: no `{module}`"
        );
    }
}

#[test]
fn every_endpoint_is_explained() {
    let page = read("docs/http.md");
    let sources = fs::read_dir("src/http")
        .unwrap()
        .flatten()
        .map(|file| read(file.path()));
    let paths: BTreeSet<String> = sources
        .flat_map(|source| {
            let paths = source
                .split("path: \"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next());
            paths.map(String::from).collect::<Vec<_>>()
        })
        .collect();
    for path in paths {
        assert!(
            page.contains(&format!("{path}`")),
            "docs/http.md: no `{path}`"
        );
    }
}

#[test]
fn the_example_of_the_log_is_answered_as_written() {
    let page = read("docs/log.md");
    let json = |opens| -> serde_json::Value {
        let blocks = blocks(&page, opens);
        assert_eq!(blocks.len(), 1, "{opens}");
        serde_json::from_str(&blocks[0]).expect("JSON")
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_onyx-node"));
    command.args(["log", "apply"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the command runs");
    let question = json("json question").to_string();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(question.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["steps"], json("json steps"), "{:#}", answer["steps"]);
}

/// The layer numbers of the code map: the number of a layer, and the text up to the next.
fn numbered_layers(page: &str) -> Vec<(usize, &str)> {
    let map = page.split("## Code map").nth(1).expect("a code map");
    let map = map.split("\n## ").next().expect("the section");
    let parts = map.split("\n**").skip(1);
    let numbered = parts.filter_map(|part| {
        let (number, text) = part.split_once("** ")?;
        Some((number.parse().ok()?, text))
    });
    numbered.collect()
}

#[test]
fn the_code_map_has_the_layers_that_are_checked() {
    let tidy = read("tests/tidy.rs");
    let layers = tidy.split("const LAYERS").nth(1).expect("the layers");
    let layers = layers.split("\n];").next().expect("their end");
    let layers: Vec<&str> = layers
        .lines()
        .filter(|line| line.starts_with("    &["))
        .collect();
    let page = read("ARCHITECTURE.md");
    let numbered = numbered_layers(&page);
    assert_eq!(numbered.len(), layers.len());
    for ((index, layer), (number, text)) in layers.iter().enumerate().zip(numbered) {
        assert_eq!(number, index);
        let first = layer.split('"').nth(1).expect("a module");
        let named = [format!("`{first}/`"), format!("`{first}.rs`")];
        assert!(
            named.iter().any(|name| text.contains(name)),
            "layer {number} has no {first}"
        );
    }
}

#[test]
fn the_list_of_documents_names_each_once_and_decisions_in_order() {
    let page = read("docs/README.md");
    let links = page.lines().filter_map(|line| line.strip_prefix("- ["));
    let links: Vec<&str> = links
        .filter_map(|line| line.split(['(', ')']).nth(1))
        .collect();
    let distinct: BTreeSet<&str> = links.iter().copied().collect();
    assert_eq!(links.len(), distinct.len(), "a page is listed twice");
    let decisions = links
        .iter()
        .copied()
        .filter(|link| link.starts_with("decisions/"));
    let decisions: Vec<&str> = decisions.collect();
    assert!(decisions.is_sorted(), "{decisions:?}");
    let files = fs::read_dir("docs/decisions").expect("decisions").flatten();
    let files = files.map(|file| format!("decisions/{}", file.file_name().to_string_lossy()));
    let files: BTreeSet<String> = files.collect();
    let listed: BTreeSet<String> = decisions.into_iter().map(str::to_owned).collect();
    assert_eq!(listed, files);
    for file in fs::read_dir("docs").expect("pages").flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_page = name.ends_with(".md") && name != "README.md";
        assert!(
            !is_page || distinct.contains(name.as_str()),
            "{name} is not listed"
        );
    }
}

#[test]
fn the_wait_of_acks_is_the_one_in_the_documents() {
    let code = read("src/task/acks.rs");
    let wait = code
        .split("INTERVAL: Duration = Duration::from_millis(")
        .nth(1);
    let wait = wait
        .and_then(|text| text.split(')').next())
        .expect("the interval");
    for (page, text) in [
        ("docs/acking.md", format!("for {wait} ms at most")),
        ("ARCHITECTURE.md", format!("within {wait} ms")),
    ] {
        assert!(read(page).contains(&text), "{page} has no `{text}`");
    }
}

/// All sources as one text, in which a literal that is continued on the next line is in one piece.
fn sources() -> String {
    let mut folders = vec![
        PathBuf::from("src"),
        PathBuf::from("crates/zookeeper-embedded/src"),
    ];
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|it| it == "rs") => all += &read(path),
                _ => {}
            }
        }
    }
    let lines: Vec<&str> = all.split("\\\n").map(str::trim_start).collect();
    lines.concat()
}

#[test]
fn every_message_of_troubleshooting_is_one_of_the_program() {
    let page = read("docs/troubleshooting.md");
    let code = sources();
    let messages = page.lines().filter_map(|line| line.strip_prefix("### `"));
    let messages: Vec<&str> = messages.filter_map(|line| line.strip_suffix('`')).collect();
    assert!(messages.len() > 10, "{messages:?}");
    for message in messages {
        for part in message
            .split('…')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            assert!(code.contains(part), "no source has `{part}`");
        }
    }
}
