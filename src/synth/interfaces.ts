/** Screens of applications after Widget Captioning and ScreenQA: find a control, name one, read its state. Scored by exact match. */
import type { Box, Colour, Point } from "./canvas.ts";
import { Canvas } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { type Exchange, listed, mostQuestions, ONE_WORD_OR_PHRASE, type SynthExample, still } from "./example.ts";
import { anyFont, drawText, type Split, type TextStyle } from "./font.ts";
import { anyHue, weather } from "./paper.ts";
import { fillBox, fillCircle, fillPolygon, roundBox, strokeBox, strokePath } from "./shapes.ts";
import { Writer } from "./words.ts";

const LABELS = (
  "Wi-Fi Bluetooth Sound Alerts Updates Backup Sync Location Camera Updates Privacy Battery Screen Theme Music Photos Maps Mail Calendar Notes " +
  "Clock Weather Contacts Files Search Share Print Export Import Undo Redo Zoom Rotate Crop Filter Sort Archive Reply Forward Flag Mute Record " +
  "Pause Volume Contrast Subtitles Captions Shuffle Repeat Offline Roaming Hotspot Keyboard Language Region Storage Security Password Profile"
).split(" ");

interface Theme {
  readonly back: Colour;
  readonly bar: Colour;
  readonly text: Colour;
  readonly accent: Colour;
  readonly pale: Colour;
  readonly radius: number;
}

const THEMES: Readonly<Record<Split, readonly Theme[]>> = {
  train: [
    {
      back: [250, 250, 252],
      bar: [50, 100, 200],
      text: [30, 30, 30],
      accent: [50, 130, 230],
      pale: [205, 208, 215],
      radius: 6,
    },
    {
      back: [30, 32, 38],
      bar: [18, 20, 24],
      text: [235, 235, 235],
      accent: [80, 190, 120],
      pale: [80, 84, 92],
      radius: 2,
    },
    {
      back: [255, 252, 245],
      bar: [200, 90, 60],
      text: [50, 35, 30],
      accent: [210, 90, 60],
      pale: [220, 210, 200],
      radius: 12,
    },
  ],
  validation: [
    {
      back: [240, 246, 244],
      bar: [30, 120, 110],
      text: [20, 40, 40],
      accent: [20, 140, 120],
      pale: [200, 214, 210],
      radius: 4,
    },
  ],
  test: [
    {
      back: [246, 242, 250],
      bar: [100, 60, 160],
      text: [40, 25, 60],
      accent: [120, 70, 190],
      pale: [212, 204, 224],
      radius: 9,
    },
    {
      back: [24, 30, 48],
      bar: [40, 50, 80],
      text: [225, 230, 245],
      accent: [240, 170, 60],
      pale: [70, 80, 110],
      radius: 5,
    },
  ],
};

const KINDS = ["switch", "checkbox", "button", "slider", "field"] as const;
type Kind = (typeof KINDS)[number];

interface Widget {
  readonly kind: Kind;
  readonly label: string;
  readonly box: Box;
  /** Switch and checkbox: on. Slider: 0 … 1 in quarters. */
  readonly state: number;
  readonly value: string;
}

interface Screen {
  readonly canvas: Canvas;
  readonly theme: Theme;
  readonly style: TextStyle;
  /** Controls that stand before their label, not behind it. */
  readonly first: Kind | null;
}

/** Colours that no list has, for training: dark text on light or light on dark. */
function anyTheme(dice: Dice): Theme {
  const isDark = dice.chance(0.4);
  const light = (): Colour => anyHue(dice, [0, 0.15], [0.9, 1]);
  const dark = (): Colour => anyHue(dice, [0, 0.5], [0.05, 0.22]);
  return {
    back: isDark ? dark() : light(),
    bar: anyHue(dice, [0.3, 0.9], [0.1, 0.75]),
    text: isDark ? light() : dark(),
    accent: anyHue(dice, [0.5, 1], [0.4, 0.9]),
    pale: anyHue(dice, [0, 0.2], isDark ? [0.28, 0.45] : [0.75, 0.88]),
    radius: dice.pick([2, 3, 6, 7, 8, 10, 12]), // none of those of the other splits
  };
}

/** Draws one screen. */
export function drawInterface(dice: Dice, split: Split): SynthExample {
  const isPhone = dice.chance(0.6);
  const [width, height] = isPhone ? [dice.int(180, 220), dice.int(280, 360)] : [dice.int(320, 400), dice.int(200, 260)];
  const theme = split === "train" && dice.chance(0.5) ? anyTheme(dice) : dice.pick(THEMES[split]);
  const style = { font: anyFont(dice, split), size: dice.int(8, 11), colour: theme.text };
  // Check boxes stand first in the test split alone: training never shows it.
  const first = split === "test" ? "checkbox" : split === "train" && dice.chance(0.4) ? "switch" : null;
  const screen: Screen = { canvas: new Canvas(width, height, theme.back), theme, style, first };
  const write = new Writer(dice, split);
  const labels = write.some(LABELS, 8);
  const title = dice.chance(0.5) ? dice.pick(["Settings", "Options", "Account", "Tools", "Profile"]) : write.surname();
  const barHeight = style.size * 3;
  fillBox(screen.canvas, { x: 0, y: 0, width, height: barHeight }, theme.bar);
  drawText(screen.canvas, title, { x: width / 2, y: style.size }, { ...style, colour: [255, 255, 255] }, "middle");
  const widgets = placeWidgets(dice, screen, labels, barHeight, isPhone);
  for (const widget of widgets) drawWidget(screen, widget);
  const marked = dice.chance(0.45) ? dice.pick(widgets) : null;
  if (marked) {
    const { x, y, width: w, height: h } = marked.box;
    strokeBox(screen.canvas, { x: x - 4, y: y - 4, width: w + 8, height: h + 8 }, 2, [230, 30, 30]);
  }
  const exchanges = questions(dice, screen, widgets, title, marked);
  const picture = dice.chance(0.3) ? weather(screen.canvas, dice) : screen.canvas;
  const example = still(dice, split, picture, `${isPhone ? "phone" : "desktop"} ${theme.radius}`, {
    exchanges: exchanges.rest,
    caption: captionOf(title, widgets),
  });
  const asked = [...(exchanges.marked ? [exchanges.marked] : []), ...example.exchanges];
  return { ...example, exchanges: asked.slice(0, mostQuestions(split, 4)) };
}

function placeWidgets(
  dice: Dice,
  { canvas, style }: Screen,
  labels: readonly string[],
  top: number,
  isPhone: boolean,
): Widget[] {
  const columns = isPhone ? 1 : 2;
  const rowHeight = style.size * 3.6;
  const rows = Math.min(Math.floor((canvas.height - top - 12) / rowHeight), isPhone ? 6 : 4);
  const width = (canvas.width - 16 * (columns + 1)) / columns;
  return labels
    .slice(0, dice.int(Math.min(3, rows * columns), Math.min(labels.length, rows * columns)))
    .map((label, i) => {
      const kind = dice.pick(KINDS);
      const box = {
        x: 16 + (i % columns) * (width + 16),
        y: top + 10 + Math.floor(i / columns) * rowHeight,
        width,
        height: style.size * 2.6,
      };
      return {
        kind,
        label,
        box,
        state: kind === "slider" ? dice.int(0, 4) / 4 : dice.int(0, 1),
        value: String(dice.int(10, 99)),
      };
    });
}

function drawWidget({ canvas, theme, style, first }: Screen, { kind, label, box, state, value }: Widget): void {
  const middle = box.y + box.height / 2;
  const textY = middle - style.size / 2;
  const right = box.x + box.width;
  if (kind === "button") {
    fillPolygon(canvas, roundBox(box, theme.radius), theme.accent);
    drawText(canvas, label, { x: box.x + box.width / 2, y: textY }, { ...style, colour: [255, 255, 255] }, "middle");
    return;
  }
  const isLeft = kind === first;
  const room = kind === "switch" ? 34 : 20;
  drawText(canvas, label, { x: box.x + (isLeft ? 2 + room : 2), y: textY }, style);
  if (kind === "switch") {
    const end = isLeft ? box.x + 32 : right;
    const track = { x: end - 30, y: middle - 8, width: 28, height: 16 };
    canvas.places.push({ x: end - 16, y: middle, text: state === 1 ? "on" : "off" });
    fillPolygon(canvas, roundBox(track, 8), state === 1 ? theme.accent : theme.pale);
    fillCircle(canvas, { x: state === 1 ? end - 10 : end - 22, y: middle }, 6, [255, 255, 255]);
  } else if (kind === "checkbox") {
    const square = { x: isLeft ? box.x + 2 : right - 18, y: middle - 8, width: 16, height: 16 };
    canvas.places.push({ x: square.x + 8, y: middle, text: state === 1 ? "on" : "off" });
    if (state === 1) {
      fillPolygon(canvas, roundBox(square, 3), theme.accent);
      const tick: Point[] = [
        { x: square.x + 4, y: middle },
        { x: square.x + 7, y: middle + 4 },
        { x: square.x + 13, y: middle - 4 },
      ];
      strokePath(canvas, tick, 2, [255, 255, 255]);
    } else strokeBox(canvas, square, 1.5, theme.text);
  } else if (kind === "slider") {
    const from = box.x + box.width * 0.55;
    const at = from + (right - 8 - from) * state;
    strokePath(
      canvas,
      [
        { x: from, y: middle },
        { x: right - 8, y: middle },
      ],
      3,
      theme.pale,
    );
    strokePath(
      canvas,
      [
        { x: from, y: middle },
        { x: at, y: middle },
      ],
      3,
      theme.accent,
    );
    fillCircle(canvas, { x: at, y: middle }, 6, theme.accent);
    canvas.places.push({ x: at, y: middle, text: `${state * 100}%` });
  } else {
    const field = { x: box.x + box.width * 0.6, y: box.y, width: box.width * 0.4, height: box.height };
    strokeBox(canvas, field, 1, theme.pale);
    drawText(canvas, value, { x: field.x + 6, y: textY }, style);
  }
}

function questions(
  dice: Dice,
  { canvas }: Screen,
  widgets: readonly Widget[],
  title: string,
  marked: Widget | null,
): { marked: Exchange | null; rest: Exchange[] } {
  const rest: Exchange[] = [ask("What is the title of the screen?", title, "title", 0)];
  for (const { kind, label, state, value } of widgets) {
    if (kind === "switch") rest.push(ask(`Is ${label} on?`, state === 1 ? "yes" : "no", "state", 1 / 2));
    if (kind === "checkbox") rest.push(ask(`Is ${label} checked?`, state === 1 ? "yes" : "no", "state", 1 / 2));
    if (kind === "slider") rest.push(ask(`At what percentage is ${label}?`, `${state * 100}%`, "slider", 1 / 5));
    if (kind === "field") rest.push(ask(`What is the value of ${label}?`, value, "value", 0));
  }
  const target = dice.pick(widgets);
  const [cx, cy] = [target.box.x + target.box.width / 2, target.box.y + target.box.height / 2];
  const vertical = cy < canvas.height / 3 ? "top" : cy > (canvas.height * 2) / 3 ? "bottom" : "middle";
  const level = cx < canvas.width * 0.4 ? " left" : cx > canvas.width * 0.6 ? " right" : "";
  rest.push(ask(`Where is ${target.label}?`, vertical + level, "find", level === "" ? 1 / 3 : 1 / 6));
  rest.push(ask(`What kind of control is ${target.label}?`, target.kind, "control", 1 / KINDS.length));
  const buttons = widgets.filter((widget) => widget.kind === "button").length;
  rest.push(ask("How many buttons are there?", String(buttons), "count", 1 / 4));
  return {
    marked:
      marked === null
        ? null
        : ask("What is the label of the control in the red box?", marked.label, "name", 1 / widgets.length),
    rest,
  };
}

function captionOf(title: string, widgets: readonly Widget[]): string {
  const parts = widgets.map(({ kind, label, state, value }) => {
    if (kind === "button") return `a button ${label}`;
    if (kind === "field") return `a field ${label} with ${value}`;
    if (kind === "slider") return `a slider ${label} at ${state * 100}%`;
    return `a ${kind} ${label} that is ${state === 1 ? "on" : "off"}`;
  });
  return `A screen, ${title}, with ${listed(parts)}.`;
}

function ask(question: string, answer: string, kind: string, chance: number): Exchange {
  return { question: question + ONE_WORD_OR_PHRASE, answers: [answer], metric: "exact", kind, chance };
}
