//! A folder to try the file plugins in.

use crate::files::FileAccess;
use crate::ids::SlotId;
use crate::job::Task;
use crate::plugins::conformance::{Violation, check_input};
use crate::plugins::{
    Input, Output, PluginContext, PluginError, PluginFactory, PluginRegistry, ReadSegments, Start,
};
use crate::segment::Segment;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with one file in it, and a plugin with its keys.
pub(in crate::plugins) struct Bench {
    folder: TempDir,
    file: &'static str,
    plugin: &'static str,
    params: Segment,
}

impl Bench {
    pub(in crate::plugins) fn new(plugin: &'static str, file: &'static str, params: &str) -> Self {
        Bench {
            folder: tempfile::tempdir().unwrap(),
            file,
            plugin,
            params: serde_json::from_str(params).unwrap(),
        }
    }

    pub(in crate::plugins) fn holding(self, content: impl AsRef<[u8]>) -> Self {
        self.add(self.file, content.as_ref());
        self
    }

    /// The same in bytes that compress to as many, so that one can tell how far it has been read.
    pub(in crate::plugins) fn storing(self, content: impl AsRef<[u8]>) -> Self {
        let stored = |content: &[u8]| gzip_member(content, Compression::none());
        self.write(self.file, content.as_ref(), stored);
        self
    }

    /// One more file.
    pub(in crate::plugins) fn add(&self, file: &str, content: &[u8]) {
        self.write(file, content, gzip);
    }

    fn write(&self, file: &str, content: &[u8], compress: impl Fn(&[u8]) -> Vec<u8>) {
        let bytes = match file.ends_with(".gz") {
            true => compress(content),
            false => content.into(),
        };
        fs::write(self.folder.path().join(file), bytes).unwrap();
    }

    pub(in crate::plugins) fn path(&self) -> PathBuf {
        self.folder.path().join(self.file)
    }

    pub(in crate::plugins) fn folder(&self) -> PathBuf {
        self.folder.path().into()
    }

    /// The files of the folder with what is in them.
    pub(in crate::plugins) fn listing(&self) -> String {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| is_visible(path));
        paths.sort();
        let file = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            format!("{name}:\n{}", fs::read_to_string(path).unwrap())
        };
        let files: String = paths.iter().map(file).collect();
        files.trim_end().into()
    }

    /// The names that are hidden.
    pub(in crate::plugins) fn hidden(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// The rows of all files that an output wrote.
    pub(in crate::plugins) fn rows(&self) -> Result<Vec<Segment>, Violation> {
        let folder = fs::read_dir(self.path().parent().unwrap()).unwrap();
        let mut paths: Vec<PathBuf> = folder.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| is_visible(path));
        paths.sort();
        let mut rows = Vec::new();
        for path in paths {
            let bytes = fs::read(&path).unwrap();
            let text = match self.file.ends_with(".gz") && !bytes.is_empty() {
                true => std::io::read_to_string(MultiGzDecoder::new(&bytes[..])).unwrap(),
                false => String::from_utf8(bytes).unwrap(),
            };
            let wrong = |error: serde_json::Error| Violation(format!("{text:?}: {error}"));
            for line in text.lines() {
                rows.push(serde_json::from_str(line).map_err(wrong)?);
            }
        }
        Ok(rows)
    }

    /// A text that does not name the folder, which has another name each time.
    pub(in crate::plugins) fn without_folder(&self, error: PluginError) -> String {
        error
            .0
            .replace(self.folder.path().to_str().unwrap(), "/data")
    }

    pub(in crate::plugins) fn task(&self) -> Task {
        let kind = if self.plugin == "file/json-lines" {
            "output"
        } else {
            "input"
        };
        let entry = format!(r#"{{"name": "files", "type": "{kind}"}}"#);
        let mut task: Task = serde_json::from_str(&entry).unwrap();
        task.params = self.params.clone();
        // Without a file it is the folder.
        let path = self.folder.path().join(self.file);
        task.params.set("path", path.to_str().unwrap());
        task
    }

    /// What the plugin finds before it is divided.
    pub(in crate::plugins) fn survey(&self) -> Segment {
        let registry = PluginRegistry::with_built_in();
        registry.survey(self.plugin).unwrap()(&self.task(), &FileAccess::default()).unwrap()
    }

    pub(in crate::plugins) fn input(&self, start: Start) -> Result<Box<dyn Input>, PluginError> {
        self.open_input(&PluginContext::alone(&self.task(), start))
    }

    /// The input of one slot of several, over everything in the folder, as the survey of the job's
    /// beginning has it.
    pub(in crate::plugins) fn input_of_slot(
        &self,
        start: Start,
        survey: &Segment,
        (rank, slots): (u32, u32),
    ) -> Result<Box<dyn Input>, PluginError> {
        self.open_input(&PluginContext {
            slot: SlotId(rank),
            rank,
            slots,
            survey: Some(survey),
            ..PluginContext::alone(&self.task(), start)
        })
    }

    fn open_input(&self, context: &PluginContext<'_>) -> Result<Box<dyn Input>, PluginError> {
        match PluginRegistry::with_built_in().get(self.plugin) {
            Some(PluginFactory::Input(open)) => open(context),
            _ => panic!("{} is no input", self.plugin),
        }
    }

    pub(in crate::plugins) fn output(&self, start: Start) -> Result<Box<dyn Output>, PluginError> {
        self.open_output(&PluginContext::alone(&self.task(), start))
    }

    /// The output of one slot of several.
    pub(in crate::plugins) fn output_of_slot(
        &self,
        start: Start,
        slot: SlotId,
    ) -> Result<Box<dyn Output>, PluginError> {
        let task = Task {
            max_peers: NonZeroU32::new(9),
            ..self.task()
        };
        self.open_output(&PluginContext {
            slot,
            ..PluginContext::alone(&task, start)
        })
    }

    fn open_output(&self, context: &PluginContext<'_>) -> Result<Box<dyn Output>, PluginError> {
        match PluginRegistry::with_built_in().get(self.plugin) {
            Some(PluginFactory::Output(open)) => open(context),
            _ => panic!("{} is no output", self.plugin),
        }
    }

    /// Everything that an input reads, after it was checked for conformance.
    pub(in crate::plugins) fn read(&self) -> ReadSegments {
        check_input(|start| self.input(start), 7).unwrap()
    }

    /// What was read as JSON lines, then what was rejected.
    pub(in crate::plugins) fn transcript(&self) -> String {
        let read = self.read();
        let segments = read
            .segments
            .iter()
            .map(|it| serde_json::to_string(it).unwrap());
        let rejected = read.rejected.iter();
        let rejected = rejected.map(|it| format!("{}: {}: {:?}", it.place, it.reason, it.raw));
        segments.chain(rejected).collect::<Vec<_>>().join("\n")
    }
}

/// Not the file of a lock.
fn is_visible(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    !name.starts_with('.')
}

fn gzip(content: &[u8]) -> Vec<u8> {
    // Two members, as when compressed files were put behind each other.
    let (front, back) = content.split_at(content.len() / 2);
    let member = |part| gzip_member(part, Compression::fast());
    [member(front), member(back)].concat()
}

/// A gzip file of its own, or a part of one.
pub(in crate::plugins) fn gzip_member(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Who has a file, or one in a folder, open in this process: how far each is in it.
#[cfg(target_os = "linux")]
pub(in crate::plugins) fn descriptors(path: &Path) -> Vec<u64> {
    let place = |number: &OsStr| -> Option<u64> {
        let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(number)).ok()?;
        let place = info.lines().find_map(|line| line.strip_prefix("pos:"));
        place?.trim().parse().ok()
    };
    // Others open and close files meanwhile.
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let of_file = descriptors.filter(|it| {
        let opened = fs::read_link(it.path());
        opened.is_ok_and(|opened| opened.starts_with(path))
    });
    of_file.filter_map(|it| place(&it.file_name())).collect()
}
