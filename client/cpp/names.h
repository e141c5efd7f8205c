// Short forms of resource names that people type. Pure.
//
//   FullName("minilm", "models")            -> "models/minilm"
//   CheckpointName("j7k2/best")             -> "fineTuningJobs/j7k2/checkpoints/best"
#pragma once

#include <string>
#include <string_view>

namespace attune::client {

// `text` itself when it has a slash or is empty, otherwise "collection/text".
std::string FullName(std::string_view text, std::string_view collection);

// "JOB", "JOB/STEP", "JOB/best", "JOB/last", "JOB/checkpoints/STEP" with or without "fineTuningJobs/" before it. A job
// alone means its best checkpoint. Anything else is returned as it is, for the server to refuse.
std::string CheckpointName(std::string_view text);

// The last part: "models/minilm" -> "minilm"; a checkpoint's name -> "JOB/STEP".
std::string ShortName(std::string_view name);

// A resource id from a file or directory name: lower case, everything outside [a-z0-9-] as '-', starting with a letter,
// at most 63 long. Empty when nothing is left.
std::string IdFromPath(std::string_view path);

}  // namespace attune::client
