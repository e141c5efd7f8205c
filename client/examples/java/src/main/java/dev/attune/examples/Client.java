package dev.attune.examples;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.BadRequest;
import com.google.rpc.RetryInfo;
import dev.attune.v1.CheckpointServiceGrpc;
import dev.attune.v1.DatasetServiceGrpc;
import dev.attune.v1.FineTuningJobServiceGrpc;
import dev.attune.v1.PredictionServiceGrpc;
import dev.attune.v1.UploadServiceGrpc;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** A connection to an Attune server: its stubs, what its errors say, and retries. Thread-safe. */
final class Client implements AutoCloseable {
  private static final Duration UNARY_DEADLINE = Duration.ofMinutes(2);
  private static final int MAX_RETRIES = 5;
  private static final Duration FIRST_BACKOFF = Duration.ofMillis(200);

  final UploadServiceGrpc.UploadServiceBlockingV2Stub uploads;
  final DatasetServiceGrpc.DatasetServiceBlockingV2Stub datasets;
  final FineTuningJobServiceGrpc.FineTuningJobServiceBlockingV2Stub jobs;
  final CheckpointServiceGrpc.CheckpointServiceBlockingV2Stub checkpoints;
  final PredictionServiceGrpc.PredictionServiceBlockingV2Stub predictions;
  private final ManagedChannel channel;

  /**
   * @param address host:port
   * @param authorities PEM file of the authorities that the server's certificate may come from; null: plaintext
   * @param token API token, which is never sent in plain text; null: none
   */
  Client(String address, String authorities, String token) throws IOException {
    if (token != null && authorities == null) {
      throw new IllegalArgumentException("a token is not sent in plain text: name the authorities of the server's certificate");
    }
    ChannelCredentials credentials =
        authorities == null
            ? InsecureChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(new File(authorities)).build();
    Metadata headers = new Metadata();
    if (token != null) {
      headers.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    }
    channel =
        Grpc.newChannelBuilder(address, credentials)
            .intercept(MetadataUtils.newAttachHeadersInterceptor(headers), new UnaryDeadline())
            .build();
    uploads = UploadServiceGrpc.newBlockingV2Stub(channel);
    datasets = DatasetServiceGrpc.newBlockingV2Stub(channel);
    jobs = FineTuningJobServiceGrpc.newBlockingV2Stub(channel);
    checkpoints = CheckpointServiceGrpc.newBlockingV2Stub(channel);
    predictions = PredictionServiceGrpc.newBlockingV2Stub(channel);
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  /** gRPC waits for ever by default; and withDeadlineAfter() on a stub counts from that moment, not from each call. */
  private static final class UnaryDeadline implements ClientInterceptor {
    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      boolean unary = method.getType() == MethodDescriptor.MethodType.UNARY;
      return next.newCall(method, unary ? options.withDeadlineAfter(UNARY_DEADLINE.toSeconds(), TimeUnit.SECONDS) : options);
    }
  }

  /** The detail of this type that the server sent with an error (in grpc-status-details-bin). */
  static <T extends Message> Optional<T> detail(StatusException error, Class<T> type) {
    com.google.rpc.Status status = StatusProto.fromThrowable(error);
    if (status == null) {
      return Optional.empty();
    }
    try {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(type)) {
          return Optional.of(detail.unpack(type));
        }
      }
    } catch (InvalidProtocolBufferException malformed) {
      error.addSuppressed(malformed);
    }
    return Optional.empty();
  }

  /** Code, message and the fields at fault, for people. */
  static String describe(StatusException error) {
    StringBuilder text = new StringBuilder(error.getMessage());
    detail(error, BadRequest.class)
        .ifPresent(
            request ->
                request
                    .getFieldViolationsList()
                    .forEach(fault -> text.append("; ").append(fault.getField()).append(": ").append(fault.getDescription())));
    return text.toString();
  }

  @FunctionalInterface
  interface Attempt<T> {
    T run() throws StatusException, InterruptedException;
  }

  /**
   * Runs a call again when the server answers UNAVAILABLE or with a RetryInfo, five times at most: after the delay that the server asks for, otherwise after a growing one. The call must be harmless
   * to repeat, by its nature or through a request_id.
   */
  static <T> T retry(Attempt<T> attempt) throws StatusException, InterruptedException {
    for (int retries = 0; ; retries++) {
      try {
        return attempt.run();
      } catch (StatusException error) {
        boolean transientError = error.getStatus().getCode() == Status.Code.UNAVAILABLE || detail(error, RetryInfo.class).isPresent();
        if (!transientError || retries == MAX_RETRIES) {
          throw error;
        }
        Thread.sleep(delay(error, retries).toMillis());
      }
    }
  }

  private static Duration delay(StatusException error, int retries) {
    double jitter = ThreadLocalRandom.current().nextDouble(0.5, 1);
    Duration backoff = Duration.ofMillis((long) (FIRST_BACKOFF.toMillis() * (1 << retries) * jitter));
    return detail(error, RetryInfo.class)
        .map(info -> Duration.ofSeconds(info.getRetryDelay().getSeconds(), info.getRetryDelay().getNanos()))
        .orElse(backoff);
  }
}
