#include "server/training/steps/tensor_io.h"

#include <thread>

#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

at::Tensor Range(at::IntArrayRef shape, float offset) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return (at::arange(count, at::TensorOptions().dtype(at::kFloat)).add_(offset)).view(shape);
}

void Copy(Snapshot& snapshot, const std::vector<NamedTensor>& tensors) {
  snapshot.Begin(tensors);
  snapshot.Finish();
}

std::string_view Bytes(const at::Tensor& tensor) { return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()}; }

class TensorIoTest : public ::testing::Test {
 protected:
  std::string Write(const std::vector<NamedTensor>& tensors) {
    Snapshot snapshot;
    Copy(snapshot, tensors);
    const std::string path = dir_.path() + "/t.safetensors";
    EXPECT_TRUE(weights::WriteSafetensors(Files::Posix(), path, snapshot.views(), {}).ok());
    return path;
  }
  TemporaryDirectory dir_;
};

TEST_F(TensorIoTest, WhatWasCopiedIsWhatIsLoaded) {
  const at::Tensor a = Range({3, 5}, 0.5), b = Range({7}, -3), scalar = Range({}, 9), transposed = Range({4, 2}, 1).t();
  const std::string path = Write({{"a", a}, {"b", b}, {"s", scalar}, {"t", transposed}});
  const at::Tensor a2 = at::zeros({3, 5}), b2 = at::zeros({7}), s2 = at::zeros({}), t2 = at::zeros({2, 4});
  LoadTensors({{"t", t2}, {"b", b2}, {"a", a2}, {"s", s2}}, path);
  EXPECT_TRUE(a.equal(a2));
  EXPECT_TRUE(b.equal(b2));
  EXPECT_TRUE(scalar.equal(s2));
  EXPECT_TRUE(transposed.equal(t2));
}

TEST_F(TensorIoTest, ASnapshotDoesNotFollowItsTensors) {
  at::Tensor a = Range({1000}, 0);
  Snapshot snapshot;
  Copy(snapshot, {{"a", a}});
  const at::Tensor before = a.clone();
  a.zero_();
  EXPECT_EQ(snapshot.views()[0].data, Bytes(before));
  Copy(snapshot, {{"a", a}});
  EXPECT_EQ(snapshot.views().size(), 1u);
}

TEST_F(TensorIoTest, WhatAForwardPassChangesIsCopiedBeforeBeginReturns) {
  at::Tensor weight = Range({1000}, 0), mean = Range({1000}, 7);
  Snapshot snapshot;
  snapshot.Begin({{"weight", weight}, {"mean", mean, /*moves_in_forward=*/true}});
  const at::Tensor before = mean.clone();
  mean.zero_();
  EXPECT_EQ(snapshot.views()[1].data, Bytes(before));
  snapshot.Finish();
  EXPECT_EQ(snapshot.views()[0].data, Bytes(weight));
}

TEST_F(TensorIoTest, WhoeverFinishesFindsAllCopiedAndTheTensorsLetGo) {
  for (int round = 0; round < 50; ++round) {
    at::Tensor a = Range({1'500'000}, static_cast<float>(round));
    const at::Tensor expected = a.clone();
    const c10::weak_intrusive_ptr<c10::StorageImpl> storage(a.storage().getWeakStorageImpl());
    Snapshot snapshot;
    snapshot.Begin({{"a", a}});
    std::thread writer([&] { snapshot.Finish(); });
    snapshot.Finish();
    a.zero_();
    EXPECT_TRUE(snapshot.views()[0].data == Bytes(expected)) << "round " << round;
    a = at::Tensor();
    EXPECT_TRUE(storage.expired()) << "else the optimizer of a phase lives on until the next checkpoint";
    writer.join();
    EXPECT_TRUE(snapshot.views()[0].data == Bytes(expected)) << "round " << round;
  }
}

// Sizes and places that are no multiples of anything.
TEST_F(TensorIoTest, EveryByteIsCopied) {
  std::vector<NamedTensor> tensors;
  for (int64_t count : {1, 3, 15, 16, 17, 63, 1000, 262'145}) tensors.push_back({"t" + std::to_string(count), Range({count}, static_cast<float>(count))});
  Snapshot snapshot;
  Copy(snapshot, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(snapshot.views()[i].data == Bytes(tensors[i].tensor)) << tensors[i].name;
  }
}

TEST_F(TensorIoTest, MemoryThatWasMadeReadyIsUsedAndGrows) {
  const at::Tensor a = Range({1000}, 0), b = Range({2'000'000}, 1);
  Snapshot snapshot;
  snapshot.Reserve({{"a", a}});
  snapshot.Populate();
  Copy(snapshot, {{"a", a}});
  const char* first = snapshot.views()[0].data.data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % kDirectAlignment, 0u);
  Copy(snapshot, {{"a", a}});
  EXPECT_EQ(snapshot.views()[0].data.data(), first);
  Copy(snapshot, {{"a", a}, {"b", b}});
  EXPECT_EQ(snapshot.views()[1].data, Bytes(b));
  EXPECT_EQ(snapshot.views()[0].data.data() + a.nbytes(), snapshot.views()[1].data.data()) << "one behind the other";
  snapshot.Populate();
  EXPECT_EQ(snapshot.views()[1].data, Bytes(b)) << "populating changes nothing";
}

TEST_F(TensorIoTest, NothingIsAFileToo) {
  LoadTensors({}, Write({}));
}

std::string ErrorOf(const std::vector<NamedTensor>& into, const std::string& path, FailureCategory category) {
  try {
    LoadTensors(into, path);
  } catch (const TrainingError& error) {
    EXPECT_EQ(error.category(), category);
    return error.what();
  }
  return "";
}

TEST_F(TensorIoTest, WhatDoesNotFitIsNamed) {
  const std::string path = Write({{"a", Range({2, 3}, 0)}});
  EXPECT_THAT(ErrorOf({{"b", at::zeros({2, 3})}}, path, FailureCategory::kData), ::testing::HasSubstr("no tensor b"));
  EXPECT_THAT(ErrorOf({{"a", at::zeros({3, 2})}}, path, FailureCategory::kData), ::testing::HasSubstr("F32 [2, 3], but F32 [3, 2] is needed"));
  EXPECT_NE(ErrorOf({}, dir_.path() + "/none", FailureCategory::kSystem), "");
}

}  // namespace
}  // namespace attune::training
