#include "server/training/worker/failure.h"

#include <new>
#include <stdexcept>

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

using ::testing::HasSubstr;

constexpr int kInvalidArgument = 3, kResourceExhausted = 8, kInternal = 13;

struct Row {
  const char* name;
  std::function<void()> body;
  FailureCategory category;
  int code;
  bool retryable, process_lost;
  const char* words;
};

c10::SourceLocation Here() { return {__func__, __FILE__, static_cast<uint32_t>(__LINE__)}; }

TEST(RunGuarded, EveryKindOfFaultHasACategory) {
  const Row rows[] = {
      {"user", [] { throw TrainingError(FailureCategory::kUser, "lower it", 4); }, FailureCategory::kUser, kInvalidArgument, false, false, "lower it"},
      {"data", [] { throw TrainingError(FailureCategory::kData, "mend it"); }, FailureCategory::kData, kInvalidArgument, false, false, "mend it"},
      {"resource", [] { throw TrainingError(FailureCategory::kResource, "full"); }, FailureCategory::kResource, kResourceExhausted, true, false, "full"},
      {"system", [] { throw TrainingError(FailureCategory::kSystem, "odd"); }, FailureCategory::kSystem, kInternal, true, false, "odd"},
      {"device memory", [] { throw c10::OutOfMemoryError(Here(), "CUDA out of memory"); }, FailureCategory::kResource, kResourceExhausted, false, false, "batch_size"},
      {"host memory", [] { at::empty({int64_t{1} << 50}); }, FailureCategory::kResource, kResourceExhausted, false, false, "batch_size"},
      {"bad_alloc", [] { throw std::bad_alloc(); }, FailureCategory::kResource, kResourceExhausted, false, false, "memory ran out"},
      {"accelerator", [] { throw c10::AcceleratorError(Here(), 700, "illegal address"); }, FailureCategory::kSystem, kInternal, true, true, "checkpoint"},
      {"cuda text", [] { TORCH_CHECK(false, "CUDA error: device-side assert triggered"); }, FailureCategory::kSystem, kInternal, true, true, "device-side assert"},
      {"invalid", [] { throw std::invalid_argument("what to do"); }, FailureCategory::kUser, kInvalidArgument, false, false, "what to do"},
      {"value", [] { TORCH_CHECK_VALUE(false, "bad value"); }, FailureCategory::kUser, kInvalidArgument, false, false, "bad value"},
      {"torch", [] { TORCH_CHECK(false, "shapes differ"); }, FailureCategory::kSystem, kInternal, false, false, "shapes differ"},
      {"other", [] { throw std::runtime_error("hm"); }, FailureCategory::kSystem, kInternal, false, false, "hm"},
      {"not an exception", [] { throw 3; }, FailureCategory::kSystem, kInternal, false, false, "unknown kind"},
  };
  for (const Row& row : rows) {
    const auto failure = RunGuarded(row.body);
    ASSERT_TRUE(failure.has_value()) << row.name;
    EXPECT_EQ(failure->category, row.category) << row.name;
    EXPECT_EQ(failure->code, row.code) << row.name;
    EXPECT_EQ(failure->retryable, row.retryable) << row.name;
    EXPECT_EQ(failure->process_lost, row.process_lost) << row.name;
    EXPECT_THAT(failure->message, HasSubstr(row.words)) << row.name;
    EXPECT_EQ(failure->message.find('\n'), std::string::npos) << row.name << ": " << failure->message;
  }
}

TEST(RunGuarded, KeepsTheStep) {
  EXPECT_EQ(RunGuarded([] { throw TrainingError(FailureCategory::kUser, "x", 4); })->step, 4);
}

TEST(RunGuarded, NothingWhenAllIsWell) { EXPECT_FALSE(RunGuarded([] {}).has_value()); }

}  // namespace
}  // namespace attune::training
