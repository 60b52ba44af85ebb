/** The page's decisions that need no screen: files, settings, requests, faults, numbers of the panel. */
import { describe, expect, it } from "vitest";
import { checkFile, formatBytes, isAnimated, LIMITS, sizeProblem } from "../../web/src/model/attachments.ts";
import { buildRequest } from "../../web/src/model/build-request.ts";
import { titleOf } from "../../web/src/model/chat-store.ts";
import { explainFailure } from "../../web/src/model/explain-error.ts";
import { progressFraction, progressText } from "../../web/src/model/progress-text.ts";
import { DEFAULT_SETTINGS, parseSettings, problemsOf } from "../../web/src/model/settings.ts";
import type { Answer, Message, Question } from "../../web/src/model/types.ts";
import {
  compressionText,
  extraTiles,
  formatMs,
  formatSeconds,
  frameGroups,
  summaryText,
  tileBoxes,
  timeSlices,
} from "../../web/src/model/what-was-seen.ts";
import { announcement } from "../../web/src/ui/spoken-answers.ts";
import { animatedGif } from "./animated-gif.ts";
import { PICTURE_REPORT, VIDEO_REPORT } from "./reports.ts";

const question = (text: string, order: number, attachments: Question["attachments"] = []): Question => ({
  id: `q${order}`,
  conversationId: "c",
  order,
  role: "user",
  text,
  attachments,
});
const answer = (text: string, order: number, fields: Partial<Answer> = {}): Answer => ({
  id: `a${order}`,
  conversationId: "c",
  order,
  role: "assistant",
  text,
  state: "done",
  finishReason: "stop",
  isJson: false,
  error: null,
  usage: null,
  report: null,
  ...fields,
});

describe("files", () => {
  it("tells pictures, videos and animations apart", async () => {
    const kindOf = (name: string, type: string, head: Uint8Array = new Uint8Array(64)): string => {
      const check = checkFile({ name, type, size: 10 }, head);
      return check.isGood ? `${check.kind} ${check.type}` : check.reason;
    };
    const gif = await animatedGif(3, 50);
    expect(kindOf("a.png", "image/png")).toBe("image image/png");
    expect(kindOf("a.MKV", "")).toBe("video video/x-matroska");
    expect(kindOf("a.mov", "application/octet-stream")).toBe("video video/quicktime");
    expect(kindOf("a.gif", "image/gif")).toBe("image image/gif");
    expect(kindOf("a.gif", "image/gif", gif)).toBe("video image/gif");
    const webp = new Uint8Array([...Buffer.from("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0"), 0b10, 0, 0, 0]);
    expect(isAnimated(webp)).toBe(true);
    webp[20] = 0b10000;
    expect(isAnimated(webp)).toBe(false);
    expect(kindOf("a.heic", "image/heic")).toContain("a.heic is of type image/heic");
    expect(kindOf("noname", "")).toContain("of an unknown type");
  });

  it("names the size and the limit", () => {
    const check = checkFile({ name: "a.png", type: "image/png", size: LIMITS.imageBytes + 1 }, new Uint8Array());
    expect(check).toEqual({ isGood: false, reason: "a.png has 20 MiB; pictures can have up to 20 MiB." });
    expect(checkFile({ name: "a.png", type: "image/png", size: 0 }, new Uint8Array())).toMatchObject({ isGood: false });
    expect(sizeProblem([LIMITS.conversationBytes])).toBe(null);
    expect(sizeProblem([LIMITS.conversationBytes, 1024 ** 2])).toContain("would have 47 MiB");
    expect([0, 1023, 1536, 1024 ** 2 * 134.2, 1024 ** 3 * 4].map(formatBytes)).toEqual([
      "0 bytes",
      "1023 bytes",
      "1.5 KiB",
      "134 MiB",
      "4 GiB",
    ]);
  });
});

describe("settings", () => {
  it("finds what cannot be sent", () => {
    expect(problemsOf(DEFAULT_SETTINGS)).toEqual({});
    expect(
      Object.keys(
        problemsOf({ ...DEFAULT_SETTINGS, temperature: "2.1", topP: "x", maxTokens: "1.5", seed: "-1", frames: "0" }),
      ),
    ).toEqual(["temperature", "topP", "maxTokens", "seed", "frames"]);
    const withSchema = (jsonSchema: string) =>
      problemsOf({ ...DEFAULT_SETTINGS, isJsonSchemaOn: true, jsonSchema }).jsonSchema;
    expect(withSchema('{"type":"object"}')).toBeUndefined();
    expect(withSchema("[1]")).toContain("an object");
    expect(withSchema("{")).toContain("Not JSON");
    expect(problemsOf({ ...DEFAULT_SETTINGS, isJsonSchemaOn: false, jsonSchema: "{" })).toEqual({});
  });

  it("reads whatever an earlier page stored", () => {
    expect(parseSettings(null)).toEqual(DEFAULT_SETTINGS);
    expect(parseSettings("{nonsense")).toEqual(DEFAULT_SETTINGS);
    expect(parseSettings("null")).toEqual(DEFAULT_SETTINGS);
    expect(parseSettings('{"seed":"7","temperature":3,"gone":1}')).toEqual({ ...DEFAULT_SETTINGS, seed: "7" });
  });
});

describe("requests", () => {
  const url = ({ id }: { id: string }): string => `data:${id}`;

  it("sends media before the text, and only settings that are set", () => {
    const media = [
      { id: "p", kind: "image", name: "p.png", type: "image/png", sizeBytes: 1 },
      { id: "v", kind: "video", name: "v.mp4", type: "video/mp4", sizeBytes: 1 },
    ] as const;
    const body = buildRequest(
      [question("what?", 0, media)],
      { ...DEFAULT_SETTINGS, frames: "8", topP: "0.9", tiles: "4" },
      url,
    );
    expect(body).toEqual({
      messages: [
        {
          role: "user",
          content: [
            { type: "image_url", image_url: { url: "data:p" } },
            { type: "video_url", video_url: { url: "data:v" }, frames: 8 },
            { type: "text", text: "what?" },
          ],
        },
      ],
      stream: true,
      stream_options: { include_usage: true },
      nvila: { progress: true, max_tiles: 4 },
      top_p: 0.9,
    });
  });

  it("leaves out answers that failed and joins the questions around them", () => {
    const messages: Message[] = [question("one", 0), answer("", 1, { state: "failed" }), question("two", 2)];
    expect(buildRequest(messages, { ...DEFAULT_SETTINGS, system: " Be brief. " }, url).messages).toEqual([
      { role: "system", content: "Be brief." },
      {
        role: "user",
        content: [
          { type: "text", text: "one" },
          { type: "text", text: "two" },
        ],
      },
    ]);
  });

  it("names conversations after the question, else after the file", () => {
    expect(titleOf("  What\n is it? ", [])).toBe("What is it?");
    expect(titleOf("x".repeat(80), [])).toBe(`${"x".repeat(59)}…`);
    expect(titleOf(" ", [{ name: "cat.png" }])).toBe("cat.png");
  });
});

describe("words", () => {
  it("explains each kind of fault", () => {
    const explain = (status: number | null, message = "", retryAfterSeconds: number | null = null) =>
      explainFailure({ status, message, retryAfterSeconds });
    expect(explain(null)).toMatchObject({ title: "No connection", action: "retry" });
    expect(explain(401)).toMatchObject({ action: "key" });
    expect(explain(403, "[server] not this host")).toMatchObject({ detail: "[server] not this host", action: null });
    expect(explain(413).action).toBe(null);
    expect(explain(429, "", 90).detail).toContain("in 2 minutes");
    expect(explain(503, "no room").detail).toBe("no room. Try again in a moment.");
    expect(explain(400, "wrong").detail).toBe("wrong");
    expect(explain(500).detail).toContain("500");
  });

  it("tells progress in counts", () => {
    expect(progressText(null)).toBe("Waiting for the first word");
    expect(progressText({ stage: "vision", done: 3, total: 7 })).toBe("Looking: 3 of 7 tiles");
    expect(progressText({ stage: "media", done: 0, total: 1 })).toBe("Opening media");
    expect(progressText({ stage: "new", done: 1, total: 4 })).toBe("Working: 1 of 4");
    expect(progressFraction({ stage: "vision", done: 1, total: 4 })).toBe(0.25);
    expect(progressFraction({ stage: "media", done: 0, total: 0 })).toBe(null);
  });

  it("announces states, not tokens", () => {
    const waiting = answer("", 1, { state: "waiting" });
    const streaming = answer("a", 1, { state: "streaming" });
    expect(announcement(null, waiting)).toBe("Asking.");
    expect(announcement(waiting, streaming)).toBe("The answer is being written.");
    expect(announcement(streaming, { ...streaming, text: "a b" })).toBe(null);
    expect(announcement(streaming, answer("a b c", 1))).toBe("Answer: a b c");
    expect(announcement(streaming, answer("x".repeat(900), 1))).toContain("The rest is in the transcript.");
    // A conversation that is opened is read by the reader, not aloud.
    expect(announcement(null, answer("old", 1))).toBe(null);
    expect(announcement(streaming, null)).toBe(null);
  });
});

describe("what the model saw", () => {
  const [picture] = PICTURE_REPORT.media;
  const [video] = VIDEO_REPORT.media;

  it("covers the picture with tiles, row by row, without gaps", () => {
    const boxes = tileBoxes([4, 3]);
    expect(boxes).toHaveLength(12);
    expect(boxes[5]).toEqual({ x: 0.25, y: 1 / 3, width: 0.25, height: 1 / 3 });
    expect(boxes.reduce((area, box) => area + box.width * box.height, 0)).toBeCloseTo(1, 12);
    expect(extraTiles(picture)).toBe(0);
    expect(extraTiles({ ...picture, scales: [[3, 2]], tiles: 7 })).toBe(1);
  });

  it("groups frames as pooling joins them", () => {
    expect(frameGroups(video)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
    ]);
    expect(frameGroups({ ...video, tiles: 6 })).toEqual([
      [0, 1, 2, 3],
      [4, 5],
    ]);
    expect(frameGroups({ ...video, tiles: 2, pooling: null })).toEqual([[0], [1]]);
  });

  it("tells compression, time and speed", () => {
    expect(compressionText(17_408, 3072)).toBe("5.7×");
    expect(compressionText(10, 10)).toBe(null);
    const slices = timeSlices(PICTURE_REPORT);
    expect(slices.map(({ name, ms }) => [name, ms])).toEqual([
      ["Prepare", 31],
      ["Look", 410],
      ["Read", 160],
      ["Wait", 11],
      ["Write", 1480],
    ]);
    expect(slices.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(summaryText(PICTURE_REPORT, null).replaceAll("\u00a0", " ")).toBe(
      "1 picture, 17 tiles · 17,408 → 3,072 visual tokens · first word after 612 ms · 27.7 tokens/s",
    );
    expect(summaryText(VIDEO_REPORT, null)).toContain("1\u00a0video,\u00a08\u00a0frames");
    expect([8.42, 420, 1234, 65_000].map(formatMs)).toEqual(["8.4 ms", "420 ms", "1.23 s", "65.0 s"]);
    expect([0, 9.96, 65.25].map(formatSeconds)).toEqual(["0:00.0", "0:10.0", "1:05.3"]);
  });
});
