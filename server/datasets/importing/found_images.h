// What reading archives and IDX files found, before anything is known of splits and labels (read_images.h fills it in,
// label_images.h goes on from here). Plain values; about 150 bytes an image and its path, of which there is one copy.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/datasets/images/image_check.h"
#include "server/datasets/importing/text_digest.h"
#include "server/examples/example.h"

namespace attune::datasets {

struct FoundImage {
  std::string path;  // in its archive; empty in IDX files
  uint32_t row = 0;  // among all rows read
  uint32_t bytes = 0;
  TextDigest digest;
  ImageFacts facts;
  bool kept = false;      // checked, and in the spill file
  bool labelled = false;  // the rest is settled
  uint32_t labels = 0;    // combination id in the LabelTable; 0 for regression
  double value = 0;
  std::optional<examples::Split> split;
};

// A manifest: rows that name images and give them labels.
struct FoundManifest {
  std::string path;                      // on this machine: an upload, or a copy in the scratch space
  std::string filename;                  // as uploaded, or the archive's
  std::string entry;                     // its path in the archive; empty for a file of its own
  std::optional<examples::Split> split;  // of all its rows
};

// One uploaded archive, or the images of one pair of IDX files.
struct FoundFile {
  uint32_t file = 0;              // index among the import's files
  std::deque<FoundImage> images;  // in the order of the file; a deque, because by_path points into it
  absl::flat_hash_map<absl::string_view, uint32_t> by_path;
  std::vector<std::string> folders;
  std::vector<FoundManifest> manifests;
  bool is_archive = true;
};

}  // namespace attune::datasets
