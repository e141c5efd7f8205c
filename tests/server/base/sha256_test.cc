#include "server/base/sha256.h"

#include <gtest/gtest.h>

#include "server/base/files.h"

namespace attune {
namespace {

constexpr char kOfNothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(Sha256Hex(""), kOfNothing);
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, PiecesAndMovesDoNotMatter) {
  Sha256 hash;
  hash.Update("a");
  Sha256 moved = std::move(hash);
  moved.Update("");
  moved.Update("bc");
  EXPECT_EQ(moved.HexDigest(), Sha256Hex("abc"));
}

TEST(Sha256Test, OfFile) {
  TemporaryDirectory directory;
  std::string path = directory.path() + "/file";
  std::string content(700001, 'x');
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, content).ok());
  EXPECT_EQ(*Sha256OfFile(path), Sha256Hex(content));
  EXPECT_EQ(Sha256OfFile(path + "x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Sha256OfFile(directory.path()).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace attune
