// A whole file in memory, mapped copy-on-write: writes never reach the file. The mapping lives until its last reference is
// released. A file that another process shortens while it is mapped ends this process (SIGBUS), as with every mapping.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace nvila {

class FileMap {
 public:
  // One reference. Null on failure; then *error says why.
  static FileMap* open(const char* path, std::string* error);

  unsigned char* data() const { return data_; }
  int64_t size() const { return size_; }
  void retain() { references_.fetch_add(1); }
  void release();

 private:
  FileMap(unsigned char* data, int64_t size) : data_(data), size_(size) {}
  ~FileMap();

  unsigned char* data_;
  int64_t size_;
  std::atomic<int64_t> references_{1};
};

}  // namespace nvila
