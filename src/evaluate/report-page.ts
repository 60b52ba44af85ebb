/** The result of an evaluation as one HTML page that needs nothing else: scores beside chance, and wrong answers with their pictures. */
import { readFile } from "node:fs/promises";
import { RIGHT_SCORE } from "../eval/evaluate-answer.ts";
import type { EvalMedia, EvalTask } from "../eval/task.ts";
import type { Score } from "../eval/task-scores.ts";
import { escapeHtml } from "../util/escape-html.ts";
import { encodeExample } from "../world/encode-example.ts";
import type { LoggedAnswer } from "./answer-log.ts";
import type { EvaluatedTask } from "./run-evaluation.ts";

export interface ReportOptions {
  readonly model: string;
  /** Lines under the title: device, date, command. */
  readonly notes: readonly string[];
  /** Wrong answers shown per task. */
  readonly mostWrong: number;
}

export async function reportPage(
  evaluated: readonly EvaluatedTask[],
  tasks: readonly EvalTask[],
  { model, notes, mostWrong }: ReportOptions,
): Promise<string> {
  const sections = await Promise.all(evaluated.map((result, i) => section(result, tasks[i], mostWrong)));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escapeHtml(model)}: evaluation</title><style>${STYLE}</style></head><body>
<h1>${escapeHtml(model)}</h1><p class="notes">${notes.map(escapeHtml).join("<br>")}</p>
<table><thead><tr><th>task<th>metric<th class="n">examples<th class="n">score<th class="n">chance<th>&nbsp;</tr></thead><tbody>
${evaluated.map((result) => row(`<a href="#${anchor(result.task)}">${escapeHtml(result.task)}</a>`, result.headline, result)).join("\n")}
</tbody></table>
${sections.join("\n")}
</body></html>
`;
}

function row(name: string, headline: string, { n, score, chance, margin }: Score): string {
  return `<tr><td>${name}<td>${escapeHtml(headline)}<td class="n">${n}<td class="n">${percent(score)} ± ${percent(margin)}<td class="n">${percent(chance)}<td>${bar(score, chance)}</tr>`;
}

/** The score as a bar, chance as a mark on it. */
function bar(score: number, chance: number): string {
  return `<span class="bar"><span style="width:${(100 * score).toFixed(1)}%"></span><i style="left:${(100 * chance).toFixed(1)}%"></i></span>`;
}

async function section(result: EvaluatedTask, task: EvalTask, mostWrong: number): Promise<string> {
  const wrong = result.answers.filter((answer) => answer.score < RIGHT_SCORE);
  const cards = await Promise.all(wrong.slice(0, mostWrong).map((answer) => card(answer, task)));
  const notes = [
    result.unparsed > 0 ? `${result.unparsed} responses could not be read` : "",
    result.errors > 0 ? `${result.errors} examples without a response` : "",
    wrong.length > cards.length
      ? `${cards.length} of ${wrong.length} wrong answers are shown`
      : `${wrong.length} wrong answers`,
  ].filter((note) => note !== "");
  return `<h2 id="${anchor(result.task)}">${escapeHtml(result.task)}</h2>
<table><tbody>${Object.entries(result.byKind)
    .map(([kind, score]) => row(escapeHtml(kind), "", score))
    .join("\n")}</tbody></table>
<p class="notes">${notes.map(escapeHtml).join(" · ")}</p><div class="cards">${cards.join("\n")}</div>`;
}

async function card(answer: LoggedAnswer, task: EvalTask): Promise<string> {
  const media = answer.kind === "damaged" ? [] : (await task.getExample(answer.index)).media;
  const pictures = await Promise.all(media.map(mediaHtml));
  const got = answer.error === null ? answer.response || "(nothing)" : `error: ${answer.error}`;
  return `<figure>${pictures.join("")}<figcaption><p>${escapeHtml(answer.question)}</p>
<p class="right">${escapeHtml(answer.answers.join(" / "))}</p><p class="wrong">${escapeHtml(got.slice(0, 300))}</p>
<p class="id">${escapeHtml(answer.id)} · ${escapeHtml(answer.kind)} · ${answer.score.toFixed(2)}</p></figcaption></figure>`;
}

/** Drawn media as they are; files only where a browser can show them. */
export async function mediaHtml(media: EvalMedia): Promise<string> {
  if (media.type === "frames") {
    const { extension, bytes } = await encodeExample(media);
    return `<img alt="" src="data:image/${extension};base64,${Buffer.from(bytes).toString("base64")}">`;
  }
  const { source } = media;
  const type = typeof source === "string" ? /\.(png|jpe?g|webp|gif)$/i.exec(source)?.[1].toLowerCase() : null;
  if (typeof source !== "string" || !type)
    return `<p class="id">${escapeHtml(typeof source === "string" ? source : "bytes")}</p>`;
  const bytes = await readFile(source).catch(() => null);
  if (bytes === null) return `<p class="id">${escapeHtml(source)} cannot be read</p>`;
  return `<img alt="" src="data:image/${type === "jpg" ? "jpeg" : type};base64,${bytes.toString("base64")}">`;
}

function anchor(task: string): string {
  return `task-${task.replace(/[^\w-]/g, "-")}`;
}

function percent(share: number): string {
  return (100 * share).toFixed(1);
}

const STYLE = `
:root{color-scheme:light dark;--line:#8884;--good:#2a7d4f;--bad:#b3372f;--bar:#3b6fb6;--muted:light-dark(#5a5f6a,#a8adb8)}
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.5rem 0 .5rem}
.notes,.id{color:var(--muted);font-size:.85rem}.id{margin:0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line)}.n{text-align:right;white-space:nowrap}
.bar{display:block;position:relative;min-width:9rem;height:.7rem;background:var(--line);border-radius:.35rem}
.bar span{position:absolute;inset:0 auto 0 0;background:var(--bar);border-radius:.35rem}
.bar i{position:absolute;top:-.15rem;bottom:-.15rem;width:2px;background:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:1rem}
figure{margin:0;border:1px solid var(--line);border-radius:.5rem;padding:.6rem;display:flex;flex-direction:column;gap:.5rem}
figure img{max-width:100%;max-height:260px;object-fit:contain;margin:auto;background:#fff}
figcaption p{margin:.15rem 0;white-space:pre-line;overflow-wrap:anywhere}
.right{color:var(--good)}.right::before{content:"✓ "}.wrong{color:var(--bad)}.wrong::before{content:"✗ "}
`;
