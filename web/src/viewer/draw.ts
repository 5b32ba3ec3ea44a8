// What lies over the picture: masks, measurements, crosshair, letters, scale.
import { add, distance, dot, letter, toWorld, type Frame, type Index, type Plane, type V3 } from "./geometry";

export type Point = [number, number];
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

export const otherAxes = (axis: 0 | 1 | 2): [0 | 1 | 2, 0 | 1 | 2] => (axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1]);

/** The labels of one plane of a grid as a picture, `width` × `height` in the order of the two other axes. */
export function planeLabels(voxels: Uint8Array, shape: Index, axis: 0 | 1 | 2, n: number): { labels: Uint8Array; width: number; height: number } {
  const [a, b] = otherAxes(axis);
  const stride = [1, shape[0], shape[0] * shape[1]] as const;
  const [width, height] = [shape[a], shape[b]];
  const labels = new Uint8Array(width * height);
  let at = 0;
  for (let y = 0; y < height; y++) {
    let from = n * stride[axis] + y * stride[b];
    for (let x = 0; x < width; x++, at++, from += stride[a]) labels[at] = voxels[from]!;
  }
  return { labels, width, height };
}

export interface MaskLook {
  filled: boolean;
  active: number | null;
  dimmed: ReadonlySet<number>;
  dashed?: boolean;
}

const scratch = typeof document === "undefined" ? null : document.createElement("canvas");

/** Draw a plane of a mask: a light fill, and outlines along the voxels' borders. */
export function drawMask(
  ctx: CanvasRenderingContext2D,
  frame: Frame,
  plane: Plane,
  focus: Index,
  voxels: Uint8Array,
  toCanvas: ToCanvas,
  look: MaskLook,
  box: { start: Index; shape: Index } | null = null,
): void {
  const shape = box ? box.shape : frame.shape;
  const start: Index = box ? box.start : [0, 0, 0];
  const n = focus[plane.axis] - start[plane.axis];
  if (n < 0 || n >= shape[plane.axis]) return;
  const { labels, width, height } = planeLabels(voxels, shape, plane.axis, n);
  if (!labels.some((label) => label !== 0)) return;
  const [a, b] = otherAxes(plane.axis);
  const corner = (x: number, y: number): Point => {
    const ijk = [...focus] as V3;
    ijk[a] = start[a] + x - 0.5;
    ijk[b] = start[b] + y - 0.5;
    return toCanvas(toWorld(frame, ijk));
  };
  const [o, px, py] = [corner(0, 0), corner(1, 0), corner(0, 1)];
  const at = (x: number, y: number): Point => [o[0] + x * (px[0] - o[0]) + y * (py[0] - o[0]), o[1] + x * (px[1] - o[1]) + y * (py[1] - o[1])];
  if (look.filled && scratch) fill(ctx, labels, width, height, o, px, py, look);
  const paths = new Map<number, Path2D>();
  const edge = (label: number, from: Point, to: Point): void => {
    let path = paths.get(label);
    if (!path) paths.set(label, (path = new Path2D()));
    path.moveTo(...from);
    path.lineTo(...to);
  };
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const label = labels[x + width * y]!;
      if (label === 0) continue;
      if (x === 0 || labels[x - 1 + width * y] !== label) edge(label, at(x, y), at(x, y + 1));
      if (x === width - 1 || labels[x + 1 + width * y] !== label) edge(label, at(x + 1, y), at(x + 1, y + 1));
      if (y === 0 || labels[x + width * (y - 1)] !== label) edge(label, at(x, y), at(x + 1, y));
      if (y === height - 1 || labels[x + width * (y + 1)] !== label) edge(label, at(x, y + 1), at(x + 1, y + 1));
    }
  ctx.save();
  if (look.dashed) ctx.setLineDash([4, 3]);
  for (const [label, path] of paths) {
    ctx.strokeStyle = look.dashed ? "#fff" : css(label, look.dimmed.has(label) ? 0.35 : 1);
    ctx.lineWidth = label === look.active ? 2 : 1.25;
    ctx.stroke(path);
  }
  ctx.restore();
}

function fill(ctx: CanvasRenderingContext2D, labels: Uint8Array, width: number, height: number, o: Point, px: Point, py: Point, look: MaskLook): void {
  if (!scratch) return;
  scratch.width = width;
  scratch.height = height;
  const flat = scratch.getContext("2d");
  if (!flat) return;
  const image = flat.createImageData(width, height);
  labels.forEach((label, at) => {
    if (label === 0) return;
    const [r, g, b] = colour(label);
    image.data.set([r, g, b, look.dimmed.has(label) ? 18 : label === look.active ? 70 : 46], at * 4);
  });
  flat.putImageData(image, 0, 0);
  ctx.save();
  ctx.imageSmoothingEnabled = false;
  ctx.transform(px[0] - o[0], px[1] - o[1], py[0] - o[0], py[1] - o[1], o[0], o[1]);
  ctx.drawImage(scratch, 0, 0);
  ctx.restore();
}

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
  const minus = (v: V3): V3 => [-v[0], -v[1], -v[2]];
  text(ctx, letter(minus(plane.right)), 8, height / 2 + 4);
  text(ctx, letter(plane.right), width - 8, height / 2 + 4, "right");
  text(ctx, letter(plane.up), width / 2, width < NARROW ? 34 : 16, "center"); // below the slice number where both have no room
  text(ctx, letter(minus(plane.up)), width / 2, height - 8, "center");
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
export function drawCross(ctx: CanvasRenderingContext2D, frame: Frame, plane: Plane, focus: Index, width: number, height: number, toCanvas: ToCanvas): void {
  const [x, y] = toCanvas(toWorld(frame, focus));
  ctx.strokeStyle = "rgb(108 178 240 / 65%)";
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const [from, to] of [[[0, y], [x - 14, y]], [[x + 14, y], [width, y]], [[x, 0], [x, y - 14]], [[x, y + 14], [x, height]]] as [Point, Point][]) {
    ctx.moveTo(...from);
    ctx.lineTo(...to);
  }
  ctx.stroke();
  void plane;
}

/** A measurement on the slice it was made on: `points` in LPS+ mm. */
export function drawMeasurement(
  ctx: CanvasRenderingContext2D,
  plane: Plane,
  here: V3,
  kind: string,
  points: V3[],
  words: string,
  toCanvas: ToCanvas,
  reachMm: number,
): boolean {
  if (points.length === 0 || points.some((p) => Math.abs(dot(add(p, here, -1), plane.normal)) > reachMm)) return false;
  const at = points.map(toCanvas);
  ctx.strokeStyle = "#f5e663";
  ctx.lineWidth = 1.5;
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
