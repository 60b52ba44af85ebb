#include "thread_pool.h"

#include <cstdlib>
#include <system_error>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace nvila {

namespace {

// About 50 µs of waiting awake: longer than the gap between two operations of a model, far shorter than a time slice.
constexpr int kSpins = 2000;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  scratch_.resize(static_cast<size_t>(threads < 1 ? 1 : threads));
  workers_.reserve(scratch_.size());
  try {
    for (int thread = 1; thread < threads; thread++) workers_.emplace_back([this, thread] { work(thread); });
  } catch (const std::system_error&) {
    // The system allows no more threads: go on with those that started.
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_.store(true);
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  for (Scratch& scratch : scratch_) std::free(scratch.data);
  for (Scratch& scratch : shared_) std::free(scratch.data);
}

void ThreadPool::run(int64_t count, int64_t grain, Body body, void* context) {
  if (grain < 1) grain = 1;
  if (workers_.empty() || count <= grain) {
    for (int64_t begin = 0; begin < count; begin += grain) {
      body(context, begin, count - begin < grain ? count : begin + grain, 0);
    }
    return;
  }
  count_ = count;
  grain_ = grain;
  body_ = body;
  context_ = context;
  next_.store(0, std::memory_order_relaxed);
  const uint64_t epoch = (state_.load(std::memory_order_relaxed) >> kEpochShift) + 1;
  state_.store((epoch << kEpochShift) | kOpen);
  if (sleepers_.load() > 0) {
    { std::lock_guard<std::mutex> lock(mutex_); }
    wake_.notify_all();
  }
  take_chunks(0);
  state_.fetch_and(~kOpen);
  for (int spin = 0; (state_.load(std::memory_order_acquire) & kInside) != 0; spin++) {
    if (spin < kSpins) relax();
    else std::this_thread::yield();
  }
}

void ThreadPool::take_chunks(int thread) {
  for (;;) {
    const int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
    if (begin >= count_) return;
    body_(context_, begin, count_ - begin < grain_ ? count_ : begin + grain_, thread);
  }
}

void ThreadPool::work(int thread) {
  uint64_t seen = 0;
  for (;;) {
    uint64_t state = state_.load(std::memory_order_acquire);
    const auto is_new = [&] { return (state & kOpen) != 0 && (state >> kEpochShift) != seen; };
    for (int spin = 0; spin < kSpins && !is_new() && !is_stopping_.load(std::memory_order_relaxed); spin++) {
      relax();
      state = state_.load(std::memory_order_acquire);
    }
    if (!is_new()) {
      std::unique_lock<std::mutex> lock(mutex_);
      sleepers_.fetch_add(1);
      wake_.wait(lock, [&] {
        state = state_.load();
        return is_new() || is_stopping_.load();
      });
      sleepers_.fetch_sub(1);
    }
    if (is_stopping_.load()) return;
    if (!state_.compare_exchange_strong(state, state + 1, std::memory_order_acq_rel)) continue;
    seen = state >> kEpochShift;
    take_chunks(thread);
    state_.fetch_sub(1, std::memory_order_release);
  }
}

void* ThreadPool::scratch(int thread, size_t bytes) { return grow(scratch_[static_cast<size_t>(thread)], bytes); }

void* ThreadPool::shared_scratch(size_t bytes, Shared use) { return grow(shared_[static_cast<int>(use)], bytes); }

void* ThreadPool::grow(Scratch& scratch, size_t bytes) {
  if (scratch.bytes < bytes || !scratch.data) {
    std::free(scratch.data);
    const size_t rounded = (bytes / 4096 + 1) * 4096;
    scratch.data = std::aligned_alloc(4096, rounded);
    scratch.bytes = scratch.data ? rounded : 0;
  }
  return scratch.data;
}

}  // namespace nvila
