/**
 * Where models come from and where they are kept: options of the call first, then the environment variables that the
 * Python `huggingface_hub` honours, so that both share one cache and one login. Does no request.
 */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { RequestError } from "../util/errors.ts";

/** What a call may set instead of the environment. */
export interface HubOptions {
  /** Default: `HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string;
  /** The folder with `models--org--name`. Default: `HF_HUB_CACHE`, else `$HF_HOME/hub`, else ~/.cache/huggingface/hub. */
  readonly cacheDir?: string;
  /** Default: `HF_TOKEN`, else the file `$HF_HOME/token`. `null`: send none. */
  readonly token?: string | null;
  /** Look only into the cache. Default: `HF_HUB_OFFLINE`, else `TRANSFORMERS_OFFLINE`. */
  readonly offline?: boolean;
}

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly cacheDir: string;
  readonly token: string | null;
  readonly offline: boolean;
  /** False (`HF_HUB_DISABLE_SYMLINKS`): snapshots hold the files themselves. */
  readonly usesSymlinks: boolean;
  /** A proxy is set, but this Node does not use it: a hint when nobody can be reached. */
  readonly hasUnusedProxy: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_ENDPOINT = "https://huggingface.co";

/** @throws RequestError when the endpoint is no http(s) URL or the token cannot be sent in a header. */
export function hubSettings(options: HubOptions = {}, env: Environment = process.env): HubSettings {
  const home = hubHome(env);
  const cacheDir =
    options.cacheDir ?? (filled(env.HF_HUB_CACHE) || filled(env.HUGGINGFACE_HUB_CACHE) || join(home, "hub"));
  return {
    endpoint: checkEndpoint(options.endpoint ?? (filled(env.HF_ENDPOINT) || DEFAULT_ENDPOINT)),
    cacheDir: resolve(expandHome(cacheDir)),
    token: options.token === undefined ? findToken(home, env) : checkToken(options.token ?? "", "the token option"),
    offline: options.offline ?? isOn(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    usesSymlinks: !isOn(env.HF_HUB_DISABLE_SYMLINKS),
    hasUnusedProxy: hasUnusedProxy(env),
  };
}

function hubHome(env: Environment): string {
  const cache = filled(env.XDG_CACHE_HOME) || join(homedir(), ".cache");
  return expandHome(filled(env.HF_HOME) || join(cache, "huggingface"));
}

function findToken(home: string, env: Environment): string | null {
  if (isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return null;
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const token = checkToken(env[name] ?? "", name);
    if (token !== null) return token;
  }
  const path = expandHome(filled(env.HF_TOKEN_PATH) || join(home, "token"));
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null; // no login on this machine
  }
  return checkToken(text, path);
}

/** Never shows the token itself. */
function checkToken(text: string, origin: string): string | null {
  const token = text.trim();
  if (token === "") return null;
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new RequestError(
      "hub",
      `expected one line of printable characters as access token in ${origin}, got something else`,
    );
  }
  return token;
}

function checkEndpoint(text: string): string {
  let url: URL | null = null;
  try {
    url = new URL(text);
  } catch {}
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new RequestError(
      "hub",
      `expected an http(s) URL as hub endpoint, got ${JSON.stringify(text).slice(0, 120)}. You can set HF_ENDPOINT`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

/** Node's fetch looks at proxy variables from version 24 on, when NODE_USE_ENV_PROXY is 1. */
function hasUnusedProxy(env: Environment): boolean {
  const isUsed = env.NODE_USE_ENV_PROXY === "1" && Number.parseInt(process.versions.node, 10) >= 24;
  return !isUsed && filled(env.HTTPS_PROXY) + filled(env.https_proxy) + filled(env.ALL_PROXY) !== "";
}

function isOn(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}

/** An empty variable counts as unset. */
function filled(value: string | undefined): string {
  return value?.trim() ?? "";
}
