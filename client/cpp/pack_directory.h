// Packs a folder of images into one tar file, to be uploaded. The same folder gives the same bytes on every machine:
// entries are sorted, times and owners are left out, hidden files too. Streams; symbolic links to files are followed,
// those to folders are not. Not thread-safe against changes of the folder.
//
//   ATTUNE_RETURN_IF_ERROR(PackDirectory("photos", scratch.path() + "/photos.tar"));
//
// Errors: NOT_FOUND or INVALID_ARGUMENT for what is no folder, has no file, or changes meanwhile; INTERNAL or
// RESOURCE_EXHAUSTED for the disk.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace attune::client {

// Names in the archive start below `directory`: "train/cat/1.jpg".
absl::Status PackDirectory(const std::string& directory, const std::string& tar_path);

}  // namespace attune::client
