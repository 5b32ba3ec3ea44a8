// The lesion mask being edited: voxels, brushes, fills, interpolation, and a history of exactly one step per action.
import type { Planes } from "../store/reading";
import { distances } from "./shapes";
import { inside, type Index, type V3 } from "./geometry";
import { otherAxes } from "./mask";

/** What an action changed: voxel offsets, ascending, with their labels before and after. */
export interface Step {
  what: string;
  offsets: Uint32Array;
  before: Uint8Array;
  after: Uint8Array;
}

export interface Brush {
  radiusMm: number;
  sphere: boolean;
  /** Only voxels of these HU are painted. */
  range: [number, number] | null;
}

interface Box {
  low: Index;
  high: Index;
}

const MOST_STEPS = 200;

export class Labels {
  readonly voxels: Uint8Array;
  readonly counts = new Map<number, number>();
  private done: Step[] = [];
  private undone: Step[] = [];
  private open: { what: string; before: Map<number, number> } | null = null;
  /** Counts up with every change of the voxels. */
  version = 0;
  /** Planes k that the server does not have yet, inclusive. */
  dirty: [number, number] | null = null;
  /** Which voxels of a plane k were changed since they were taken to be saved. */
  private changed = new Map<number, Uint8Array>();

  constructor(
    readonly shape: Index,
    readonly spacing: V3,
    voxels: Uint8Array,
    readonly hu: Int16Array | null = null,
  ) {
    if (voxels.length !== shape[0] * shape[1] * shape[2]) {
      throw new Error(`the mask has ${voxels.length} voxels, the CT ${shape[0] * shape[1] * shape[2]}`);
    }
    this.voxels = voxels;
    for (let at = 0; at < voxels.length; at++) if (voxels[at] !== 0) this.count(voxels[at]!, 1);
  }

  private count(label: number, by: number): void {
    if (label !== 0) this.counts.set(label, (this.counts.get(label) ?? 0) + by);
  }

  offset([i, j, k]: Index): number {
    return i + this.shape[0] * (j + this.shape[1] * k);
  }

  at(ijk: Index): number {
    return inside(this.shape, ijk) ? this.voxels[this.offset(ijk)]! : 0;
  }

  /** Begin an action; everything until `end` is one step. */
  begin(what: string): void {
    if (this.open) this.end();
    this.open = { what, before: new Map() };
  }

  /** Whether an action is open: a hand is painting. */
  get painting(): boolean {
    return this.open !== null;
  }

  /** Label a voxel, within an action. */
  put(at: number, label: number): void {
    const old = this.voxels[at]!;
    if (old === label) return;
    if (!this.open) throw new Error("no action is open");
    if (!this.open.before.has(at)) this.open.before.set(at, old);
    this.change(at, old, label);
    this.touch(at, at);
  }

  private change(at: number, old: number, label: number): void {
    this.voxels[at] = label;
    this.count(old, -1);
    this.count(label, 1);
    const plane = this.shape[0] * this.shape[1];
    const k = Math.floor(at / plane);
    let marks = this.changed.get(k);
    if (!marks) this.changed.set(k, (marks = new Uint8Array(plane)));
    marks[at - k * plane] = 1;
  }

  private touch(first: number, last: number): void {
    this.version++;
    const plane = this.shape[0] * this.shape[1];
    const [a, b] = [Math.floor(first / plane), Math.floor(last / plane)];
    this.dirty = this.dirty ? [Math.min(this.dirty[0], a), Math.max(this.dirty[1], b)] : [a, b];
  }

  /** Close the action; null where it changed nothing, which is no step. */
  end(): Step | null {
    const open = this.open;
    this.open = null;
    if (!open) return null;
    const offsets = Uint32Array.from(open.before.keys())
      .filter((at) => this.voxels[at] !== open.before.get(at))
      .sort();
    if (offsets.length === 0) return null;
    const step: Step = {
      what: open.what,
      offsets,
      before: Uint8Array.from(offsets, (at) => open.before.get(at)!),
      after: Uint8Array.from(offsets, (at) => this.voxels[at]!),
    };
    this.done.push(step);
    if (this.done.length > MOST_STEPS) this.done.shift();
    this.undone = [];
    return step;
  }

  get undoable(): number {
    return this.done.length;
  }

  get redoable(): number {
    return this.undone.length;
  }

  undo(): Step | null {
    if (this.open) this.end();
    const step = this.done.pop();
    if (!step) return null;
    this.apply(step, step.before);
    this.undone.push(step);
    return step;
  }

  redo(): Step | null {
    if (this.open) this.end();
    const step = this.undone.pop();
    if (!step) return null;
    this.apply(step, step.after);
    this.done.push(step);
    return step;
  }

  private apply(step: Step, values: Uint8Array): void {
    step.offsets.forEach((at, n) => this.change(at, this.voxels[at]!, values[n]!));
    this.touch(step.offsets[0]!, step.offsets[step.offsets.length - 1]!);
  }

  /** Paint round a voxel in the plane across `axis`, or a ball; `over` is the only label that is painted over besides 0. */
  paint(middle: V3, axis: 0 | 1 | 2, brush: Brush, label: number, over: number | null = null): void {
    const reach = this.spacing.map((s, a) => (a === axis && !brush.sphere ? 0 : Math.ceil(brush.radiusMm / s))) as V3;
    const centre = middle.map(Math.round) as Index;
    const [i0, j0, k0] = centre;
    const most = brush.radiusMm * brush.radiusMm;
    for (let k = Math.max(0, k0 - reach[2]); k <= Math.min(this.shape[2] - 1, k0 + reach[2]); k++)
      for (let j = Math.max(0, j0 - reach[1]); j <= Math.min(this.shape[1] - 1, j0 + reach[1]); j++)
        for (let i = Math.max(0, i0 - reach[0]); i <= Math.min(this.shape[0] - 1, i0 + reach[0]); i++) {
          const off: V3 = [i - middle[0], j - middle[1], k - middle[2]];
          if (!brush.sphere) off[axis] = 0;
          const d = (off[0] * this.spacing[0]) ** 2 + (off[1] * this.spacing[1]) ** 2 + (off[2] * this.spacing[2]) ** 2;
          const here = i === i0 && j === j0 && k === k0;
          if (d > most && !here) continue;
          const at = this.offset([i, j, k]);
          if (brush.range && this.hu && label !== 0) {
            const hu = this.hu[at]!;
            if (hu < brush.range[0] || hu > brush.range[1]) continue;
          }
          const old = this.voxels[at]!;
          if (label === 0 ? over !== null && old !== over : old !== 0 && old !== label && old !== over) continue;
          this.put(at, label);
        }
  }

  /** Paint along a line, so that a fast hand leaves no gaps. */
  stroke(from: V3, to: V3, axis: 0 | 1 | 2, brush: Brush, label: number, over: number | null = null): void {
    const step = Math.max(brush.radiusMm / 2, Math.min(...this.spacing));
    const length = Math.hypot(...[0, 1, 2].map((a) => (to[a]! - from[a]!) * this.spacing[a]!));
    const parts = Math.max(1, Math.ceil(length / step));
    for (let n = 1; n <= parts; n++) {
      const t = n / parts;
      this.paint([0, 1, 2].map((a) => from[a]! + t * (to[a]! - from[a]!)) as V3, axis, brush, label, over);
    }
  }

  private strides(): V3 {
    return [1, this.shape[0], this.shape[0] * this.shape[1]];
  }

  /** Fill what a label encloses in one plane. Returns how many voxels that were. */
  fillHoles(plane: number, axis: 0 | 1 | 2, label: number): number {
    const [a, b] = otherAxes(axis);
    const [na, nb] = [this.shape[a], this.shape[b]];
    const stride = this.strides();
    const base = plane * stride[axis];
    const outside = new Uint8Array(na * nb);
    const queue: number[] = [];
    const visit = (x: number, y: number): void => {
      const at = x + na * y;
      if (outside[at] || this.voxels[base + x * stride[a] + y * stride[b]] === label) return;
      outside[at] = 1;
      queue.push(at);
    };
    for (let x = 0; x < na; x++) [0, nb - 1].forEach((y) => visit(x, y));
    for (let y = 0; y < nb; y++) [0, na - 1].forEach((x) => visit(x, y));
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      const [x, y] = [at % na, Math.floor(at / na)];
      if (x > 0) visit(x - 1, y);
      if (x < na - 1) visit(x + 1, y);
      if (y > 0) visit(x, y - 1);
      if (y < nb - 1) visit(x, y + 1);
    }
    let filled = 0;
    for (let y = 0; y < nb; y++)
      for (let x = 0; x < na; x++) {
        const at = base + x * stride[a] + y * stride[b];
        if (!outside[x + na * y] && this.voxels[at] === 0) {
          this.put(at, label);
          filled++;
        }
      }
    return filled;
  }

  /** Shapes between painted planes, by interpolating signed distances. Returns how many planes were made. */
  interpolate(axis: 0 | 1 | 2, label: number): number {
    const box = this.boxOf(label);
    if (!box) return 0;
    const planes: number[] = [];
    for (let n = box.low[axis]; n <= box.high[axis]; n++) if (this.slice(n, axis, label, box).includes(1)) planes.push(n);
    let made = 0;
    for (let p = 0; p + 1 < planes.length; p++) {
      const [from, to] = [planes[p]!, planes[p + 1]!];
      if (to - from < 2) continue;
      const [d0, d1] = [this.signed(from, axis, label, box), this.signed(to, axis, label, box)];
      for (let n = from + 1; n < to; n++) {
        const t = (n - from) / (to - from);
        this.write(n, axis, label, box, (at) => (1 - t) * d0[at]! + t * d1[at]! <= 0);
        made++;
      }
    }
    return made;
  }

  /** Where a label lies, inclusive, with a rim of one voxel: what is outside it is outside every shape between its planes. */
  private boxOf(label: number): Box | null {
    if (!this.counts.get(label)) return null;
    const [ni, nj, nk] = this.shape;
    const low: Index = [ni, nj, nk];
    const high: Index = [-1, -1, -1];
    for (let k = 0; k < nk; k++)
      for (let j = 0; j < nj; j++) {
        const row = ni * (j + nj * k);
        const first = this.voxels.subarray(row, row + ni).indexOf(label);
        if (first < 0) continue;
        const last = this.voxels.subarray(row, row + ni).lastIndexOf(label);
        [first, j, k].forEach((n, a) => (low[a] = Math.min(low[a]!, n)));
        [last, j, k].forEach((n, a) => (high[a] = Math.max(high[a]!, n)));
      }
    return {
      low: low.map((n) => Math.max(0, n - 1)) as Index,
      high: high.map((n, a) => Math.min(this.shape[a]! - 1, n + 1)) as Index,
    };
  }

  /** The offset of every pixel of a plane of a box, in the order of its two axes. */
  private pixels(n: number, axis: 0 | 1 | 2, { low, high }: Box, told: (offset: number, at: number) => void): void {
    const [a, b] = otherAxes(axis);
    const stride = this.strides();
    let at = 0;
    for (let y = low[b]; y <= high[b]; y++)
      for (let x = low[a]; x <= high[a]; x++, at++) told(n * stride[axis] + x * stride[a] + y * stride[b], at);
  }

  private write(n: number, axis: 0 | 1 | 2, label: number, box: Box, holds: (at: number) => boolean): void {
    this.pixels(n, axis, box, (offset, at) => {
      if (this.voxels[offset] === 0 && holds(at)) this.put(offset, label);
    });
  }

  private slice(n: number, axis: 0 | 1 | 2, label: number, box: Box): Uint8Array {
    const [width, height] = this.sizeOf(axis, box);
    const found = new Uint8Array(width * height);
    this.pixels(n, axis, box, (offset, at) => {
      if (this.voxels[offset] === label) found[at] = 1;
    });
    return found;
  }

  private sizeOf(axis: 0 | 1 | 2, { low, high }: Box): [number, number] {
    const [a, b] = otherAxes(axis);
    return [high[a] - low[a] + 1, high[b] - low[b] + 1];
  }

  private signed(n: number, axis: 0 | 1 | 2, label: number, box: Box): Float32Array {
    const [a, b] = otherAxes(axis);
    const [width, height] = this.sizeOf(axis, box);
    const mask = this.slice(n, axis, label, box);
    const out = distances(mask, width, height, this.spacing[a], this.spacing[b], 1);
    const within = distances(mask, width, height, this.spacing[a], this.spacing[b], 0);
    return out.map((d, at) => d - within[at]!);
  }

  /** Lay a mask of a box into a label, as one step; only where there is nothing yet. */
  lay(start: Index, shape: Index, mask: Uint8Array, label: number): void {
    this.begin("proposal");
    this.free(start, shape, mask, (voxel) => this.put(voxel, label));
    this.end();
  }

  /** Visit what a mask of a box marks and no finding has; returns how many voxels that are. */
  free(start: Index, shape: Index, mask: Uint8Array, told: (voxel: number) => void = () => undefined): number {
    let [at, found] = [0, 0];
    for (let k = 0; k < shape[2]; k++)
      for (let j = 0; j < shape[1]; j++)
        for (let i = 0; i < shape[0]; i++, at++) {
          const voxel = this.offset([start[0] + i, start[1] + j, start[2] + k]);
          if (!mask[at] || this.voxels[voxel] !== 0) continue;
          found++;
          told(voxel);
        }
    return found;
  }

  /** Take a label out of the mask altogether. */
  clear(label: number): void {
    this.begin("clear");
    for (let at = 0; at < this.voxels.length; at++) if (this.voxels[at] === label) this.put(at, 0);
    this.end();
  }

  /** The planes that are to be saved, and which of their voxels the hand changed; after that they count as saved. */
  takeDirty(): Planes | null {
    if (!this.dirty) return null;
    const [first, last] = this.dirty;
    const plane = this.shape[0] * this.shape[1];
    const mine = new Uint8Array((last - first + 1) * plane);
    for (const [k, marks] of this.changed) mine.set(marks, (k - first) * plane);
    this.dirty = null;
    this.changed.clear();
    return { first, last, voxels: this.voxels.slice(first * plane, (last + 1) * plane), mine };
  }

  /** Planes that were taken but could not be saved are to be saved again. */
  giveBack({ first, last, mine }: Planes): void {
    this.dirty = this.dirty ? [Math.min(this.dirty[0], first), Math.max(this.dirty[1], last)] : [first, last];
    const plane = this.shape[0] * this.shape[1];
    for (let k = first; k <= last; k++) {
      const marks = mine.slice((k - first) * plane, (k - first + 1) * plane);
      this.changed.get(k)?.forEach((mark, at) => (marks[at] ||= mark));
      this.changed.set(k, marks);
    }
  }
}
