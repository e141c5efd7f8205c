// How much of a disk files take. Thread-safe.
//
//   FilesSeen seen;
//   int64_t bytes = BytesBelow(data_dir + "/datasets", seen) + BytesBelow(data_dir + "/models", seen);
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>

namespace attune {

using FilesSeen = std::set<std::pair<dev_t, ino_t>>;

// Bytes on the disk of a file or of all below a directory; a file with several names (an upload that became a model) counts where it is met first. What goes away meanwhile does not count.
int64_t BytesBelow(const std::string& path, FilesSeen& seen);

}  // namespace attune
