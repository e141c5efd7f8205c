#include "server/main/gauges/storage_gauges.h"

#include <sys/statvfs.h>

#include <utility>

#include "server/base/disk_usage.h"
#include "server/metrics/gauges.h"

namespace attune {
namespace {

// Entries of the data directory, and what their bytes are called.
constexpr std::pair<const char*, const char*> kKinds[] = {{"models", "models"},
                                                          {"datasets", "datasets"},
                                                          {"jobs", "checkpoints"},
                                                          {"artifacts", "uploads"},
                                                          {"feature-cache", "feature_cache"},
                                                          {"backup-scratch", "backup"}};

}  // namespace

void StorageGauges::Measure() {
  std::map<std::string, int64_t> bytes;
  FilesSeen seen;
  for (const auto& [name, kind] : kKinds) bytes[kind] = BytesBelow(data_directory_ + "/" + name, seen);
  for (const char* name : {"attune.db", "attune.db-wal"}) bytes["database"] += BytesBelow(data_directory_ + "/" + name, seen);
  absl::MutexLock lock(&mutex_);
  bytes_ = std::move(bytes);
}

std::vector<prometheus::MetricFamily> StorageGauges::Collect() const {
  prometheus::MetricFamily stored = metrics::GaugeFamily("attune_stored_bytes", "Space that files below the data directory take, by kind, as of a minute ago.");
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [kind, bytes] : bytes_) metrics::AddGauge(stored, static_cast<double>(bytes), {{"kind", kind}});
  }
  std::vector<prometheus::MetricFamily> families = {std::move(stored)};
  if (const absl::StatusOr<int64_t> free = files_.FreeBytes(data_directory_); free.ok()) {
    families.push_back(metrics::Gauge("attune_disk_free_bytes", "Space that is left on the data directory's disk.", static_cast<double>(*free)));
  }
  struct statvfs disk;
  if (statvfs(data_directory_.c_str(), &disk) == 0) {
    families.push_back(metrics::Gauge("attune_disk_bytes", "Size of the data directory's disk.", static_cast<double>(disk.f_blocks) * static_cast<double>(disk.f_frsize)));
  }
  if (const absl::StatusOr<int64_t> open = artifacts_.CountOpenUploads(); open.ok()) {
    families.push_back(metrics::Gauge("attune_uploads_open", "Uploads that have been created and are not complete.", static_cast<double>(*open)));
  }
  return families;
}

}  // namespace attune
