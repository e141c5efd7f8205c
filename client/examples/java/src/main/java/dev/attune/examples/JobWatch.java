package dev.attune.examples;

import dev.attune.v1.JobEvent;
import dev.attune.v1.ListJobEventsRequest;
import dev.attune.v1.WatchFineTuningJobRequest;
import dev.attune.v1.WatchFineTuningJobResponse;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Follows a job's events, each once and in order, over as many connections as it takes. For one thread. */
final class JobWatch {
  private final Client client;
  private final String job;
  private long sequence;

  JobWatch(Client client, String job) {
    this.client = client;
    this.job = job;
  }

  /** Sequence of the last event that was seen; 0 before the first. */
  long sequence() {
    return sequence;
  }

  /**
   * Reads until an event satisfies the condition, and returns it. A later call goes on after it.
   *
   * @throws IllegalStateException when the job ends before, or an event is missing or comes twice
   */
  JobEvent await(String what, Predicate<JobEvent> condition) throws StatusException, InterruptedException {
    return Client.retry(() -> follow(what, condition));
  }

  JobEvent awaitState(String state) throws StatusException, InterruptedException {
    return await(state, event -> event.getStateChanged().getTo().equals(state));
  }

  private JobEvent follow(String what, Predicate<JobEvent> condition) throws StatusException, InterruptedException {
    var request = WatchFineTuningJobRequest.newBuilder().setName(job).setAfterSequence(sequence).build();
    BlockingClientCall<?, WatchFineTuningJobResponse> call = client.jobs.watchFineTuningJob(request);
    try {
      boolean lagged = false;
      while (call.hasNext()) {
        WatchFineTuningJobResponse response = call.read();
        lagged |= response.hasLagged();
        if (!response.hasEvent()) {
          continue; // a heartbeat, or what a waiting job waits for
        }
        List<JobEvent> events = new ArrayList<>();
        if (lagged) {
          events.addAll(missed(response.getEvent().getSequence()));
          lagged = false;
        }
        events.add(response.getEvent());
        for (JobEvent event : events) {
          accept(event);
          if (condition.test(event)) {
            return event;
          }
          if (event.getStateChanged().getTerminal()) {
            throw new IllegalStateException(job + " became " + event.getStateChanged().getTo() + " before " + what);
          }
        }
      }
      // A server that shuts down ends its streams with OK.
      throw Status.UNAVAILABLE.withDescription("the stream ended before the job did").asException();
    } finally {
      // A server stream that is not read to its end stays open until it is cancelled.
      call.cancel("seen enough", null);
    }
  }

  private void accept(JobEvent event) {
    if (event.getSequence() != sequence + 1) {
      throw new IllegalStateException("event " + event.getSequence() + " came after event " + sequence);
    }
    sequence = event.getSequence();
  }

  /** Events after the last one seen, up to the one before `next`: a reader that lagged did not get them. */
  private List<JobEvent> missed(long next) throws StatusException {
    List<JobEvent> events = new ArrayList<>();
    String page = "";
    do {
      var response =
          client.jobs.listJobEvents(
              ListJobEventsRequest.newBuilder().setParent(job).setAfterSequence(sequence).setPageToken(page).build());
      response.getEventsList().stream().filter(event -> event.getSequence() < next).forEach(events::add);
      page = response.getNextPageToken();
    } while (!page.isEmpty() && events.size() < next - sequence - 1);
    return events;
  }
}
