#include "file_map.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

namespace nvila {

FileMap* FileMap::open(const char* path, std::string* error) {
  // NONBLOCK: a named pipe must be refused below, not waited for.
  const int file = ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    *error = std::strerror(errno);
    return nullptr;
  }
  struct stat info;
  if (fstat(file, &info) != 0) *error = std::strerror(errno);
  else if (!S_ISREG(info.st_mode)) *error = "not a regular file";
  if (!error->empty()) {
    close(file);
    return nullptr;
  }
  unsigned char* data = nullptr;
  if (info.st_size > 0) {
    // NORESERVE: a private writable mapping would otherwise count against memory as if every page were to be written.
    // No madvise: weights are read again for every token, so "sequential" (drop behind) and "random" (no readahead) are both
    // wrong, and "will need" blocks the opening of a large checkpoint on its reading.
    void* address = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    if (address == MAP_FAILED) *error = std::strerror(errno);
    else data = static_cast<unsigned char*>(address);
  }
  close(file);
  if (!error->empty()) return nullptr;
  auto* map = new (std::nothrow) FileMap(data, static_cast<int64_t>(info.st_size));
  if (!map) {
    if (data) munmap(data, static_cast<size_t>(info.st_size));
    *error = "out of memory";
  }
  return map;
}

FileMap::~FileMap() {
  if (data_) munmap(data_, static_cast<size_t>(size_));
}

void FileMap::release() {
  if (references_.fetch_sub(1) == 1) delete this;
}

}  // namespace nvila
