// A mask over a picture: a light fill, and outlines along the voxels' borders. What did not change is not computed again.
import { colour, css, type ToCanvas } from "./draw";
import { toWorld, type Frame, type Index, type Plane, type V3 } from "./geometry";

export const otherAxes = (axis: 0 | 1 | 2): [0 | 1 | 2, 0 | 1 | 2] => (axis === 0 ? [1, 2] : axis === 1 ? [0, 2] : [0, 1]);

/** The labels of one plane of a grid as a picture, `width` × `height` in the order of the two other axes. */
export function planeLabels(voxels: Uint8Array, shape: Index, axis: 0 | 1 | 2, n: number): { labels: Uint8Array; width: number; height: number } {
  const [a, b] = otherAxes(axis);
  const stride = [1, shape[0], shape[0] * shape[1]] as const;
  const [width, height] = [shape[a], shape[b]];
  if (axis === 2) return { labels: voxels.subarray(n * stride[2], (n + 1) * stride[2]), width, height };
  const labels = new Uint8Array(width * height);
  let at = 0;
  for (let y = 0; y < height; y++) {
    let from = n * stride[axis] + y * stride[b];
    for (let x = 0; x < width; x++, at++, from += stride[a]) labels[at] = voxels[from]!;
  }
  return { labels, width, height };
}

/** Where a picture has labels: x0, y0, x1, y1, the last two beyond; null where it has none. */
export function extent(labels: Uint8Array, width: number, height: number): [number, number, number, number] | null {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      if (labels[at] === 0) continue;
      if (x < x0) x0 = x;
      if (x >= x1) x1 = x + 1;
      if (y < y0) y0 = y;
      y1 = y + 1;
    }
  return x1 > x0 ? [x0, y0, x1, y1] : null;
}

/** The borders between labels as straight lines: label, then x0, y0, x1, y1, in pixels; runs along a line are one. */
export function borders(labels: Uint8Array, width: number, height: number, told: (label: number, x0: number, y0: number, x1: number, y1: number) => void): void {
  const box = extent(labels, width, height);
  if (!box) return;
  const [left, top, right, bottom] = box;
  const at = (x: number, y: number): number => (x < left || y < top || x >= right || y >= bottom ? 0 : labels[x + width * y]!);
  // each pixel's own border: its side towards a pixel of another label, above, below, left, right
  for (const side of [-1, 1]) {
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; ) {
        const label = at(x, y);
        const from = x;
        const edge = (n: number): boolean => label !== 0 && at(n, y) === label && at(n, y + side) !== label;
        while (x < right && edge(x)) x++;
        if (x > from) told(label, from, y + (side > 0 ? 1 : 0), x, y + (side > 0 ? 1 : 0));
        else x++;
      }
    for (let x = left; x < right; x++)
      for (let y = top; y < bottom; ) {
        const label = at(x, y);
        const from = y;
        const edge = (n: number): boolean => label !== 0 && at(x, n) === label && at(x + side, n) !== label;
        while (y < bottom && edge(y)) y++;
        if (y > from) told(label, x + (side > 0 ? 1 : 0), from, x + (side > 0 ? 1 : 0), y);
        else y++;
      }
  }
}

export interface MaskLook {
  filled: boolean;
  /** Of the fill, 0 to 1; the active finding's is stronger, a rejected one's weaker. */
  opacity?: number;
  active: number | null;
  dimmed: ReadonlySet<number>;
  dashed?: boolean;
}

export interface Mask {
  voxels: Uint8Array;
  /** Counts up with every change of the voxels. */
  version: number;
  /** Where they lie in the grid; the whole of it if not told. */
  box?: { start: Index; shape: Index };
}

interface Made {
  voxels: Uint8Array;
  key: string;
  paths: Map<number, Path2D>;
  picture: HTMLCanvasElement;
  at: [number, number, number, number] | null;
}

/** One mask in one pane; it remembers the plane that it drew last. */
export class MaskLayer {
  private made: Made | null = null;

  draw(ctx: CanvasRenderingContext2D, frame: Frame, plane: Plane, focus: Index, mask: Mask, toCanvas: ToCanvas, look: MaskLook): void {
    const { start, shape } = mask.box ?? { start: [0, 0, 0] as Index, shape: frame.shape };
    const n = focus[plane.axis] - start[plane.axis];
    if (n < 0 || n >= shape[plane.axis]) return;
    const made = this.make(mask, shape, plane.axis, n, look);
    if (!made.at) return;
    const [a, b] = otherAxes(plane.axis);
    const corner = (x: number, y: number): [number, number] => {
      const ijk = [...focus] as V3;
      ijk[a] = start[a] + x - 0.5;
      ijk[b] = start[b] + y - 0.5;
      return toCanvas(toWorld(frame, ijk));
    };
    const [o, px, py] = [corner(0, 0), corner(1, 0), corner(0, 1)];
    const place = new DOMMatrix([px[0] - o[0], px[1] - o[1], py[0] - o[0], py[1] - o[1], o[0], o[1]]);
    ctx.save();
    if (look.filled) {
      ctx.save();
      ctx.imageSmoothingEnabled = false;
      ctx.globalAlpha = look.opacity ?? 0.25;
      ctx.transform(place.a, place.b, place.c, place.d, place.e, place.f);
      ctx.drawImage(made.picture, made.at[0], made.at[1]);
      ctx.restore();
    }
    if (look.dashed) ctx.setLineDash([4, 3]);
    for (const [label, path] of made.paths) {
      const placed = new Path2D();
      placed.addPath(path, place);
      ctx.strokeStyle = look.dashed ? "#fff" : css(label, look.dimmed.has(label) ? 0.35 : 1);
      ctx.lineWidth = label === look.active ? 2 : 1.25;
      ctx.stroke(placed);
    }
    ctx.restore();
  }

  private make(mask: Mask, shape: Index, axis: 0 | 1 | 2, n: number, look: MaskLook): Made {
    const key = [mask.version, axis, n, look.filled, look.active, ...look.dimmed].join(" ");
    if (this.made?.voxels === mask.voxels && this.made.key === key) return this.made;
    const { labels, width, height } = planeLabels(mask.voxels, shape, axis, n);
    const at = extent(labels, width, height);
    const picture = this.made?.picture ?? document.createElement("canvas");
    const paths = new Map<number, Path2D>();
    borders(labels, width, height, (label, x0, y0, x1, y1) => {
      let path = paths.get(label);
      if (!path) paths.set(label, (path = new Path2D()));
      path.moveTo(x0, y0);
      path.lineTo(x1, y1);
    });
    if (at && look.filled) fill(picture, labels, width, at, look);
    this.made = { voxels: mask.voxels, key, paths, picture, at };
    return this.made;
  }
}

const WHITE: [number, number, number] = [255, 255, 255];

function fill(picture: HTMLCanvasElement, labels: Uint8Array, width: number, [x0, y0, x1, y1]: [number, number, number, number], look: MaskLook): void {
  picture.width = x1 - x0;
  picture.height = y1 - y0;
  const flat = picture.getContext("2d");
  if (!flat) return;
  const image = flat.createImageData(x1 - x0, y1 - y0);
  for (let y = y0, at = 0; y < y1; y++)
    for (let x = x0; x < x1; x++, at += 4) {
      const label = labels[x + width * y]!;
      if (label === 0) continue;
      const [r, g, b] = look.dashed ? WHITE : colour(label);
      image.data[at] = r;
      image.data[at + 1] = g;
      image.data[at + 2] = b;
      image.data[at + 3] = look.dimmed.has(label) ? 70 : label === look.active ? 255 : 180;
    }
  flat.putImageData(image, 0, 0);
}
