/** Diagrams after AI2D: chains, cycles and trees of boxes with arrows; questions with four options, scored by the letter. */
import { Canvas, type Point } from "./canvas.ts";
import type { Dice } from "./dice.ts";
import { type Exchange, listed, multipleChoice, type SynthExample, still } from "./example.ts";
import { anyFont, drawText, measureText, type Split, type TextStyle } from "./font.ts";
import { inkColour, paperTint, weather } from "./paper.ts";
import { fillPolygon, regularPolygon, roundBox, strokeArrow, strokePath } from "./shapes.ts";
import { Writer } from "./words.ts";

interface Node {
  readonly label: string;
  readonly at: Point;
}

/** From node to node, by number. */
type Edge = readonly [from: number, to: number];

/** Draws one diagram. */
export function drawDiagram(dice: Dice, split: Split): SynthExample {
  const kind = dice.pick(["chain", "cycle", "tree"] as const);
  const write = new Writer(dice, split);
  const [width, height] = [dice.int(280, 360), dice.int(220, 300)];
  const canvas = new Canvas(width, height, paperTint(dice, split));
  const style = { font: anyFont(dice, split), size: dice.int(8, 10), colour: inkColour(dice, split) };
  const count = kind === "tree" ? dice.int(5, 7) : dice.int(4, 6);
  const labels = dice.chance(0.5) ? write.things(count) : Array.from({ length: count }, () => write.surname());
  const nodes = labels.map((label, i): Node => ({ label, at: placeNode(kind, i, count, width, height) }));
  const edges = edgesOf(kind, count, dice);
  const layout = split === "train" ? dice.int(0, 2) : split === "validation" ? 3 : 4;
  for (const [from, to] of edges) drawEdge(canvas, nodes[from], nodes[to], style);
  for (const node of nodes) drawNode(canvas, node, style, layout);
  const picture = weather(canvas, dice);
  const arrows = listed(edges.map(([from, to]) => `from ${labels[from]} to ${labels[to]}`));
  const drawn = { exchanges: questions(dice, kind, nodes, edges), caption: `A ${kind} with arrows ${arrows}.` };
  return still(dice, split, picture, `${kind} ${layout}`, drawn);
}

function placeNode(kind: string, i: number, count: number, width: number, height: number): Point {
  const [cx, cy] = [width / 2, height / 2];
  if (kind === "cycle") {
    const angle = ((i / count) * 360 - 90) * (Math.PI / 180);
    return { x: cx + (width / 2 - 52) * Math.cos(angle), y: cy + (height / 2 - 28) * Math.sin(angle) };
  }
  if (kind === "tree") {
    const level = Math.floor(Math.log2(i + 1));
    const inLevel = i + 1 - 2 ** level;
    const levels = Math.floor(Math.log2(count)) + 1;
    return { x: (width * (inLevel + 0.5)) / 2 ** level, y: 28 + ((height - 56) * level) / Math.max(1, levels - 1) };
  }
  // A chain that turns back at the right edge.
  const perRow = 3;
  const row = Math.floor(i / perRow);
  const column = row % 2 === 0 ? i % perRow : perRow - 1 - (i % perRow);
  return { x: 54 + ((width - 108) * column) / (perRow - 1), y: count <= perRow ? cy : 50 + (height - 100) * row };
}

function edgesOf(kind: string, count: number, dice: Dice): Edge[] {
  if (kind === "tree") return Array.from({ length: count - 1 }, (_, i): Edge => [Math.floor(i / 2), i + 1]);
  const chain = Array.from({ length: count - 1 }, (_, i): Edge => [i, i + 1]);
  if (kind === "chain") return dice.chance(0.3) ? chain.map(([a, b]): Edge => [b, a]) : chain;
  return [...chain, [count - 1, 0]];
}

function drawEdge(canvas: Canvas, from: Node, to: Node, style: TextStyle): void {
  const start = rim(from, to.at, style);
  const end = rim(to, from.at, style);
  strokeArrow(canvas, start, end, 1.6, style.colour);
}

/** Where the line to `target` leaves a node's box. */
function rim({ label, at }: Node, target: Point, style: TextStyle): Point {
  const [dx, dy] = [target.x - at.x, target.y - at.y];
  const [halfWidth, halfHeight] = [measureText(label, style) / 2 + 10, style.size + 6];
  const share = Math.min(halfWidth / Math.max(1e-6, Math.abs(dx)), halfHeight / Math.max(1e-6, Math.abs(dy)));
  return { x: at.x + dx * Math.min(1, share), y: at.y + dy * Math.min(1, share) };
}

function drawNode(canvas: Canvas, { label, at }: Node, style: TextStyle, layout: number): void {
  const [halfWidth, halfHeight] = [measureText(label, style) / 2 + 8, style.size + 4];
  const box = { x: at.x - halfWidth, y: at.y - halfHeight, width: 2 * halfWidth, height: 2 * halfHeight };
  const fill = (
    [
      [255, 255, 255],
      [225, 238, 250],
      [250, 240, 220],
      [230, 245, 230],
      [245, 228, 240],
    ] as const
  )[layout];
  const shape =
    layout === 2
      ? regularPolygon(at, 1, 40).map((p) => ({
          x: at.x + (p.x - at.x) * halfWidth * 1.15,
          y: at.y + (p.y - at.y) * halfHeight * 1.1,
        }))
      : roundBox(box, layout === 1 || layout === 4 ? halfHeight : 3);
  fillPolygon(canvas, shape, fill);
  strokePath(canvas, [...shape, shape[0]], layout === 3 ? 2 : 1.3, style.colour);
  drawText(canvas, label, { x: at.x, y: at.y - style.size / 2 }, style, "middle");
}

function questions(dice: Dice, kind: string, nodes: readonly Node[], edges: readonly Edge[]): Exchange[] {
  const labels = nodes.map((node) => node.label);
  const others = (right: number, except: number): string[] =>
    dice.sample(
      labels.filter((_, i) => i !== right && i !== except),
      3,
    );
  const onlyWaysOut = edges.filter(([a]) => edges.filter(([start]) => start === a).length === 1);
  const [from, to] = dice.pick(onlyWaysOut.length > 0 ? onlyWaysOut : edges);
  const [source, target] = dice.pick(edges);
  const counts = dice.shuffle([3, 4, 5, 6, 7, 8].filter((n) => n !== nodes.length)).slice(0, 3);
  const list: Exchange[] = [
    multipleChoice(dice, `Which one points to ${labels[target]}?`, labels[source], others(source, target), "before"),
    multipleChoice(dice, "How many boxes does the diagram have?", String(nodes.length), counts.map(String), "count"),
  ];
  if (onlyWaysOut.length > 0)
    list.push(
      multipleChoice(dice, `What does the arrow from ${labels[from]} lead to?`, labels[to], others(to, from), "after"),
    );
  if (kind === "chain") {
    const first = edges.map(([a]) => a).find((a) => !edges.some(([, b]) => b === a)) ?? 0;
    list.push(multipleChoice(dice, "Where does the chain begin?", labels[first], others(first, first), "first"));
  }
  if (kind === "tree")
    list.push(multipleChoice(dice, "Which is at the top of the tree?", labels[0], others(0, 0), "top"));
  return list;
}
