#include "server/examples/record.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "absl/status/status.h"

namespace attune::examples {
namespace {

static_assert(std::endian::native == std::endian::little, "records are read in place");

constexpr uint8_t kHasTextPair = 1;
constexpr uint8_t kHasValue = 2;

template <typename T>
void AppendRaw(T value, std::string* out) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <typename T>
T LoadRaw(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Takes fields from the front; `ok` turns false, and stays so, when one is not all there.
struct Cursor {
  std::string_view rest;
  bool ok = true;

  std::string_view Bytes(uint64_t count) {
    if (!ok || count > rest.size()) {
      ok = false;
      return {};
    }
    std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(count);
    return taken;
  }
  template <typename T>
  T Number() {
    std::string_view bytes = Bytes(sizeof(T));
    return ok ? LoadRaw<T>(bytes.data()) : T{};
  }
  std::string_view Text() { return Bytes(Number<uint32_t>()); }
};

}  // namespace

void AppendU32(uint32_t value, std::string* out) { AppendRaw(value, out); }
void AppendU64(uint64_t value, std::string* out) { AppendRaw(value, out); }
uint32_t LoadU32(const char* bytes) { return LoadRaw<uint32_t>(bytes); }
uint64_t LoadU64(const char* bytes) { return LoadRaw<uint64_t>(bytes); }

int64_t RecordBytes(const Example& example) {
  constexpr int64_t kFixed = 1 + 4 + 8 + 4 + 4;
  int64_t size = kFixed + static_cast<int64_t>(example.labels.size() * sizeof(int32_t) + example.text.size());
  if (example.value != 0) size += sizeof(double);
  if (example.has_text_pair) size += static_cast<int64_t>(sizeof(uint32_t) + example.text_pair.size());
  return size;
}

void AppendRecord(const Example& example, std::string* out) {
  const uint8_t flags = (example.has_text_pair ? kHasTextPair : 0) | (example.value != 0 ? kHasValue : 0);
  AppendRaw(flags, out);
  AppendRaw(example.file, out);
  AppendRaw(example.line, out);
  AppendRaw(static_cast<uint32_t>(example.labels.size()), out);
  for (int32_t label : example.labels) AppendRaw(label, out);
  if ((flags & kHasValue) != 0) AppendRaw(example.value, out);
  AppendRaw(static_cast<uint32_t>(example.text.size()), out);
  out->append(example.text);
  if (!example.has_text_pair) return;
  AppendRaw(static_cast<uint32_t>(example.text_pair.size()), out);
  out->append(example.text_pair);
}

absl::StatusOr<Example> DecodeRecord(std::string_view record) {
  Cursor cursor{record};
  Example example;
  const uint8_t flags = cursor.Number<uint8_t>();
  example.file = cursor.Number<uint32_t>();
  example.line = cursor.Number<int64_t>();
  const uint64_t label_count = cursor.Number<uint32_t>();
  // Taken as bytes first: a wrong count must not allocate.
  std::string_view labels = cursor.Bytes(label_count * sizeof(int32_t));
  if (cursor.ok) example.labels.resize(label_count);
  if (!labels.empty()) std::memcpy(example.labels.data(), labels.data(), labels.size());
  if ((flags & kHasValue) != 0) example.value = cursor.Number<double>();
  example.text = cursor.Text();
  example.has_text_pair = (flags & kHasTextPair) != 0;
  if (example.has_text_pair) example.text_pair = cursor.Text();
  if (!cursor.ok || !cursor.rest.empty() || (flags & ~(kHasTextPair | kHasValue)) != 0 ||
      !std::isfinite(example.value)) {
    return absl::DataLossError("the record is damaged");
  }
  return example;
}

}  // namespace attune::examples
