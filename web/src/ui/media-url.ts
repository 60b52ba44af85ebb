/** Addresses under which the browser shows stored media. One per file, given back when nobody shows it any more. */
import { useEffect, useState } from "preact/hooks";
import type { ChatDatabase } from "../model/chat-database.ts";

interface Shown {
  users: number;
  readonly url: Promise<string | null>;
}

const shown = new Map<string, Shown>();

/** The address of a stored picture or video; null while it loads or when it is gone. */
export function useMediaUrl(database: ChatDatabase, id: string): string | null {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let isMounted = true;
    const entry = shown.get(id) ?? { users: 0, url: load(database, id) };
    entry.users++;
    shown.set(id, entry);
    void entry.url.then((address) => isMounted && setUrl(address));
    return () => {
      isMounted = false;
      if (--entry.users > 0) return;
      shown.delete(id);
      void entry.url.then((address) => address && URL.revokeObjectURL(address));
    };
  }, [database, id]);
  return url;
}

async function load(database: ChatDatabase, id: string): Promise<string | null> {
  const blob = await database.media(id);
  return blob ? URL.createObjectURL(blob) : null;
}
