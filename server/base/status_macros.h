// ATTUNE_RETURN_IF_ERROR and ATTUNE_ASSIGN_OR_RETURN: early return for absl::Status and absl::StatusOr.
//
//   ATTUNE_RETURN_IF_ERROR(file.Sync());
//   ATTUNE_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define ATTUNE_RETURN_IF_ERROR(expr)                 \
  do {                                               \
    ::absl::Status attune_status_ = (expr);          \
    if (!attune_status_.ok()) return attune_status_; \
  } while (false)

#define ATTUNE_CONCAT_INNER_(a, b) a##b
#define ATTUNE_CONCAT_(a, b) ATTUNE_CONCAT_INNER_(a, b)
#define ATTUNE_ASSIGN_OR_RETURN(lhs, expr) \
  ATTUNE_ASSIGN_OR_RETURN_IMPL_(ATTUNE_CONCAT_(attune_statusor_, __LINE__), lhs, expr)
#define ATTUNE_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                                  \
  if (!statusor.ok()) return std::move(statusor).status(); \
  lhs = std::move(statusor).value()
