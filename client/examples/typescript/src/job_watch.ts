import { ListJobEventsRequest, ListJobEventsResponse, WatchFineTuningJobRequest } from "../generated/attune/v1/fine_tuning_job.js";
import { JobEvent, StateChanged } from "../generated/attune/v1/job_event.js";
import { call, Client, messages, retry, unavailable } from "./client.js";

/** The change of state that an event reports, if it reports one. */
export function stateChange(event: JobEvent): StateChanged | undefined {
  return event.payload?.$case === "stateChanged" ? event.payload.value : undefined;
}

/** Follows a job's events, each once and in order, over as many connections as it takes. */
export class JobWatch {
  #sequence = 0;

  constructor(
    private readonly client: Client,
    private readonly job: string,
  ) {}

  /** Sequence of the last event that was seen; 0 before the first. */
  get sequence(): number {
    return this.#sequence;
  }

  /**
   * Reads until an event satisfies the condition, and returns it. A later call goes on after it. Throws when the job ends before, or an event is missing or comes twice.
   */
  until(what: string, condition: (event: JobEvent) => boolean): Promise<JobEvent> {
    return retry(async () => {
      for await (const event of this.#events()) {
        if (event.sequence !== this.#sequence + 1) throw new Error(`event ${event.sequence} came after event ${this.#sequence}`);
        this.#sequence = event.sequence;
        if (condition(event)) return event;
        if (stateChange(event)?.terminal) throw new Error(`${this.job} became ${stateChange(event)?.to} before ${what}`);
      }
      throw unavailable("the stream ended before the job did");
    });
  }

  /** Until the job is in this state, for example "RUNNING". */
  untilState(state: string): Promise<JobEvent> {
    return this.until(state, (event) => stateChange(event)?.to === state);
  }

  async *#events(): AsyncGenerator<JobEvent> {
    const request = WatchFineTuningJobRequest.create({ name: this.job, afterSequence: this.#sequence });
    let lagged = false;
    for await (const { kind } of messages(this.client.jobs.watchFineTuningJob(request))) {
      if (kind?.$case === "lagged") lagged = true;
      if (kind?.$case !== "event") continue; // a heartbeat, or what a waiting job waits for
      if (lagged) yield* this.#missed(kind.value.sequence);
      lagged = false;
      yield kind.value;
    }
  }

  /** Events after the last one seen, up to the one before `next`: a reader that lagged did not get them. */
  async *#missed(next: number): AsyncGenerator<JobEvent> {
    while (this.#sequence + 1 < next) {
      const request = ListJobEventsRequest.create({ parent: this.job, afterSequence: this.#sequence });
      const { events } = await call<ListJobEventsResponse>((done) => this.client.jobs.listJobEvents(request, done));
      if (events.length === 0) return;
      yield* events.filter((event) => event.sequence < next);
    }
  }
}
