#include "server/training/steps/out_of_memory.h"

#include <malloc.h>

#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include <ATen/ops/cat.h>
#include <c10/util/Exception.h>

#include "absl/strings/match.h"
#include "server/training/input/batch_parts.h"

namespace attune::training {
namespace {

at::Tensor RunAll(const Batch& batch, int parts, const std::function<at::Tensor(const Batch&)>& run) {
  if (parts == 1) return run(batch);
  std::vector<at::Tensor> outputs;
  for (int part = 0; part < parts; ++part) outputs.push_back(run(PartOf(batch, part, parts)));
  return at::cat(outputs);
}

}  // namespace

bool IsOutOfMemory(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr || dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  if (torch_error == nullptr) return false;
  // The CPU's allocator has no exception of its own.
  const std::string text = torch_error->what_without_backtrace();
  return absl::StrContains(text, "can't allocate memory") || absl::StrContains(text, "not enough memory");
}

void ReturnFreedMemory() { malloc_trim(0); }

at::Tensor RunInParts(const Batch& batch, int& parts, const std::function<at::Tensor(const Batch&)>& run) {
  while (true) {
    const int most = static_cast<int>(OwnRows(batch)), now = std::clamp(parts, 1, std::max(1, most));
    try {
      return RunAll(batch, now, run);
    } catch (const std::exception& error) {
      if (!IsOutOfMemory(error) || now >= most) throw;
    }
    ReturnFreedMemory();
    parts = std::min(2 * now, most);
  }
}

}  // namespace attune::training
