//! The steps.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::client::{Client, retry, unary};
use crate::job_watch::{JobWatch, is_terminal, state_change};
use crate::v1::{
    CancelFineTuningJobRequest, CheckpointFile, CreateFineTuningJobRequest, CreateUploadRequest, Dataset, DownloadCheckpointFileRequest, FineTuningJob,
    FineTuningSpec, GetCheckpointRequest, GetFineTuningJobRequest, GetUploadRequest, Hyperparameters, ImportDatasetRequest, ImportFile,
    ListFineTuningJobsRequest, PauseFineTuningJobRequest, PredictRequest, ResumeFineTuningJobRequest, TextInput, Upload, WriteUploadRequest, dataset,
    fine_tuning_job, upload,
};

const PIECE_BYTES: usize = 256 << 10;
const MAX_POLLS: usize = 40;

pub struct Scenario {
    pub client: Client,
    pub dataset_file: PathBuf,
    pub bad_dataset_file: PathBuf,
    pub base_model: String,
}

impl Scenario {
    pub async fn upload(&self) -> Result<Upload> {
        let content = fs::read(&self.dataset_file)?;
        let name = self.create_upload(&self.dataset_file, &content).await?.name;
        let begun = self.send_first_part(&name, &content).await?;
        ensure!(begun.committed_bytes < content.len() as i64, "the upload was not cut");
        let upload = self.send_rest(&name, &content).await?;
        ensure!(upload.state() == upload::State::Complete, "the upload is not complete");
        ensure!(upload.sha256 == sha256(&content), "the server has another SHA-256");
        Ok(upload)
    }

    /// Returns the field at fault.
    pub async fn bad_row(&self) -> Result<String> {
        let content = fs::read(&self.bad_dataset_file)?;
        let name = self.create_upload(&self.bad_dataset_file, &content).await?.name;
        self.send_rest(&name, &content).await?;
        let Err(error) = self.import(&name).await else { bail!("the import succeeded") };
        let status = match error.downcast::<Status>() {
            Ok(status) if status.code() == Code::InvalidArgument => status,
            Ok(status) => return Err(status.into()),
            Err(error) => return Err(error),
        };
        let info = status.get_details_error_info().context("the error has no ErrorInfo")?;
        ensure!(info.reason == "BAD_ROWS" && info.domain == "attune.dev", "the reason is {} of {}", info.reason, info.domain);
        let faults = status.get_details_bad_request().context("the error has no BadRequest")?.field_violations;
        Ok(faults.into_iter().next().context("no row is named")?.field)
    }

    pub async fn import(&self, upload: &str) -> Result<Dataset> {
        let request = ImportDatasetRequest {
            files: vec![ImportFile { upload: upload.into(), ..Default::default() }],
            validation_fraction: Some(0.1),
            test_fraction: Some(0.1),
            request_id: new_request_id(),
            ..Default::default()
        };
        let dataset = retry(async || {
            let mut responses = self.client.datasets().import_dataset(request.clone()).await?.into_inner();
            while let Some(response) = responses.message().await? {
                if let Some(dataset) = response.dataset {
                    return Ok(dataset);
                }
            }
            Err(Status::unavailable("the stream ended before the import did").into())
        })
        .await?;
        ensure!(dataset.state() == dataset::State::Ready, "the dataset is {:?}", dataset.state());
        Ok(dataset)
    }

    pub async fn create(&self, dataset: &str) -> Result<FineTuningJob> {
        let request = self.job_request(dataset, 3);
        let job = self.create_job(&request).await?;
        let again = self.create_job(&request).await?;
        ensure!(again.name == job.name, "one request_id made {} and {}", job.name, again.name);
        Ok(job)
    }

    /// Returns the number of events.
    pub async fn watch(&self, job: &str) -> Result<i64> {
        let mut watch = JobWatch::new(&self.client, job);
        watch.until("its third event", |event| event.sequence == 3).await?;
        let last = watch.until("its end", is_terminal).await?;
        ensure!(state_change(&last).is_some_and(|change| change.to == "SUCCEEDED"), "the job did not succeed: {}", last.message);
        let request = GetFineTuningJobRequest { name: job.into() };
        let ended = retry(async || Ok(self.client.jobs().get_fine_tuning_job(unary(request.clone())).await?.into_inner())).await?;
        ensure!(ended.state() == fine_tuning_job::State::Succeeded, "the job is {:?}", ended.state());
        Ok(watch.sequence())
    }

    pub async fn pause_resume_cancel(&self, dataset: &str) -> Result<FineTuningJob> {
        let job = self.create_job(&self.job_request(dataset, 200)).await?;
        let name = &job.name;
        let mut watch = JobWatch::new(&self.client, name);
        watch.until_state("RUNNING").await?;
        retry(async || Ok(self.client.jobs().pause_fine_tuning_job(unary(PauseFineTuningJobRequest { name: name.clone() })).await?)).await?;
        watch.until_state("PAUSED").await?;
        retry(async || Ok(self.client.jobs().resume_fine_tuning_job(unary(ResumeFineTuningJobRequest { name: name.clone() })).await?)).await?;
        watch.until_state("RUNNING").await?;
        retry(async || Ok(self.client.jobs().cancel_fine_tuning_job(unary(CancelFineTuningJobRequest { name: name.clone() })).await?)).await?;
        let last = watch.until("its end", is_terminal).await?;
        ensure!(state_change(&last).is_some_and(|change| change.to == "CANCELLED"), "the job was not cancelled: {}", last.message);
        Ok(job)
    }

    /// Returns the number of jobs, each of which is listed once.
    pub async fn pages(&self, jobs: &[&String]) -> Result<usize> {
        let mut names = vec![];
        let mut request = ListFineTuningJobsRequest { page_size: 1, ..Default::default() };
        loop {
            let page = retry(async || Ok(self.client.jobs().list_fine_tuning_jobs(unary(request.clone())).await?.into_inner())).await?;
            ensure!(page.fine_tuning_jobs.len() <= 1, "a page of one has {} jobs", page.fine_tuning_jobs.len());
            for job in page.fine_tuning_jobs {
                ensure!(!names.contains(&job.name), "{} is listed twice", job.name);
                names.push(job.name);
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        ensure!(jobs.iter().all(|job| names.contains(job)), "a job is not listed: {names:?}");
        Ok(names.len())
    }

    /// Returns the SHA-256 of what was received.
    pub async fn download(&self, job: &str) -> Result<String> {
        let request = GetCheckpointRequest { name: format!("{job}/checkpoints/best") };
        let checkpoint = retry(async || Ok(self.client.checkpoints().get_checkpoint(unary(request.clone())).await?.into_inner())).await?;
        let file = checkpoint.files.iter().find(|file| file.path == "model.safetensors").context("the checkpoint has no model.safetensors")?;
        let mut content = vec![];
        self.receive(&checkpoint.name, file, &mut content, 1).await?;
        self.receive(&checkpoint.name, file, &mut content, usize::MAX).await?;
        ensure!(content.len() as i64 == file.size_bytes, "received {} of {} bytes", content.len(), file.size_bytes);
        ensure!(sha256(&content) == file.sha256, "received other bytes than the checkpoint lists");
        Ok(file.sha256.clone())
    }

    /// Returns a label for each text.
    pub async fn predict(&self, job: &str) -> Result<Vec<String>> {
        let texts = ["the film was great and the food was nice", "the book was awful and we hate it"];
        let inputs = texts.map(|text| TextInput { text: text.into(), ..Default::default() }).to_vec();
        let request = PredictRequest { checkpoint: job.into(), inputs, ..Default::default() };
        let response = retry(async || Ok(self.client.predictions().predict(unary(request.clone())).await?.into_inner())).await?;
        ensure!(response.predictions.len() == texts.len(), "{} predictions for {} texts", response.predictions.len(), texts.len());
        response.predictions.into_iter().map(|prediction| prediction.labels.into_iter().next().context("a text has no label")).collect()
    }

    async fn create_upload(&self, file: &Path, content: &[u8]) -> Result<Upload> {
        let request = CreateUploadRequest {
            filename: file.file_name().context("not a file")?.to_string_lossy().into(),
            size_bytes: content.len() as i64,
            sha256: sha256(content),
            request_id: new_request_id(),
            ..Default::default()
        };
        retry(async || Ok(self.client.uploads().create_upload(unary(request.clone())).await?.into_inner())).await
    }

    async fn get_upload(&self, name: &str) -> Result<Upload> {
        let request = GetUploadRequest { name: name.into() };
        retry(async || Ok(self.client.uploads().get_upload(unary(request.clone())).await?.into_inner())).await
    }

    /// Sends the first half, cuts the stream, and returns what the server kept.
    async fn send_first_part(&self, name: &str, content: &[u8]) -> Result<Upload> {
        let part = WriteUploadRequest { name: name.into(), data: content[..content.len() / 2].into(), ..Default::default() };
        retry(async || {
            let (pieces, stream) = mpsc::channel(1);
            pieces.send(part.clone()).await?;
            // Room for the next piece means that this one is with the connection, not that it was sent. A connection delivers in order: after the answer to a later call, it has arrived.
            let arrived = async {
                pieces.reserve().await?;
                self.get_upload(name).await
            };
            let mut uploads = self.client.uploads();
            tokio::select! {
                answer = uploads.write_upload(ReceiverStream::new(stream)) => bail!("the server ended an unfinished upload: {:?}", answer?.into_inner().state()),
                upload = arrived => upload?,
            }; // drops the other future, which cancels the call
            for _ in 0..MAX_POLLS {
                let upload = self.get_upload(name).await?;
                if upload.committed_bytes > 0 {
                    return Ok(upload);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(Status::unavailable("the server kept nothing of the first part").into())
        })
        .await
    }

    /// Sends what the server does not have yet.
    async fn send_rest(&self, name: &str, content: &[u8]) -> Result<Upload> {
        retry(async || {
            let offset = self.get_upload(name).await?.committed_bytes;
            let rest = &content[offset as usize..];
            // The first message names the upload and the offset, also when there is nothing left to send.
            let first = WriteUploadRequest { name: name.into(), offset, data: vec![] };
            let pieces = rest.chunks(PIECE_BYTES).map(|piece| WriteUploadRequest { data: piece.into(), ..Default::default() });
            let messages: Vec<_> = std::iter::once(first).chain(pieces).collect();
            Ok(self.client.uploads().write_upload(tokio_stream::iter(messages)).await?.into_inner())
        })
        .await
    }

    fn job_request(&self, dataset: &str, epochs: i32) -> CreateFineTuningJobRequest {
        let hyperparameters = Hyperparameters { n_epochs: Some(epochs), batch_size: Some(8), learning_rate: Some(1e-3), ..Default::default() };
        let spec =
            FineTuningSpec { base_model: self.base_model.clone(), dataset: dataset.into(), hyperparameters: Some(hyperparameters), ..Default::default() };
        CreateFineTuningJobRequest { spec: Some(spec), request_id: new_request_id(), ..Default::default() }
    }

    async fn create_job(&self, request: &CreateFineTuningJobRequest) -> Result<FineTuningJob> {
        retry(async || Ok(self.client.jobs().create_fine_tuning_job(unary(request.clone())).await?.into_inner())).await
    }

    /// Appends the file from where `content` ends: this many chunks at most, then the stream is cut.
    async fn receive(&self, checkpoint: &str, file: &CheckpointFile, content: &mut Vec<u8>, mut chunks: usize) -> Result<()> {
        retry(async || {
            let request = DownloadCheckpointFileRequest { name: checkpoint.into(), path: file.path.clone(), offset: content.len() as i64 };
            let mut responses = self.client.checkpoints().download_checkpoint_file(request).await?.into_inner();
            while chunks > 0 {
                let Some(response) = responses.message().await? else { break };
                ensure!(response.offset == content.len() as i64, "offset {} came at byte {}", response.offset, content.len());
                content.extend(response.data);
                chunks -= 1;
            }
            Ok(())
        })
        .await
    }
}

fn new_request_id() -> String {
    Uuid::new_v4().to_string()
}

fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}
