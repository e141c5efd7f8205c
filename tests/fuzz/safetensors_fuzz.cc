// Safetensors: the weights of an imported model.
#include "server/base/files.h"
#include "server/weights/safetensors.h"
#include "server/weights/safetensors_header.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

using weights::SafetensorsFile;
using weights::TensorInfo;
using weights::TensorView;

// What was read is written again, and that is read as the same.
void WriteAndReadAgain(const SafetensorsFile& file) {
  static MemoryFile copy;
  std::vector<TensorView> views;
  for (const TensorInfo& tensor : file.tensors())
    views.push_back({tensor.name, tensor.dtype, tensor.shape, file.data(tensor)});
  Require(WriteSafetensors(Files::Posix(), copy.path(), views, file.metadata()).ok(), "what was read can be written");
  const auto again = SafetensorsFile::Open(copy.path());
  Require(again.ok(), "what was written can be read");
  Require((*again)->metadata() == file.metadata() && (*again)->tensors().size() == file.tensors().size(),
          "as much was read as was written");
  for (const TensorInfo& tensor : file.tensors()) {
    const TensorInfo* same = (*again)->Find(tensor.name);
    Require(same != nullptr && same->dtype == tensor.dtype && same->shape == tensor.shape &&
                (*again)->data(*same) == file.data(tensor),
            "each tensor was read as it was written");
  }
}

void ReadFile(std::string_view content) {
  static MemoryFile input;
  const auto file = SafetensorsFile::Open(input.Put(content));
  if (!file.ok()) return RequireRefusal(file.status());
  int64_t end = 0;
  for (const TensorInfo& tensor : (*file)->tensors()) {
    Require(tensor.begin == end && tensor.end >= tensor.begin, "tensors lie one behind the other");
    end = tensor.end;
    Require((*file)->Find(tensor.name) == &tensor, "each name is there once");
    Require(
        (*file)->data(tensor).size() == static_cast<size_t>(tensor.element_count() * weights::DTypeSize(tensor.dtype)),
        "tensors have the size of their values");
  }
  Require(static_cast<size_t>(end) < content.size(), "data lies in the file");
  const absl::Status finite = (*file)->CheckFinite();
  if (!finite.ok()) RequireRefusal(finite);
  WriteAndReadAgain(**file);
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view content = attune::fuzz::Input(data, size);
  attune::fuzz::ReadFile(content);
  // The header alone, in memory of its own: a mapped file ends in zeros that nobody would miss.
  if (size > 8) (void)attune::weights::ParseSafetensorsHeader(content.substr(8));
  return 0;
}
