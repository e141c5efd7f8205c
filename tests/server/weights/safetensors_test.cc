// Hostile files, the finiteness check and the writer. What the Python library wrote is in safetensors_fixture_test.cc.
#include "server/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "server/base/sha256.h"
#include "server/base/str_cat.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune::weights {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string WithLength(uint64_t length, std::string_view rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)).append(rest);
}
std::string FileOf(std::string_view header, size_t data_bytes) {
  return WithLength(header.size(), header) + std::string(data_bytes, '\0');
}
// A tensor's entry.
std::string Entry(std::string_view name, std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return StrCat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":[", shape, "],\"data_offsets\":[", offsets, "]}");
}

class SafetensorsTest : public ::testing::Test {
 protected:
  std::string Path() const { return directory_.path() + "/model.safetensors"; }
  absl::StatusOr<std::shared_ptr<const SafetensorsFile>> OpenContent(std::string_view content) {
    auto file = Files::Posix().Create(Path());
    EXPECT_TRUE(file.ok() && (*file)->Append(content).ok());
    return SafetensorsFile::Open(Path());
  }
  template <typename T>
  absl::Status FiniteStatus(DType dtype, std::vector<T> values) {
    std::string_view data(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    // An odd-sized tensor in front makes the data unaligned.
    absl::Status written = WriteSafetensors(
        Files::Posix(), Path(),
        {{"odd", DType::kU8, {3}, "\xff\xff\xff"}, {"checked", dtype, {static_cast<int64_t>(values.size())}, data}},
        {});
    EXPECT_TRUE(written.ok()) << written;
    return (*SafetensorsFile::Open(Path()))->CheckFinite();
  }
  TemporaryDirectory directory_;
};

struct HostileCase {
  const char* what;
  std::string content;
  const char* message;  // part of the error
};

std::vector<HostileCase> HostileFiles() {
  const std::string good = Entry("a", "F32", "2", "0,8");
  auto two = [](std::string_view offsets_a, std::string_view offsets_b, size_t data) {
    return FileOf(StrCat("{", Entry("a", "F32", "2", offsets_a), ",", Entry("b", "F32", "2", offsets_b), "}"), data);
  };
  auto one = [](std::string_view dtype, std::string_view shape, std::string_view offsets, size_t data = 8) {
    return FileOf(StrCat("{", Entry("a", dtype, shape, offsets), "}"), data);
  };
  return {
      {"empty file", "", "is it complete"},
      {"seven bytes", "1234567", "is it complete"},
      {"header longer than the file", WithLength(100, "{}"), "is the file complete"},
      {"header length at the sign bit", WithLength(uint64_t{1} << 63, "{}"), "more than the format's"},
      {"header length all ones", WithLength(~uint64_t{0}, "{}"), "more than the format's"},
      {"header over the format's limit", WithLength(100'000'001, "{}"), "more than the format's"},
      {"empty header", WithLength(0, ""), "not valid JSON"},
      {"not JSON", FileOf("PK\x03\x04 zip", 0), "not valid JSON (at byte 1)"},
      {"cut JSON", FileOf("{\"a\":{", 0), "not valid JSON"},
      {"text after JSON", FileOf("{} {}", 0), "not valid JSON"},
      {"NUL hides text", FileOf(std::string("{}\0{\"a\":1}", 10), 0), "not valid JSON (at byte 2)"},
      {"comment", FileOf("{/* */}", 0), "not valid JSON"},
      {"not UTF-8", FileOf("{\"\xff\":1}", 0), "not valid JSON"},
      {"a list", FileOf("[]", 0), "not a JSON object"},
      {"a string", FileOf("\"x\"", 0), "not a JSON object"},
      {"null", FileOf("null", 0), "not a JSON object"},
      {"deep nesting of lists", FileOf(StrCat("{\"a\":", std::string(1'000'000, '['), "}"), 0), "\"a\""},
      {"deep nesting of objects", FileOf(StrCat("{\"a\":{\"dtype\":", std::string(100'000, '{')), 0), "\"a\""},
      {"deep nesting in shape", FileOf("{\"a\":{\"shape\":[[[[1]]]]}}", 0), "shape has a list"},
      {"duplicate names", FileOf(StrCat("{", good, ",", good, "}"), 8), "\"a\" appears twice"},
      {"duplicate names, one escaped", FileOf(StrCat("{", good, ",", Entry("\\u0061", "F32", "2", "8,16"), "}"), 16),
       "\"a\" appears twice"},
      {"duplicate key", FileOf("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
       "\"dtype\" appears twice"},
      {"unknown key", FileOf("{\"a\":{\"dtype\":\"F32\",\"strides\":[1]}}", 8), "\"strides\" is unknown"},
      {"missing key", FileOf("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8), "is missing"},
      {"tensor is a number", FileOf("{\"a\":1}", 0), "\"a\" is a number"},
      {"tensor is a string", FileOf("{\"a\":\"b\"}", 0), "\"a\" is a string"},
      {"dtype is a number", FileOf("{\"a\":{\"dtype\":32}}", 0), "dtype has a number where a string is expected"},
      {"dtype is a list", FileOf("{\"a\":{\"dtype\":[]}}", 0), "dtype has a list"},
      {"shape is a string", FileOf("{\"a\":{\"shape\":\"2\"}}", 0), "shape has a string"},
      {"unknown dtype", one("F8_E4M3", "8", "0,8"), "\"F8_E4M3\" is not supported"},
      {"lower case dtype", one("f32", "2", "0,8"), "\"f32\" is not supported"},
      {"negative offset", one("F32", "2", "-8,0"), "the negative number -8"},
      {"negative dimension", one("F32", "-2", "0,8"), "the negative number -2"},
      {"fractional offset", one("F32", "2", "0,8.0"), "the number 8.0"},
      {"offset in exponent form", one("F32", "2", "0,8e0"), "the number 8e0"},
      {"offset over 63 bits", one("F32", "2", "0,18446744073709551615"), "too large"},
      {"offset over 64 bits", one("F32", "2", "0,99999999999999999999"), "data_offsets has the number"},
      {"null in shape", one("F32", "null", "0,8"), "shape has null"},
      {"one offset", one("F32", "2", "8"), "two numbers"},
      {"three offsets", one("F32", "2", "0,4,8"), "more than two numbers"},
      {"no offsets", one("F32", "2", ""), "two numbers"},
      {"reversed offsets", one("F32", "2", "8,0"), "reversed"},
      {"offsets beyond the file", one("F32", "2", "0,8", 7), "go beyond the data"},
      {"offsets far beyond the file", one("F32", "2", "9223372036854775799,9223372036854775807"), "go beyond the data"},
      {"shape product over 64 bits", one("F32", "4294967296,4294967296", "0,8"), "too large"},
      {"shape product over 63 bits", one("I8", "4294967296,2147483648", "0,8"), "too large"},
      {"shape times dtype over 63 bits", one("F64", "1152921504606846976", "0,8"), "too large"},
      {"overflow that wraps to the right size", one("F32", "4611686018427387906", "0,8"), "too large"},
      {"overflow hidden by a zero", one("F32", "4294967296,4294967296,0", "0,0", 0), "too large"},
      {"too many dimensions",
       one("F32",
           StrCat("1", std::string(128, ' '),
                  [] {
                    std::string ones;
                    for (int i = 0; i < 64; ++i) ones += ",1";
                    return ones;
                  }()),
           "0,4", 4),
       "more than 64 dimensions"},
      {"size does not fit the dtype", one("F16", "2", "0,8"), "needs 4 bytes"},
      {"size does not fit the shape", one("F32", "3", "0,8"), "needs 12 bytes"},
      {"overlap", two("0,8", "4,12", 12), "\"b\": its data overlaps that of \"a\""},
      {"the same place twice", two("0,8", "0,8", 8), "overlaps"},
      {"overlap, listed backwards", two("4,12", "0,8", 12), "\"a\": its data overlaps that of \"b\""},
      {"gap", two("0,8", "12,20", 20), "\"b\": 4 bytes before its data"},
      {"gap at the start", one("F32", "2", "8,16", 16), "8 bytes before its data"},
      {"trailing bytes", one("F32", "2", "0,8", 9), "1 bytes after the last tensor"},
      {"data without tensors", FileOf("{}", 1), "1 bytes after the last tensor"},
      {"metadata with a number", FileOf("{\"__metadata__\":{\"n\":1}}", 0), "__metadata__: \"n\" is a number"},
      {"metadata with null", FileOf("{\"__metadata__\":{\"n\":null}}", 0), "__metadata__: \"n\" is null"},
      {"metadata with an object", FileOf("{\"__metadata__\":{\"n\":{}}}", 0), "__metadata__: \"n\" is an object"},
      {"metadata is a list", FileOf("{\"__metadata__\":[]}", 0), "\"__metadata__\" is a list"},
      {"metadata is null", FileOf("{\"__metadata__\":null}", 0), "\"__metadata__\" is null"},
      {"duplicate metadata", FileOf("{\"__metadata__\":{\"n\":\"1\",\"n\":\"2\"}}", 0), "\"n\" appears twice"},
      {"metadata twice", FileOf("{\"__metadata__\":{},\"__metadata__\":{}}", 0), "\"__metadata__\" appears twice"},
      {"huge name", FileOf(StrCat("{\"", std::string(100'000, 'x'), "\":1}"), 0), "(100000 bytes)"},
  };
}

TEST_F(SafetensorsTest, HostileFilesAreRefusedWithFileAndReason) {
  for (const HostileCase& c : HostileFiles()) {
    absl::Status status = OpenContent(c.content).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.what << ": " << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(Path()), HasSubstr(c.message))) << c.what;
    EXPECT_LT(status.message().size(), 2000u) << c.what;
  }
}

TEST_F(SafetensorsTest, MissingFileIsNotFound) {
  EXPECT_EQ(SafetensorsFile::Open(Path()).status().code(), absl::StatusCode::kNotFound);
}

// Every byte of a small file is changed in turn: it opens or is refused, and what opens can be read (ASan watches).
TEST_F(SafetensorsTest, NoByteCanBreakTheReader) {
  std::string good = FileOf(StrCat("{", Entry("a", "F32", "2", "0,8"), ",", Entry("b", "I8", "1,3", "8,11"), "}"), 11);
  for (size_t i = 0; i < good.size(); ++i) {
    for (char change : {'\x01', '\x80'}) {
      std::string bad = good;
      bad[i] ^= change;
      auto file = OpenContent(bad);
      if (!file.ok()) continue;
      size_t bytes = 0;
      for (const TensorInfo& tensor : (*file)->tensors()) bytes += (*file)->data(tensor).size();
      EXPECT_EQ(bytes, 11u);
      (*file)->CheckFinite().IgnoreError();
    }
  }
}

TEST_F(SafetensorsTest, TensorsAreSortedByOffsetAndFound) {
  auto file = OpenContent(FileOf(StrCat("  {", Entry("b", "U8", "2,1", "1,3"), ",", Entry("a", "BOOL", "", "0,1"), ",",
                                        Entry("", "F32", "0,5", "3,3"), ",\"__metadata__\":{\"k\":\"v\"}}   "),
                                 3));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ((*file)->tensors().size(), 3u);
  EXPECT_EQ((*file)->tensors()[0].name, "a");
  EXPECT_EQ((*file)->tensors()[1].name, "b");
  EXPECT_EQ((*file)->tensors()[2].name, "");
  EXPECT_EQ((*file)->Find("nobody"), nullptr);
  const TensorInfo* b = (*file)->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->dtype, DType::kU8);
  EXPECT_THAT(b->shape, ElementsAre(2, 1));
  EXPECT_EQ(b->element_count(), 2);
  EXPECT_EQ((*file)->Find("a")->element_count(), 1);
  EXPECT_EQ((*file)->Find("")->element_count(), 0);
  EXPECT_EQ((*file)->metadata().at("k"), "v");
}

TEST_F(SafetensorsTest, CheckFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(FiniteStatus<double>(DType::kF64, {0, -0.0, std::numeric_limits<double>::max(), 5e-324}).ok());
  EXPECT_FALSE(FiniteStatus<double>(DType::kF64, {0, nan}).ok());
  EXPECT_FALSE(FiniteStatus<double>(DType::kF64, {-infinity}).ok());
  EXPECT_TRUE(FiniteStatus<float>(DType::kF32, {0, std::numeric_limits<float>::max(), 1e-45f}).ok());
  EXPECT_FALSE(FiniteStatus<float>(DType::kF32, {static_cast<float>(infinity)}).ok());
  EXPECT_TRUE(FiniteStatus<uint16_t>(DType::kF16, {0x7bff, 0xfbff, 0x0001, 0x8000}).ok());
  EXPECT_FALSE(FiniteStatus<uint16_t>(DType::kF16, {0x7c00}).ok());
  EXPECT_FALSE(FiniteStatus<uint16_t>(DType::kF16, {0xfc01}).ok());
  EXPECT_TRUE(FiniteStatus<uint16_t>(DType::kBF16, {0x7f7f, 0xff7f, 0x7c00}).ok());
  EXPECT_FALSE(FiniteStatus<uint16_t>(DType::kBF16, {0x7f80}).ok());
  EXPECT_FALSE(FiniteStatus<uint16_t>(DType::kBF16, {0xffc0}).ok());
  EXPECT_TRUE(FiniteStatus<int64_t>(DType::kI64, {-1, 0x7ff0000000000000}).ok()) << "integers have no NaN";

  std::vector<float> values(5000, 1.0f);
  values[4321] = static_cast<float>(nan);
  absl::Status status = FiniteStatus<float>(DType::kF32, values);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(Path()), HasSubstr("\"checked\""), HasSubstr("element 4321")));
}

TEST_F(SafetensorsTest, WriterKeepsOrderAndTellsItsHash) {
  std::string sha256;
  std::string large(3'000'000, 'x');
  ASSERT_TRUE(
      WriteSafetensors(
          Files::Posix(), Path(),
          {{"z", DType::kI32, {1}, "1234"}, {"a", DType::kU8, {3000, 1000}, large}, {"s", DType::kF32, {}, "5678"}},
          {{"b", "2"}, {"a", "1"}}, &sha256)
          .ok());
  EXPECT_EQ(sha256, *Sha256OfFile(Path()));
  auto file = SafetensorsFile::Open(Path());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->tensors()[0].name, "z");
  EXPECT_EQ((*file)->data(*(*file)->Find("z")), "1234");
  EXPECT_EQ((*file)->data(*(*file)->Find("a")), large);
  EXPECT_EQ((*file)->data(*(*file)->Find("s")), "5678");
  EXPECT_EQ((*file)->metadata().size(), 2u);
  uint64_t header_length;
  std::memcpy(&header_length, ReadFile(Path())->data(), sizeof(header_length));
  EXPECT_EQ(header_length % 8, 0u);
}

TEST_F(SafetensorsTest, PastThePageCacheTheDataLiesOnAPageAndIsTheSame) {
  const std::string memory(kDirectAlignment * 3 + 5, 'm'), elsewhere = "1234";
  const std::vector<TensorView> tensors = {{"a", DType::kU8, {1000}, std::string_view(memory).substr(0, 1000)},
                                           {"b", DType::kU8, {static_cast<int64_t>(memory.size()) - 1000}, std::string_view(memory).substr(1000)},
                                           {"c", DType::kF32, {1}, elsewhere}};
  std::string sha256;
  ASSERT_TRUE(WriteSafetensors(Files::Posix(), Path(), tensors, {{"format", "pt"}}, &sha256, PageCache::kBypass).ok());
  EXPECT_EQ(sha256, *Sha256OfFile(Path()));
  auto file = SafetensorsFile::Open(Path());
  ASSERT_TRUE(file.ok()) << file.status();
  for (const TensorView& tensor : tensors) EXPECT_EQ((*file)->data(*(*file)->Find(tensor.name)), tensor.data) << tensor.name;
  EXPECT_EQ((*file)->metadata().at("format"), "pt");
  EXPECT_EQ((*FileSize(Path()) - static_cast<int64_t>(memory.size() + elsewhere.size())) % static_cast<int64_t>(kDirectAlignment), 0);
}

TEST_F(SafetensorsTest, WriterRefusesWhatTheReaderWould) {
  const std::string four = "1234";
  struct Case {
    std::vector<TensorView> tensors;
    const char* message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {{{"a", DType::kF32, {1}, four}, {"a", DType::kF32, {1}, four}}, "appears twice"},
           {{{"a", DType::kF32, {2}, four}}, "need 8 bytes"},
           {{{"a", DType::kF32, {-1}, four}}, "negative"},
           {{{"a", DType::kF32, {int64_t{1} << 62}, four}}, "too large"},
           {{{"a", DType::kF32, std::vector<int64_t>(65, 1), four}}, "more than 64"},
           {{{"\xff", DType::kF32, {1}, four}}, "not UTF-8"},
           {{{"__metadata__", DType::kF32, {1}, four}}, "reserved"},
       }) {
    absl::Status status = WriteSafetensors(Files::Posix(), Path(), c.tensors, {});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
  EXPECT_FALSE(WriteSafetensors(Files::Posix(), Path(), {}, {{"k", "\xff"}}).ok());
  EXPECT_FALSE(FileExists(Path())) << "nothing is written before the checks";
}

TEST_F(SafetensorsTest, WriterReportsEveryDiskError) {
  FaultInjectingFiles files;
  auto write = [&] { return WriteSafetensors(files, Path(), {{"a", DType::kF32, {1}, "1234"}}, {}); };
  ASSERT_TRUE(write().ok());
  EXPECT_EQ(files.CountCalls(FileOp::kSync), 1);
  const int64_t calls = static_cast<int64_t>(files.calls().size());
  for (int64_t n = 1; n <= calls; ++n) {
    files.Clear();
    files.FailCall(n, absl::ResourceExhaustedError("disk full"));
    EXPECT_EQ(write().code(), absl::StatusCode::kResourceExhausted) << "call " << n;
  }
}

}  // namespace
}  // namespace attune::weights
