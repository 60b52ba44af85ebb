/** Where models are kept and how the hub is reached, from options and from the variables that Python's tools honour. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hubSettings } from "../../src/hub/hub-settings.ts";
import { SCRATCH } from "./model-repo.ts";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(SCRATCH, "nvila-settings-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe("the cache folder", () => {
  it.each([
    [{}, join(homedir(), ".cache/huggingface/hub")],
    [{ XDG_CACHE_HOME: "/xdg" }, "/xdg/huggingface/hub"],
    [{ HF_HOME: "/hf", XDG_CACHE_HOME: "/xdg" }, "/hf/hub"],
    [{ HF_HOME: "~/hf" }, join(homedir(), "hf/hub")],
    [{ HF_HOME: "  " }, join(homedir(), ".cache/huggingface/hub")],
    [{ HF_HUB_CACHE: "/cache", HF_HOME: "/hf" }, "/cache"],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HOME: "/hf" }, "/old"],
    [{ HF_HUB_CACHE: "/cache", HUGGINGFACE_HUB_CACHE: "/old" }, "/cache"],
  ])("with %j is %s", (env, folder) => {
    expect(hubSettings({ token: null }, env).cacheDir).toBe(folder);
  });

  it("is the option's when there is one", () => {
    expect(hubSettings({ cacheDir: "/mine", token: null }, { HF_HUB_CACHE: "/cache" }).cacheDir).toBe("/mine");
  });
});

describe("the token", () => {
  it("is the option's, the variable's, or the file's", async () => {
    await writeFile(join(home, "token"), "hf_file\n");
    expect(hubSettings({}, { HF_HOME: home }).token).toBe("hf_file");
    expect(hubSettings({}, { HF_HOME: home, HF_TOKEN: "hf_env" }).token).toBe("hf_env");
    expect(hubSettings({ token: "hf_option" }, { HF_HOME: home, HF_TOKEN: "hf_env" }).token).toBe("hf_option");
    expect(hubSettings({ token: null }, { HF_HOME: home, HF_TOKEN: "hf_env" }).token).toBe(null);
    expect(hubSettings({}, { HF_HOME: "/none", HF_TOKEN_PATH: join(home, "token") }).token).toBe("hf_file");
    expect(hubSettings({}, { HF_HOME: home, HF_TOKEN: "x", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }).token).toBe(null);
    expect(hubSettings({}, { HF_HOME: join(home, "none") }).token).toBe(null);
  });

  it("that cannot be sent is refused and not shown", () => {
    for (const token of ["hf_a\nb", "hf a", "hf_ü"]) {
      expect(() => hubSettings({}, { HF_TOKEN: token })).toThrow(
        /^\[hub\] expected one line of printable characters as access token in HF_TOKEN, got something else$/,
      );
    }
  });
});

describe("the endpoint", () => {
  it.each([
    ["https://mirror.example", "https://mirror.example"],
    ["https://mirror.example/hf//", "https://mirror.example/hf"],
    [" http://127.0.0.1:8080/ ", "http://127.0.0.1:8080"],
    ["", "https://huggingface.co"],
  ])("%j is %s", (text, endpoint) => {
    expect(hubSettings({ token: null }, { HF_ENDPOINT: text }).endpoint).toBe(endpoint);
  });

  it.each(["mirror.example", "ftp://x", "https://", "https://x?a=b", "https://x#y", "https://user:pass@x"])(
    "%s is refused",
    (text) => {
      expect(() => hubSettings({ token: null }, { HF_ENDPOINT: text })).toThrow(
        "expected an http(s) URL as hub endpoint",
      );
    },
  );
});

it.each([
  [{}, false, true],
  [{ HF_HUB_OFFLINE: "1" }, true, true],
  [{ HF_HUB_OFFLINE: "TRUE" }, true, true],
  [{ HF_HUB_OFFLINE: "0", TRANSFORMERS_OFFLINE: "1" }, false, true],
  [{ TRANSFORMERS_OFFLINE: "yes", HF_HUB_DISABLE_SYMLINKS: "on" }, true, false],
])("with %j offline is %s, symbolic links are %s", (env, offline, usesSymlinks) => {
  expect(hubSettings({ token: null }, env)).toMatchObject({ offline, usesSymlinks });
  expect(hubSettings({ token: null, offline: !offline }, env).offline).toBe(!offline);
});
