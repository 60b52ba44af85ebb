// Entry of the addon: exports and contexts. No maths. State lives in contexts only, so that several JavaScript threads can
// load the addon.
#include <new>

#include "addon_args.h"

namespace nvila {

namespace {

// createContext(threads, isa | ""): an external that owns a thread pool, freed with the JavaScript value.
napi_value create_context(napi_env env, napi_callback_info info) {
  Args args(env, info, "create_context", 2);
  const int64_t threads = args.size(0);
  const std::string isa = args.text(1);
  if (args.ok() && (threads < 1 || threads > 1024)) args.fail("threads must be in 1 … 1024");
  const Kernels* kernels = args.ok() ? find_kernels(isa.c_str()) : nullptr;
  if (args.ok() && !kernels) args.fail("instruction set \"" + isa + "\" is not in this build or not in this processor");
  if (!args.ok()) return args.finish();
  auto* context = new (std::nothrow) Context(static_cast<int>(threads), kernels);
  if (!context) return args.finish(Status::kOutOfMemory);
  napi_value external = nullptr;
  const auto free_context = [](napi_env, void* data, void*) { delete static_cast<Context*>(data); };
  if (napi_create_external(env, context, free_context, nullptr, &external) != napi_ok) {
    delete context;
    args.fail("cannot make a context");
    return args.finish();
  }
  return external;
}

// describe(context): { isa, threads }
napi_value describe(napi_env env, napi_callback_info info) {
  Args args(env, info, "describe", 1);
  const Context* context = args.context(0);
  if (!args.ok()) return args.finish();
  napi_value result = nullptr, isa = nullptr, threads = nullptr;
  napi_create_object(env, &result);
  napi_create_string_utf8(env, context->kernels->isa, NAPI_AUTO_LENGTH, &isa);
  napi_create_int32(env, context->pool.threads(), &threads);
  napi_set_named_property(env, result, "isa", isa);
  napi_set_named_property(env, result, "threads", threads);
  return result;
}

void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  if (napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function) == napi_ok) {
    napi_set_named_property(env, exports, name, function);
  }
}

}  // namespace

}  // namespace nvila

NAPI_MODULE_INIT() {
  nvila::define(env, exports, "createContext", nvila::create_context);
  nvila::define(env, exports, "describe", nvila::describe);
#define NVILA_EXPORT_OP(name) nvila::define(env, exports, #name, nvila::op_##name);
  NVILA_OPS(NVILA_EXPORT_OP)
#undef NVILA_EXPORT_OP
  return exports;
}
