// CheckpointWriter: writes checkpoints on a thread of its own while training goes on; at most one at a time. Torch-free. Its methods are for one thread (the training
// thread); the destructor waits for the checkpoint in flight.
//
//   CheckpointWriter writer(files, output_dir + "/checkpoints");
//   writer.WaitIdle();                         // nobody reads the snapshot any more
//   snapshot.Begin(tensors);
//   writer.Write(content, [](const absl::Status& status) { ... }, [&] { snapshot.Finish(); });   // the callback runs on the writer's thread
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "server/base/files.h"
#include "server/training/steps/checkpoint_io.h"

namespace attune::training {

class CheckpointWriter {
 public:
  using Done = std::function<void(const absl::Status&)>;

  CheckpointWriter(Files& files, std::string root);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Returns at once when nothing is being written; otherwise when that is done.
  void WaitIdle();
  // Waits until idle, then hands `content` over. `before` runs before it is read, `done` before the writer is idle again.
  void Write(CheckpointContent content, Done done, std::function<void()> before = nullptr);
  // Other work that training should not wait for, before it is time to write.
  void Run(std::function<void()> work);

 private:
  void Work();

  Files& files_;
  const std::string root_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;  // guarded by mutex_; set until it is done
  bool stopping_ = false;       // guarded by mutex_
  std::thread thread_;
};

}  // namespace attune::training
