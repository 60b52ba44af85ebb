/** Watches what a backend has given out: what is left after some work was forgotten, what was given back twice is a fault. */
import type { Backend, Storage } from "../../src/backend/backend.ts";

/** The set of storages that `backend` has allocated from now on and not got back. */
export function trackMemory(backend: Backend): ReadonlySet<Storage> {
  const live = new Set<Storage>();
  const returned = new WeakSet<Storage>();
  const { alloc, free } = backend;
  backend.alloc = (dtype, length) => {
    const storage = alloc.call(backend, dtype, length);
    live.add(storage);
    return storage;
  };
  backend.free = (storage) => {
    if (returned.has(storage)) throw new Error("memory was given back twice");
    if (live.delete(storage)) returned.add(storage);
    free.call(backend, storage);
  };
  return live;
}
