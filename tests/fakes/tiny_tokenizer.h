// A small WordPiece tokenizer, written as a tokenizer.json: BERT's normalizer, splitting and template, and a vocabulary
// of a few words, all ASCII letters and digits (alone and as continuations), so that any English text has ids.
// Header-only; pure.
//
//   WriteFileAtomically(files, dir + "/tokenizer.json", TinyTokenizerJson());
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attune {

// Tokens by id: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, then words and pieces.
inline std::vector<std::string> TinyVocabulary() {
  std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a",
                                     "good",  "bad",   "very",  "movie", "is",     "was", "not",
                                     "##ly",  "##ing", "##s",   "hello", "world"};
  for (const char* prefix : {"", "##"}) {
    for (char c : std::string("abcdefghijklmnopqrstuvwxyz0123456789")) {
      if (*prefix == '\0' && c == 'a') continue;  // a word already
      if (*prefix != '\0' && c == 's') continue;
      tokens.push_back(std::string(prefix) + c);
    }
  }
  for (const char* mark : {".", ",", "!", "?", "'", "\"", "-", "#", "@"}) tokens.emplace_back(mark);
  return tokens;
}

inline int TinyVocabularySize() { return static_cast<int>(TinyVocabulary().size()); }

// The document itself, for tests that break parts of it.
inline nlohmann::ordered_json TinyTokenizer() {
  using Json = nlohmann::ordered_json;
  const std::vector<std::string> vocabulary = TinyVocabulary();
  Json vocab = Json::object();
  for (size_t id = 0; id < vocabulary.size(); ++id) vocab[vocabulary[id]] = id;
  Json added = Json::array();
  for (int id = 0; id < 5; ++id) {
    added.push_back({{"id", id},
                     {"content", vocabulary[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const auto special = [](const char* token, int type) {
    return Json{{"SpecialToken", {{"id", token}, {"type_id", type}}}};
  };
  const auto sequence = [](const char* name, int type) {
    return Json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  const auto entry = [](const char* token, int id) {
    return Json{{"id", token}, {"ids", Json::array({id})}, {"tokens", Json::array({token})}};
  };
  Json post = {{"type", "TemplateProcessing"}};
  post["single"] = Json::array({special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)});
  post["pair"] =
      Json::array({special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1), special("[SEP]", 1)});
  post["special_tokens"] = {{"[CLS]", entry("[CLS]", 2)}, {"[SEP]", entry("[SEP]", 3)}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer",
           {{"type", "BertNormalizer"},
            {"clean_text", true},
            {"handle_chinese_chars", true},
            {"strip_accents", nullptr},
            {"lowercase", true}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor", post},
          {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"continuing_subword_prefix", "##"},
            {"max_input_chars_per_word", 100},
            {"vocab", vocab}}}};
}

inline std::string TinyTokenizerJson() { return TinyTokenizer().dump(); }

}  // namespace attune
