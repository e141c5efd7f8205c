#include "server/scheduler/requests/predict_inputs.h"

#include "server/base/str_cat.h"
#include "server/jobs/spec/spec_check.h"

namespace attune::scheduler {
namespace {

constexpr size_t kMiB = 1 << 20;

// As people read sizes: rounded up, so that what is over a limit also looks so.
std::string InMiB(size_t bytes) { return StrCat((bytes + kMiB - 1) / kMiB, " MiB"); }

void CheckTexts(const v1::PredictRequest& request, std::vector<jobs::FieldViolation>& violations) {
  if (request.inputs_size() > kMaxPredictTexts) {
    violations.push_back({"inputs", StrCat("has ", request.inputs_size(), " texts; give 1 to ", kMaxPredictTexts, " in a call")});
    return;
  }
  for (int i = 0; i < request.inputs_size(); ++i) {
    if (request.inputs(i).text().empty()) violations.push_back({StrCat("inputs[", i, "].text"), "is required: the text to predict for"});
  }
}

void CheckImages(const v1::PredictRequest& request, std::vector<jobs::FieldViolation>& violations) {
  if (request.images_size() > kMaxPredictImages) {
    violations.push_back({"images", StrCat("has ", request.images_size(), " images; give 1 to ", kMaxPredictImages, " in a call")});
    return;
  }
  size_t together = 0;
  for (int i = 0; i < request.images_size(); ++i) {
    size_t bytes = request.images(i).size();
    together += bytes;
    if (bytes == 0) violations.push_back({StrCat("images[", i, "]"), "is empty: send the content of an image file"});
    if (bytes > kMaxPredictImageBytes) {
      violations.push_back({StrCat("images[", i, "]"), StrCat("has ", InMiB(bytes), " and may have ", InMiB(kMaxPredictImageBytes), "; make it smaller")});
    }
  }
  if (together > kMaxPredictImagesBytes) {
    violations.push_back({"images", StrCat("have ", InMiB(together), " together and may have ", InMiB(kMaxPredictImagesBytes), "; send fewer in a call")});
  }
}

}  // namespace

std::vector<jobs::FieldViolation> CheckPredictInputs(const v1::PredictRequest& request) {
  if (request.inputs().empty() && request.images().empty()) {
    return {{"inputs", StrCat("has nothing to predict for; give 1 to ", kMaxPredictTexts, " texts, or 1 to ", kMaxPredictImages, " images in images")}};
  }
  if (!request.inputs().empty() && !request.images().empty()) {
    return {{"images", "inputs is set too; send texts or images, whichever the checkpoint's model takes"}};
  }
  std::vector<jobs::FieldViolation> violations;
  if (request.views() < 0 || request.views() > kMaxPredictViews) {
    violations.push_back({"views", StrCat("must be 0 to ", kMaxPredictViews, ", not ", request.views())});
  } else if (request.views() > 1 && !request.inputs().empty()) {
    violations.push_back({"views", "is for images, and inputs has texts; leave it out"});
  }
  CheckTexts(request, violations);
  CheckImages(request, violations);
  return violations;
}

std::vector<jobs::FieldViolation> CheckPredictModality(const v1::PredictRequest& request, const v1::FineTuningJob& job) {
  bool takes_images = jobs::TakesImages(job.effective_spec().task());
  if (takes_images && request.images().empty()) return {{"inputs", StrCat(job.name(), " learnt from images; send image files in images instead of texts")}};
  if (!takes_images && !request.images().empty()) return {{"images", StrCat(job.name(), " learnt from texts; send texts in inputs instead of images")}};
  return {};
}

}  // namespace attune::scheduler
