// TextDigest: 128 bits of a text, by which equal texts are found without keeping them. Not cryptographic and not
// stored: whoever makes two texts collide on purpose gets a wrong duplicate count. Pure; thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace attune::datasets {

struct TextDigest {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const TextDigest&) const = default;
};

// A text and its pair; a text without a pair differs from one with an empty pair and from the two joined.
TextDigest DigestText(std::string_view text, bool has_pair, std::string_view pair);

}  // namespace attune::datasets
