// Jobs to check: a valid one on a small BERT, and ways to change it. Header-only.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/spec/spec_check.h"

namespace attune::jobs {

inline v1::Layer MakeLayer(const std::string& name, const std::string& group) {
  v1::Layer layer;
  layer.set_name(name);
  layer.set_group(group);
  return layer;
}

inline v1::Device MakeDevice(const std::string& name, bool usable, const std::string& reason = "") {
  v1::Device device;
  device.set_name(name);
  device.set_usable(usable);
  device.set_unusable_reason(reason);
  if (name == "cpu") device.set_cores(8);
  return device;
}

inline void SetSplit(v1::Dataset& dataset, v1::Split split, std::vector<std::pair<std::string, int64_t>> counts) {
  v1::SplitReport* report = nullptr;
  for (auto& existing : *dataset.mutable_report()->mutable_splits()) {
    if (existing.split() == split) report = &existing;
  }
  if (report == nullptr) report = dataset.mutable_report()->add_splits();
  report->Clear();
  report->set_split(split);
  for (const auto& [label, count] : counts) {
    (*report->mutable_label_counts())[label] = count;
    report->set_rows(report->rows() + count);
  }
}

// A valid minimal job on a small BERT: two classes, three splits, one CPU.
inline SpecCheckInput ValidInput() {
  SpecCheckInput input;
  input.spec.set_base_model("models/m");
  input.spec.set_dataset("datasets/d");
  input.model.set_name("models/m");
  input.model.set_architecture("bert");
  input.model.set_max_length(128);
  input.dataset.set_name("datasets/d");
  input.dataset.set_state(v1::Dataset::STATE_READY);
  input.dataset.set_label_kind(v1::LABEL_KIND_SINGLE_LABEL);
  input.dataset.add_labels("no");
  input.dataset.add_labels("yes");
  SetSplit(input.dataset, v1::SPLIT_TRAIN, {{"no", 50}, {"yes", 50}});
  SetSplit(input.dataset, v1::SPLIT_VALIDATION, {{"no", 5}, {"yes", 5}});
  input.layers = {MakeLayer("embeddings.word_embeddings.weight", "embeddings"), MakeLayer("encoder.layer.0.attention.self.query.weight", "layer.0"),
                  MakeLayer("encoder.layer.1.attention.self.query.weight", "layer.1"), MakeLayer("pooler.dense.weight", "pooler")};
  input.devices = {MakeDevice("cpu", true), MakeDevice("cuda:0", false, "no driver")};
  v1::Architecture bert;
  bert.set_name("bert");
  bert.add_tasks("text-classification");
  bert.add_tasks("text-multi-label");
  bert.add_tasks("text-regression");
  input.architectures = {bert};
  return input;
}

inline void MakeRegression(SpecCheckInput& input) {
  input.dataset.set_label_kind(v1::LABEL_KIND_REGRESSION);
  input.dataset.clear_labels();
  for (auto& split : *input.dataset.mutable_report()->mutable_splits()) split.clear_label_counts();
}
inline void MakeMultiLabel(SpecCheckInput& input) { input.dataset.set_label_kind(v1::LABEL_KIND_MULTI_LABEL); }
inline void DropValidation(SpecCheckInput& input) { SetSplit(input.dataset, v1::SPLIT_VALIDATION, {}); }

inline std::string Text(const std::vector<FieldViolation>& violations) {
  std::string text;
  for (const FieldViolation& violation : violations) text += violation.field + ": " + violation.description + "\n";
  return text;
}

struct FaultCase {
  std::string name;
  std::function<void(SpecCheckInput&)> change;
  std::string field;
  std::vector<std::string> words;
};

inline void ExpectOnlyFault(SpecCheckInput input, const FaultCase& fault) {
  fault.change(input);
  SpecCheckResult result = CheckSpec(input);
  ASSERT_EQ(result.violations.size(), 1u) << Text(result.violations);
  EXPECT_EQ(result.violations[0].field, fault.field);
  for (const std::string& word : fault.words) EXPECT_THAT(result.violations[0].description, ::testing::HasSubstr(word));
}

inline std::string NameOf(const ::testing::TestParamInfo<FaultCase>& info) { return info.param.name; }

}  // namespace attune::jobs
