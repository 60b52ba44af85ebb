/** `nvila ask` with the form of the answer given: JSON that validates, log-probabilities, and refusals with exit code 2. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { nvila } from "./run-cli.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let space: Workspace;
beforeAll(async () => {
  space = await makeWorkspace();
  return space.remove;
});

function ask(...args: string[]) {
  return nvila(["ask", "-m", space.model, ...args, space.picture, "What is this?"]);
}

function schemaFile(text: string): string {
  const file = join(space.dir, "answer.schema.json");
  writeFileSync(file, text);
  return file;
}

describe("nvila ask", () => {
  it("answers to a schema, and with an object", async () => {
    const file = schemaFile(
      '{"type":"object","properties":{"n":{"type":"integer","minimum":3,"maximum":12}},"required":["n"]}',
    );
    const { stdout, code } = await ask(
      "--json-schema",
      file,
      "--max-tokens",
      "30",
      "--temperature",
      "1",
      "--seed",
      "4",
    );
    expect(code).toBe(0);
    const { n } = JSON.parse(stdout) as { n: number };
    expect([n >= 3, n <= 12, Number.isInteger(n)]).toEqual([true, true, true]);
    const object = await ask("--json-object", "--max-tokens", "8");
    expect(typeof JSON.parse(object.stdout)).toBe("object");
  });

  it("tells how likely tokens were", async () => {
    const { stderr } = await ask("--logprobs", "2", "--max-tokens", "3");
    const lines = stderr.trimEnd().split("\n");
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).toMatch(/^ *\d+\.\d % "(.|\\")*" +\d+\.\d % .* % /);
    const { stdout } = await ask("--logprobs", "0", "--max-tokens", "3", "--json");
    expect((JSON.parse(stdout) as { logprobs: unknown[] }).logprobs).toHaveLength(3);
  });

  it.each([
    ["a file that is not there", () => ["--json-schema", "/nowhere.json"], "/nowhere.json"],
    ["a file that is no JSON", () => ["--json-schema", schemaFile("{")], "expected a JSON schema"],
    ["what cannot be guaranteed", () => ["--json-schema", schemaFile('{"not":{}}')], "#/not"],
    ["what nothing satisfies", () => ["--json-schema", schemaFile("false")], "no value can ever satisfy"],
    ["both", () => ["--json-object", "--json-schema", schemaFile("{}")], "cannot be used with"],
    ["too many alternatives", () => ["--logprobs", "21"], "0..20"],
    ["too few tokens", () => ["--json-object", "--max-tokens", "1"], "You can allow more"],
  ])("refuses %s", async (_, args, message) => {
    const { code, stderr, stdout } = await ask(...args());
    expect(stderr).toContain(message);
    expect([code, stdout]).toEqual([2, ""]);
  });
});
