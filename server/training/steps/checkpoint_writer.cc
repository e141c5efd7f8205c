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
  changed_.wait(lock, [this] { return work_ == nullptr; });
}

void CheckpointWriter::Write(CheckpointContent content, Done done, std::function<void()> before) {
  Run([this, content = std::move(content), done = std::move(done), before = std::move(before)] {
    if (before) before();
    done(WriteCheckpoint(files_, root_, content));
  });
}

void CheckpointWriter::Run(std::function<void()> work) {
  WaitIdle();
  {
    std::lock_guard lock(mutex_);
    work_ = std::move(work);
  }
  changed_.notify_all();
}

void CheckpointWriter::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || work_ != nullptr; });
    if (work_ == nullptr) return;
    lock.unlock();
    work_();  // stays as it is: only this thread takes it away
    lock.lock();
    work_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace attune::training
