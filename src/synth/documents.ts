/** Documents after DocVQA: lines, receipts, forms, tables, and long pages that are only legible at full size. Answers are scored by ANLS. */
import { type Box, Canvas } from "./canvas.ts";
import { ask, type Desk, fitted } from "./desk.ts";
import type { Dice } from "./dice.ts";
import { type Drawn, listed, mostQuestions, type SynthExample, still } from "./example.ts";
import { anyFont, drawText, measureText, type Split, type TextStyle } from "./font.ts";
import { drawList, drawLongPage } from "./lists.ts";
import { inkColour, paperTint, weather } from "./paper.ts";
import { fillBox, strokeBox, strokeDashed, strokePath } from "./shapes.ts";
import { money, ORDINALS, Writer } from "./words.ts";

/** One kind of layout for each way of labelling; the last two are never seen in training. */
const LAYOUTS: Readonly<Record<Split, readonly number[]>> = { train: [0, 1, 2], validation: [3], test: [4] };

type Kind = "line" | "receipt" | "form" | "table" | "long page" | "list" | "note";

/**
 * Kinds by how often they are drawn. Notes and short lists are there for training alone: notes give most letters to read for what a picture costs,
 * short lists lead to the long pages, where one of thirty lines has the answer.
 */
const KINDS: Readonly<Record<"asked" | "train", readonly Kind[]>> = {
  asked: repeated({ line: 2, receipt: 2, form: 2, table: 2, "long page": 1 }),
  train: repeated({ line: 5, receipt: 3, form: 3, table: 6, "long page": 7, list: 5, note: 3 }),
};

/** Height of capitals in pixels; 9 to 12 where none is given. */
const LETTER_SIZES: Readonly<Partial<Record<Kind, readonly [number, number]>>> = {
  line: [12, 24],
  note: [9, 20],
  list: [8, 14],
  "long page": [8, 9],
};

/** Draws one document of a random kind. */
export function drawDocument(dice: Dice, split: Split): SynthExample {
  const kind = dice.pick(KINDS[split === "train" ? "train" : "asked"]);
  const [width, height] = pageSize(dice, kind);
  const size = dice.int(...(LETTER_SIZES[kind] ?? [9, 12]));
  const desk: Desk = {
    dice,
    split,
    write: new Writer(dice, split),
    layout: dice.pick(LAYOUTS[split]),
    style: { font: anyFont(dice, split), size, colour: inkColour(dice, split) },
    page: new Canvas(width, height, paperTint(dice, split)),
  };
  const draw = {
    line: drawLine,
    receipt: drawReceipt,
    form: drawForm,
    table: drawTable,
    "long page": drawLongPage,
    note: drawNote,
    list: drawList,
  }[kind];
  const drawn = draw(desk);
  return still(dice, split, weather(desk.page, dice), `${kind} ${desk.layout}`, drawn);
}

function repeated(counts: Readonly<Partial<Record<Kind, number>>>): Kind[] {
  return (Object.keys(counts) as Kind[]).flatMap((kind) => Array.from({ length: counts[kind] ?? 0 }, () => kind));
}

function pageSize(dice: Dice, kind: Kind): [number, number] {
  if (kind === "line") return [dice.int(224, 384), dice.int(64, 224)];
  if (kind === "note" || kind === "list") return [dice.int(150, 224), dice.int(150, 224)];
  if (kind === "receipt") return [dice.int(200, 256), dice.int(256, 360)];
  if (kind === "form") return [dice.int(256, 340), dice.int(220, 320)];
  if (kind === "table") return [dice.int(280, 384), dice.int(180, 280)];
  return dice.chance(0.5) ? [dice.int(560, 672), dice.int(160, 200)] : [dice.int(160, 200), dice.int(560, 672)];
}

function anyText(dice: Dice, write: Writer): string {
  return dice.pick([
    () => write.things(dice.int(1, 3)).join(" "),
    () => write.fullName(),
    () => write.company(),
    () => write.date(),
    () => write.code(),
    () => `${write.things(1)[0]} ${write.price().text}`,
  ])();
}

function drawLine({ dice, write, page, style }: Desk): Drawn {
  const text = anyText(dice, write);
  const sized = fitted(text, style, page.width - 16);
  const x = dice.float(8, Math.max(8, page.width - 8 - measureText(text, sized)));
  const y = dice.float(6, page.height - sized.size * 1.6 - 6);
  drawText(page, text, { x, y }, sized);
  const exchanges = [
    ask(dice.pick(["What is written?", "What does the line say?", "What is the text?"]), text, "line"),
  ];
  return { exchanges, caption: `A line of text: ${text}.` };
}

/** A small square page with a few lines of anything. */
function drawNote({ dice, write, page, style }: Desk): Drawn {
  const margin = 8;
  const step = style.size * dice.float(1.6, 2.2);
  const most = Math.floor((page.height - 2 * margin) / step);
  const lines = Array.from({ length: dice.int(1, Math.min(6, most)) }, () => anyText(dice, write));
  let y = margin + dice.float(0, page.height - 2 * margin - lines.length * step);
  for (const text of lines) {
    const sized = fitted(text, style, page.width - 2 * margin);
    drawText(page, text, { x: margin + dice.float(0, page.width - 2 * margin - measureText(text, sized)), y }, sized);
    y += step;
  }
  const exchanges = lines.map((text, i) => ask(`What does the ${ORDINALS[i]} line say?`, text, "line"));
  exchanges.push(ask("How many lines are there?", String(lines.length), "count"));
  return { exchanges, caption: `A note: ${lines.join("; ")}.` };
}

function drawReceipt({ dice, write, page, style, layout }: Desk): Drawn {
  const margin = 14;
  const right = page.width - margin;
  const company = write.company();
  const date = write.date();
  const step = style.size * 1.9;
  let y = margin;
  const heading = {
    ...style,
    size: Math.min(style.size * 1.4, (style.size * (page.width - 2 * margin)) / measureText(company, style)),
  };
  const isCentred = layout !== 1;
  drawText(page, company, { x: isCentred ? page.width / 2 : margin, y }, heading, isCentred ? "middle" : "left");
  y += step * 1.4;
  const dateAtTop = layout % 2 === 0;
  if (dateAtTop) {
    drawText(page, date, { x: isCentred ? page.width / 2 : margin, y }, style, isCentred ? "middle" : "left");
    y += step;
  }
  const lines = Math.max(2, Math.min(dice.int(2, 6), Math.floor((page.height - y - margin) / step) - 5));
  const items = write.things(lines).map((name) => ({ name, ...write.price() }));
  rule(page, margin, right, y, layout, style);
  y += step * 0.6;
  for (const { name, text } of items) {
    drawText(page, name, { x: margin, y }, style);
    drawText(page, text, { x: right, y }, style, "right");
    if (layout === 2 || layout === 4) {
      const from = margin + measureText(name, style) + 6;
      const to = right - measureText(text, style) - 6;
      if (to > from)
        strokeDashed(page, { x: from, y: y + style.size }, { x: to, y: y + style.size }, 1, 2, style.colour);
    }
    y += step;
  }
  rule(page, margin, right, y, layout, style);
  y += step * 0.6;
  const subtotal = items.reduce((sum, item) => sum + item.cents, 0);
  const tax = Math.round((subtotal * dice.pick([5, 7, 8, 10])) / 100);
  const totals: [string, string][] = [
    ["Subtotal", money(subtotal)],
    ["Tax", money(tax)],
    ["Total", money(subtotal + tax)],
  ];
  for (const [name, text] of totals) {
    const bold =
      name === "Total"
        ? { ...style, font: { ...style.font, name: `${style.font.name} strong`, weight: style.font.weight + 0.6 } }
        : style;
    drawText(page, name, { x: margin, y }, bold);
    drawText(page, text, { x: right, y }, bold, "right");
    y += step;
  }
  if (!dateAtTop) drawText(page, date, { x: page.width / 2, y }, style, "middle");
  const item = dice.pick(items);
  const exchanges = [
    ask("What is the total?", totals[2][1], "total"),
    ask("How much is the tax?", totals[1][1], "tax"),
    ask(`What is the price of the ${item.name}?`, item.text, "price"),
    ask("What is the name of the shop?", company, "name"),
    ask("What is the date?", date, "date"),
    ask("How many items were bought?", String(items.length), "count"),
  ];
  const bought = listed(items.map(({ name, text }) => `${name} for ${text}`));
  const sums = listed(totals.map(([name, text]) => `${name.toLowerCase()} ${text}`));
  return { exchanges, caption: `A receipt of ${company}, ${date}: ${bought}; ${sums}.` };
}

function rule(page: Canvas, left: number, right: number, y: number, layout: number, style: TextStyle): void {
  const [from, to] = [
    { x: left, y: y + 1 },
    { x: right, y: y + 1 },
  ];
  if (layout === 0 || layout === 3) strokePath(page, [from, to], 1, style.colour);
  else strokeDashed(page, from, to, 1, layout === 1 ? 4 : 6, style.colour);
}

function drawForm({ dice, write, page, style, layout }: Desk): Drawn {
  const fields: [string, string][] = dice.sample<[string, string]>(
    [
      ["Name", write.fullName()],
      ["City", write.places(1)[0]],
      ["Date", write.date()],
      ["Phone", write.phone()],
      ["Code", write.code()],
      ["Item", write.things(1)[0]],
      ["Age", String(dice.int(18, 90))],
      ["Amount", write.price(99000).text],
    ],
    dice.int(3, 5),
  );
  const margin = 14;
  const title = dice.pick(["Order form", "Registration", "Application", "Delivery note", "Visitor card"]);
  drawText(
    page,
    title,
    { x: layout === 2 ? margin : page.width / 2, y: margin },
    { ...style, size: style.size * 1.3 },
    layout === 2 ? "left" : "middle",
  );
  const top = margin + style.size * 3;
  const step = (page.height - top - margin) / fields.length;
  const column = Math.max(...fields.map(([label]) => measureText(label, style))) + 16;
  for (const [i, [label, value]] of fields.entries()) {
    const y = top + i * step;
    const isAbove = layout === 2 || layout === 3;
    const at = isAbove ? { x: margin + 2, y: y + style.size * 1.7 } : { x: margin + column, y: y + style.size * 0.4 };
    const small = { ...style, size: isAbove ? style.size * 0.8 : style.size };
    drawText(page, layout === 1 || layout === 4 ? `${label}:` : label, { x: margin, y: isAbove ? y : at.y }, small);
    drawText(page, value, at, style);
    const box: Box = {
      x: at.x - 5,
      y: at.y - style.size * 0.5,
      width: page.width - margin - at.x + 5,
      height: style.size * 2,
    };
    if (layout === 0 || layout === 3) strokeBox(page, box, 1, style.colour);
    else if (layout === 1)
      strokePath(
        page,
        [
          { x: box.x, y: box.y + box.height },
          { x: box.x + box.width, y: box.y + box.height },
        ],
        1,
        style.colour,
      );
    else
      strokeDashed(
        page,
        { x: box.x, y: box.y + box.height },
        { x: box.x + box.width, y: box.y + box.height },
        1,
        2,
        style.colour,
      );
  }
  const exchanges = [
    ...fields.map(([label, value]) => ask(`What is the ${label.toLowerCase()}?`, value, label.toLowerCase())),
    ask("What is the title of the form?", title, "title"),
  ];
  const filled = listed(fields.map(([label, value]) => `${label.toLowerCase()} ${value}`));
  return { exchanges, caption: `A form, ${title}: ${filled}.` };
}

function drawTable({ dice, split, write, page, style, layout }: Desk): Drawn {
  const heads = dice.sample(["Price", "Stock", "Weight", "Size", "Year", "Score"], dice.int(2, 3));
  const rows = write.things(dice.int(3, 5)).map((name) => ({
    name,
    cells: heads.map((head) =>
      head === "Price" ? write.price().text : head === "Year" ? String(dice.int(1990, 2029)) : String(dice.int(1, 400)),
    ),
  }));
  const margin = 12;
  const rowHeight = Math.min(style.size * 2.6, (page.height - 2 * margin) / (rows.length + 1));
  const first = (page.width - 2 * margin) * 0.36;
  const column = (page.width - 2 * margin - first) / heads.length;
  const tint = style.colour.map((value) => Math.round(255 - (255 - value) * 0.18)) as [number, number, number];
  const line = (cells: readonly string[], i: number): void => {
    const y = margin + i * rowHeight;
    const isShaded = i === 0 ? layout !== 1 : layout === 2 && i % 2 === 0;
    if (isShaded) fillBox(page, { x: margin, y, width: page.width - 2 * margin, height: rowHeight }, tint);
    const isRight = layout === 1 || layout === 3;
    for (const [c, text] of cells.entries()) {
      const x = c === 0 ? margin + 5 : margin + first + (c - 1) * column;
      const textY = y + (rowHeight - style.size) / 2;
      if (c === 0) drawText(page, text, { x, y: textY }, style);
      else
        drawText(
          page,
          text,
          { x: isRight ? x + column - 5 : x + column / 2, y: textY },
          style,
          isRight ? "right" : "middle",
        );
    }
    const full = { x: margin, y, width: page.width - 2 * margin, height: rowHeight };
    if (layout === 0 || layout === 4) strokeBox(page, full, 1, style.colour);
    else
      strokePath(
        page,
        [
          { x: margin, y: y + rowHeight },
          { x: page.width - margin, y: y + rowHeight },
        ],
        1,
        style.colour,
      );
  };
  line(["Item", ...heads], 0);
  for (const [i, row] of rows.entries()) line([row.name, ...row.cells], i + 1);
  const questions = rows.flatMap((row) =>
    heads.map((head, c) => ask(`What is the ${head.toLowerCase()} of the ${row.name}?`, row.cells[c], "cell")),
  );
  const exchanges = [
    ...dice.sample(questions, mostQuestions(split, 3)),
    ask("How many rows are below the header?", String(rows.length), "rows"),
  ];
  const read = rows.map(({ name, cells }) => `${name} ${cells.join(" ")}`);
  return { exchanges, caption: `A table of ${listed(heads.map((head) => head.toLowerCase()))}: ${read.join("; ")}.` };
}
