#include "server/training/steps/checkpoint_writer.h"

#include <utility>

namespace attune::training {

CheckpointWriter::CheckpointWriter(Files& files, std::string root)
    : files_(files), root_(std::move(root)), thread_([this] { Work(); }) {}

CheckpointWriter::~CheckpointWriter() {
  WaitIdle();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::WaitIdle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !job_.has_value(); });
}

void CheckpointWriter::Write(CheckpointContent content, Done done) {
  WaitIdle();
  {
    std::lock_guard lock(mutex_);
    job_.emplace(Job{std::move(content), std::move(done)});
  }
  changed_.notify_all();
}

void CheckpointWriter::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || job_.has_value(); });
    if (!job_.has_value()) return;
    const Job& job = *job_;  // stays put: only this thread empties job_
    lock.unlock();
    job.done(WriteCheckpoint(files_, root_, job.content));
    lock.lock();
    job_.reset();
    changed_.notify_all();
  }
}

}  // namespace attune::training
