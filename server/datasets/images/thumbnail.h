// Small pictures for previews. Pure; thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(std::string png, MakeThumbnail(bytes, 96));
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/images/image.h"

namespace attune::datasets {

// An image file as PNG, made smaller until its longer side has `longer_side` pixels at most; never larger. Averages
// over areas. INVALID_ARGUMENT for what is no image.
absl::StatusOr<std::string> MakeThumbnail(std::string_view bytes, int longer_side);

// `image` as a PNG file (8-bit RGB).
std::string EncodePng(const images::Image& image);

}  // namespace attune::datasets
