// What lies over the picture: masks, measurements, crosshair, letters, scale.
import { edges, type Point } from "./camera";
import { add, distance, dot, toWorld, type Frame, type Index, type Plane, type V3 } from "./geometry";

export type ToCanvas = (world: V3) => Point;

/** One colour a finding, far apart, readable on grey: golden-angle hues. */
export function colour(number: number): [number, number, number] {
  const hue = (number * 137.508 + 340) % 360;
  const f = (n: number): number => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (0.62 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [f(0), f(8), f(4)];
}

export const css = (number: number, alpha = 1): string => `rgb(${colour(number).join(" ")} / ${alpha})`;

export function text(ctx: CanvasRenderingContext2D, words: string, x: number, y: number, align: CanvasTextAlign = "left", style = "#d5dbe2"): void {
  ctx.font = "12px system-ui, sans-serif";
  ctx.textAlign = align;
  ctx.lineWidth = 3;
  ctx.strokeStyle = "rgb(0 0 0 / 75%)";
  ctx.strokeText(words, x, y);
  ctx.fillStyle = style;
  ctx.fillText(words, x, y);
}

const NARROW = 380;

/** R L A P H F at the edges, and a bar of some centimetres. */
export function drawFrame(ctx: CanvasRenderingContext2D, plane: Plane, width: number, height: number, toCanvas: ToCanvas, middle: V3): void {
  const [left, right, top, bottom] = edges(plane);
  text(ctx, left, 8, height / 2 + 4);
  text(ctx, right, width - 8, height / 2 + 4, "right");
  text(ctx, top, width / 2, width < NARROW ? 34 : 16, "center"); // below the slice number where both have no room
  text(ctx, bottom, width / 2, height - 8, "center");
  const here = toCanvas(middle);
  const there = toCanvas(add(middle, plane.right, 10));
  const pxPerMm = Math.hypot(there[0] - here[0], there[1] - here[1]) / 10;
  const mm = [200, 100, 50, 20, 10, 5].find((length) => length * pxPerMm < height * 0.35) ?? 5;
  const [x, y, h] = [width - 14, height - 26, mm * pxPerMm];
  ctx.strokeStyle = "#d5dbe2";
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(x - 4, y);
  ctx.lineTo(x, y);
  ctx.lineTo(x, y - h);
  ctx.lineTo(x - 4, y - h);
  ctx.stroke();
  text(ctx, `${mm} mm`, x - 6, y - h / 2 + 4, "right");
}

/** The other two planes as lines, with a gap where they meet. */
export function drawCross(ctx: CanvasRenderingContext2D, frame: Frame, focus: Index, width: number, height: number, toCanvas: ToCanvas): void {
  const [x, y] = toCanvas(toWorld(frame, focus));
  ctx.strokeStyle = "rgb(108 178 240 / 65%)";
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const [from, to] of [[[0, y], [x - 14, y]], [[x + 14, y], [width, y]], [[x, 0], [x, y - 14]], [[x, y + 14], [x, height]]] as [Point, Point][]) {
    ctx.moveTo(...from);
    ctx.lineTo(...to);
  }
  ctx.stroke();
}

/** A measurement on the slice it was made on: `points` in LPS+ mm. */
export function drawMeasurement(
  ctx: CanvasRenderingContext2D,
  plane: Plane,
  here: V3,
  { kind, points, words, chosen }: { kind: string; points: V3[]; words: string; chosen: boolean },
  toCanvas: ToCanvas,
  reachMm: number,
): boolean {
  if (points.length === 0 || points.some((p) => Math.abs(dot(add(p, here, -1), plane.normal)) > reachMm)) return false;
  const at = points.map(toCanvas);
  ctx.strokeStyle = "#f5e663";
  ctx.lineWidth = chosen ? 2.5 : 1.5;
  ctx.beginPath();
  if (kind === "roi" || kind === "box") {
    at.forEach((p, n) => (n === 0 ? ctx.moveTo(...p) : ctx.lineTo(...p)));
    ctx.closePath();
  } else
    for (let n = 0; n + 1 < at.length; n += 2) {
      ctx.moveTo(...at[n]!);
      ctx.lineTo(...at[n + 1]!);
    }
  ctx.stroke();
  if (chosen) for (const [x, y] of kind === "roi" ? [] : at) ctx.strokeRect(x - 3, y - 3, 6, 6);
  const last = at.reduce((far, p) => (p[0] > far[0] ? p : far));
  text(ctx, words, last[0] + 6, last[1] + 4, "left", "#f5e663");
  return true;
}

/** The short axis that a hand draws, made perpendicular to the long one: its two ends. */
export function perpendicular(a: V3, b: V3, from: V3, to: V3, normal: V3): [V3, V3] {
  const length = distance(a, b) || 1;
  const along = [0, 1, 2].map((n) => (b[n]! - a[n]!) / length) as V3;
  const across: V3 = [
    normal[1] * along[2] - normal[2] * along[1],
    normal[2] * along[0] - normal[0] * along[2],
    normal[0] * along[1] - normal[1] * along[0],
  ];
  const foot = add(a, along, Math.min(Math.max(dot(add(from, a, -1), along), 0), length));
  return [add(foot, across, dot(add(from, a, -1), across)), add(foot, across, dot(add(to, a, -1), across))];
}
