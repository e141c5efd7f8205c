#include "server/datasets/formats/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/datasets/formats/read_rows.h"

namespace attune::datasets {
namespace {

using ::testing::HasSubstr;

std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// With a checksum, as the zstd program writes it.
std::string Zstd(const std::string& text) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

absl::StatusOr<std::string> ReadAll(const std::string& filename, const std::string& content,
                                    int64_t max_unpacked_bytes = 1 << 30, size_t step = 1 << 16,
                                    int64_t max_expansion = 2000) {
  TemporaryDirectory directory;
  ATTUNE_ASSIGN_OR_RETURN(auto source, OpenInput({.path = WriteTemporary(directory, "f", content),
                                                  .filename = filename,
                                                  .max_unpacked_bytes = max_unpacked_bytes,
                                                  .max_expansion = max_expansion}));
  std::string out;
  std::string buffer(step, '\0');
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const size_t n, source->Read(buffer.data(), buffer.size()));
    if (n == 0) break;
    out.append(buffer, 0, n);
  }
  EXPECT_EQ(source->file_bytes(), static_cast<int64_t>(content.size()));
  return out;
}

// Compresses well and badly in turns, and is larger than the streams' buffers.
std::string SomeText() {
  std::string text;
  uint32_t random = 1;
  for (int i = 0; i < 300000; ++i) {
    random = random * 1664525 + 1013904223;
    text += (i / 10000) % 2 == 0 ? 'a' : static_cast<char>('!' + (random >> 24) % 90);
  }
  return text;
}

struct Packing {
  const char* ending;
  std::string (*pack)(const std::string&);
  const char* name;
};

class PackedTest : public testing::TestWithParam<Packing> {};

TEST_P(PackedTest, GivesBackTheText) {
  const std::string text = SomeText();
  for (const size_t step : {size_t{1} << 16, size_t{977}}) {
    auto out = ReadAll(std::string("a.csv") + GetParam().ending, GetParam().pack(text), 1 << 30, step);
    ASSERT_TRUE(out.ok()) << out.status();
    EXPECT_EQ(*out, text);
  }
  EXPECT_EQ(*ReadAll("a.csv", GetParam().pack("")), "");
}

TEST_P(PackedTest, JoinsConcatenatedStreams) {
  EXPECT_EQ(*ReadAll("a.csv", GetParam().pack("one,") + GetParam().pack("") + GetParam().pack("two")), "one,two");
}

TEST_P(PackedTest, IsRecognisedByContentWhateverTheName) {
  EXPECT_EQ(*ReadAll("a.csv", GetParam().pack("text")), "text");
}

TEST_P(PackedTest, EveryCutIsAnErrorThatNamesTheFile) {
  const std::string packed = GetParam().pack(SomeText());
  for (const size_t size : {size_t{5}, size_t{20}, packed.size() / 2, packed.size() - 1}) {
    const auto status = ReadAll(std::string("cut.csv") + GetParam().ending, packed.substr(0, size)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << size;
    EXPECT_THAT(std::string(status.message()), HasSubstr("'cut.csv")) << size;
    EXPECT_THAT(std::string(status.message()), HasSubstr("cut short")) << size;
  }
  EXPECT_EQ(ReadAll("cut.csv", packed + packed.substr(0, packed.size() / 2)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(PackedTest, CorruptBytesAreAnErrorThatNamesTheFile) {
  std::string packed = GetParam().pack(SomeText());
  for (size_t i = packed.size() / 2; i < packed.size() / 2 + 100; ++i) packed[i] = static_cast<char>(packed[i] ^ 0x55);
  const auto status = ReadAll(std::string("bad.csv") + GetParam().ending, packed).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'bad.csv"));
  EXPECT_EQ(ReadAll("a.csv", GetParam().pack("text") + "trailing garbage").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_P(PackedTest, BombsEndAtTheLimit) {
  const std::string packed = GetParam().pack(std::string(10 << 20, '\0'));
  ASSERT_LT(packed.size(), 20000u);
  const auto status = ReadAll("bomb.csv", packed, 1 << 20).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'bomb.csv' unpacks to more than 1048576 bytes"));
  EXPECT_TRUE(ReadAll("bomb.csv", packed, 10 << 20).ok());
}

TEST_P(PackedTest, NoTableIsPackedSoDensely) {
  const std::string packed = GetParam().pack(std::string(80 << 20, '\0'));
  const auto status = ReadAll("bomb.csv", packed, 1 << 30, 1 << 16, /*max_expansion=*/200).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'bomb.csv' unpacks to more than 200 times its size"));
  EXPECT_TRUE(ReadAll("bomb.csv", packed, 1 << 30, 1 << 16, /*max_expansion=*/1 << 30).ok());
}

TEST_P(PackedTest, RowsAreReadThroughIt) {
  auto rows = ReadRows(std::string("a.csv") + GetParam().ending, GetParam().pack("text,label\na,x\n"));
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ((*rows)[0].cells, "a|-|x|-");
}

TEST_P(PackedTest, NameThatPromisesPackingMustKeepIt) {
  const auto status = ReadAll(std::string("plain.csv") + GetParam().ending, "text,label\n").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().name));
}

INSTANTIATE_TEST_SUITE_P(All, PackedTest,
                         testing::Values(Packing{".gz", &Gzip, "gzip"}, Packing{".zst", &Zstd, "zstd"}),
                         [](const testing::TestParamInfo<Packing>& info) { return info.param.name; });

TEST(GzipSourceTest, ZeroPaddingIsIgnored) {
  EXPECT_EQ(*ReadAll("a.csv.gz", Gzip("text") + std::string(512, '\0')), "text");
}

TEST(ZstdSourceTest, WindowsLargerThanMemoryAllowsAreRefused) {
  // A frame header that asks for a window of 1 GiB.
  const std::string frame("\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00", 9);
  const auto status = ReadAll("long.csv.zst", frame).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("--long=27"));
}

TEST(FileSourceTest, PlainTextAndAbsentFiles) {
  EXPECT_EQ(*ReadAll("a.csv", "text,label\n"), "text,label\n");
  EXPECT_EQ(*ReadAll("a.csv", ""), "");
  EXPECT_EQ(OpenInput({.path = "/nonexistent/a", .filename = "a.csv"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace attune::datasets
