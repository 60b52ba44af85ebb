/** Any file of training samples as a task: JSON lines with `questions` as `nvila synth` writes them, else the first exchange of each sample. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import type { EvalExample, EvalMedia, EvalTask } from "../eval/task.ts";
import { openJsonSamples } from "../loader/json-samples.ts";
import type { Metric } from "../synth/example.ts";
import { RequestError } from "../util/errors.ts";

const METRICS = ["anls", "relaxed", "exact", "choice", "iou"] as const satisfies readonly Metric[];

const questionsSchema = z.object({
  duration: z.number().optional(),
  questions: z
    .array(
      z.object({
        question: z.string(),
        answers: z.array(z.string()).min(1),
        metric: z.enum(METRICS),
        kind: z.string(),
        chance: z.number(),
      }),
    )
    .min(1)
    .optional(),
});

/**
 * @param count Examples at most; null takes all.
 * @throws RequestError when the file cannot be read.
 */
export async function openFileTask(path: string, count: number | null): Promise<EvalTask & { close(): Promise<void> }> {
  const samples = await openJsonSamples(path, dirname(path));
  const { size, mtimeMs } = await stat(path);
  // "scenes/test" rather than "test": sets of several families have files of equal names.
  const name = `${basename(dirname(resolve(path)))}/${basename(path).replace(/\.jsonl?$/i, "")}`;
  return {
    name,
    headline: "score",
    numExamples: Math.min(count ?? samples.length, samples.length),
    maxTokens: 32,
    fingerprint: createHash("sha256").update(`${path} ${size} ${mtimeMs}`).digest("hex"),
    close: () => samples.close(),
    async getExample(index): Promise<EvalExample> {
      const sample = await samples.sample(index);
      const extra = questionsSchema.safeParse(sample);
      if (!extra.success) throw new RequestError("eval", `${path} sample ${index}: ${extra.error.message}`);
      const media: EvalMedia[] = [
        ...[sample.image ?? [], sample.images ?? []]
          .flat(2)
          .map((source): EvalMedia => ({ type: "file", kind: "image", source: source as string })),
        ...[sample.video ?? []]
          .flat(2)
          .map((source): EvalMedia => ({ type: "file", kind: "video", source: source as string })),
      ];
      const { questions, duration } = extra.data;
      const [human, gpt] = sample.conversations.filter((turn) => turn.from !== "system");
      const asked = questions?.[index % questions.length] ?? {
        question: human.value.replaceAll(/<(image|video)>\n?/g, "").trim(),
        answers: [gpt?.value ?? ""],
        metric: "exact" as const,
        kind: "answer",
        chance: 0,
      };
      return { id: String(sample.id ?? `${name}-${index}`), media, ...asked, durationSeconds: duration ?? null };
    },
  };
}
