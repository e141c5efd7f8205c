// Landlock: the files that this process may open from now on, whoever it runs as. Rules can be narrowed by further calls and never widened. What is open already stays open. A path is followed to what it names when
// the rule is made; a symbolic link that is met later leads nowhere that its target's own directory does not allow.
//
//   ATTUNE_RETURN_IF_ERROR(RestrictFiles({.read = {model_dir, dataset_dir}, .write = {output_dir}}, {.landlock_version = AskKernel().landlock_version}));
//
// With version 4 new TCP connections are refused too, and with version 6 abstract Unix sockets and signals to processes outside. Threads and processes that are started later inherit all of it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace attune::workers {

// Files, or directories with all that is below them. Paths that are not there are left out.
struct FileGrants {
  std::vector<std::string> read;
  std::vector<std::string> write;      // read, make, change, rename and remove files and directories; no links, devices or sockets
  std::vector<std::string> devices;    // read, write and control
  std::vector<std::string> remove_from;  // directories whose files may be removed
  bool operator==(const FileGrants&) const = default;
};

struct FileRuleOptions {
  int landlock_version = 1;  // the kernel's
  bool tcp = false;          // new TCP connections stay possible
};

// Binds every thread of the process; the process gains no privileges by exec from then on. Errors are those of the system calls and of all_threads.h, and then some threads may be bound and others not.
absl::Status RestrictFiles(const FileGrants& grants, const FileRuleOptions& options);

}  // namespace attune::workers
