/** The report of a run as one HTML file that needs nothing else: loss and learning rate of every stage as curves, and what each took. */
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RIGHT_SCORE } from "../eval/evaluate-answer.ts";
import { escapeHtml } from "../util/escape-html.ts";
import type { Recipe } from "./recipe.ts";
import { EVALUATION, readScores, type StageScores } from "./stage-scores.ts";
import { type LoggedStep, STAGE_LOG } from "./train-stage.ts";

const WIDTH = 720;
const HEIGHT = 200;
/** Steps that the smooth curve averages over, as a share of all. */
const SMOOTHING = 0.05;

/** Writes `report.html` into the run's folder; stages that have not begun are left out. Returns its path. */
export async function writeReport(out: string, recipe: Recipe): Promise<string> {
  const stages = recipe.stages.flatMap((stage) => {
    const steps = readLog(join(out, stage.name, STAGE_LOG));
    return steps.length > 0 ? [{ name: stage.name, steps, scores: readScores(join(out, stage.name)) }] : [];
  });
  const path = join(out, "report.html");
  await writeFile(path, page(recipe, stages));
  return path;
}

/** Whole lines of a log. */
export function readLog(path: string): LoggedStep[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as LoggedStep);
}

interface StageLog {
  readonly name: string;
  readonly steps: readonly LoggedStep[];
  /** Null: not evaluated. */
  readonly scores: StageScores | null;
}

function page(recipe: Recipe, stages: readonly StageLog[]): string {
  const title = `Training: ${escapeHtml(recipe.name)}`;
  const body = stages.map(stageSection).join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:right}th:first-child,td:first-child{text-align:left}
svg{width:100%;height:auto;background:#fafafa}text{font:11px system-ui;fill:#666}
figure{display:grid;grid-template-columns:220px 1fr;gap:1rem;margin:1rem 0}figure img{max-width:100%}figcaption{white-space:pre-line}
figure td{text-align:left}
.raw{stroke:#b9c8e8}.smooth{stroke:#1f4fa8;stroke-width:2}.rate{stroke:#d08a2a;stroke-dasharray:4 3}path{fill:none}
</style></head><body>
<h1>${title}</h1>
<p>${escapeHtml(recipe.source)}</p>
${summary(stages)}
${scoreTable(stages)}
${sampleTable(stages)}
${body}
</body></html>
`;
}

function summary(stages: readonly StageLog[]): string {
  const rows = stages.map(({ name, steps }) => {
    const [first, last] = [steps[0], steps[steps.length - 1]];
    const seconds = sum(steps, (step) => step.seconds);
    const cells = [
      `${last.step} of ${last.totalSteps}`,
      first.loss.toFixed(3),
      mean(steps.slice(-10).map((step) => step.loss)).toFixed(3),
      sum(steps, (step) => step.samples).toLocaleString("en"),
      sum(steps, (step) => step.tokens).toLocaleString("en"),
      (sum(steps, (step) => step.samples) / seconds).toFixed(2),
      `${(sum(steps, (step) => step.paddedRows) / sum(steps, (step) => step.rows)).toFixed(2)}×`,
      `${last.skipped.broken + last.skipped.empty}`,
      `${(seconds / 60).toFixed(1)} min`,
    ];
    return `<tr><td>${escapeHtml(name)}</td>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  const heads = [
    "stage",
    "steps",
    "first loss",
    "last ten",
    "samples",
    "tokens learnt",
    "samples/s",
    "rows if padded",
    "left out",
    "time",
  ];
  return `<table><tr>${heads.map((head) => `<th>${head}</th>`).join("")}</tr>\n${rows.join("\n")}</table>`;
}

/** What each stage brought: scores of its model in percent, a column for each task, chance in the first row. */
function scoreTable(stages: readonly StageLog[]): string {
  const scored = stages.flatMap(({ name, scores }) => (scores ? [{ name, scores }] : []));
  if (scored.length === 0) return "";
  const { tasks, count } = scored[scored.length - 1].scores;
  const percent = (share: number | undefined): string => (share === undefined ? "" : (100 * share).toFixed(1));
  const row = (head: string, cells: readonly string[]): string =>
    `<tr><td>${head}</td>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  const rows = scored.map(({ name, scores }) => {
    const link = `<a href="${encodeURIComponent(name)}/${EVALUATION}/report.html">${escapeHtml(name)}</a>`;
    return row(
      link,
      tasks.map(({ task }) => percent(scores.tasks.find((other) => other.task === task)?.score)),
    );
  });
  const heads = tasks.map(({ task, headline }) => `<th>${escapeHtml(task)}<br>${escapeHtml(headline)}</th>`).join("");
  return `<h2>What each stage brought</h2>
<p>${count} examples of each family, validation split, weights as trained.</p>
<table><tr><th>model of</th>${heads}</tr>
${row(
  "chance",
  tasks.map(({ chance }) => percent(chance)),
)}
${rows.join("\n")}</table>`;
}

/** The same few examples after every stage: what the picture shows, what is asked, and what each model says. */
function sampleTable(stages: readonly StageLog[]): string {
  const told = stages.flatMap(({ name, scores }) =>
    scores?.samples?.length ? [{ name, samples: scores.samples }] : [],
  );
  if (told.length === 0) return "";
  const cards = told[told.length - 1].samples.map(({ task, question, right, media }, i) => {
    const lines = told.flatMap(({ name, samples }) => {
      const sample = samples[i];
      if (sample?.question !== question) return [];
      const mark = sample.score >= RIGHT_SCORE ? "✓" : "✗";
      return [
        `<tr><td>${escapeHtml(name)}</td><td>${mark} ${escapeHtml(sample.response.slice(0, 200) || "(nothing)")}</td></tr>`,
      ];
    });
    return `<figure>${media}<figcaption><b>${escapeHtml(task)}</b> ${escapeHtml(question)}<br>right: <b>${escapeHtml(right)}</b>
<table>${lines.join("\n")}</table></figcaption></figure>`;
  });
  return `<h2>What the models say</h2>\n${cards.join("\n")}`;
}

function stageSection({ name, steps }: StageLog): string {
  const losses = steps.map((step) => step.loss);
  const window = Math.max(1, Math.round(SMOOTHING * losses.length));
  const smooth = losses.map((_, i) => mean(losses.slice(Math.max(0, i - window + 1), i + 1)));
  const top = Math.max(...losses, 1e-9);
  const topRate = Math.max(...steps.map((step) => step.learningRate), 1e-30);
  const curve = (values: readonly number[], most: number): string =>
    values.map((value, i) => `${i === 0 ? "M" : "L"}${x(i, values.length)} ${y(value / most)}`).join("");
  return `<h2>${escapeHtml(name)}</h2>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT + 20}" role="img" aria-label="Loss of ${escapeHtml(name)}, step by step">
<path class="raw" d="${curve(losses, top)}"/><path class="smooth" d="${curve(smooth, top)}"/>
<path class="rate" d="${curve(
    steps.map((step) => step.learningRate),
    topRate,
  )}"/>
<text x="4" y="12">loss ${top.toFixed(2)}</text><text x="4" y="${HEIGHT - 4}">0</text>
<text x="${WIDTH - 4}" y="12" text-anchor="end">learning rate ${topRate.toExponential(1)} (dashed)</text>
<text x="${WIDTH - 4}" y="${HEIGHT + 14}" text-anchor="end">step ${steps[steps.length - 1].step}</text>
</svg>`;
}

const x = (index: number, count: number): string => ((WIDTH * (index + 0.5)) / count).toFixed(1);
const y = (share: number): string => (HEIGHT * (1 - 0.95 * share)).toFixed(1);

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
