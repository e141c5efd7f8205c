// StorageGauges: the disk below the data directory, what is stored there, and uploads that are under way. Sizes are found by Measure, which walks the directory and so belongs on
// a thread that may wait; free space is asked for at each scrape. Thread-safe. The artifact store must outlive it.
//
//   auto storage = std::make_shared<StorageGauges>(directory.path(), *artifacts, Files::Posix());
//   PeriodicTask upkeep(absl::Minutes(1), [&] { storage->Measure(); });
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/artifacts/artifact_store.h"
#include "server/base/files.h"

namespace attune {

class StorageGauges final : public prometheus::Collectable {
 public:
  StorageGauges(std::string data_directory, artifacts::ArtifactStore& artifacts, Files& files) : data_directory_(std::move(data_directory)), artifacts_(artifacts), files_(files) {}

  void Measure();
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::string data_directory_;
  artifacts::ArtifactStore& artifacts_;
  Files& files_;
  mutable absl::Mutex mutex_;
  std::map<std::string, int64_t> bytes_ ABSL_GUARDED_BY(mutex_);  // by kind
};

}  // namespace attune
