import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Channel, ClientReadableStream, ClientUnaryCall, credentials, InterceptingCall, Interceptor, ServiceError, status } from "@grpc/grpc-js";
import { CheckpointServiceClient } from "../generated/attune/v1/checkpoint.js";
import { DatasetServiceClient } from "../generated/attune/v1/dataset.js";
import { FineTuningJobServiceClient } from "../generated/attune/v1/fine_tuning_job.js";
import { PredictionServiceClient } from "../generated/attune/v1/prediction.js";
import { UploadServiceClient } from "../generated/attune/v1/upload.js";
import { BadRequest, RetryInfo } from "../generated/google/rpc/error_details.js";
import { Status } from "../generated/google/rpc/status.js";

const UNARY_DEADLINE_MS = 120_000;
const MAX_RETRIES = 5;
const FIRST_BACKOFF_MS = 200;

/** One connection to an Attune server for all of its services. */
export class Client {
  readonly uploads: UploadServiceClient;
  readonly datasets: DatasetServiceClient;
  readonly jobs: FineTuningJobServiceClient;
  readonly checkpoints: CheckpointServiceClient;
  readonly predictions: PredictionServiceClient;
  readonly #channel: Channel;

  /**
   * @param address host:port
   * @param authorities PEM file of the authorities that the server's certificate may come from; undefined: plaintext
   * @param token API token, which is never sent in plain text; undefined: none
   */
  constructor(address: string, authorities?: string, token?: string) {
    if (token !== undefined && authorities === undefined) throw new Error("a token is not sent in plain text: name the authorities of the server's certificate");
    const security = authorities === undefined ? credentials.createInsecure() : credentials.createSsl(readFileSync(authorities));
    this.#channel = new Channel(address, security, {});
    const options = { channelOverride: this.#channel, interceptors: [prepareCalls(token)] };
    this.uploads = new UploadServiceClient(address, security, options);
    this.datasets = new DatasetServiceClient(address, security, options);
    this.jobs = new FineTuningJobServiceClient(address, security, options);
    this.checkpoints = new CheckpointServiceClient(address, security, options);
    this.predictions = new PredictionServiceClient(address, security, options);
  }

  close(): void {
    this.#channel.close();
  }
}

/** Sends the token, and sets a deadline for unary calls: gRPC waits for ever by default. */
function prepareCalls(token?: string): Interceptor {
  return (options, nextCall) => {
    const { requestStream, responseStream } = options.method_definition;
    const limits = requestStream || responseStream ? {} : { deadline: Date.now() + UNARY_DEADLINE_MS };
    return new InterceptingCall(nextCall({ ...options, ...limits }), {
      start(metadata, listener, next) {
        if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
        next(metadata, listener);
      },
    });
  };
}

export type Done<A> = (error: ServiceError | null, response: A) => void;

/** A unary call as a promise, with retries: `await call<Upload>((done) => client.uploads.getUpload(request, done))`. */
export function call<A>(start: (done: Done<A>) => ClientUnaryCall): Promise<A> {
  return retry(() => new Promise<A>((resolve, reject) => start((error, response) => (error ? reject(error) : resolve(response)))));
}

/** The messages of a server stream. Leaving the loop cancels the call: grpc-js does not when its stream is destroyed. */
export async function* messages<A>(stream: ClientReadableStream<A>): AsyncGenerator<A> {
  stream.on("error", () => {}); // an "error" that nobody listens to ends the process, and a cancelled stream emits one
  try {
    yield* stream;
  } finally {
    stream.cancel();
  }
}

/**
 * Runs a call again when the server answers UNAVAILABLE or with a RetryInfo, five times at most: after the delay that the server asks for, otherwise after a growing one. The call must be harmless to
 * repeat, by its nature or through a request_id.
 */
export async function retry<A>(attempt: () => Promise<A>): Promise<A> {
  for (let retries = 0; ; retries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!isServiceError(error) || retries === MAX_RETRIES) throw error;
      const asked = retryDelayMs(error);
      if (asked === undefined && error.code !== status.UNAVAILABLE) throw error;
      await delay(asked ?? FIRST_BACKOFF_MS * 2 ** retries * (0.5 + Math.random() / 2));
    }
  }
}

function retryDelayMs(error: ServiceError): number | undefined {
  const asked = detail(error, "google.rpc.RetryInfo", RetryInfo)?.retryDelay;
  return asked && asked.seconds * 1000 + asked.nanos / 1e6;
}

/** An error like those of calls, for a stream that ended in good order but too early: servers that shut down end them so. */
export function unavailable(details: string): ServiceError {
  return Object.assign(new Error(`UNAVAILABLE: ${details}`), { code: status.UNAVAILABLE, details }) as ServiceError;
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && typeof error.code === "number";
}

/** The detail of this type that the server sent with an error. */
export function detail<T>(error: ServiceError, type: string, { decode }: { decode(bytes: Uint8Array): T }): T | undefined {
  const [encoded] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (!(encoded instanceof Uint8Array)) return undefined;
  const found = Status.decode(encoded).details.find((any) => any.typeUrl.endsWith(`/${type}`));
  return found && decode(found.value);
}

/** Code, message and the fields at fault, for people. */
export function describe(error: unknown): string {
  if (!isServiceError(error)) return String(error);
  const faults = detail(error, "google.rpc.BadRequest", BadRequest)?.fieldViolations ?? [];
  return [error.message, ...faults.map(({ field, description }) => `${field}: ${description}`)].join("; ");
}
