// Token ids of many texts, for comparison with Python's (python_parity_test.py).
//
//   attune_dump_tokens MODEL_DIR < inputs.bin > tokens.bin      formats: see tests/golden/make_tokenizer_goldens.py
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "server/tokenizers/tokenizer.h"

namespace {

// False at the end of the input.
bool Read(void* data, size_t size) { return std::fread(data, 1, size, stdin) == size; }

bool ReadText(int32_t size, std::string* text) {
  text->resize(static_cast<size_t>(size));
  return Read(text->data(), text->size());
}

void Write(const std::vector<int32_t>& values) { std::fwrite(values.data(), sizeof(int32_t), values.size(), stdout); }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: attune_dump_tokens MODEL_DIR < inputs.bin > tokens.bin\n";
    return 2;
  }
  const auto tokenizer = attune::tokenizers::LoadTokenizer(argv[1]);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  int32_t size = 0;
  while (Read(&size, sizeof(size))) {
    std::string text, pair;
    int32_t pair_size = 0, max_length = 0;
    if (!ReadText(size, &text) || !Read(&pair_size, sizeof(pair_size)) ||
        (pair_size > 0 && !ReadText(pair_size, &pair)) || !Read(&max_length, sizeof(max_length))) {
      std::cerr << "the input ends within a record\n";
      return 1;
    }
    const std::string_view pair_view = pair;
    const auto encoding = (*tokenizer)->Encode(text, pair_size < 0 ? nullptr : &pair_view, max_length);
    if (!encoding.ok()) {
      Write({-1});
      continue;
    }
    Write({static_cast<int32_t>(encoding->ids.size())});
    Write(encoding->ids);
    Write(encoding->type_ids);
  }
  return 0;
}
