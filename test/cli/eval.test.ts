/** `nvila eval` as a user runs it: what it prints and writes, that it goes on, and what it refuses. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { nvila } from "./run-cli.ts";
import { makeWorkspace, type Workspace } from "./workspace.ts";

let space: Workspace;
beforeAll(async () => {
  space = await makeWorkspace();
  return space.remove;
});

interface EvalJson {
  out: string;
  tasks: { task: string; n: number; score: number; chance: number; reused: number }[];
}

describe("nvila eval", () => {
  it("scores a model beside chance, and uses stored answers the second time", async () => {
    const out = join(space.dir, "eval");
    const args = ["eval", space.model, "scenes,diagrams", "--count", "3", "--out", out];
    const first = await nvila(args);
    expect(first.stderr).toMatch(/task +metric +score +chance +n +right\n +scenes +exact match +\d+\.\d +\d+\.\d +3 /);
    expect([first.code, first.stdout]).toEqual([0, ""]);
    expect(readFileSync(join(out, "report.html"), "utf8")).toMatch(/<img alt="" src="data:image\/png;base64,/);
    const second = await nvila([...args, "--json"]);
    const json = JSON.parse(second.stdout) as EvalJson;
    expect(json.tasks.map(({ task, n, reused }) => [task, n, reused])).toEqual([
      ["scenes", 3, 3],
      ["diagrams", 3, 3],
    ]);
    expect(JSON.parse(readFileSync(join(out, "metrics.json"), "utf8"))).toMatchObject({ tasks: json.tasks });
  });

  it("refuses unknown tasks and files that are not there", async () => {
    const task = await nvila(["eval", space.model, "poetry", "--out", join(space.dir, "none")]);
    expect(task.stderr).toMatch(/nvila: \[eval\] expected one of documents, charts.*got "poetry"/);
    const file = await nvila(["eval", space.model, join(space.dir, "gone.jsonl")]);
    expect(file.stderr).toMatch(/nvila: \[data\] cannot read .*gone\.jsonl/);
    expect([task.code, file.code, existsSync(join(space.dir, "none"))]).toEqual([2, 2, false]);
  });
});
