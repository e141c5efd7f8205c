#include <algorithm>
#include <optional>
#include <set>

#include "nlohmann/json.hpp"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"
#include "server/weights/safetensors.h"
#include "server/weights/safetensors_header.h"

namespace attune::weights {
namespace {

constexpr size_t kAlignment = 8;
constexpr size_t kWriteBytes = 1 << 20;  // a piece stays in cache between hashing and writing

absl::Status CheckTensors(const std::vector<TensorView>& tensors) {
  std::set<std::string_view> names;
  for (const TensorView& tensor : tensors) {
    auto fail = [&](const std::string& what) {
      return absl::InvalidArgumentError(StrCat("tensor ", QuotedName(tensor.name), ": ", what));
    };
    if (tensor.name == kMetadataKey) return fail("the name is reserved");
    if (FirstInvalidUtf8(tensor.name).has_value()) return fail("the name is not UTF-8");
    if (!names.insert(tensor.name).second) return fail("the name appears twice");
    if (tensor.shape.size() > kMaxRank) return fail(StrCat("shape has more than ", kMaxRank, " dimensions"));
    std::optional<int64_t> bytes = TensorBytes(tensor.dtype, tensor.shape);
    if (!bytes.has_value()) return fail("shape has a negative dimension or is too large");
    if (*bytes != static_cast<int64_t>(tensor.data.size())) {
      return fail(StrCat("shape and dtype need ", *bytes, " bytes, and the data has ", tensor.data.size()));
    }
  }
  return absl::OkStatus();
}

// The length, the JSON and the spaces that align the data. Keys stand in the order of the Python library.
absl::StatusOr<std::string> BuildHeader(const std::vector<TensorView>& tensors,
                                        const std::map<std::string, std::string>& metadata, size_t alignment) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [key, value] : metadata) {
    if (FirstInvalidUtf8(key).has_value() || FirstInvalidUtf8(value).has_value()) {
      return absl::InvalidArgumentError(StrCat("metadata ", QuotedName(key), " is not UTF-8"));
    }
    json[kMetadataKey][key] = value;
  }
  std::string text = json.dump();
  text.pop_back();  // the closing brace
  size_t offset = 0;
  for (const TensorView& tensor : tensors) {
    // Written piece by piece: an ordered_json object looks a new key up in linear time.
    nlohmann::ordered_json entry;
    entry["dtype"] = DTypeName(tensor.dtype);
    entry["shape"] = tensor.shape;
    entry["data_offsets"] = {offset, offset + tensor.data.size()};
    offset += tensor.data.size();
    StrAppend(&text, text.size() > 1 ? "," : "", nlohmann::json(tensor.name).dump(), ":", entry.dump());
  }
  text += '}';
  const size_t end = sizeof(uint64_t) + text.size();
  text.append((alignment - end % alignment) % alignment, ' ');
  if (static_cast<int64_t>(text.size()) > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(
        StrCat("the header needs ", text.size(), " bytes and may have ", kMaxHeaderBytes));
  }
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

// The tensors' bytes; those that lie one behind the other in memory in one piece.
std::vector<std::string_view> Runs(const std::vector<TensorView>& tensors) {
  std::vector<std::string_view> runs;
  for (const TensorView& tensor : tensors) {
    if (!runs.empty() && runs.back().data() + runs.back().size() == tensor.data.data()) {
      runs.back() = {runs.back().data(), runs.back().size() + tensor.data.size()};
    } else {
      runs.push_back(tensor.data);
    }
  }
  return runs;
}

}  // namespace

absl::Status WriteSafetensors(Files& files, const std::string& path, const std::vector<TensorView>& tensors,
                              const std::map<std::string, std::string>& metadata, std::string* sha256, PageCache page_cache) {
  const bool cached = page_cache == PageCache::kUse;
  ATTUNE_RETURN_IF_ERROR(CheckTensors(tensors));
  ATTUNE_ASSIGN_OR_RETURN(std::string header, BuildHeader(tensors, metadata, cached ? kAlignment : kDirectAlignment));
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, cached ? files.Create(path) : files.CreateUncached(path));
  std::optional<Sha256> hash;
  if (sha256 != nullptr) hash.emplace();
  auto write = [&](std::string_view data) -> absl::Status {
    for (; !data.empty(); data.remove_prefix(std::min(kWriteBytes, data.size()))) {
      std::string_view piece = data.substr(0, kWriteBytes);
      if (hash.has_value()) hash->Update(piece);
      ATTUNE_RETURN_IF_ERROR(file->Append(piece));
    }
    return absl::OkStatus();
  };
  ATTUNE_RETURN_IF_ERROR(write(header));
  for (const std::string_view run : Runs(tensors)) ATTUNE_RETURN_IF_ERROR(write(run));
  ATTUNE_RETURN_IF_ERROR(file->Sync());
  ATTUNE_RETURN_IF_ERROR(file->Close());
  if (sha256 != nullptr) *sha256 = hash->HexDigest();
  return absl::OkStatus();
}

}  // namespace attune::weights
