// Sizes and times in words. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace attune::scheduler {

// "3.1 GiB", "870 MiB".
std::string BinaryBytes(int64_t bytes);

// "40 s", "14 min", "3.5 h": as precise as an estimate is.
std::string AboutSeconds(double seconds);

}  // namespace attune::scheduler
