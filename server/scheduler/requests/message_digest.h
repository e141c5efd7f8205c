// SHA-256 of a message: equal ones give equal digests (maps are serialised in key order). Pure.
//
//   MessageDigest(request) == MessageDigest(the_one_before)
#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace attune::scheduler {

std::string MessageDigest(const google::protobuf::Message& message);

}  // namespace attune::scheduler
