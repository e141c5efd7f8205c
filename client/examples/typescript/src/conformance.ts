/** The conformance scenario (docs/conformance.md): from a file to predictions, over cut streams, refusals and retries. */
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ClientWritableStream, ServiceError, status } from "@grpc/grpc-js";
import { Checkpoint, CheckpointFile, DownloadCheckpointFileRequest, GetCheckpointRequest } from "../generated/attune/v1/checkpoint.js";
import { Dataset, Dataset_State, ImportDatasetRequest } from "../generated/attune/v1/dataset.js";
import {
  CancelFineTuningJobRequest,
  CreateFineTuningJobRequest,
  FineTuningJob,
  FineTuningJob_State,
  GetFineTuningJobRequest,
  ListFineTuningJobsRequest,
  ListFineTuningJobsResponse,
  PauseFineTuningJobRequest,
  ResumeFineTuningJobRequest,
} from "../generated/attune/v1/fine_tuning_job.js";
import { PredictRequest, PredictResponse } from "../generated/attune/v1/prediction.js";
import { CreateUploadRequest, GetUploadRequest, Upload, Upload_State, WriteUploadRequest } from "../generated/attune/v1/upload.js";
import { BadRequest, ErrorInfo } from "../generated/google/rpc/error_details.js";
import { call, Client, describe, detail, isServiceError, messages, retry, unavailable } from "./client.js";
import { JobWatch, stateChange } from "./job_watch.js";

const PIECE_BYTES = 256 << 10;
const MAX_POLLS = 40;

function required(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set`);
  return value;
}

function check(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}

function sha256(...parts: Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

class Scenario {
  #upload = Upload.create();
  #dataset = Dataset.create();
  #job = FineTuningJob.create();
  #longJob = FineTuningJob.create();

  constructor(private readonly client: Client) {}

  readonly steps: Record<string, () => Promise<string>> = {
    upload: async () => {
      const file = required("ATTUNE_DATASET_FILE");
      const content = readFileSync(file);
      const { name } = await this.#createUpload(file, content);
      const begun = await this.#sendFirstPart(name, content);
      check(begun.committedBytes < content.length, "the upload was not cut");
      this.#upload = await this.#sendRest(name, content);
      check(this.#upload.state === Upload_State.STATE_COMPLETE, "the upload is not complete");
      check(this.#upload.sha256 === sha256(content), "the server has another SHA-256");
      return name;
    },

    bad_row: async () => {
      const file = required("ATTUNE_BAD_DATASET_FILE");
      const content = readFileSync(file);
      const { name } = await this.#createUpload(file, content);
      await this.#sendRest(name, content);
      const error = await this.#import(name).then(
        () => Promise.reject(new Error("the import succeeded")),
        (refusal: ServiceError) => refusal,
      );
      if (!isServiceError(error) || error.code !== status.INVALID_ARGUMENT) throw error;
      const info = detail(error, "google.rpc.ErrorInfo", ErrorInfo);
      check(info?.reason === "BAD_ROWS" && info.domain === "attune.dev", `the reason is ${info?.reason} of ${info?.domain}`);
      const [fault] = detail(error, "google.rpc.BadRequest", BadRequest)?.fieldViolations ?? [];
      check(fault !== undefined, "no row is named");
      return fault.field;
    },

    import: async () => {
      this.#dataset = await this.#import(this.#upload.name);
      check(this.#dataset.state === Dataset_State.STATE_READY, `the dataset is ${Dataset_State[this.#dataset.state]}`);
      return `${this.#dataset.name} ${this.#dataset.report?.rowsUsed}`;
    },

    create: async () => {
      const request = this.#jobRequest(3);
      this.#job = await this.#create(request);
      const again = await this.#create(request);
      check(again.name === this.#job.name, `one request_id made ${this.#job.name} and ${again.name}`);
      return this.#job.name;
    },

    watch: async () => {
      const { name } = this.#job;
      const watch = new JobWatch(this.client, name);
      await watch.until("its third event", (event) => event.sequence === 3);
      const last = stateChange(await watch.until("its end", (event) => stateChange(event)?.terminal === true));
      check(last?.to === "SUCCEEDED", `the job became ${last?.to}: ${last?.reason}`);
      const ended = await call<FineTuningJob>((done) => this.client.jobs.getFineTuningJob(GetFineTuningJobRequest.create({ name }), done));
      check(ended.state === FineTuningJob_State.STATE_SUCCEEDED, `the job is ${FineTuningJob_State[ended.state]}`);
      return `${name} ${watch.sequence}`;
    },

    pause_resume_cancel: async () => {
      this.#longJob = await this.#create(this.#jobRequest(200));
      const { jobs } = this.client;
      const { name } = this.#longJob;
      const watch = new JobWatch(this.client, name);
      await watch.untilState("RUNNING");
      await call<FineTuningJob>((done) => jobs.pauseFineTuningJob(PauseFineTuningJobRequest.create({ name }), done));
      await watch.untilState("PAUSED");
      await call<FineTuningJob>((done) => jobs.resumeFineTuningJob(ResumeFineTuningJobRequest.create({ name }), done));
      await watch.untilState("RUNNING");
      await call<FineTuningJob>((done) => jobs.cancelFineTuningJob(CancelFineTuningJobRequest.create({ name }), done));
      const last = stateChange(await watch.until("its end", (event) => stateChange(event)?.terminal === true));
      check(last?.to === "CANCELLED", `the job became ${last?.to}`);
      return name;
    },

    pages: async () => {
      const names: string[] = [];
      let pageToken = "";
      do {
        const request = ListFineTuningJobsRequest.create({ pageSize: 1, pageToken });
        const page = await call<ListFineTuningJobsResponse>((done) => this.client.jobs.listFineTuningJobs(request, done));
        check(page.fineTuningJobs.length <= 1, `a page of one has ${page.fineTuningJobs.length} jobs`);
        names.push(...page.fineTuningJobs.map(({ name }) => name));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      check(new Set(names).size === names.length, `a job is listed twice: ${names}`);
      check(names.includes(this.#job.name) && names.includes(this.#longJob.name), `a job is not listed: ${names}`);
      return String(names.length);
    },

    download: async () => {
      const request = GetCheckpointRequest.create({ name: `${this.#job.name}/checkpoints/best` });
      const checkpoint = await call<Checkpoint>((done) => this.client.checkpoints.getCheckpoint(request, done));
      const file = checkpoint.files.find(({ path }) => path === "model.safetensors");
      check(file !== undefined, `${checkpoint.name} has no model.safetensors`);
      const chunks: Uint8Array[] = [];
      await this.#receive(checkpoint, file, chunks, 1);
      await this.#receive(checkpoint, file, chunks, Infinity);
      check(sha256(...chunks) === file.sha256, "received other bytes than the checkpoint lists");
      return file.sha256;
    },

    predict: async () => {
      const texts = ["the film was great and the food was nice", "the book was awful and we hate it"];
      const request = PredictRequest.create({ checkpoint: this.#job.name, inputs: texts.map((text) => ({ text })) });
      const { predictions } = await call<PredictResponse>((done) => this.client.predictions.predict(request, done));
      check(predictions.length === texts.length, `${predictions.length} predictions for ${texts.length} texts`);
      return predictions.map(({ labels }) => labels[0]).join(" ");
    },
  };

  #createUpload(file: string, content: Uint8Array): Promise<Upload> {
    const request = CreateUploadRequest.create({ filename: basename(file), sizeBytes: content.length, sha256: sha256(content), requestId: randomUUID() });
    return call((done) => this.client.uploads.createUpload(request, done));
  }

  #getUpload(name: string): Promise<Upload> {
    return call((done) => this.client.uploads.getUpload(GetUploadRequest.create({ name }), done));
  }

  #openWrite(): { stream: ClientWritableStream<WriteUploadRequest>; answer: Promise<Upload> } {
    let stream!: ClientWritableStream<WriteUploadRequest>;
    const answer = new Promise<Upload>((resolve, reject) => {
      stream = this.client.uploads.writeUpload((error, upload) => (error ? reject(error) : resolve(upload)));
    });
    return { stream, answer };
  }

  /** Sends the first half, cuts the stream, and returns what the server kept. */
  #sendFirstPart(name: string, content: Buffer): Promise<Upload> {
    return retry(async () => {
      const { stream, answer } = this.#openWrite();
      const written = new Promise<void>((resolve) => {
        stream.write(WriteUploadRequest.create({ name, data: content.subarray(0, content.length / 2) }), () => resolve());
      });
      await Promise.race([written, answer]);
      // Written means handed to the connection, and cancel() discards what was not sent. A connection delivers in order: after the answer to a later call, the part has arrived.
      await this.#getUpload(name);
      answer.catch(() => {}); // CANCELLED
      stream.cancel();
      for (let poll = 0; poll < MAX_POLLS; poll++) {
        const upload = await this.#getUpload(name);
        if (upload.committedBytes > 0) return upload;
        await delay(50);
      }
      throw unavailable("the server kept nothing of the first part");
    });
  }

  /** Sends what the server does not have yet. */
  #sendRest(name: string, content: Buffer): Promise<Upload> {
    return retry(async () => {
      const { committedBytes } = await this.#getUpload(name);
      const { stream, answer } = this.#openWrite();
      for (const message of pieces(name, content, committedBytes)) {
        if (!stream.write(message)) await Promise.race([once(stream, "drain"), answer]);
      }
      stream.end();
      return answer;
    });
  }

  #import(upload: string): Promise<Dataset> {
    const request = ImportDatasetRequest.create({ files: [{ upload }], validationFraction: 0.1, testFraction: 0.1, requestId: randomUUID() });
    return retry(async () => {
      for await (const { dataset } of messages(this.client.datasets.importDataset(request))) {
        if (dataset !== undefined) return dataset;
      }
      throw unavailable("the stream ended before the import did");
    });
  }

  #jobRequest(nEpochs: number): CreateFineTuningJobRequest {
    const hyperparameters = { nEpochs, batchSize: 8, learningRate: 1e-3 };
    return CreateFineTuningJobRequest.create({
      spec: { baseModel: required("ATTUNE_BASE_MODEL"), dataset: this.#dataset.name, hyperparameters },
      requestId: randomUUID(),
    });
  }

  #create(request: CreateFineTuningJobRequest): Promise<FineTuningJob> {
    return call((done) => this.client.jobs.createFineTuningJob(request, done));
  }

  /** Appends the file from where `chunks` ends: this many chunks at most, then the stream is cut. */
  #receive({ name }: Checkpoint, { path, sizeBytes }: CheckpointFile, chunks: Uint8Array[], most: number): Promise<void> {
    const received = () => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const enough = chunks.length + most;
    return retry(async () => {
      const request = DownloadCheckpointFileRequest.create({ name, path, offset: received() });
      for await (const { offset, data } of messages(this.client.checkpoints.downloadCheckpointFile(request))) {
        check(offset === received(), `offset ${offset} came at byte ${received()}`);
        chunks.push(data);
        if (chunks.length === enough) return;
      }
      check(received() === sizeBytes, `received ${received()} of ${sizeBytes} bytes`);
    });
  }
}

/** The messages of a WriteUpload: the first one names the upload and the offset, also when there is nothing left to send. */
function* pieces(name: string, content: Buffer, offset: number): Generator<WriteUploadRequest> {
  yield WriteUploadRequest.create({ name, offset, data: content.subarray(offset, offset + PIECE_BYTES) });
  for (let begin = offset + PIECE_BYTES; begin < content.length; begin += PIECE_BYTES) {
    yield WriteUploadRequest.create({ data: content.subarray(begin, begin + PIECE_BYTES) });
  }
}

const client = new Client(required("ATTUNE_SERVER"), process.env.ATTUNE_CA_FILE, process.env.ATTUNE_TOKEN);
for (const [step, run] of Object.entries(new Scenario(client).steps)) {
  try {
    console.log(`ok ${step} ${await run()}`);
  } catch (error) {
    console.error(`failed ${step}: ${describe(error)}`);
    process.exitCode = 1;
    break;
  }
}
client.close();
