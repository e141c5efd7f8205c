// Sandbox: what a worker does to itself, step by step, before it reads anything that a tenant has sent: after that its code may be anybody's.
//
//   ATTUNE_ASSIGN_OR_RETURN(Sandbox sandbox, Sandbox::Enter({.mode = "auto", .data_directory = "/var/lib/attune"}));   // at the start of main
//   ... connect to the server ...
//   ATTUNE_RETURN_IF_ERROR(sandbox.CloseConnections());
//   ... a command has come ...
//   ATTUNE_RETURN_IF_ERROR(sandbox.Bind({.read = {model_dir, dataset_dir}, .write = {output_dir}}));
//
// What the kernel lacks is left out (capability.h), unless the mode is "required"; what it has and does not do is an error, after which the process must not go on. Not thread-safe: the main thread's; what is
// done binds every thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/workers/sandbox/capability.h"
#include "server/workers/sandbox/file_rules.h"
#include "server/workers/sandbox/worker_user.h"

namespace attune::workers {

struct SandboxOptions {
  std::string mode = "off";            // "off", "auto" or "required"
  std::string data_directory;          // the server's; absolute
  bool internet = false;               // the server is reached over TCP
  std::optional<WorkerUser> user;      // whom to become; the process must be root's
  std::vector<std::string> remove_from;  // directories outside of it whose files this process may remove
};

class Sandbox {
 public:
  // Another user, no privileges by exec or as root, no cores, no system calls that a worker has no use for; and of files: the system's libraries and facts, GPUs, and the server's models, datasets, jobs and feature cache.
  // INVALID_ARGUMENT for another mode; FAILED_PRECONDITION when the mode is "required" and the kernel lacks something.
  static absl::StatusOr<Sandbox> Enter(const SandboxOptions& options);

  // No connection beyond those there are.
  absl::Status CloseConnections();

  // Of the server's files these alone, beside the system's. A second call must be for the same: FAILED_PRECONDITION otherwise, for rules cannot be widened.
  absl::Status Bind(const FileGrants& grants);

 private:
  Sandbox() = default;
  FileGrants system_;  // what Enter allowed beside the server's files
  SandboxCapability capability_;  // none where the mode is "off"
  std::optional<FileGrants> bound_;
};

}  // namespace attune::workers
