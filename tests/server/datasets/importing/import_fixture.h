// What the tests of imports share: rows of a finished dataset, and imports that must fail.
#pragma once

#include <string>
#include <vector>

#include "server/examples/example.h"
#include "tests/server/datasets/store_fixture.h"

namespace attune::datasets {

class ImportTest : public StoreTest {
 protected:
  // All rows of a split, in order: text|pair|labels or value|file:line; of images entry|labels or value|file.
  std::vector<std::string> RowsOf(const v1::Dataset& dataset, examples::Split split) {
    auto directory = store_->Directory(dataset.name());
    EXPECT_TRUE(directory.ok()) << directory.status();
    auto reader = examples::ExampleReader::Open(*directory);
    EXPECT_TRUE(reader.ok()) << reader.status();
    std::vector<std::string> rows;
    for (int64_t i = 0; i < (*reader)->size(split); ++i) {
      const examples::Example e = *(*reader)->Get(split, i);
      std::string labels = dataset.label_kind() == v1::LABEL_KIND_REGRESSION ? StrCat(e.value) : "";
      for (const int32_t label : e.labels) StrAppend(&labels, labels.empty() ? "" : "+", dataset.labels(label));
      if (dataset.modality() == "image") {
        rows.push_back(StrCat(e.entry, "|", labels, "|", e.file));
        continue;
      }
      rows.push_back(StrCat(e.text, "|", e.has_text_pair ? e.text_pair : "-", "|", labels, "|", e.file, ":", e.line));
    }
    return rows;
  }

  // INVALID_ARGUMENT; the failed dataset is there with its report.
  v1::Dataset ImportFails(const v1::ImportDatasetRequest& request, const std::string& says) {
    const absl::Status status = Import(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(says));
    EXPECT_EQ(std::string(status.GetPayload("attune.v1.Dataset").value_or(absl::Cord())),
              "datasets/" + request.dataset_id());
    auto dataset = store_->Get("datasets/" + request.dataset_id());
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->state(), v1::Dataset::STATE_FAILED);
    EXPECT_EQ(dataset->error(), status.message());
    for (const std::string& name : OnDisk())
      EXPECT_TRUE(name != request.dataset_id() && !name.starts_with('.')) << name << " stayed behind";
    return *dataset;
  }
};

}  // namespace attune::datasets
