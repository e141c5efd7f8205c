#include "server/api/import_stream.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/api/grpc_status.h"
#include "server/base/log.h"

namespace attune::api {
namespace {

using Reactor = grpc::ServerWriteReactor<v1::ImportDatasetResponse>;

constexpr absl::Duration kReportInterval = absl::Milliseconds(200);

class ImportStream;

// What the import and its stream share; lives until both are gone. The stream detaches itself by finishing, whoever causes that.
class ImportRun {
 public:
  void Attach(ImportStream* stream) {
    absl::MutexLock lock(&mutex_);
    stream_ = stream;
  }
  void Report(int64_t rows, double fraction);
  void End(absl::StatusOr<v1::Dataset> result);
  void OnWriteDone(bool ok);
  void OnCancel();

 private:
  void Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SendResult() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishAs(const grpc::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  ImportStream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null once finished
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time last_write_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  v1::ImportDatasetResponse message_ ABSL_GUARDED_BY(mutex_);  // not touched while it is being written
  std::optional<absl::StatusOr<v1::Dataset>> result_ ABSL_GUARDED_BY(mutex_);
};

// gRPC calls OnDone only after Finish, and never from within a Start method or Finish, so all of those are called under the run's lock.
class ImportStream final : public Reactor {
 public:
  explicit ImportStream(std::shared_ptr<ImportRun> run) : run_(std::move(run)) {}
  void OnWriteDone(bool ok) override { run_->OnWriteDone(ok); }
  void OnCancel() override { run_->OnCancel(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<ImportRun> run_;
};

void ImportRun::Report(int64_t rows, double fraction) {
  absl::MutexLock lock(&mutex_);
  if (stream_ == nullptr || writing_ || cancelled_ || absl::Now() - last_write_ < kReportInterval) return;
  message_.set_rows_read(rows);
  message_.set_fraction(fraction);
  Write();
}

void ImportRun::End(absl::StatusOr<v1::Dataset> result) {
  absl::MutexLock lock(&mutex_);
  result_ = std::move(result);
  if (stream_ == nullptr) {
    Log(LogLevel::kInfo, "an import ended after its client had left",
        {{"dataset", result_->ok() ? (*result_)->name() : ""}, {"status", result_->status().ToString()}});
  } else if (!writing_) {
    SendResult();
  }
}

void ImportRun::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (stream_ == nullptr) return;
  if (!ok || cancelled_) {
    FinishAs(grpc::Status::CANCELLED);
  } else if (result_.has_value()) {
    SendResult();
  }
}

void ImportRun::OnCancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  if (stream_ != nullptr && !writing_) FinishAs(grpc::Status::CANCELLED);
}

void ImportRun::Write() {
  writing_ = true;
  last_write_ = absl::Now();
  stream_->StartWrite(&message_);
}

void ImportRun::SendResult() {
  if (!result_->ok()) return FinishAs(ToGrpcStatus(result_->status()));
  message_.set_rows_read((*result_)->report().rows_read());
  message_.set_fraction(1);
  *message_.mutable_dataset() = std::move(**result_);
  stream_->StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
  stream_ = nullptr;
}

void ImportRun::FinishAs(const grpc::Status& status) {
  stream_->Finish(status);
  stream_ = nullptr;
}

}  // namespace

Reactor* StartImport(BlockingPool& pool, ImportFunction import) {
  auto run = std::make_shared<ImportRun>();
  auto* stream = new ImportStream(run);
  run->Attach(stream);
  absl::Status admitted = pool.TryRun([run, import = std::move(import)] {
    run->End(import([&run](int64_t rows, double fraction) { run->Report(rows, fraction); }));
  });
  if (!admitted.ok()) run->End(admitted);
  return stream;
}

Reactor* RefuseImport(const absl::Status& status) {
  auto run = std::make_shared<ImportRun>();
  auto* stream = new ImportStream(run);
  run->Attach(stream);
  run->End(status);
  return stream;
}

}  // namespace attune::api
