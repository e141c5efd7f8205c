// What fuzz targets share. A target is LLVMFuzzerTestOneInput: libFuzzer calls it (preset fuzz), or replay.cc does (all
// other builds).
//
//   extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
//     static MemoryFile file;
//     auto opened = SafetensorsFile::Open(file.Put(Input(data, size)));
//     if (!opened.ok()) RequireRefusal(opened.status());
//     return 0;
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace attune::fuzz {

inline std::string_view Input(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// Ends the program, with the input kept by whoever called, when something that must hold does not.
void Require(bool holds, const char* what);
// Hostile bytes are the client's fault: whatever refuses them says INVALID_ARGUMENT, and in UTF-8, because that is what
// a gRPC status may hold.
void RequireRefusal(const absl::Status& status);

// A file that is no file on a disk, for entry points that take a path: the same one again for each input.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  // The path of the file, which holds `content` until the next call.
  const std::string& Put(std::string_view content);
  const std::string& path() const { return path_; }

 private:
  const int fd_;
  const std::string path_;
};

// Takes an input apart, from its start: what is missing at the end reads as 0 or as empty.
class Pieces {
 public:
  explicit Pieces(std::string_view input) : rest_(input) {}
  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  uint8_t Byte();
  std::string_view Take(size_t size);  // what there is of it
  std::string_view TakeCounted();      // as long as the next two bytes say, the low one first

 private:
  std::string_view rest_;
};

}  // namespace attune::fuzz
