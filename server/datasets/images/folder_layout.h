// FolderLayout: what the folders of an archive say of its images: split and class. Pure; thread-safe after
// construction.
//
//   train/cat/1.jpg  validation/dog/2.jpg  test/cat/3.jpg    a folder for each split, in it one for each class
//   cat/1.jpg  dog/2.jpg                                     a folder for each class; splits are drawn
//
// Folders around all images do not count. The first kind is meant when an image lies two folders deep below a split's
// name, or when all topmost folders are named so; hence a class may be called "train" beside "bus" and "car".
//
//   FolderLayout layout({"photos/train/cat/1.jpg", "photos/test/dog/2.jpg"});
//   layout.Of("photos/train/cat/1.jpg");   // {kTrain, "cat"}
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/examples/example.h"

namespace attune::datasets {

// Names that people give to the splits, in any case: train, training, validation, valid, val, dev, test.
std::optional<examples::Split> ParseSplitName(std::string_view name);

class FolderLayout {
 public:
  // `images` are the paths of all images of one archive.
  explicit FolderLayout(const std::vector<std::string_view>& images);

  struct Meaning {
    std::optional<examples::Split> split;
    std::string_view class_name;  // empty: the image lies in no class folder
    bool outside_splits = false;  // there are split folders, and the image is in none
    bool is_deeper = false;       // there are folders between the class and the image
  };
  // Of a path of the archive; views are into `path`.
  Meaning Of(std::string_view path) const;
  // The folders around all images, with a slash at the end; empty when there are none.
  const std::string& outer() const { return outer_; }

 private:
  std::string outer_;
  bool has_splits_ = false;
};

}  // namespace attune::datasets
