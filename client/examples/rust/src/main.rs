//! The conformance scenario (docs/conformance.md): from a file to predictions, over cut streams, refusals and retries.
mod client;
mod job_watch;
mod scenario;

/// What build.rs generates.
pub mod v1 {
    tonic::include_proto!("attune.v1");
}

use std::env;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::client::{Client, describe};
use crate::scenario::Scenario;

/// Reports a step. None when it failed.
async fn step<T>(name: &str, work: impl Future<Output = Result<T>>, line: impl Fn(&T) -> String) -> Option<T> {
    match work.await {
        Ok(value) => {
            println!("ok {name} {}", line(&value));
            Some(value)
        }
        Err(error) => {
            eprintln!("failed {name}: {}", describe(&error));
            None
        }
    }
}

async fn run(scenario: &Scenario) -> Option<()> {
    let upload = step("upload", scenario.upload(), |upload| upload.name.clone()).await?;
    step("bad_row", scenario.bad_row(), |field| field.clone()).await?;
    let dataset =
        step("import", scenario.import(&upload.name), |dataset| format!("{} {}", dataset.name, dataset.report.as_ref().map_or(0, |report| report.rows_used)))
            .await?;
    let job = step("create", scenario.create(&dataset.name), |job| job.name.clone()).await?;
    step("watch", scenario.watch(&job.name), |events| format!("{} {events}", job.name)).await?;
    let long_job = step("pause_resume_cancel", scenario.pause_resume_cancel(&dataset.name), |job| job.name.clone()).await?;
    step("pages", scenario.pages(&[&job.name, &long_job.name]), |count| count.to_string()).await?;
    step("download", scenario.download(&job.name), |sha256| sha256.clone()).await?;
    step("predict", scenario.predict(&job.name), |labels| labels.join(" ")).await?;
    Some(())
}

fn connect() -> Result<Scenario> {
    let required = |variable: &str| env::var(variable).with_context(|| format!("{variable} is not set"));
    let optional = |variable: &str| env::var(variable).ok();
    Ok(Scenario {
        client: Client::new(&required("ATTUNE_SERVER")?, optional("ATTUNE_CA_FILE").as_deref(), optional("ATTUNE_TOKEN").as_deref())?,
        dataset_file: required("ATTUNE_DATASET_FILE")?.into(),
        bad_dataset_file: required("ATTUNE_BAD_DATASET_FILE")?.into(),
        base_model: required("ATTUNE_BASE_MODEL")?,
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let scenario = match connect() {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("failed connect: {}", describe(&error));
            return ExitCode::FAILURE;
        }
    };
    match run(&scenario).await {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}
