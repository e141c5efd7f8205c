#include "server/training/input/prefetcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace attune::training {

Prefetcher::Prefetcher(std::function<Batch(int64_t)> make, int64_t begin, int64_t end, const PrefetchOptions& options)
    : make_(std::move(make)), end_(end), depth_(std::max(options.depth, 1)), next_to_make_(begin), next_to_give_(begin) {
  for (int i = 0; i < std::max(options.threads, 1); ++i) threads_.emplace_back([this] { Work(); });
}

Prefetcher::~Prefetcher() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Prefetcher::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || next_to_make_ >= end_ || next_to_make_ < next_to_give_ + depth_; });
    if (stopping_ || next_to_make_ >= end_) return;
    const int64_t index = next_to_make_++;
    lock.unlock();
    Slot slot;
    try {
      slot.batch = make_(index);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    ready_.emplace(index, std::move(slot));
    changed_.notify_all();
  }
}

std::optional<Batch> Prefetcher::Next() {
  std::unique_lock lock(mutex_);
  if (next_to_give_ >= end_) return std::nullopt;
  if (ready_.find(next_to_give_) == ready_.end()) {
    const auto start = std::chrono::steady_clock::now();
    changed_.wait(lock, [this] { return ready_.find(next_to_give_) != ready_.end(); });
    waited_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  auto it = ready_.find(next_to_give_);
  Slot slot = std::move(it->second);
  ready_.erase(it);
  ++next_to_give_;
  lock.unlock();
  changed_.notify_all();
  if (slot.error) std::rethrow_exception(slot.error);
  return std::move(slot.batch);
}

}  // namespace attune::training
