//! Follows a job's events, each once and in order, over as many connections as it takes.
use std::mem;

use anyhow::{Result, bail, ensure};
use tonic::Status;

use crate::client::{Client, retry, unary};
use crate::v1::job_event::Payload;
use crate::v1::watch_fine_tuning_job_response::Kind;
use crate::v1::{JobEvent, ListJobEventsRequest, StateChanged, WatchFineTuningJobRequest};

/// The change of state that an event reports, if it reports one.
pub fn state_change(event: &JobEvent) -> Option<&StateChanged> {
    match &event.payload {
        Some(Payload::StateChanged(change)) => Some(change),
        _ => None,
    }
}

pub fn is_terminal(event: &JobEvent) -> bool {
    state_change(event).is_some_and(|change| change.terminal)
}

pub struct JobWatch<'a> {
    client: &'a Client,
    job: &'a str,
    sequence: i64,
}

impl<'a> JobWatch<'a> {
    pub fn new(client: &'a Client, job: &'a str) -> Self {
        Self { client, job, sequence: 0 }
    }

    /// Sequence of the last event that was seen; 0 before the first.
    pub fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Reads until an event satisfies the condition, and returns it. A later call goes on after it. Fails when the job ends before, or an event is missing or comes twice.
    pub async fn until(&mut self, what: &str, condition: impl Fn(&JobEvent) -> bool) -> Result<JobEvent> {
        retry(async || self.follow(what, &condition).await).await
    }

    /// Until the job is in this state, for example "RUNNING".
    pub async fn until_state(&mut self, state: &str) -> Result<JobEvent> {
        self.until(state, |event| state_change(event).is_some_and(|change| change.to == state)).await
    }

    /// Over one connection. Returning drops the stream, which cancels the call.
    async fn follow(&mut self, what: &str, condition: impl Fn(&JobEvent) -> bool) -> Result<JobEvent> {
        let request = WatchFineTuningJobRequest { name: self.job.into(), after_sequence: self.sequence };
        let mut responses = self.client.jobs().watch_fine_tuning_job(request).await?.into_inner();
        let mut lagged = false;
        while let Some(response) = responses.message().await? {
            let event = match response.kind {
                Some(Kind::Event(event)) => event,
                Some(Kind::Lagged(_)) => {
                    lagged = true;
                    continue;
                }
                _ => continue, // a heartbeat, or what a waiting job waits for
            };
            let mut events = if mem::take(&mut lagged) { self.missed(event.sequence).await? } else { vec![] };
            events.push(event);
            for event in events {
                ensure!(event.sequence == self.sequence + 1, "event {} came after event {}", event.sequence, self.sequence);
                self.sequence = event.sequence;
                if condition(&event) {
                    return Ok(event);
                }
                if let Some(change) = state_change(&event).filter(|change| change.terminal) {
                    bail!("{} became {} before {what}", self.job, change.to);
                }
            }
        }
        // A server that shuts down ends its streams in good order.
        Err(Status::unavailable("the stream ended before the job did").into())
    }

    /// Events after the last one seen, up to the one before `next`: a reader that lagged did not get them.
    async fn missed(&self, next: i64) -> Result<Vec<JobEvent>> {
        let mut events = vec![];
        let mut request = ListJobEventsRequest { parent: self.job.into(), after_sequence: self.sequence, ..Default::default() };
        loop {
            let page = self.client.jobs().list_job_events(unary(request.clone())).await?.into_inner();
            events.extend(page.events.into_iter().filter(|event| event.sequence < next));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() || events.last().is_some_and(|event| event.sequence + 1 == next) {
                return Ok(events);
            }
        }
    }
}
