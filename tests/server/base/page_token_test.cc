#include "server/base/page_token.h"

#include <string>

#include "gtest/gtest.h"

namespace attune {
namespace {

TEST(PageTokenTest, GivesBackWhatWasPutIn) {
  for (const std::string& cursor :
       {std::string(), std::string("42"), std::string("\0\xff binary", 9), std::string(1000, 'x')}) {
    const std::string token = MakePageToken("datasets", cursor);
    EXPECT_FALSE(token.empty());
    auto read = ReadPageToken("datasets", token);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, cursor);
  }
}

TEST(PageTokenTest, EmptyTokenIsTheFirstPage) {
  auto read = ReadPageToken("datasets", "");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, "");
}

TEST(PageTokenTest, IsSafeInUrlsAndOnCommandLines) {
  for (int i = 0; i < 200; ++i) {
    const std::string token = MakePageToken("jobs", std::to_string(i) + "\xfb\xff");
    EXPECT_EQ(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos)
        << token;
  }
}

TEST(PageTokenTest, RefusesTokensOfAnotherListOrFilter) {
  const std::string token = MakePageToken("datasets", "42");
  EXPECT_EQ(ReadPageToken("models", token).status().code(), absl::StatusCode::kInvalidArgument);
  // "a" + "bc" and "ab" + "c" are different scopes, though their bytes join to the same.
  EXPECT_FALSE(ReadPageToken("ab", MakePageToken("a", "bc")).ok());
}

TEST(PageTokenTest, RefusesEveryEditedTokenAndSaysWhatToDo) {
  const std::string token = MakePageToken("datasets", "1234567");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string edited = token;
    edited[i] = edited[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(ReadPageToken("datasets", edited).ok()) << "at " << i;
    EXPECT_FALSE(ReadPageToken("datasets", token.substr(0, i + 1)).ok() && i + 1 < token.size()) << "cut after " << i;
  }
  for (const char* foreign : {"5", "next", "====", "not base64!", "AAAAAAAAAAAAAAAAAAAA"}) {
    auto read = ReadPageToken("datasets", foreign);
    ASSERT_FALSE(read.ok()) << foreign;
    EXPECT_NE(read.status().message().find("next_page_token"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace attune
