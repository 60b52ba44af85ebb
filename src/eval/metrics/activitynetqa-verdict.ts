/** What a judge of ActivityNet-QA said. Source: lmms-eval v0.3.0 `activitynetqa/utils.py` `parse_score`. */
import { parsePythonLiteral } from "../../util/python-literal.ts";
import { pythonInt } from "../../util/python-number.ts";

/** Verdict ("yes", "no", or what else the judge wrote) and score 0 … 5; null when the reply cannot be read (it then counts as "no", 0). */
export function parseJudgeVerdict(reply: string): { verdict: string; score: number } | null {
  const start = reply.indexOf("{");
  const end = reply.indexOf("}", start);
  if (start < 0 || end < 0) return null;
  const dict = parsePythonLiteral(reply.slice(start, end + 1));
  if (typeof dict !== "object" || dict === null || Array.isArray(dict)) return null;
  const { pred, score } = dict as { readonly [key: string]: unknown };
  if (typeof pred !== "string") return null;
  const points = integerOf(score);
  if (points === null) return null;
  const lower = pred.toLowerCase();
  const verdict = lower.includes("yes") ? "yes" : lower.includes("no") ? "no" : lower;
  return { verdict, score: points };
}

function integerOf(value: unknown): number | null {
  if (typeof value === "number") return Math.trunc(value);
  if (typeof value === "boolean") return value ? 1 : 0;
  const parsed = typeof value === "string" ? pythonInt(value) : null;
  return parsed === null ? null : Number(parsed);
}
