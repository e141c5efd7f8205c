#include "server/datasets/images/image_check_queue.h"

#include <algorithm>
#include <utility>

namespace attune::datasets {

ImageCheckQueue::ImageCheckQueue(const ImageLimits& limits) : limits_(limits) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int threads = std::max(1, std::min(limits.check_threads, cores));
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

ImageCheckQueue::~ImageCheckQueue() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

void ImageCheckQueue::Put(ImageJob job) {
  bytes_ += job.bytes.size();
  job.done = job.verdict.fault.has_value();
  jobs_.push_back(std::make_unique<ImageJob>(std::move(job)));
  ImageJob* const put = jobs_.back().get();
  absl::MutexLock lock(&mutex_);
  if (!put->done) waiting_.push_back(put);
}

ImageJob ImageCheckQueue::TakeOldest() {
  {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&jobs_.front()->done));
  }
  ImageJob job = std::move(*jobs_.front());
  jobs_.pop_front();
  bytes_ -= job.bytes.size();
  return job;
}

void ImageCheckQueue::Work() {
  while (true) {
    ImageJob* job = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &ImageCheckQueue::HasWork));
      if (stop_) return;
      job = waiting_.front();
      waiting_.pop_front();
    }
    ImageVerdict verdict = CheckImage(job->bytes, limits_);
    absl::MutexLock lock(&mutex_);
    job->verdict = std::move(verdict);
    job->done = true;
  }
}

}  // namespace attune::datasets
