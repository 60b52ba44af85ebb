/** Evaluation with a model that knows the answers, one that does not, and one that fails: scores, stored answers, the page. */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Part } from "../../src/api/parts.ts";
import { synthTask } from "../../src/eval/synth-task.ts";
import type { EvalTask } from "../../src/eval/task.ts";
import { SYNTH_TASKS } from "../../src/eval/tasks/all-tasks.ts";
import { openFileTask } from "../../src/evaluate/file-task.ts";
import { modelFingerprint } from "../../src/evaluate/model-fingerprint.ts";
import { reportPage } from "../../src/evaluate/report-page.ts";
import { type AnsweringModel, partOf, runEvaluation } from "../../src/evaluate/run-evaluation.ts";
import { BusyError, EngineError, RequestError } from "../../src/util/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "nvila-eval-"));
afterAll(() => rmSync(folder, { recursive: true }));

const OPTIONS = { count: 6, split: "test", seed: 2 } as const;
const task = (name: string): EvalTask => synthTask(SYNTH_TASKS[name], OPTIONS);

/** What a prompt is, whatever its media are made of. */
const keyOf = (parts: readonly Part[]): string =>
  parts
    .map((part) => {
      if (typeof part === "string") return part;
      const source = part.type === "text" ? part.text : (part.source as Uint8Array | { data: Uint8Array });
      return Buffer.from(typeof source === "string" ? source : "data" in source ? source.data : source).toString(
        "base64",
      );
    })
    .join("|");

/** Answers every example of the tasks rightly. */
async function knowingModel(tasks: readonly EvalTask[]): Promise<AnsweringModel & { asked: number }> {
  const answers = new Map<string, string>();
  for (const one of tasks) {
    for (let i = 0; i < one.numExamples; i++) {
      const example = await one.getExample(i);
      answers.set(keyOf([...(await Promise.all(example.media.map(partOf))), example.question]), example.answers[0]);
    }
  }
  const model = {
    asked: 0,
    generate: async (parts: readonly Part[]) => {
      model.asked++;
      const text = answers.get(keyOf(parts));
      if (text === undefined) throw new Error("an example that no task has");
      return { text, timedText: null };
    },
  };
  return model;
}

const says = (text: string): AnsweringModel => ({ generate: async () => ({ text, timedText: null }) });

describe("runEvaluation", () => {
  it("gives full marks to a model that knows, in every task, and few to one that does not", async () => {
    const tasks = Object.keys(SYNTH_TASKS).map(task);
    const model = await knowingModel(tasks);
    const common = { tasks, modelFingerprint: "m", concurrency: 3 };
    const right = await runEvaluation(model, { ...common, outDir: join(folder, "right") });
    expect(right.map(({ task: name, score, n, errors, unparsed }) => [name, score, n, errors, unparsed])).toEqual(
      tasks.map(({ name }) => [name, 1, 6, 0, 0]),
    );
    const wrong = await runEvaluation(says("¯\\_(ツ)_/¯"), { ...common, outDir: join(folder, "wrong") });
    for (const { task: name, score, chance, byKind } of wrong) {
      expect(score, name).toBeLessThan(0.4); // only times: without any, the whole video counts as the answer
      expect(chance).toBeLessThan(1);
      expect(Object.values(byKind).reduce((sum, kind) => sum + kind.n, 0)).toBe(6);
    }
  });

  it("goes on where it stopped, even after half a line, and asks again when something changed", async () => {
    const tasks = [task("scenes")];
    const model = await knowingModel(tasks);
    const outDir = join(folder, "resumed");
    const controller = new AbortController();
    const onProgress = (_: string, done: number): void => {
      if (done === 3) controller.abort(new Error("stop"));
    };
    const common = { tasks, outDir, modelFingerprint: "m", concurrency: 1 };
    await expect(runEvaluation(model, { ...common, signal: controller.signal, onProgress })).rejects.toThrow("stop");
    expect(model.asked).toBe(3);
    appendFileSync(join(outDir, "outputs.jsonl"), '{"key":"half a li');
    const [resumed] = await runEvaluation(model, common);
    expect([model.asked, resumed.reused, resumed.score]).toEqual([6, 3, 1]);
    expect(resumed.answers.map((answer) => answer.index)).toEqual([0, 1, 2, 3, 4, 5]);
    const [again] = await runEvaluation(says("never asked"), common);
    expect({ ...again, seconds: 0, reused: 0 }).toEqual({ ...resumed, seconds: 0, reused: 0 });
    await runEvaluation(model, { ...common, modelFingerprint: "another model" });
    expect(model.asked).toBe(12);
    await runEvaluation(model, { ...common, tasks: [{ ...tasks[0], maxTokens: 5 }] });
    expect(model.asked).toBe(18);
  });

  it("counts what a model refuses, and ends with a fault of ours", async () => {
    const common = { tasks: [task("charts")], modelFingerprint: "m", concurrency: 2 };
    const refusing: AnsweringModel = {
      generate: () => Promise.reject(new RequestError("engine", "the prompt is too long")),
    };
    const [refused] = await runEvaluation(refusing, { ...common, outDir: join(folder, "refused") });
    expect([refused.score, refused.errors, refused.unparsed]).toEqual([0, 6, 0]);
    const broken: AnsweringModel = { generate: () => Promise.reject(new Error("a fault")) };
    await expect(runEvaluation(broken, { ...common, outDir: join(folder, "broken") })).rejects.toThrow("a fault");
    for (const error of [new EngineError("engine", "it ended"), new BusyError("engine", "too many")]) {
      const outDir = join(folder, error.name);
      const unable: AnsweringModel = { generate: () => Promise.reject(error) };
      await expect(runEvaluation(unable, { ...common, outDir })).rejects.toThrow(error);
      const [later] = await runEvaluation(refusing, { ...common, outDir });
      expect(later.reused).toBe(0); // what was not answered is asked again
    }
  });

  it("tells folders apart whose files are links", () => {
    const [a, b] = ["linked-a", "linked-b"].map((name) => join(folder, name));
    for (const [i, dir] of [a, b].entries()) {
      mkdirSync(dir);
      writeFileSync(join(folder, `blob-${i}`), "x".repeat(10 + i));
      symlinkSync(join(folder, `blob-${i}`), join(dir, "model.safetensors"));
    }
    expect(modelFingerprint(a)).toBe(modelFingerprint(a));
    expect(modelFingerprint(a)).not.toBe(modelFingerprint(b));
  });

  it("takes files of samples, and names damaged ones", async () => {
    const path = join(folder, "mine.jsonl");
    const turns = (question: string, answer: string) => [
      { from: "human", value: `<image>\n${question}` },
      { from: "gpt", value: answer },
    ];
    const question = { question: "How much?", answers: ["12"], metric: "relaxed", kind: "price", chance: 0.1 };
    writeFileSync(
      path,
      [
        JSON.stringify({ conversations: turns("What colour?", "red") }),
        JSON.stringify({ conversations: turns("x", "y"), questions: [question] }),
        "{",
      ].join("\n"),
    );
    const mine = await openFileTask(path, null);
    expect(await mine.getExample(0)).toMatchObject({ question: "What colour?", answers: ["red"], metric: "exact" });
    const [result] = await runEvaluation(says("12.2"), {
      tasks: [mine],
      outDir: join(folder, "mine"),
      modelFingerprint: "m",
      concurrency: 1,
    });
    expect(result.answers.map(({ score, error }) => [score, error === null])).toEqual([
      [0, true],
      [1, true],
      [0, false],
    ]);
    expect(await reportPage([result], [mine], { model: "m", notes: [], mostWrong: 9 })).toMatch(
      /mine\.jsonl line 3 is no JSON/,
    );
    await mine.close();
  });

  it("shows wrong answers as pictures on a page that needs nothing else", async () => {
    const tasks = [task("scenes"), task("videos")];
    const response = `<script>alert("x")</script>`;
    const outDir = join(folder, "page");
    const evaluated = await runEvaluation(says(response), { tasks, outDir, modelFingerprint: "m", concurrency: 2 });
    const page = await reportPage(evaluated, tasks, { model: "a <model>", notes: ["cpu"], mostWrong: 2 });
    expect(page).toContain("a &#60;model&#62;");
    expect(page).not.toContain("<script");
    expect(page.match(/<img alt="" src="data:image\/png;base64,/g)?.length).toBe(2);
    expect(page.match(/<img alt="" src="data:image\/webp;base64,/g)?.length).toBeGreaterThan(0);
    expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(page).toMatch(/2 of 6 wrong answers are shown/);
    expect(readFileSync(join(outDir, "outputs.jsonl"), "utf8").trim().split("\n").length).toBe(12);
  });
});
