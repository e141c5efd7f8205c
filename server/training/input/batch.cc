#include "server/training/input/batch.h"

namespace attune::training {

Batch ToDevice(const Batch& batch, const at::Device& device) {
  Batch out = batch;
  for (at::Tensor* tensor : {&out.targets, &out.text.token_ids, &out.text.type_ids, &out.text.position_ids, &out.text.first_token, &out.pixels, &out.prefix_output,
                             &out.mixed_targets}) {
    if (tensor->defined()) *tensor = tensor->to(device, /*non_blocking=*/true);
  }
  if (batch.replay != nullptr) out.replay = std::make_shared<const Batch>(ToDevice(*batch.replay, device));
  return out;
}

}  // namespace attune::training
