#include "server/base/trace_context.h"

namespace attune {
namespace {

// version "-" trace-id "-" parent-id "-" flags
constexpr size_t kVersion = 2, kTraceId = 32, kParentId = 16, kFlags = 2;
constexpr size_t kTraceIdAt = kVersion + 1, kParentIdAt = kTraceIdAt + kTraceId + 1, kFlagsAt = kParentIdAt + kParentId + 1;
constexpr size_t kLength = kFlagsAt + kFlags;

bool IsHex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

thread_local std::string current;

}  // namespace

std::string TraceIdOf(std::string_view traceparent) {
  if (traceparent.size() < kLength || traceparent[kVersion] != '-' || traceparent[kParentIdAt - 1] != '-' || traceparent[kFlagsAt - 1] != '-') return "";
  const std::string_view version = traceparent.substr(0, kVersion), trace_id = traceparent.substr(kTraceIdAt, kTraceId),
                         parent_id = traceparent.substr(kParentIdAt, kParentId), flags = traceparent.substr(kFlagsAt, kFlags);
  if (!IsHex(version) || version == "ff" || !IsHex(trace_id) || IsZero(trace_id) || !IsHex(parent_id) || IsZero(parent_id) || !IsHex(flags)) return "";
  // Later versions may append fields; this one has none.
  if (traceparent.size() > kLength && (version == "00" || traceparent[kLength] != '-')) return "";
  return std::string(trace_id);
}

const std::string& CurrentTraceId() { return current; }

TraceScope::TraceScope(std::string trace_id) : outer_(std::exchange(current, std::move(trace_id))) {}

TraceScope::~TraceScope() { current = std::move(outer_); }

}  // namespace attune
