//! A connection to an Attune server: its clients, what its errors say, and retries.
use std::error::Error as _;
use std::fs;
use std::time::Duration;

use anyhow::{bail, Context as _, Result};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::v1::checkpoint_service_client::CheckpointServiceClient;
use crate::v1::dataset_service_client::DatasetServiceClient;
use crate::v1::fine_tuning_job_service_client::FineTuningJobServiceClient;
use crate::v1::prediction_service_client::PredictionServiceClient;
use crate::v1::upload_service_client::UploadServiceClient;

const UNARY_DEADLINE: Duration = Duration::from_secs(120);
const MAX_RETRIES: u32 = 5;
const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// Sends the token with each call.
#[derive(Clone)]
pub struct Authorize(Option<MetadataValue<Ascii>>);

impl tonic::service::Interceptor for Authorize {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(credentials) = &self.0 {
            request.metadata_mut().insert("authorization", credentials.clone());
        }
        Ok(request)
    }
}

type Service = InterceptedService<Channel, Authorize>;

/// One connection for all services. tonic's clients want `&mut self` for each call; they are cheap to make, so each call has its own.
pub struct Client(Service);

impl Client {
    /// `address` is host:port, `authorities` a PEM file of the authorities that the server's certificate may come from (none: plaintext), `token` an API token, which is
    /// never sent in plain text.
    pub fn new(address: &str, authorities: Option<&str>, token: Option<&str>) -> Result<Self> {
        if token.is_some() && authorities.is_none() {
            bail!("a token is not sent in plain text: name the authorities of the server's certificate");
        }
        let endpoint = match authorities {
            None => Endpoint::from_shared(format!("http://{address}"))?,
            Some(file) => {
                let pem = fs::read(file).with_context(|| format!("cannot read {file}"))?;
                Endpoint::from_shared(format!("https://{address}"))?.tls_config(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))?
            }
        };
        let credentials = token.map(|token| format!("Bearer {token}").parse()).transpose()?;
        Ok(Self(InterceptedService::new(endpoint.connect_lazy(), Authorize(credentials))))
    }

    pub fn uploads(&self) -> UploadServiceClient<Service> {
        UploadServiceClient::new(self.0.clone())
    }

    pub fn datasets(&self) -> DatasetServiceClient<Service> {
        DatasetServiceClient::new(self.0.clone())
    }

    pub fn jobs(&self) -> FineTuningJobServiceClient<Service> {
        FineTuningJobServiceClient::new(self.0.clone())
    }

    pub fn checkpoints(&self) -> CheckpointServiceClient<Service> {
        CheckpointServiceClient::new(self.0.clone())
    }

    pub fn predictions(&self) -> PredictionServiceClient<Service> {
        PredictionServiceClient::new(self.0.clone())
    }
}

/// A request of a unary call, with a deadline: gRPC waits for ever by default.
pub fn unary<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(UNARY_DEADLINE);
    request
}

/// Runs a call again when the server is unavailable or answers with a RetryInfo, five times at most: after the delay that the server asks for, otherwise after a growing one. The call must be harmless to
/// repeat, by its nature or through a request_id.
pub async fn retry<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut retries = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Some(status) = error.downcast_ref::<Status>().filter(|_| retries < MAX_RETRIES) else {
            return Err(error);
        };
        let backoff = FIRST_BACKOFF * 2u32.pow(retries);
        let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
        if asked.is_none() && !is_unavailable(status) {
            return Err(error);
        }
        tokio::time::sleep(asked.unwrap_or(backoff.mul_f64(0.5 + fastrand::f64() / 2.0))).await;
        retries += 1;
    }
}

/// tonic reports a connection that breaks during a call as UNKNOWN, where other languages say UNAVAILABLE; such a status has a source, and one that the server sent has none.
fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable || (status.code() == Code::Unknown && status.source().is_some())
}

/// Code, message and the fields at fault, for people.
pub fn describe(error: &anyhow::Error) -> String {
    let Some(status) = error.downcast_ref::<Status>() else {
        return format!("{error:#}");
    };
    let faults = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    let faults = faults.iter().map(|fault| format!("; {}: {}", fault.field, fault.description));
    format!("{:?}: {}{}", status.code(), status.message(), faults.collect::<String>())
}
