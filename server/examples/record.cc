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
constexpr uint8_t kIsImage = 4;

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

void AppendText(std::string_view text, std::string* out) {
  AppendRaw(static_cast<uint32_t>(text.size()), out);
  out->append(text);
}

}  // namespace

void AppendU32(uint32_t value, std::string* out) { AppendRaw(value, out); }
void AppendU64(uint64_t value, std::string* out) { AppendRaw(value, out); }
uint32_t LoadU32(const char* bytes) { return LoadRaw<uint32_t>(bytes); }
uint64_t LoadU64(const char* bytes) { return LoadRaw<uint64_t>(bytes); }

int64_t RecordBytes(const Example& example) {
  constexpr int64_t kFixed = 1 + 4 + 8 + 4;
  int64_t size = kFixed + static_cast<int64_t>(example.labels.size() * sizeof(int32_t));
  if (example.value != 0) size += sizeof(double);
  const auto add = [&size](const std::string& text) { size += static_cast<int64_t>(sizeof(uint32_t) + text.size()); };
  if (!example.image.empty()) {
    add(example.entry);
    add(example.image);
    return size;
  }
  add(example.text);
  if (example.has_text_pair) add(example.text_pair);
  return size;
}

void AppendRecord(const Example& example, std::string* out) {
  const bool is_image = !example.image.empty();
  const uint8_t flags = static_cast<uint8_t>((example.has_text_pair ? kHasTextPair : 0) |
                                             (example.value != 0 ? kHasValue : 0) | (is_image ? kIsImage : 0));
  AppendRaw(flags, out);
  AppendRaw(example.file, out);
  AppendRaw(example.line, out);
  AppendRaw(static_cast<uint32_t>(example.labels.size()), out);
  for (int32_t label : example.labels) AppendRaw(label, out);
  if ((flags & kHasValue) != 0) AppendRaw(example.value, out);
  if (is_image) {
    AppendText(example.entry, out);
    AppendText(example.image, out);
    return;
  }
  AppendText(example.text, out);
  if (example.has_text_pair) AppendText(example.text_pair, out);
}

absl::StatusOr<ExampleView> DecodeRecord(std::string_view record) {
  Cursor cursor{record};
  ExampleView example;
  const uint8_t flags = cursor.Number<uint8_t>();
  example.file = cursor.Number<uint32_t>();
  example.line = cursor.Number<int64_t>();
  const uint64_t label_count = cursor.Number<uint32_t>();
  // Taken as bytes first: a wrong count must not allocate.
  std::string_view labels = cursor.Bytes(label_count * sizeof(int32_t));
  if (cursor.ok) example.labels.resize(label_count);
  if (!labels.empty()) std::memcpy(example.labels.data(), labels.data(), labels.size());
  if ((flags & kHasValue) != 0) example.value = cursor.Number<double>();
  const bool is_image = (flags & kIsImage) != 0;
  example.has_text_pair = (flags & kHasTextPair) != 0;
  if (is_image) {
    example.entry = cursor.Text();
    example.image = cursor.Text();
  } else {
    example.text = cursor.Text();
    if (example.has_text_pair) example.text_pair = cursor.Text();
  }
  const bool known = (flags & ~(kHasTextPair | kHasValue | kIsImage)) == 0 && !(is_image && example.has_text_pair);
  if (!cursor.ok || !cursor.rest.empty() || !known || is_image == example.image.empty() ||
      !std::isfinite(example.value)) {
    return absl::DataLossError("the record is damaged");
  }
  return example;
}

}  // namespace attune::examples
