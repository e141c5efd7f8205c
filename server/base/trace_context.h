// The trace that the work of a thread belongs to: the trace id of the W3C trace context (https://www.w3.org/TR/trace-context/) that came with a call. Log() names it in
// each line, so that whoever finds a slow or failed request in another system finds here what became of it. Thread-safe.
//
//   const TraceScope trace(TraceIdOf(header));  // until it goes
//   executor.Post(InCurrentTrace([] { Log(LogLevel::kInfo, "still in it"); }));
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace attune {

// The trace id (32 lower-case hexadecimal digits) of a `traceparent` header; empty where it is malformed, which the specification wants ignored.
std::string TraceIdOf(std::string_view traceparent);

// Of the calling thread; empty outside of any scope.
const std::string& CurrentTraceId();

// The calling thread's work belongs to `trace_id` while this lives; to none where that is empty. Ends on the thread that began it, the inner before the outer.
class TraceScope {
 public:
  explicit TraceScope(std::string trace_id);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  std::string outer_;
};

// `task`, which takes nothing, for another thread: runs in the caller's trace.
template <typename Task>
auto InCurrentTrace(Task task) {
  return [trace_id = CurrentTraceId(), task = std::move(task)]() mutable {
    const TraceScope scope(std::move(trace_id));
    return std::move(task)();
  };
}

}  // namespace attune
