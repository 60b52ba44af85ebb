/** Without the native addon: slow, correct, and said once. */
import { describe, expect, it, vi } from "vitest";

vi.stubEnv("NVILA_ADDON", "/nowhere/nvila.node");
const { loadModel } = await import("../../src/api/load-model.ts");
const { tinyCheckpoint } = await import("./tiny-models.ts");

describe("without the native addon", () => {
  it("auto takes the reference backend, with one warning that names the reason", async () => {
    const warnings: string[] = [];
    const model = await loadModel(await tinyCheckpoint("lite"), { onWarning: (message) => warnings.push(message) });
    expect(model.device).toBe("reference");
    expect((await model.generate("Hello", { maxTokens: 2 })).device).toBe("reference");
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toMatch(/very slow.*\/nowhere\/nvila\.node does not exist/);
  });

  it("cpu is an error", async () => {
    await expect(loadModel(await tinyCheckpoint("lite"), { device: "cpu" })).rejects.toThrow(
      /"cpu" cannot run here: \/nowhere\/nvila\.node does not exist/,
    );
  });
});
