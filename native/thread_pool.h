// A fixed set of threads that run one loop at a time. The calling thread takes part. Chunk boundaries depend on the loop
// alone, never on the number of threads, so a kernel whose chunks are independent gives the same bits with any number.
// Knows nothing of tensors. One caller at a time; loops do not nest.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace nvila {

class ThreadPool {
 public:
  // Runs elements [begin, end) of a loop on thread `thread` (0 … threads − 1; 0 is the caller).
  using Body = void (*)(void* context, int64_t begin, int64_t end, int thread);

  // Starts threads − 1 workers; fewer if the system refuses some (see threads()).
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body for [0, grain), [grain, 2·grain), … up to count; returns when all are done.
  void run(int64_t count, int64_t grain, Body body, void* context);

  // The same for a callable f(begin, end, thread).
  template <typename F>
  void parallel_for(int64_t count, int64_t grain, F&& f) {
    run(
        count, grain,
        [](void* context, int64_t begin, int64_t end, int thread) {
          (*static_cast<F*>(context))(begin, end, thread);
        },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

  // Working memory of one thread, 64-byte aligned, kept and reused: a second call with the same thread may give the same
  // memory. Null when out of memory.
  void* scratch(int thread, size_t bytes);
  // Working memory that all threads share, one piece per use, so that one kernel can call another.
  enum class Shared { kLinear, kCallerOfLinear, kRows };
  void* shared_scratch(size_t bytes, Shared use);

 private:
  struct Scratch {
    void* data = nullptr;
    size_t bytes = 0;
  };

  static void* grow(Scratch& scratch, size_t bytes);
  void work(int thread);
  void take_chunks(int thread);

  // state_: epoch · 2^32 | open · 2^31 | workers inside. A worker enters only while the job is open, so that a short
  // loop never waits for one that is still waking up.
  static constexpr uint64_t kOpen = uint64_t{1} << 31;
  static constexpr uint64_t kInside = kOpen - 1;
  static constexpr int kEpochShift = 32;

  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<bool> is_stopping_{false};
  int64_t count_ = 0;
  int64_t grain_ = 1;
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  std::vector<Scratch> scratch_;  // one per thread
  Scratch shared_[3];             // one per Shared
};

}  // namespace nvila
