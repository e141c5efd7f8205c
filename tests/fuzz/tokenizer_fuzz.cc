// tokenizer.json of an imported model, and texts that go through what it describes.
#include "server/tokenizers/tokenizer.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

void UseTokenizer(std::string_view json) {
  const auto tokenizer = tokenizers::ParseTokenizer(json, "tokenizer.json");
  if (!tokenizer.ok()) return RequireRefusal(tokenizer.status());
  const std::string_view pair = "and another, \xc3\xa9\xcc\x81 \xe4\xbd\xa0\xe5\xa5\xbd";
  constexpr int32_t kMaxLength = 5;
  for (const std::string_view text :
       {std::string_view(), std::string_view("a good Movie, w\xc3\xa4hrend!  \n12.50"), pair}) {
    for (const bool is_pair : {false, true}) {
      const auto encoding = (*tokenizer)->Encode(text, is_pair ? &pair : nullptr, is_pair ? kMaxLength : 0);
      if (!encoding.ok()) continue;
      Require(encoding->ids.size() == encoding->type_ids.size(), "each id has its segment");
      Require(!is_pair || encoding->ids.size() <= kMaxLength, "texts are cut");
      for (const int32_t type : encoding->type_ids) Require(type >= 0, "segments are rows of an embedding");
      for (const int32_t id : encoding->ids)
        Require(id >= 0 && id < (*tokenizer)->vocabulary_size(), "ids are rows of the embedding");
    }
  }
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::UseTokenizer(attune::fuzz::Input(data, size));
  return 0;
}
