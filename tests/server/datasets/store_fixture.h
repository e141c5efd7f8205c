// What the tests of DatasetStore share: a store on a temporary directory with fakes around it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"
#include "server/database/database.h"
#include "server/datasets/dataset_store.h"
#include "server/datasets/importing/issue_log.h"
#include "tests/fakes/fault_injecting_files.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_artifact_store.h"
#include "tests/fakes/whitespace_tokenizer.h"

namespace attune::datasets {

class StoreTest : public testing::Test {
 protected:
  StoreTest() { Start(); }

  // A server start: what was on the disk before is there.
  void Start() {
    store_.reset();
    database_.reset();
    auto database = Database::Open(directory_.path() + "/db");
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    const TokenizerProvider tokenizers =
        [](const std::string& name) -> absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>> {
      if (name != "models/words") return absl::NotFoundError(StrCat("there is no model ", name));
      return std::make_shared<WhitespaceTokenizer>();
    };
    DatasetStoreOptions options;
    options.root = root();
    options.max_row_bytes = 10000;
    options.max_rows = 20000;
    options.max_unpacked_bytes = 10 << 20;
    auto store = DatasetStore::Create(options, *database_, artifacts_, files_, clock_, tokenizers);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  std::string root() const { return directory_.path() + "/datasets"; }

  // Names in the store's directory.
  std::vector<std::string> OnDisk() const { return *ListDirectory(root()); }

  v1::ImportDatasetRequest Request(const std::string& id, const std::string& filename, const std::string& content) {
    v1::ImportDatasetRequest request;
    request.set_dataset_id(id);
    AddFile(request, filename, content);
    return request;
  }

  void AddFile(v1::ImportDatasetRequest& request, const std::string& filename, const std::string& content,
               v1::Split split = v1::SPLIT_UNSPECIFIED) {
    const std::string upload = StrCat("u", ++uploads_);
    artifacts_.Put(upload, filename, content);
    v1::ImportFile& file = *request.add_files();
    file.set_upload("uploads/" + upload);
    file.set_split(split);
  }

  absl::StatusOr<v1::Dataset> Import(const v1::ImportDatasetRequest& request) {
    return store_->Import(request, nullptr);
  }

  // Rows of a CSV with distinct texts and two classes.
  static std::string Rows(int count, const std::string& prefix = "row") {
    std::string csv = "text,label\n";
    for (int i = 0; i < count; ++i) StrAppend(&csv, prefix, " ", i, ",", i % 2 == 0 ? "neg" : "pos", "\n");
    return csv;
  }

  TemporaryDirectory directory_;
  ManualClock clock_;
  FaultInjectingFiles files_;
  MemoryArtifactStore artifacts_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<DatasetStore> store_;
  int uploads_ = 0;
};

}  // namespace attune::datasets
