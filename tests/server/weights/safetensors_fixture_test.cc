// Files made by the Python library (tests/golden/make_safetensors_fixtures.py): read them, and write them again to the
// byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "server/base/files.h"
#include "server/weights/safetensors.h"

namespace attune::weights {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string Fixture(const std::string& name) {
  const char* root = std::getenv("ATTUNE_SOURCE_DIR");
  return std::string(root == nullptr ? "." : root) + "/tests/golden/safetensors/" + name + ".safetensors";
}

template <typename T>
std::vector<T> Values(const SafetensorsFile& file, std::string_view name, DType dtype) {
  const TensorInfo* info = file.Find(name);
  if (info == nullptr || info->dtype != dtype) {
    ADD_FAILURE() << name << " is missing or of another dtype";
    return {};
  }
  std::string_view data = file.data(*info);
  std::vector<T> values(data.size() / sizeof(T));
  std::memcpy(values.data(), data.data(), data.size());
  return values;
}

TEST(SafetensorsFixtureTest, EveryDType) {
  auto opened = SafetensorsFile::Open(Fixture("every_dtype"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const SafetensorsFile& file = **opened;
  EXPECT_EQ(file.tensors().size(), 10u);
  EXPECT_THAT(file.metadata(), IsEmpty());
  EXPECT_THAT(Values<double>(file, "f64", DType::kF64), ElementsAre(1.5, -2.25));
  EXPECT_THAT(Values<float>(file, "f32", DType::kF32), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(file.Find("f32")->shape, ElementsAre(2, 3));
  EXPECT_THAT(Values<uint16_t>(file, "f16", DType::kF16), ElementsAre(0x3c00, 0xb800));
  EXPECT_THAT(Values<uint16_t>(file, "bf16", DType::kBF16), ElementsAre(0x3f80, 0x4000));
  EXPECT_THAT(Values<int64_t>(file, "i64", DType::kI64), ElementsAre(-7));
  EXPECT_THAT(Values<int32_t>(file, "i32", DType::kI32), ElementsAre(-6));
  EXPECT_THAT(Values<int16_t>(file, "i16", DType::kI16), ElementsAre(-5));
  EXPECT_THAT(Values<int8_t>(file, "i8", DType::kI8), ElementsAre(-1, 0, 1));
  EXPECT_THAT(Values<uint8_t>(file, "u8", DType::kU8), ElementsAre(0, 255));
  EXPECT_THAT(Values<uint8_t>(file, "bool", DType::kBool), ElementsAre(0, 1));
  EXPECT_TRUE(file.CheckFinite().ok());
}

TEST(SafetensorsFixtureTest, ShapesAndNames) {
  auto opened = SafetensorsFile::Open(Fixture("shapes_and_names"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const SafetensorsFile& file = **opened;
  EXPECT_THAT(file.Find("scalar")->shape, IsEmpty());
  EXPECT_THAT(Values<float>(file, "scalar", DType::kF32), ElementsAre(0.25f));
  EXPECT_THAT(file.Find("no.elements")->shape, ElementsAre(0, 4));
  EXPECT_THAT(Values<float>(file, "größe \"quoted\"\n\t\\", DType::kF32), ElementsAre(1.0f));
  EXPECT_THAT(Values<float>(file, "bert.pooler.dense.weight", DType::kF32), ElementsAre(3.0f, 4.0f));
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

TEST(SafetensorsFixtureTest, WriterMakesTheSameBytes) {
  TemporaryDirectory directory;
  const std::string copy = directory.path() + "/copy.safetensors";
  for (const char* name : {"every_dtype", "shapes_and_names", "no_tensors"}) {
    auto file = SafetensorsFile::Open(Fixture(name));
    ASSERT_TRUE(file.ok()) << file.status();
    std::vector<TensorView> tensors;
    for (const TensorInfo& info : (*file)->tensors())
      tensors.push_back({info.name, info.dtype, info.shape, (*file)->data(info)});
    ASSERT_TRUE(WriteSafetensors(Files::Posix(), copy, tensors, (*file)->metadata()).ok());
    EXPECT_EQ(*ReadFile(copy), *ReadFile(Fixture(name))) << name;
  }
}

}  // namespace
}  // namespace attune::weights
