package dev.attune.examples;

import com.google.protobuf.ByteString;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import dev.attune.v1.CancelFineTuningJobRequest;
import dev.attune.v1.Checkpoint;
import dev.attune.v1.CheckpointFile;
import dev.attune.v1.CreateFineTuningJobRequest;
import dev.attune.v1.CreateUploadRequest;
import dev.attune.v1.Dataset;
import dev.attune.v1.DownloadCheckpointFileRequest;
import dev.attune.v1.DownloadCheckpointFileResponse;
import dev.attune.v1.FineTuningJob;
import dev.attune.v1.FineTuningSpec;
import dev.attune.v1.GetCheckpointRequest;
import dev.attune.v1.GetFineTuningJobRequest;
import dev.attune.v1.GetUploadRequest;
import dev.attune.v1.Hyperparameters;
import dev.attune.v1.ImportDatasetRequest;
import dev.attune.v1.ImportDatasetResponse;
import dev.attune.v1.ImportFile;
import dev.attune.v1.JobEvent;
import dev.attune.v1.ListFineTuningJobsRequest;
import dev.attune.v1.ListFineTuningJobsResponse;
import dev.attune.v1.PauseFineTuningJobRequest;
import dev.attune.v1.PredictRequest;
import dev.attune.v1.PredictResponse;
import dev.attune.v1.ResumeFineTuningJobRequest;
import dev.attune.v1.TextInput;
import dev.attune.v1.Upload;
import dev.attune.v1.WriteUploadRequest;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.stub.BlockingClientCall;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;

/** The conformance scenario (docs/conformance.md): from a file to predictions, over cut streams, refusals and retries. */
public final class Conformance {
  private static final int PIECE_BYTES = 256 << 10;
  private static final int MAX_POLLS = 40;

  private final Client client;
  private final Path dataset = Path.of(required("ATTUNE_DATASET_FILE"));
  private final Path badDataset = Path.of(required("ATTUNE_BAD_DATASET_FILE"));
  private final String baseModel = required("ATTUNE_BASE_MODEL");
  private Upload goodUpload;
  private Dataset imported;
  private FineTuningJob job;
  private FineTuningJob longJob;

  private Conformance(Client client) {
    this.client = client;
  }

  @FunctionalInterface
  private interface Step {
    String run() throws Exception;
  }

  public static void main(String[] arguments) throws IOException {
    try (Client client = new Client(required("ATTUNE_SERVER"), System.getenv("ATTUNE_CA_FILE"), System.getenv("ATTUNE_TOKEN"))) {
      Conformance scenario = new Conformance(client);
      run("upload", scenario::upload);
      run("bad_row", scenario::badRow);
      run("import", scenario::importDataset);
      run("create", scenario::create);
      run("watch", scenario::watch);
      run("pause_resume_cancel", scenario::pauseResumeCancel);
      run("pages", scenario::pages);
      run("download", scenario::download);
      run("predict", scenario::predict);
    }
  }

  private static void run(String name, Step step) {
    try {
      System.out.println("ok " + name + " " + step.run());
    } catch (Exception error) {
      String why = error instanceof StatusException refusal ? Client.describe(refusal) : error.toString();
      System.err.println("failed " + name + ": " + why);
      System.exit(1);
    }
  }

  private String upload() throws Exception {
    byte[] content = Files.readAllBytes(dataset);
    String name = createUpload(dataset, content).getName();
    Upload begun = sendFirstPart(name, content);
    check(begun.getCommittedBytes() < content.length, "the upload was not cut");
    goodUpload = sendRest(name, content);
    check(goodUpload.getState() == Upload.State.STATE_COMPLETE, "the upload is not complete");
    check(goodUpload.getSha256().equals(sha256(content)), "the server has another SHA-256");
    return goodUpload.getName();
  }

  private String badRow() throws Exception {
    byte[] content = Files.readAllBytes(badDataset);
    Upload upload = sendRest(createUpload(badDataset, content).getName(), content);
    try {
      importUpload(upload);
    } catch (StatusException error) {
      if (error.getStatus().getCode() != Status.Code.INVALID_ARGUMENT) {
        throw error;
      }
      ErrorInfo info = Client.detail(error, ErrorInfo.class).orElseThrow(() -> error);
      check(info.getReason().equals("BAD_ROWS") && info.getDomain().equals("attune.dev"), "the reason is " + info.getReason() + " of " + info.getDomain());
      return Client.detail(error, BadRequest.class).orElseThrow(() -> error).getFieldViolations(0).getField();
    }
    throw new IllegalStateException("the import succeeded");
  }

  private String importDataset() throws Exception {
    imported = importUpload(goodUpload);
    check(imported.getState() == Dataset.State.STATE_READY, "the dataset is " + imported.getState());
    return imported.getName() + " " + imported.getReport().getRowsUsed();
  }

  private String create() throws Exception {
    CreateFineTuningJobRequest request = jobRequest(3);
    job = Client.retry(() -> client.jobs.createFineTuningJob(request));
    FineTuningJob again = Client.retry(() -> client.jobs.createFineTuningJob(request));
    check(again.getName().equals(job.getName()), "one request_id made " + job.getName() + " and " + again.getName());
    return job.getName();
  }

  private String watch() throws Exception {
    JobWatch watch = new JobWatch(client, job.getName());
    watch.await("its third event", event -> event.getSequence() == 3);
    JobEvent last = watch.await("its end", event -> event.getStateChanged().getTerminal());
    check(last.getStateChanged().getTo().equals("SUCCEEDED"), "the job became " + last.getStateChanged().getTo() + ": " + last.getStateChanged().getReason());
    FineTuningJob ended = Client.retry(() -> client.jobs.getFineTuningJob(GetFineTuningJobRequest.newBuilder().setName(job.getName()).build()));
    check(ended.getState() == FineTuningJob.State.STATE_SUCCEEDED, "the job is " + ended.getState());
    return job.getName() + " " + watch.sequence();
  }

  private String pauseResumeCancel() throws Exception {
    CreateFineTuningJobRequest request = jobRequest(200);
    longJob = Client.retry(() -> client.jobs.createFineTuningJob(request));
    String name = longJob.getName();
    JobWatch watch = new JobWatch(client, name);
    watch.awaitState("RUNNING");
    Client.retry(() -> client.jobs.pauseFineTuningJob(PauseFineTuningJobRequest.newBuilder().setName(name).build()));
    watch.awaitState("PAUSED");
    Client.retry(() -> client.jobs.resumeFineTuningJob(ResumeFineTuningJobRequest.newBuilder().setName(name).build()));
    watch.awaitState("RUNNING");
    Client.retry(() -> client.jobs.cancelFineTuningJob(CancelFineTuningJobRequest.newBuilder().setName(name).build()));
    JobEvent last = watch.await("its end", event -> event.getStateChanged().getTerminal());
    check(last.getStateChanged().getTo().equals("CANCELLED"), "the job became " + last.getStateChanged().getTo());
    return name;
  }

  private String pages() throws Exception {
    List<String> names = new ArrayList<>();
    String token = "";
    do {
      var request = ListFineTuningJobsRequest.newBuilder().setPageSize(1).setPageToken(token).build();
      ListFineTuningJobsResponse page = Client.retry(() -> client.jobs.listFineTuningJobs(request));
      check(page.getFineTuningJobsCount() <= 1, "a page of one has " + page.getFineTuningJobsCount() + " jobs");
      page.getFineTuningJobsList().forEach(listed -> names.add(listed.getName()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
    check(new HashSet<>(names).size() == names.size(), "a job is listed twice: " + names);
    check(names.containsAll(List.of(job.getName(), longJob.getName())), "a job is not listed: " + names);
    return String.valueOf(names.size());
  }

  private String download() throws Exception {
    var request = GetCheckpointRequest.newBuilder().setName(job.getName() + "/checkpoints/best").build();
    Checkpoint checkpoint = Client.retry(() -> client.checkpoints.getCheckpoint(request));
    CheckpointFile file =
        checkpoint.getFilesList().stream()
            .filter(listed -> listed.getPath().equals("model.safetensors"))
            .findFirst()
            .orElseThrow(() -> new IllegalStateException(checkpoint.getName() + " has no model.safetensors"));
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    receive(checkpoint, file, content, 1);
    receive(checkpoint, file, content, Integer.MAX_VALUE);
    check(content.size() == file.getSizeBytes(), "received " + content.size() + " of " + file.getSizeBytes() + " bytes");
    String digest = sha256(content.toByteArray());
    check(digest.equals(file.getSha256()), "received other bytes than the checkpoint lists");
    return digest;
  }

  private String predict() throws Exception {
    var request =
        PredictRequest.newBuilder()
            .setCheckpoint(job.getName())
            .addInputs(TextInput.newBuilder().setText("the film was great and the food was nice"))
            .addInputs(TextInput.newBuilder().setText("the book was awful and we hate it"))
            .build();
    PredictResponse response = Client.retry(() -> client.predictions.predict(request));
    check(response.getPredictionsCount() == 2, response.getPredictionsCount() + " predictions for two texts");
    return response.getPredictions(0).getLabels(0) + " " + response.getPredictions(1).getLabels(0);
  }

  private Upload createUpload(Path file, byte[] content) throws Exception {
    var request =
        CreateUploadRequest.newBuilder()
            .setFilename(file.getFileName().toString())
            .setSizeBytes(content.length)
            .setSha256(sha256(content))
            .setRequestId(newRequestId())
            .build();
    return Client.retry(() -> client.uploads.createUpload(request));
  }

  /** Sends the first half, cuts the stream, and returns what the server kept. */
  private Upload sendFirstPart(String name, byte[] content) throws StatusException, InterruptedException {
    ByteString part = ByteString.copyFrom(content, 0, content.length / 2);
    return Client.retry(
        () -> {
          BlockingClientCall<WriteUploadRequest, Upload> call = client.uploads.writeUpload();
          call.write(WriteUploadRequest.newBuilder().setName(name).setData(part).build());
          // write() returns before anything is sent, and cancel() discards what is not. A connection delivers in order: after the answer to a later call, the part has arrived.
          getUpload(name);
          call.cancel("cut on purpose", null);
          for (int poll = 0; poll < MAX_POLLS; poll++) {
            Upload upload = getUpload(name);
            if (upload.getCommittedBytes() > 0) {
              return upload;
            }
            Thread.sleep(50);
          }
          throw Status.UNAVAILABLE.withDescription("the server kept nothing of the first part").asException();
        });
  }

  /** Sends what the server does not have yet. */
  private Upload sendRest(String name, byte[] content) throws StatusException, InterruptedException {
    return Client.retry(
        () -> {
          int offset = (int) getUpload(name).getCommittedBytes();
          BlockingClientCall<WriteUploadRequest, Upload> call = client.uploads.writeUpload();
          var message = WriteUploadRequest.newBuilder().setName(name).setOffset(offset);
          do {
            int bytes = Math.min(PIECE_BYTES, content.length - offset);
            if (!call.write(message.setData(ByteString.copyFrom(content, offset, bytes)).build())) {
              break; // the server has ended the call; read() says why
            }
            offset += bytes;
            message.clear();
          } while (offset < content.length);
          call.halfClose();
          return call.read();
        });
  }

  private Upload getUpload(String name) throws StatusException, InterruptedException {
    return Client.retry(() -> client.uploads.getUpload(GetUploadRequest.newBuilder().setName(name).build()));
  }

  private Dataset importUpload(Upload upload) throws StatusException, InterruptedException {
    var request =
        ImportDatasetRequest.newBuilder()
            .addFiles(ImportFile.newBuilder().setUpload(upload.getName()))
            .setValidationFraction(0.1)
            .setTestFraction(0.1)
            .setRequestId(newRequestId())
            .build();
    return Client.retry(
        () -> {
          BlockingClientCall<?, ImportDatasetResponse> progress = client.datasets.importDataset(request);
          ImportDatasetResponse last = ImportDatasetResponse.getDefaultInstance();
          while (progress.hasNext()) {
            last = progress.read();
          }
          if (!last.hasDataset()) {
            throw Status.UNAVAILABLE.withDescription("the stream ended before the import did").asException();
          }
          return last.getDataset();
        });
  }

  private CreateFineTuningJobRequest jobRequest(int epochs) {
    var hyperparameters = Hyperparameters.newBuilder().setNEpochs(epochs).setBatchSize(8).setLearningRate(1e-3);
    var spec = FineTuningSpec.newBuilder().setBaseModel(baseModel).setDataset(imported.getName()).setHyperparameters(hyperparameters);
    return CreateFineTuningJobRequest.newBuilder().setSpec(spec).setRequestId(newRequestId()).build();
  }

  /** Appends the file from where `content` ends: this many chunks at most, then the stream is cut. */
  private void receive(Checkpoint checkpoint, CheckpointFile file, ByteArrayOutputStream content, int chunks) throws StatusException, InterruptedException {
    Client.retry(
        () -> {
          var request = DownloadCheckpointFileRequest.newBuilder().setName(checkpoint.getName()).setPath(file.getPath()).setOffset(content.size());
          BlockingClientCall<?, DownloadCheckpointFileResponse> call = client.checkpoints.downloadCheckpointFile(request.build());
          for (int chunk = 0; chunk < chunks && call.hasNext(); chunk++) {
            DownloadCheckpointFileResponse response = call.read();
            check(response.getOffset() == content.size(), "offset " + response.getOffset() + " came at byte " + content.size());
            content.writeBytes(response.getData().toByteArray());
          }
          call.cancel("seen enough", null);
          return null;
        });
  }

  private static String newRequestId() {
    return UUID.randomUUID().toString();
  }

  private static String sha256(byte[] content) throws NoSuchAlgorithmException {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
  }

  private static void check(boolean condition, String otherwise) {
    if (!condition) {
      throw new IllegalStateException(otherwise);
    }
  }

  private static String required(String variable) {
    String value = System.getenv(variable);
    if (value == null || value.isEmpty()) {
      System.err.println("failed environment: " + variable + " is not set");
      System.exit(1);
    }
    return value;
  }
}
