#include "server/api/streams/import_stream.h"

#include <memory>
#include <utility>

#include "server/api/streams/progress_stream.h"
#include "server/base/log.h"

namespace attune::api {
namespace {

using ImportStream = ProgressStream<v1::ImportDatasetResponse>;

absl::StatusOr<v1::ImportDatasetResponse> LastMessage(const absl::StatusOr<v1::Dataset>& result) {
  if (!result.ok()) return result.status();
  v1::ImportDatasetResponse last;
  last.set_rows_read(result->report().rows_read());
  last.set_fraction(1);
  *last.mutable_dataset() = *result;
  return last;
}

void End(ImportStream& stream, const absl::StatusOr<v1::Dataset>& result) {
  if (stream.End(LastMessage(result))) return;
  Log(LogLevel::kInfo, "an import ended after its client had left", {{"dataset", result.ok() ? result->name() : ""}, {"status", result.status().ToString()}});
}

}  // namespace

grpc::ServerWriteReactor<v1::ImportDatasetResponse>* StartImport(BlockingPool& pool, ImportFunction import) {
  std::shared_ptr<ImportStream> stream = ImportStream::Create();
  absl::Status admitted = pool.TryRun([stream, import = std::move(import)] {
    End(*stream, import([&stream](int64_t rows, double fraction) {
          v1::ImportDatasetResponse progress;
          progress.set_rows_read(rows);
          progress.set_fraction(fraction);
          stream->Report(std::move(progress));
        }));
  });
  if (!admitted.ok()) End(*stream, admitted);
  return stream->reactor();
}

grpc::ServerWriteReactor<v1::ImportDatasetResponse>* RefuseImport(const absl::Status& status) {
  std::shared_ptr<ImportStream> stream = ImportStream::Create();
  stream->End(status);
  return stream->reactor();
}

}  // namespace attune::api
