// WorkerUser: whom workers run as where the server is root. A worker becomes them at its start (sandbox.h), and keeps of root's powers only those to pass over permissions of files (capabilities.h): Landlock
// says which files. What is left to permissions and users, the processes of the server and of others above all, is then closed to it.
//
//   ATTUNE_ASSIGN_OR_RETURN(const WorkerUser user, FindWorkerUser("nobody"));
//   ATTUNE_RETURN_IF_ERROR(MayBecome(user));
//   ATTUNE_RETURN_IF_ERROR(MayWriteAs(user, "/var/lib/attune/jobs"));
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::workers {

struct WorkerUser {
  std::string name;
  int uid = 0;  // 0: the server's own, whoever that is
  int gid = 0;

  std::string ToText() const;  // "UID:GID", which FromText reads
  static absl::StatusOr<WorkerUser> FromText(const std::string& text);
};

// By name or number, with their first group. "nobody" is known where the machine has no list of users, too. NOT_FOUND, with what to do.
absl::StatusOr<WorkerUser> FindWorkerUser(const std::string& name_or_uid);

// Whether this process may: FAILED_PRECONDITION, with why not, where it is not root or root of a container without other users.
absl::Status MayBecome(const WorkerUser& user);

// Whether they may make files in `directory`, as a child process tries: network file systems and FUSE judge by the user alone. FAILED_PRECONDITION, with why not.
absl::Status MayWriteAs(const WorkerUser& user, const std::string& directory);

// For good, in every thread, along with the loss of what capabilities.h takes. Forgets who is to die with whom (PR_SET_PDEATHSIG).
absl::Status Become(const WorkerUser& user);

}  // namespace attune::workers
