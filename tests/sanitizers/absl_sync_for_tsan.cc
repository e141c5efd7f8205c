// Abseil's Mutex, CondVar, Notification and BlockingCounter on top of pthreads, linked into every program of the tsan
// build and into nothing else.
//
// Why: Debian's Abseil is not instrumented and does not use pthread mutexes, so ThreadSanitizer sees none of its
// locking and reports a race at each access that a Mutex guards. Definitions in a program win over those of a shared
// library, so with this file our code, and gRPC's, lock by pthreads, which ThreadSanitizer watches: it finds missing
// locks and, as an extra, locks taken in opposite orders.
//
// An object's own word holds a pointer to its state, made at the first use (0 is "unlocked" to Abseil, so static
// mutexes work). Reader locks are exclusive here, which allows less than Abseil but nothing more. Conditions are
// evaluated by the waiting thread, under the lock.
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ctime>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace {

struct MutexState {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t released = PTHREAD_COND_INITIALIZER;  // told at each unlock while somebody waits for a condition
  int waiting = 0;
};

struct CondVarState {
  pthread_cond_t signalled = PTHREAD_COND_INITIALIZER;
};

template <typename State>
State& StateIn(std::atomic<intptr_t>& word) {
  intptr_t value = word.load(std::memory_order_acquire);
  if (value == 0) {
    auto* made = new State;
    if (word.compare_exchange_strong(value, reinterpret_cast<intptr_t>(made), std::memory_order_acq_rel)) return *made;
    delete made;
  }
  return *reinterpret_cast<State*>(value);
}

// The only data member of Mutex and of CondVar is their word.
static_assert(sizeof(absl::Mutex) == sizeof(std::atomic<intptr_t>) &&
              sizeof(absl::CondVar) == sizeof(std::atomic<intptr_t>));
MutexState& StateOf(absl::Mutex* mutex) {
  return StateIn<MutexState>(*reinterpret_cast<std::atomic<intptr_t>*>(mutex));
}
CondVarState& StateOf(absl::CondVar* cv) {
  return StateIn<CondVarState>(*reinterpret_cast<std::atomic<intptr_t>*>(cv));
}

void Release(MutexState& state) {
  if (state.waiting > 0) pthread_cond_broadcast(&state.released);
  pthread_mutex_unlock(&state.mutex);
}

// True when the deadline passed. Spurious wake-ups are the caller's business.
bool WaitUntil(pthread_cond_t* cond, pthread_mutex_t* mutex, absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) {
    pthread_cond_wait(cond, mutex);
    return false;
  }
  const timespec until = absl::ToTimespec(std::max(deadline, absl::UnixEpoch()));
  return pthread_cond_timedwait(cond, mutex, &until) != 0;
}

// Waits for the condition with the mutex held; returns whether it holds.
bool AwaitUntil(MutexState& state, const absl::Condition& condition, absl::Time deadline) {
  if (condition.Eval()) return true;
  // As Unlock would: what this thread changed may be what another one waits for.
  if (state.waiting > 0) pthread_cond_broadcast(&state.released);
  ++state.waiting;
  bool late = false;
  bool holds = false;
  while (!holds && !late) {
    late = WaitUntil(&state.released, &state.mutex, deadline);
    holds = condition.Eval();
  }
  --state.waiting;
  return holds;
}

bool CondVarWait(absl::CondVar* cv, absl::Mutex* mutex, absl::Time deadline) {
  MutexState& state = StateOf(mutex);
  if (state.waiting > 0) pthread_cond_broadcast(&state.released);
  return WaitUntil(&StateOf(cv).signalled, &state.mutex, deadline);
}

absl::Time After(absl::Duration timeout) {
  return timeout == absl::InfiniteDuration() ? absl::InfiniteFuture() : absl::Now() + timeout;
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  if (intptr_t state = mu_.load(std::memory_order_acquire)) delete reinterpret_cast<MutexState*>(state);
}
void Mutex::Lock() { pthread_mutex_lock(&StateOf(this).mutex); }
void Mutex::Unlock() { Release(StateOf(this)); }
bool Mutex::TryLock() { return pthread_mutex_trylock(&StateOf(this).mutex) == 0; }
void Mutex::ReaderLock() { Lock(); }
void Mutex::ReaderUnlock() { Unlock(); }
bool Mutex::ReaderTryLock() { return TryLock(); }
void Mutex::AssertHeld() const {}
void Mutex::AssertReaderHeld() const {}
void Mutex::AssertNotHeld() const {}
void Mutex::Await(const Condition& condition) { AwaitUntil(StateOf(this), condition, InfiniteFuture()); }
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  return AwaitUntil(StateOf(this), condition, deadline);
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  return AwaitWithDeadline(condition, After(timeout));
}
void Mutex::LockWhen(const Condition& condition) {
  Lock();
  Await(condition);
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  Lock();
  return AwaitWithDeadline(condition, deadline);
}
bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  return LockWhenWithDeadline(condition, After(timeout));
}
void Mutex::ReaderLockWhen(const Condition& condition) { LockWhen(condition); }
bool Mutex::ReaderLockWhenWithDeadline(const Condition& condition, Time deadline) {
  return LockWhenWithDeadline(condition, deadline);
}
bool Mutex::ReaderLockWhenWithTimeout(const Condition& condition, Duration timeout) {
  return LockWhenWithTimeout(condition, timeout);
}

CondVar::~CondVar() {
  if (intptr_t state = cv_.load(std::memory_order_acquire)) delete reinterpret_cast<CondVarState*>(state);
}
void CondVar::Wait(Mutex* mutex) { CondVarWait(this, mutex, InfiniteFuture()); }
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) { return CondVarWait(this, mutex, deadline); }
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) { return CondVarWait(this, mutex, After(timeout)); }
void CondVar::Signal() { pthread_cond_signal(&StateOf(this).signalled); }
void CondVar::SignalAll() { pthread_cond_broadcast(&StateOf(this).signalled); }

void ReleasableMutexLock::Release() {
  mu_->Unlock();
  mu_ = nullptr;
}

// The library's own versions work, but their atomics are out of ThreadSanitizer's sight.
Notification::~Notification() { MutexLock lock(&mutex_); }
void Notification::Notify() {
  MutexLock lock(&mutex_);
  notified_yet_.store(true, std::memory_order_release);
}
void Notification::WaitForNotification() const { WaitForNotificationWithDeadline(InfiniteFuture()); }
bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  MutexLock lock(&mutex_);
  return mutex_.AwaitWithDeadline(Condition(this, &Notification::HasBeenNotified), deadline);
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  return WaitForNotificationWithDeadline(After(timeout));
}

BlockingCounter::BlockingCounter(int initial_count)
    : count_(initial_count), num_waiting_(0), done_(initial_count == 0) {}
bool BlockingCounter::DecrementCount() {
  MutexLock lock(&lock_);
  done_ = count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  return done_;
}
void BlockingCounter::Wait() {
  MutexLock lock(&lock_);
  lock_.Await(Condition(&done_));
}

ABSL_NAMESPACE_END
}  // namespace absl
