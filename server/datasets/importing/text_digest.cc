#include "server/datasets/importing/text_digest.h"

#include <cstring>

namespace attune::datasets {
namespace {

// Odd constants with as many ones as zeros (the first digits of e and pi, and others).
constexpr uint64_t kKeys[4] = {0xb7e151628aed2a6bu, 0x243f6a8885a308d3u, 0x9e3779b97f4a7c15u, 0xc2b2ae3d27d4eb4fu};

// The two halves of the 128-bit product, folded: each bit of the result depends on all bits of both.
uint64_t Fold(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t Load(const char* bytes, size_t size) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, size);
  return word;
}

void Absorb(uint64_t first, uint64_t second, TextDigest& state) {
  const uint64_t high = state.high, low = state.low;
  // The old state is added back, so that a factor that happens to be 0 does not wipe out what came before.
  state.high = Fold(first ^ kKeys[0] ^ low, second ^ kKeys[1] ^ high) + low;
  state.low = Fold(second ^ kKeys[2] ^ low, first ^ kKeys[3] ^ high) + high;
}

void Absorb(std::string_view text, TextDigest& state) {
  Absorb(text.size(), ~text.size(), state);
  const char* bytes = text.data();
  size_t left = text.size();
  for (; left >= 16; left -= 16, bytes += 16) Absorb(Load(bytes, 8), Load(bytes + 8, 8), state);
  if (left >= 8) {
    Absorb(Load(bytes, 8), Load(bytes + 8, left - 8), state);
  } else if (left > 0) {
    Absorb(Load(bytes, left), 0, state);
  }
}

}  // namespace

TextDigest DigestText(std::string_view text, bool has_pair, std::string_view pair) {
  TextDigest state{kKeys[0], kKeys[2]};
  Absorb(text, state);
  if (has_pair) Absorb(pair, state);
  Absorb(has_pair ? 1 : 2, 3, state);
  return state;
}

}  // namespace attune::datasets
