// Directories of image models: what is accepted, and what is wrong with BatchNorm's buffers, heads and optional groups.
#include <cmath>
#include <limits>

#include "tests/fakes/tiny_image_model.h"
#include "tests/server/catalogue/model_directory_test_base.h"

namespace attune::catalogue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using weights::DType;

class ImageModelCheckTest : public ModelDirectoryTest {
 protected:
  void SetUp() override { ASSERT_TRUE(WriteTinyImageModel(dir_.path()).ok()); }
};

TEST_F(ImageModelCheckTest, AcceptsTypesHeadsAndCountersOfAllKinds) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const int64_t classes : {0, 1, 2, 1000}) {
      for (const bool counters : {false, true}) {
        const TinyImageModelOptions options{.classes = classes, .dtype = dtype, .counters = counters};
        ASSERT_TRUE(WriteTinyImageModel(dir_.path(), options).ok());
        const auto description = Check();
        ASSERT_TRUE(description.ok()) << description.status();
        EXPECT_EQ(description->config.architecture->name, "mobilenet_v2");
        EXPECT_EQ(description->config.layout.image.image_size, 32);
        if (classes == 0) {
          EXPECT_THAT(description->ignored_tensors, IsEmpty());
        } else {
          EXPECT_THAT(description->ignored_tensors, ElementsAre("classifier.1.bias", "classifier.1.weight"));
        }
      }
    }
  }
}

TEST_F(ImageModelCheckTest, AHeadMayHaveSeveralLayers) {
  Tensors tensors = TinyImageTensors();
  tensors.push_back({"classifier.1.0.weight", {2, 1280}, DType::kF32, std::string(2 * 1280 * 4, '\0')});
  tensors.push_back({"classifier.1.3.bias", {5}, DType::kF32, std::string(20, '\0')});
  SetTensors(tensors);
  ASSERT_TRUE(Check().ok()) << Check().status();
  EXPECT_THAT(Check()->ignored_tensors, ElementsAre("classifier.1.0.weight", "classifier.1.3.bias"));
}

TEST_F(ImageModelCheckTest, RunningStatisticsAreRequired) {
  for (const char* name : {"features.0.1.running_mean", "features.1.conv.0.1.running_var"}) {
    Tensors tensors = TinyImageTensors();
    Erase(tensors, name);
    SetTensors(tensors);
    ExpectRefused(name, {"model.safetensors: 1 tensor that a mobilenet_v2", std::string("is missing: ") + name,
                         "the statistics of BatchNorm belong to the model", "save_file(model.state_dict()"});
  }
  Tensors tensors = TinyImageTensors();
  Erase(tensors, "features.0.1.running_mean");
  Erase(tensors, "features.0.0.weight");
  SetTensors(tensors);
  ExpectRefused("both", {"2 tensors", "features.0.0.weight, features.0.1.running_mean"});
}

TEST_F(ImageModelCheckTest, RefusesBuffersOfOtherShapesAndTypes) {
  Tensors tensors = TinyImageTensors();
  Named(tensors, "features.0.1.running_var").shape = {1, 8};
  SetTensors(tensors);
  ExpectRefused("shape", {"\"features.0.1.running_var\" has shape [1, 8], but config.json asks for [8]"});

  tensors = TinyImageTensors();
  TinyTensor& mean = Named(tensors, "features.0.1.running_mean");
  mean.dtype = DType::kI32;
  SetTensors(tensors);
  ExpectRefused("type", {"\"features.0.1.running_mean\" has type I32", "F32, F16 or BF16"});

  tensors = TinyImageTensors();
  TinyTensor& counter = Named(tensors, "features.0.1.num_batches_tracked");
  counter.dtype = DType::kF32;
  counter.bytes.resize(4);
  SetTensors(tensors);
  ExpectRefused("counter's type", {"\"features.0.1.num_batches_tracked\" has type F32", "I64 or I32", "left out"});
  counter.dtype = DType::kI32;
  SetTensors(tensors);
  EXPECT_TRUE(Check().ok()) << Check().status();
  counter.shape = {1};
  SetTensors(tensors);
  ExpectRefused("counter's shape", {"features.0.1.num_batches_tracked", "[1]"});
}

TEST_F(ImageModelCheckTest, RefusesStatisticsThatCannotBe) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const auto with = [&](const char* name, float value) {
      Tensors tensors = TinyImageTensors({.dtype = dtype});
      std::string bytes;
      AppendTinyValue(value, dtype, &bytes);
      Named(tensors, name).bytes.replace(bytes.size(), bytes.size(), bytes);
      SetTensors(tensors);
    };
    with("features.0.1.running_var", -0.5f);
    ExpectRefused("negative", {"features.0.1.running_var", "negative value, which no variance has"});
    with("features.0.1.running_var", -0.0f);
    EXPECT_TRUE(Check().ok()) << Check().status();
    with("features.0.1.running_mean", -0.5f);
    EXPECT_TRUE(Check().ok()) << Check().status();
    if (dtype == DType::kF16) continue;  // no infinity comes out of AppendTinyValue
    with("features.0.1.running_mean", std::numeric_limits<float>::infinity());
    ExpectRefused("infinite", {"features.0.1.running_mean"});
  }
}

TEST_F(ImageModelCheckTest, FilesAreThoseOfImageModels) {
  Write("preprocessor_config.json", "{\"image_processor_type\": \"ViTImageProcessor\"}");
  EXPECT_TRUE(Check().ok()) << Check().status();
  for (const char* wrong : {"[]", "{", ""}) {
    Write("preprocessor_config.json", wrong);
    ExpectRefused(wrong, {"preprocessor_config.json"});
  }
  ASSERT_TRUE(Files::Posix().Remove(Path("preprocessor_config.json")).ok());
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}) {
    Write(name, "{}");
    ExpectRefused(name, {std::string("files: ") + name + " is for models that take text, but the mobilenet_v2"});
    ASSERT_TRUE(Files::Posix().Remove(Path(name)).ok());
  }
  EXPECT_TRUE(Check().ok());
}

TEST_F(ImageModelCheckTest, RefusesConfigs) {
  for (const auto& [key, value, part] : std::vector<std::tuple<const char*, nlohmann::json, const char*>>{
           {"width_mult", -1, "width_mult"},
           {"width_mult", 0.5, "config.json asks for"},
           {"inverted_residual_setting", {{1, 8, 1}}, "inverted_residual_setting"},
           {"inverted_residual_setting", {{1, 8, 1, 1}, {6, 8, 1, 2}, {6, 16, 3, 2}, {6, 32, 1, 2}}, "config.json"},
           {"image_size", 100000, "image_size"},
           {"model_type", "mobilenet_v3", "did you mean \"mobilenet_v2\"?"}}) {
    nlohmann::ordered_json config = TinyImageConfig();
    config[key] = value;
    Write("config.json", config.dump());
    ExpectRefused(key, {part});
  }
}

}  // namespace
}  // namespace attune::catalogue
