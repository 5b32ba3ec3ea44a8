// The whole CT from any side, drawn by the processor: maximum intensity, fainter with depth, and the findings as coloured bodies.
import { colour } from "./draw";
import { cross, dot, type Frame, type Index, type V3 } from "./geometry";

/** A coarse copy of a CT with cubic voxels: brightness 0 to 255. Labels, where there are any, lie on the same grid. */
export interface Solid {
  shape: Index;
  mm: number;
  bright: Uint8Array;
}

const MOST_SIDE = 176;
/** Brightness begins and ends at these HU: bone and contrast medium (ours). */
const LOW_HU = 120;
const HIGH_HU = 1100;

export function coarseShape(frame: Frame): { shape: Index; mm: number } {
  const sides = [0, 1, 2].map((a) => frame.shape[a]! * frame.spacing[a]!);
  const mm = Math.max(...frame.spacing, Math.max(...sides) / MOST_SIDE);
  return { shape: sides.map((side) => Math.max(1, Math.ceil(side / mm - 1e-6))) as Index, mm };
}

/** Which coarse voxel the voxels of the CT's grid lie in, along each axis. */
function cells(frame: Frame, { shape, mm }: Pick<Solid, "shape" | "mm">): [Int32Array, Int32Array, Int32Array] {
  const along = (a: 0 | 1 | 2): Int32Array =>
    Int32Array.from({ length: frame.shape[a] }, (_, n) => Math.min(shape[a] - 1, Math.floor(((n + 0.5) * frame.spacing[a]) / mm)));
  return [along(0), along(1), along(2)];
}

export function solidOf(frame: Frame, hu: Int16Array): Solid {
  const { shape, mm } = coarseShape(frame);
  const bright = new Uint8Array(shape[0] * shape[1] * shape[2]);
  const by = 255 / (HIGH_HU - LOW_HU);
  const [x, y, z] = cells(frame, { shape, mm });
  let fine = 0;
  for (let k = 0; k < frame.shape[2]; k++)
    for (let j = 0; j < frame.shape[1]; j++) {
      const row = shape[0] * (y[j]! + shape[1] * z[k]!);
      for (let i = 0; i < frame.shape[0]; i++, fine++) {
        const value = hu[fine]!;
        if (value <= LOW_HU) continue;
        const level = value >= HIGH_HU ? 255 : (value - LOW_HU) * by;
        const at = row + x[i]!;
        if (level > bright[at]!) bright[at] = level;
      }
    }
  return { shape, mm, bright };
}

export function coarseLabels(frame: Frame, solid: Solid, labels: Uint8Array, without: ReadonlySet<number>): Uint8Array {
  const { shape } = solid;
  const [x, y, z] = cells(frame, solid);
  const found = new Uint8Array(solid.bright.length);
  const [ni, nj] = frame.shape;
  const put = (fine: number): void => {
    const label = labels[fine]!;
    if (label === 0 || without.has(label)) return;
    const row = Math.floor(fine / ni);
    found[x[fine % ni]! + shape[0] * (y[row % nj]! + shape[1] * z[Math.floor(row / nj)]!)] = label;
  };
  // nearly all of a mask is empty: four voxels are looked at at once
  const words = labels.byteOffset % 4 === 0 ? new Uint32Array(labels.buffer, labels.byteOffset, labels.length >> 2) : new Uint32Array(0);
  for (let word = 0; word < words.length; word++) if (words[word] !== 0) for (let n = 0; n < 4; n++) put(4 * word + n);
  for (let fine = 4 * words.length; fine < labels.length; fine++) put(fine);
  return found;
}

/** From where: degrees about the patient's long axis (0: from the front, 90: from the patient's left), and above the horizon. */
export interface Turn {
  around: number;
  above: number;
}

/** The sides of the picture and the way into it, LPS+. */
export function sides({ around, above }: Turn): { right: V3; up: V3; into: V3 } {
  const [a, e] = [(around * Math.PI) / 180, (above * Math.PI) / 180];
  const right: V3 = [Math.cos(a), Math.sin(a), 0];
  const into: V3 = [-Math.sin(a) * Math.cos(e), Math.cos(a) * Math.cos(e), -Math.sin(e)];
  return { right, into, up: cross(right, into) };
}

export interface Projected {
  width: number;
  height: number;
  pixels: Uint8ClampedArray;
  /** The coarse voxel of the foremost finding behind every pixel; -1 where there is none. */
  hits: Int32Array;
}

const FADE = 0.55;
const RIM = 1.02;

/** What is seen from a side, all of it in the picture whichever side that is. */
export function project(frame: Frame, solid: Solid, labels: Uint8Array | null, turn: Turn, width: number, height: number): Projected {
  const { shape, bright } = solid;
  const along = (v: V3): V3 => [0, 1, 2].map((a) => dot(v, frame.columns[a]!)) as V3;
  const { right, up, into } = sides(turn);
  const [r, u, d] = [along(right), along(up), along(into)];
  const radius = Math.hypot(...shape) / 2;
  const tall = Math.max(...shape) * RIM;
  const wide = Math.hypot(shape[0], shape[1]);
  const step = Math.max(tall / height, wide / width); // coarse voxels a pixel
  const pixels = new Uint8ClampedArray(4 * width * height);
  const hits = new Int32Array(width * height).fill(-1);
  const palette = Array.from({ length: 256 }, (_, n) => colour(n));
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++, at++) {
      const [ox, oy] = [(x + 0.5 - width / 2) * step, (height / 2 - y - 0.5) * step];
      const o = [0, 1, 2].map((a) => shape[a]! / 2 + ox * r[a]! + oy * u[a]! - radius * d[a]!) as V3;
      let [near, far] = [0, 2 * radius];
      for (let a = 0; a < 3; a++) {
        if (Math.abs(d[a]!) < 1e-9) {
          if (o[a]! < 0 || o[a]! >= shape[a]!) far = -1;
          continue;
        }
        const [p, q] = [-o[a]! / d[a]!, (shape[a]! - o[a]!) / d[a]!];
        near = Math.max(near, Math.min(p, q));
        far = Math.min(far, Math.max(p, q));
      }
      let [most, label] = [0, 0];
      let labelAt = 0;
      let [i, j, k] = [o[0] + (near + 0.5) * d[0], o[1] + (near + 0.5) * d[1], o[2] + (near + 0.5) * d[2]];
      for (let t = near + 0.5; t < far; t++, i += d[0], j += d[1], k += d[2]) {
        const voxel = (i | 0) + shape[0] * ((j | 0) + shape[1] * (k | 0));
        const value = bright[voxel]! * (1 - (FADE * t) / (2 * radius));
        if (value > most) most = value;
        if (label === 0 && labels && labels[voxel] !== 0) {
          label = labels[voxel]!;
          labelAt = t;
          hits[at] = voxel;
        }
      }
      const share = label === 0 ? 0 : 0.8 * (1 - (FADE * labelAt) / (2 * radius)) + 0.1;
      const [red, green, blue] = palette[label]!;
      pixels[4 * at] = most * (1 - share) + red * share;
      pixels[4 * at + 1] = most * (1 - share) + green * share;
      pixels[4 * at + 2] = most * (1 - share) + blue * share;
      pixels[4 * at + 3] = 255;
    }
  return { width, height, pixels, hits };
}

/** A voxel of the CT's grid that lies in a coarse one and has a label there. */
export function fineVoxel(frame: Frame, { shape, mm }: Solid, coarse: number, labels: Uint8Array, label: number): Index {
  const at = [coarse % shape[0], Math.floor(coarse / shape[0]) % shape[1], Math.floor(coarse / (shape[0] * shape[1]))];
  const ends = at.map((n, a) => {
    const [from, to] = [n, n + 1].map((side) => Math.round((side * mm) / frame.spacing[a]!));
    return [Math.max(0, from! - 1), Math.min(frame.shape[a]! - 1, to!)] as const;
  });
  for (let k = ends[2]![0]; k <= ends[2]![1]; k++)
    for (let j = ends[1]![0]; j <= ends[1]![1]; j++)
      for (let i = ends[0]![0]; i <= ends[0]![1]; i++) if (labels[i + frame.shape[0] * (j + frame.shape[1] * k)] === label) return [i, j, k];
  return ends.map(([from, to]) => Math.round((from + to) / 2)) as Index;
}
