// ImageCheckQueue: checks images on a few threads and gives them back in the order in which they came. Bounded: who
// fills it takes the oldest out whenever it is full. Used by one thread; its own threads are joined when it goes.
// Destroying it with images inside is fine.
//
//   ImageCheckQueue queue(limits);
//   while (queue.full()) Keep(queue.TakeOldest());
//   queue.Put({.image = 7, .bytes = std::move(bytes)});
//   while (!queue.empty()) Keep(queue.TakeOldest());
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/datasets/images/image_check.h"

namespace attune::datasets {

struct ImageJob {
  uint32_t image = 0;    // the caller's number
  std::string bytes;     // the image file
  ImageVerdict verdict;  // filled in, unless there is a fault already: then the image is only passed through
  bool done = false;     // for the queue
};

class ImageCheckQueue {
 public:
  // As many threads as the limits and the machine's cores allow, at least one.
  explicit ImageCheckQueue(const ImageLimits& limits);
  ~ImageCheckQueue();
  ImageCheckQueue(const ImageCheckQueue&) = delete;
  ImageCheckQueue& operator=(const ImageCheckQueue&) = delete;

  // kMaxImages are inside, or kMaxBytes and at least one image.
  bool full() const { return jobs_.size() >= kMaxImages || (bytes_ >= kMaxBytes && !jobs_.empty()); }
  bool empty() const { return jobs_.empty(); }
  void Put(ImageJob job);
  // Waits until the oldest image is checked. The queue must not be empty.
  ImageJob TakeOldest();

 private:
  static constexpr size_t kMaxImages = 64;
  static constexpr size_t kMaxBytes = size_t{64} << 20;

  void Work();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !waiting_.empty(); }

  const ImageLimits limits_;
  // The user's thread only.
  std::deque<std::unique_ptr<ImageJob>> jobs_;
  size_t bytes_ = 0;

  absl::Mutex mutex_;
  std::deque<ImageJob*> waiting_ ABSL_GUARDED_BY(mutex_);  // not yet begun; `done` of all jobs is guarded too
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace attune::datasets
