//! `onyx-node submit`: gives a job to a node that runs, and waits for it if wanted.

use super::args::SubmitArgs;
use super::client::{Answer, Client, ClientError, finish, number, text};
use super::console::Console;
use super::exit::Exit;
use super::job_source;
use super::progress::grouped;
use crate::job::file::JobFile;
use crate::task::registry::Registry;
use serde_json::Value;

/// Submits a job.
pub(super) fn submit(args: &SubmitArgs, console: &mut Console) -> Exit {
    let file = match job_source::read(&args.job) {
        Ok(file) => file,
        Err(problems) => {
            job_source::complain(&problems, console);
            return Exit::BadInput;
        }
    };
    let exit = send(args, file, console);
    finish(exit, console)
}

fn send(args: &SubmitArgs, file: JobFile, console: &mut Console) -> Result<Exit, ClientError> {
    let client = Client::new(&args.node)?;
    let registry = Registry::with_built_in();
    let document = file.document(&registry.vocabulary());
    let path = args
        .id
        .map_or("/jobs".into(), |id| format!("/jobs?id={id}"));
    let answer = client.post(&path, &document)?;
    if !answer.is_success() {
        return Ok(refused(&answer, file, &registry, console));
    }
    let id = text(&answer.body, "id").to_owned();
    console.answer(|| answer.body.clone(), || id.clone());
    if args.wait {
        wait(&client, &id, console)
    } else {
        Ok(Exit::Done)
    }
}

/// The node saw a document without the lines of the file. What this process finds wrong too has
/// them.
fn refused(answer: &Answer, file: JobFile, registry: &Registry, console: &mut Console) -> Exit {
    if answer.status == 400
        && let Err(problems) = job_source::judge(file, registry)
    {
        job_source::complain(&problems, console);
        return Exit::BadInput;
    }
    answer.complain(console)
}

fn wait(client: &Client, id: &str, console: &mut Console) -> Result<Exit, ClientError> {
    loop {
        let answer = client.get(&format!("/jobs/{id}?wait-ms=2000"))?;
        if !answer.is_success() {
            console.end_progress();
            return Ok(answer.complain(console));
        }
        let job = &answer.body;
        let name = text(job, "name");
        match text(job, "state") {
            "completed" => {
                console.end_progress();
                console.answer(|| job.clone(), || format!("job {name}: completed"));
                return Ok(Exit::Done);
            }
            "killed" => {
                console.end_progress();
                let exception = job["exception"].as_str().unwrap_or("nobody said why");
                // The text of it is a complaint; programs get the job.
                console.answer_programs(|| job.clone());
                console.complain(format!("job {name} was killed: {exception}"));
                return Ok(Exit::Failed);
            }
            _ => console.show_progress(progress(job)),
        }
    }
}

fn progress(job: &Value) -> String {
    let tasks = job["tasks"].as_array().into_iter().flatten();
    let sum = |key| grouped(tasks.clone().map(|task| number(&task["counts"], key)).sum());
    let (read, completed) = (sum("read"), sum("completed"));
    let [name, why] = ["name", "why"].map(|key| text(job, key));
    format!("{name}: {why}; {read} read, {completed} completed")
}
