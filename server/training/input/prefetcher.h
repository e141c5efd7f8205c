// Prefetcher: loader threads that make the next batches ahead of the training thread, delivered in order. Memory is bounded: at most `depth` batches wait.
//
//   Prefetcher loader([&](int64_t i) { return batches.Make(i / n, i % n); }, /*begin=*/cursor, /*end=*/total, {.depth = 4, .threads = 1});
//   while (std::optional<Batch> batch = loader.Next()) { ... }
//
// Next() is for one thread. It rethrows what making the batch threw, at the batch's turn. The destructor stops and joins the threads; it waits at most for
// the batches that are being made.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "server/training/input/batch.h"

namespace attune::training {

struct PrefetchOptions {
  int depth = 4;
  int threads = 1;
};

class Prefetcher {
 public:
  // `make` is called for begin .. end-1, on the loader threads, several at once when threads > 1.
  Prefetcher(std::function<Batch(int64_t)> make, int64_t begin, int64_t end, const PrefetchOptions& options);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  std::optional<Batch> Next();  // empty after the last one
  double waited_seconds() const { return waited_seconds_; }  // that Next() spent waiting, in all: the input's share of a step

 private:
  struct Slot {
    Batch batch;
    std::exception_ptr error;
  };
  void Work();

  const std::function<Batch(int64_t)> make_;
  const int64_t end_;
  const int64_t depth_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t next_to_make_;           // guarded by mutex_
  int64_t next_to_give_;           // guarded by mutex_
  std::map<int64_t, Slot> ready_;  // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_
  double waited_seconds_ = 0;      // of the thread that calls Next
  std::vector<std::thread> threads_;
};

}  // namespace attune::training
