#include "server/api/streams/upload_stream.h"

#include <chrono>
#include <limits>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/alarm.h"
#include "server/api/grpc_status.h"
#include "server/api/timestamps.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kMaxChunkBytes = 1 << 20;
constexpr std::string_view kCollection = "uploads";

// One at a time has the message and the writer: gRPC while a read is pending, else the pool. The object goes when gRPC, the pool and the alarm have all
// let go of it.
class UploadStream final : public grpc::ServerReadReactor<v1::WriteUploadRequest>, public std::enable_shared_from_this<UploadStream> {
 public:
  UploadStream(const UploadStreamContext& context, Caller caller, v1::Upload* response) : context_(context), caller_(std::move(caller)), response_(response) {}

  void Begin() {
    self_ = shared_from_this();
    absl::MutexLock lock(&mutex_);
    Read();
    Arm(context_.idle_timeout);
  }

  void OnReadDone(bool ok) override {
    bool first = false;
    {
      absl::MutexLock lock(&mutex_);
      reading_ = false;
      if (ended_) return;  // it was idle for too long
      first = !std::exchange(admitted_, true);
    }
    const auto step = [self = shared_from_this(), ok] { self->Step(ok); };
    if (!first) return context_.pool.Run(step);
    if (absl::Status status = context_.pool.TryRun(step); !status.ok()) End(status);
  }

  void OnDone() override { std::shared_ptr<UploadStream> last = std::move(self_); }

 private:
  void Step(bool has_message) {
    if (!has_message) return Complete();
    if (const absl::Status status = Take(); !status.ok()) return End(status);  // what was written before the fault stays
    absl::MutexLock lock(&mutex_);
    Read();
  }

  absl::Status Take() {
    if (message_.data().size() > kMaxChunkBytes) {
      RequestCheck check;
      check.Violate("data", StrCat("is ", message_.data().size(), " bytes; send at most 1 MiB (", kMaxChunkBytes, " bytes) in a message; 256 KiB is best"));
      return check.status();
    }
    if (writer_ == nullptr) ATTUNE_RETURN_IF_ERROR(Open());
    if (message_.data().empty()) return absl::OkStatus();
    return writer_->Append(message_.data());
  }

  absl::Status Open() {
    ATTUNE_ASSIGN_OR_RETURN(std::string id, UploadId(message_.name()));
    RequestCheck check;
    check.Range("offset", message_.offset(), 0, std::numeric_limits<int64_t>::max(), "where the first byte belongs");
    ATTUNE_RETURN_IF_ERROR(check.status());
    ATTUNE_ASSIGN_OR_RETURN(const std::string project, context_.access.ProjectSeenBy(caller_, message_.name(), /*changes=*/true));
    ATTUNE_ASSIGN_OR_RETURN(lease_, context_.access.Begin(project, auth::QuotaKind::kUpload));
    auto writer = context_.store.OpenUpload(id, message_.offset());
    if (!writer.ok()) return WithOffset(id, writer.status());
    writer_ = *std::move(writer);
    return absl::OkStatus();
  }

  // A client that asked for the wrong offset learns the right one without another call.
  absl::Status WithOffset(const std::string& id, absl::Status status) {
    if (status.code() != absl::StatusCode::kOutOfRange) return status;
    SetReason(status, "UPLOAD_OFFSET");
    absl::StatusOr<artifacts::UploadInfo> info = context_.store.GetUpload(id);
    if (info.ok()) SetMetadata(status, "committedBytes", StrCat(info->committed_bytes));
    return status;
  }

  // The client closed its side, or the connection was cut: either way what arrived becomes durable. Nobody hears the answer of a cut one.
  void Complete() {
    if (writer_ == nullptr) {
      RequestCheck check;
      check.Violate("name", "the stream ended without a message; the first one must name the upload (uploads/{id}) and the offset");
      return End(check.status());
    }
    const absl::StatusOr<artifacts::UploadInfo> info = writer_->Finish();
    if (info.ok()) *response_ = UploadProto(*info);
    End(info.status());
  }

  // On the pool, in place of the message that did not come.
  void GiveUp() {
    absl::Status status = absl::UnavailableError(StrCat("nothing arrived for ", absl::FormatDuration(context_.idle_timeout),
                                                        "; what did is kept: open the stream again, from the upload's committed_bytes"));
    SetReason(status, "UPLOAD_IDLE");
    if (writer_ != nullptr) {
      const absl::StatusOr<artifacts::UploadInfo> info = writer_->Finish();
      if (info.ok()) SetMetadata(status, "committedBytes", StrCat(info->committed_bytes));
    }
    End(status);
  }

  // A client that comes back at once finds neither its writer nor its place in the quota taken.
  void End(const absl::Status& status) {
    writer_.reset();
    lease_ = {};
    absl::MutexLock lock(&mutex_);
    ended_ = true;
    if (alarm_ != nullptr) alarm_->Cancel();
    Finish(ToGrpcStatus(status));
  }

  void Read() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    reading_ = true;
    read_since_ = SteadyClock::now();
    StartRead(&message_);
  }

  // One alarm for a whole timeout, however many messages pass: when it fires it looks how long the silence has been.
  void Arm(absl::Duration after) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    alarm_ = std::make_unique<grpc::Alarm>();
    alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(after), [self = shared_from_this()](bool fired) { self->OnAlarm(fired); });
  }

  void OnAlarm(bool fired) {
    absl::MutexLock lock(&mutex_);
    alarm_.reset();  // it holds this callback, and with it this object
    if (!fired || ended_) return;
    const absl::Duration silence = reading_ ? absl::FromChrono(SteadyClock::now() - read_since_) : absl::ZeroDuration();
    if (silence < context_.idle_timeout) return Arm(context_.idle_timeout - silence);
    ended_ = true;
    context_.pool.Run([self = shared_from_this()] { self->GiveUp(); });
  }

  const UploadStreamContext context_;
  const Caller caller_;
  v1::Upload* const response_;
  std::shared_ptr<UploadStream> self_;  // gRPC's share; set before gRPC knows the object, taken by OnDone
  v1::WriteUploadRequest message_;
  auth::QuotaLease lease_;
  std::unique_ptr<artifacts::UploadWriter> writer_;
  absl::Mutex mutex_;
  bool admitted_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  SteadyClock::time_point read_since_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
};

class RefusedUpload final : public grpc::ServerReadReactor<v1::WriteUploadRequest> {
 public:
  explicit RefusedUpload(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

v1::Upload UploadProto(const artifacts::UploadInfo& info) {
  v1::Upload upload;
  upload.set_name(StrCat(kCollection, "/", info.id));
  upload.set_filename(info.filename);
  upload.set_size_bytes(info.size_bytes);
  upload.set_committed_bytes(info.committed_bytes);
  upload.set_sha256(info.sha256);
  upload.set_project(info.project);
  upload.set_state(info.complete ? v1::Upload::STATE_COMPLETE : v1::Upload::STATE_ACTIVE);
  *upload.mutable_create_time() = ToTimestamp(info.create_time);
  *upload.mutable_expire_time() = ToTimestamp(info.expire_time);
  return upload;
}

absl::StatusOr<std::string> UploadId(const std::string& name) {
  RequestCheck check;
  check.Name("name", name, kCollection);
  ATTUNE_RETURN_IF_ERROR(check.status());
  return ParseResourceName(name, kCollection);
}

grpc::ServerReadReactor<v1::WriteUploadRequest>* StartUpload(const UploadStreamContext& context, absl::StatusOr<Caller> caller, v1::Upload* response) {
  if (!caller.ok()) return new RefusedUpload(caller.status());
  auto stream = std::make_shared<UploadStream>(context, *std::move(caller), response);
  stream->Begin();
  return stream.get();  // it holds itself until OnDone
}

}  // namespace attune::api
