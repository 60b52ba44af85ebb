/** Charts after ChartQA: bars, lines, pies, groups with a legend. Numbers may be off by 5 %. */
import { Canvas, type Colour, type Point } from "./canvas.ts";
import {
  askChart,
  askedMarks,
  askedPairs,
  extremesOf,
  type Marks,
  SHARE_WORDS,
  sizeOf,
  stepsToExtremes,
  VALUE_WORDS,
} from "./chart-questions.ts";
import type { Dice } from "./dice.ts";
import { type Drawn, type Exchange, listed, type SynthExample, still } from "./example.ts";
import { anyFont, drawText, measureText, type Split, type TextStyle } from "./font.ts";
import { palette } from "./palettes.ts";
import { inkColour, paperTint, weather } from "./paper.ts";
import { fillBox, fillCircle, fillPolygon, sector, strokeBox, strokePath } from "./shapes.ts";
import { MONTHS, Writer } from "./words.ts";

interface Plot {
  readonly dice: Dice;
  readonly split: Split;
  readonly page: Canvas;
  readonly style: TextStyle;
  readonly colours: readonly Colour[];
  readonly labels: readonly string[];
  readonly values: readonly number[];
  readonly layout: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Whether values stand at the marks, grid lines are drawn, a frame is there: three in training, others elsewhere. */
const LAYOUTS: Readonly<Record<Split, readonly number[]>> = { train: [0, 1, 2], validation: [3], test: [4] };

/** Draws one chart of a random kind. */
export function drawChart(dice: Dice, split: Split): SynthExample {
  const kind = dice.pick(["bar", "bar", "level bar", "line", "pie", "groups"] as const);
  const write = new Writer(dice, split);
  const [width, height] = [dice.int(280, 360), dice.int(220, 300)];
  const count = dice.int(3, kind === "level bar" ? 5 : 6);
  const labels = dice.chance(0.3)
    ? MONTHS.slice(0, count)
    : dice.chance(0.5)
      ? write.things(count)
      : write.places(count);
  const plot: Plot = {
    dice,
    split,
    page: new Canvas(width, height, paperTint(dice, split)),
    style: { font: anyFont(dice, split), size: dice.int(8, 10), colour: inkColour(dice, split) },
    colours: dice.shuffle(palette(dice, split)),
    labels,
    values: distinctValues(dice, count),
    layout: dice.pick(LAYOUTS[split]),
    left: 40,
    right: width - 14,
    top: 34,
    bottom: height - 34,
  };
  const title = `${dice.pick(["Sales", "Visitors", "Orders", "Output", "Votes"])} of ${write.surname()}`;
  drawText(plot.page, title, { x: width / 2, y: 10 }, { ...plot.style, size: plot.style.size * 1.2 }, "middle");
  const draw = { bar: drawBars, "level bar": drawLevelBars, line: drawLine, pie: drawPie, groups: drawGroups }[kind];
  const { exchanges, caption } = draw(plot);
  const example = still(dice, split, weather(plot.page, dice), `${kind} ${plot.layout}`, {
    exchanges: [...exchanges, askChart("What is the title of the chart?", title, "title", 0)],
    caption: `${title}, ${caption}.`,
  });
  return split === "train" ? { ...example, exchanges: valuesLast(example.exchanges) } : example;
}

/** What follows from values is asked before them: else it could be answered from the conversation, without the picture. */
function valuesLast(exchanges: readonly Exchange[]): Exchange[] {
  const isValue = ({ kind }: Exchange): boolean => kind === "value" || kind === "share" || kind === "found";
  return [...exchanges.filter((exchange) => !isValue(exchange)), ...exchanges.filter(isValue)];
}

/** Values that differ so much that a reader can order them. */
function distinctValues(dice: Dice, count: number): number[] {
  for (;;) {
    const values = Array.from({ length: count }, () => dice.int(2, 20) * 5);
    if (new Set(values).size === count) return values;
  }
}

function questions({ dice, split, labels, values }: Plot, what: string): Exchange[] {
  const marks: Marks = { labels, values, where: "", words: VALUE_WORDS };
  const asked = askedMarks(dice, split, labels.length);
  const pairs = askedPairs(dice, split, labels.length);
  return [
    ...asked.map((i) => sizeOf(marks, i)),
    ...extremesOf(marks),
    askChart(`How many ${what} are there?`, String(labels.length), "count", 1 / 4),
    ...pairs.map(([a, b]) =>
      askChart(
        `What is the difference between ${labels[a]} and ${labels[b]}?`,
        String(Math.abs(values[a] - values[b])),
        "difference",
        1 / 19,
      ),
    ),
    ...pairs.map(([a, b]) =>
      askChart(`Is ${labels[a]} greater than ${labels[b]}?`, values[a] > values[b] ? "yes" : "no", "compare", 1 / 2),
    ),
    ...steps(dice, split, marks),
  ];
}

/** Only training climbs in steps. */
function steps(dice: Dice, split: Split, marks: Marks): Exchange[] {
  return split === "train" ? stepsToExtremes(dice, marks) : [];
}

function valuesInWords({ labels, values }: Plot): string {
  return listed(labels.map((label, i) => `${label} ${values[i]}`));
}

/** The axis of values, and where a value lies on it. */
function valueAxis(plot: Plot, isUpright: boolean): (value: number) => number {
  const { page, style, left, right, top, bottom, layout } = plot;
  const most = Math.ceil((Math.max(...plot.values) + 5) / 20) * 20; // room for the number above the highest mark
  const place = (value: number): number =>
    isUpright ? bottom - ((bottom - top) * value) / most : left + 24 + ((right - left - 34) * value) / most;
  const pale = style.colour.map((value) => Math.round(255 - (255 - value) * 0.2)) as [number, number, number];
  for (let value = 0; value <= most; value += most > 60 ? 20 : 10) {
    const at = place(value);
    if (isUpright) {
      if (layout !== 1)
        strokePath(
          page,
          [
            { x: left, y: at },
            { x: right, y: at },
          ],
          1,
          pale,
        );
      drawText(page, String(value), { x: left - 5, y: at - style.size / 2 }, style, "right");
    } else {
      if (layout !== 1)
        strokePath(
          page,
          [
            { x: at, y: top },
            { x: at, y: bottom },
          ],
          1,
          pale,
        );
      drawText(page, String(value), { x: at, y: bottom + 6 }, style, "middle");
    }
  }
  const corner = isUpright ? { x: left, y: bottom } : { x: left + 24, y: bottom };
  strokePath(page, [{ x: corner.x, y: top }, corner, { x: right, y: bottom }], 1, style.colour);
  if (layout === 2 || layout === 4)
    strokeBox(page, { x: corner.x, y: top, width: right - corner.x, height: bottom - top }, 1, style.colour);
  return place;
}

/**
 * Notes beside the labels which value is the highest and which the lowest, in the words of the questions: the tower learns to see it, and the
 * language model looks it up like any name.
 * @param place Of the label numbered i, on the side of its mark.
 */
function noteExtremes(
  { page }: Plot,
  values: readonly number[],
  place: (i: number) => Point,
  { most, least } = VALUE_WORDS,
): void {
  page.places.push({ ...place(values.indexOf(Math.max(...values))), text: ` ${most}` });
  page.places.push({ ...place(values.indexOf(Math.min(...values))), text: ` ${least}` });
}

/** Layouts that write the value at its mark. */
function hasValues(layout: number): boolean {
  return layout === 1 || layout === 2 || layout === 4;
}

function drawBars(plot: Plot): Drawn {
  const { page, style, labels, values, left, right, bottom, layout, colours } = plot;
  const place = valueAxis(plot, true);
  const step = (right - left) / labels.length;
  const isOneColour = layout === 0 || layout === 4;
  for (const [i, label] of labels.entries()) {
    const x = left + i * step + step * 0.2;
    const y = place(values[i]);
    fillBox(page, { x, y, width: step * 0.6, height: bottom - y }, colours[isOneColour ? 0 : i]);
    if (hasValues(layout))
      drawText(page, String(values[i]), { x: x + step * 0.3, y: y - style.size * 1.4 }, style, "middle");
    drawText(
      page,
      label,
      { x: x + step * 0.3, y: bottom + 6 + (i % 2 === 1 && isCrowded(plot, step) ? style.size * 1.5 : 0) },
      style,
      "middle",
    );
  }
  noteExtremes(plot, values, (i) => ({ x: left + (i + 0.5) * step, y: bottom - 4 }));
  return { exchanges: questions(plot, "bars"), caption: `a bar chart: ${valuesInWords(plot)}` };
}

/** Labels that would run into each other stand on two lines. */
function isCrowded({ labels, style }: Plot, step: number): boolean {
  return Math.max(...labels.map((label) => measureText(label, style))) > step - 4;
}

function drawLevelBars(plot: Plot): Drawn {
  const { page, style, labels, values, left, top, bottom, layout, colours } = plot;
  const place = valueAxis(plot, false);
  const step = (bottom - top) / labels.length;
  for (const [i, label] of labels.entries()) {
    const y = top + i * step + step * 0.2;
    fillBox(
      page,
      { x: left + 24, y, width: place(values[i]) - left - 24, height: step * 0.6 },
      colours[layout === 0 ? 0 : i],
    );
    const textY = y + step * 0.3 - style.size / 2;
    drawText(
      page,
      label,
      { x: left + 20, y: textY },
      { ...style, size: Math.min(style.size, (style.size * (left + 16)) / measureText(label, style)) },
      "right",
    );
    if (hasValues(layout))
      drawText(
        page,
        String(values[i]),
        { x: place(values[i]) - 4, y: textY },
        { ...style, colour: [255, 255, 255] },
        "right",
      );
  }
  noteExtremes(plot, values, (i) => ({ x: left + 30, y: top + (i + 0.5) * step }));
  return { exchanges: questions(plot, "bars"), caption: `a bar chart: ${valuesInWords(plot)}` };
}

function drawLine(plot: Plot): Drawn {
  const { page, style, labels, values, left, right, bottom, layout, colours } = plot;
  const place = valueAxis(plot, true);
  const step = (right - left) / labels.length;
  const points = values.map((value, i) => ({ x: left + (i + 0.5) * step, y: place(value) }));
  strokePath(page, points, layout === 4 ? 3 : 2, colours[0]);
  for (const [i, point] of points.entries()) {
    fillCircle(page, point, 3.5, colours[0]);
    if (hasValues(layout))
      drawText(page, String(values[i]), { x: point.x, y: point.y - style.size * 1.8 }, style, "middle");
    drawText(
      page,
      labels[i],
      { x: point.x, y: bottom + 6 + (i % 2 === 1 && isCrowded(plot, step) ? style.size * 1.5 : 0) },
      style,
      "middle",
    );
  }
  noteExtremes(plot, values, (i) => ({ x: left + (i + 0.5) * step, y: bottom - 4 }));
  return { exchanges: questions(plot, "points"), caption: `a line chart: ${valuesInWords(plot)}` };
}

function drawPie(plot: Plot): Drawn {
  const { page, style, labels, top, layout, colours } = plot;
  const shares = pieShares(plot.dice, labels.length);
  const radius = Math.min(page.width * 0.27, (page.height - top - 24) / 2);
  const centre = { x: layout === 2 ? page.width - radius - 20 : radius + 20, y: top + radius + 6 };
  const legendX = layout === 2 ? 16 : centre.x + radius + 20;
  let angle = 0;
  for (const [i, share] of shares.entries()) {
    const end = angle + share * 3.6;
    fillPolygon(page, sector(centre, radius, angle, end), colours[i]);
    const middle = (((angle + end) / 2 - 90) * Math.PI) / 180;
    const at = {
      x: centre.x + radius * 0.65 * Math.cos(middle),
      y: centre.y + radius * 0.65 * Math.sin(middle) - style.size / 2,
    };
    drawText(page, `${share}%`, at, { ...style, colour: [255, 255, 255] }, "middle");
    const y = top + 10 + i * style.size * 2.2;
    fillBox(page, { x: legendX, y, width: style.size, height: style.size }, colours[i]);
    drawText(page, labels[i], { x: legendX + style.size + 6, y }, style);
    angle = end;
  }
  const legend = (i: number): Point => ({ x: legendX + style.size / 2, y: top + 10 + (i * 2.2 + 0.5) * style.size });
  noteExtremes(plot, shares, legend, SHARE_WORDS);
  const marks: Marks = { labels, values: shares, where: "", words: SHARE_WORDS };
  const exchanges = [
    ...askedMarks(plot.dice, plot.split, labels.length).map((i) => sizeOf(marks, i)),
    ...extremesOf(marks),
    askChart("How many slices are there?", String(labels.length), "count", 1 / 4),
    ...steps(plot.dice, plot.split, marks),
  ];
  return { exchanges, caption: `a pie chart: ${listed(labels.map((label, k) => `${label} ${shares[k]}%`))}` };
}

/** Whole percents that add up to 100, all different, none too small to be seen. */
function pieShares(dice: Dice, count: number): number[] {
  for (;;) {
    const cuts = Array.from({ length: count - 1 }, () => dice.int(1, 99)).sort((a, b) => a - b);
    const shares = [...cuts, 100].map((cut, i) => cut - (cuts[i - 1] ?? 0));
    if (new Set(shares).size === count && Math.min(...shares) >= 7) return shares;
  }
}

function drawGroups(plot: Plot): Drawn {
  const { dice, page, style, left, right, bottom, colours } = plot;
  const labels = plot.labels.slice(0, 3);
  const series = dice.sample(["2021", "2022", "2023", "north", "south", "east", "west"], 2);
  const values = series.map(() => distinctValues(dice, labels.length));
  const place = valueAxis({ ...plot, values: values.flat() }, true);
  const step = (right - left) / labels.length;
  for (const [i, label] of labels.entries()) {
    for (const [s] of series.entries()) {
      const y = place(values[s][i]);
      const x = left + i * step + step * (0.15 + s * 0.36);
      fillBox(page, { x, y, width: step * 0.34, height: bottom - y }, colours[s]);
      if (hasValues(plot.layout))
        drawText(page, String(values[s][i]), { x: x + step * 0.17, y: y - style.size * 1.4 }, style, "middle");
    }
    drawText(page, label, { x: left + (i + 0.5) * step, y: bottom + 6 }, style, "middle");
  }
  let x = left + 6;
  for (const [s, name] of series.entries()) {
    fillBox(page, { x, y: bottom + 20, width: style.size, height: style.size }, colours[s]);
    x += style.size + 5 + drawText(page, name, { x: x + style.size + 5, y: bottom + 20 }, style) + 14;
  }
  const asked = askedMarks(dice, plot.split, labels.length);
  const shown = plot.split === "train" ? [0, 1] : [dice.int(0, 1)];
  const exchanges = [
    ...shown.flatMap((s) => {
      const marks: Marks = { labels, values: values[s], where: ` in ${series[s]}`, words: VALUE_WORDS };
      return [...asked.map((i) => sizeOf(marks, i)), ...extremesOf(marks), ...steps(dice, plot.split, marks)];
    }),
    askChart("How many series does the legend show?", "2", "legend", 1),
  ];
  const groups = series.map((name, k) => `in ${name} ${listed(labels.map((label, l) => `${label} ${values[k][l]}`))}`);
  return { exchanges, caption: `a chart of groups: ${groups.join("; ")}` };
}
