// JavaScript → file_map: open, size, views. A view is an ArrayBuffer on the mapped bytes that keeps the mapping alive.
#include <new>

#include "addon_args.h"
#include "file_map.h"

namespace nvila {

namespace {

FileMap* map_argument(napi_env env, Args& args) {
  void* data = nullptr;
  if (!args.ok() || napi_get_value_external(env, args.raw(0), &data) != napi_ok || !data) {
    args.fail("expected a file map");
  }
  return static_cast<FileMap*>(data);
}

void release_map(napi_env, void*, void* hint) { static_cast<FileMap*>(hint)->release(); }

// What a view on the bytes must give back with itself.
struct View {
  FileMap* map;
  int64_t length;
};

// The engine takes every ArrayBuffer for memory that a collection could free and collects again and again while a large
// checkpoint opens (40 collections, 1 s, for 4 GB). Mapped bytes are no such memory, so they are taken off its account.
void count_as_heap(napi_env env, int64_t bytes) {
  int64_t total = 0;
  napi_adjust_external_memory(env, bytes, &total);
}

void release_view(napi_env env, void*, void* hint) {
  View* view = static_cast<View*>(hint);
  count_as_heap(env, view->length);
  view->map->release();
  delete view;
}

}  // namespace

// mapOpen(path): an external. Throws the system's reason.
napi_value op_mapOpen(napi_env env, napi_callback_info info) {
  Args args(env, info, "map_open", 1);
  const std::string path = args.text(0);
  if (!args.ok()) return args.finish();
  std::string error;
  FileMap* map = path.find('\0') == std::string::npos ? FileMap::open(path.c_str(), &error) : nullptr;
  if (!map) {
    napi_throw_error(env, nullptr, error.empty() ? "the path holds a NUL character" : error.c_str());
    return nullptr;
  }
  napi_value external = nullptr;
  if (napi_create_external(env, map, release_map, map, &external) != napi_ok) {
    map->release();
    args.fail("cannot make a file map");
    return args.finish();
  }
  return external;
}

// mapSize(map): bytes
napi_value op_mapSize(napi_env env, napi_callback_info info) {
  Args args(env, info, "map_size", 1);
  const FileMap* map = map_argument(env, args);
  if (!args.ok()) return args.finish();
  napi_value size = nullptr;
  napi_create_double(env, static_cast<double>(map->size()), &size);
  return size;
}

// mapView(map, offset, byteLength): ArrayBuffer
napi_value op_mapView(napi_env env, napi_callback_info info) {
  Args args(env, info, "map_view", 3);
  FileMap* map = map_argument(env, args);
  const double offset = args.number(1), length = args.number(2);
  if (!args.ok()) return args.finish();
  const double size = static_cast<double>(map->size());
  // Written so that NaN fails; sums of doubles below 2^53 are exact.
  if (!(offset >= 0 && length >= 0 && offset <= size && length <= size - offset) ||
      offset != static_cast<double>(static_cast<int64_t>(offset)) || length != static_cast<double>(static_cast<int64_t>(length))) {
    args.fail("bytes " + std::to_string(offset) + " + " + std::to_string(length) + " are not inside the file of " +
              std::to_string(map->size()) + " bytes");
    return args.finish();
  }
  napi_value buffer = nullptr;
  if (length == 0) {
    void* nothing = nullptr;
    napi_create_arraybuffer(env, 0, &nothing, &buffer);
    return buffer;
  }
  View* view = new (std::nothrow) View{map, static_cast<int64_t>(length)};
  if (!view) return args.finish(Status::kOutOfMemory);
  map->retain();
  if (napi_create_external_arraybuffer(env, map->data() + static_cast<int64_t>(offset), static_cast<size_t>(length), release_view, view,
                                       &buffer) != napi_ok) {
    map->release();
    delete view;
    args.fail("this runtime cannot make a view of " + std::to_string(length) + " bytes");
    return args.finish();
  }
  count_as_heap(env, -view->length);
  return buffer;
}

}  // namespace nvila
