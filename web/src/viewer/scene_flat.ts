// The planes drawn by the processor alone: while images still come, for a prior study, and where there is no WebGL.
import { toIndex, toWorld, type Frame, type Index, type PlaneName, type V3 } from "./geometry";
import { otherAxes } from "./mask";
import { Scene, type Window } from "./scene";

/** A voxel that has not come yet: no CT has this value. */
export const NOT_YET = -32768;

/** One plane of the grid, or the maximum over `half` planes on either side of it, as grey values 0 to 255 in the order of the two other axes. */
export function greys(hu: Int16Array, shape: Index, axis: 0 | 1 | 2, n: number, half: number, lookup: Window, into: Uint8ClampedArray): void {
  const [a, b] = otherAxes(axis);
  const stride = [1, shape[0], shape[0] * shape[1]] as const;
  const [low, by] = [lookup.level - lookup.width / 2, 255 / Math.max(lookup.width, 1)];
  const [first, last] = [Math.max(0, n - half), Math.min(shape[axis] - 1, n + half)];
  let at = 0;
  for (let y = 0; y < shape[b]; y++) {
    let from = first * stride[axis] + y * stride[b];
    for (let x = 0; x < shape[a]; x++, at++, from += stride[a]) {
      let value = hu[from]!;
      for (let k = 1; k <= last - first; k++) {
        const next = hu[from + k * stride[axis]]!;
        if (next > value) value = next;
      }
      into[at] = (value - low) * by;
    }
  }
}

interface Made {
  key: string;
  picture: HTMLCanvasElement;
}

/** A picture that another scene takes over stays until that one has drawn its own. */
const HANDED_OVER_MS = 100;

export class FlatScene extends Scene {
  private readonly canvases = new Map<PlaneName, HTMLCanvasElement>();
  private readonly made = new Map<PlaneName, Made>();
  private due = 0;
  private readonly stale = new Set<PlaneName>();
  /** Counts up as images come. */
  private come = 0;

  constructor(
    frame: Frame,
    private readonly hu: Int16Array,
  ) {
    super(frame);
  }

  /** More of the CT is there. */
  arrived(): void {
    this.come++;
    for (const name of this.mounted.keys()) this.draw(name);
  }

  protected attach(name: PlaneName, element: HTMLDivElement): Promise<void> {
    const canvas = document.createElement("canvas");
    element.append(canvas);
    this.canvases.set(name, canvas);
    return Promise.resolve();
  }

  protected detach(name: PlaneName): void {
    const canvas = this.canvases.get(name);
    this.canvases.delete(name);
    setTimeout(() => canvas?.remove(), HANDED_OVER_MS);
  }

  /** Take the picture away: what lies below it is drawn. */
  protected uncover(name: PlaneName): void {
    this.canvases.get(name)?.remove();
    this.canvases.delete(name);
  }

  protected draw(name: PlaneName): void {
    if (!this.canvases.has(name)) return;
    this.stale.add(name);
    this.due ||= requestAnimationFrame(() => {
      this.due = 0;
      const names = [...this.stale];
      this.stale.clear();
      names.forEach((one) => this.paint(one));
    });
  }

  private paint(name: PlaneName): void {
    const canvas = this.canvases.get(name);
    if (!canvas) return;
    const { width, height } = this.size(name);
    const dense = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    const ctx = canvas.getContext("2d");
    if (!ctx) return;
    const { axis } = this.frame.planes[name];
    const n = Math.round(toIndex(this.frame, this.camera(name).focal)[axis]);
    if (n < 0 || n >= this.frame.shape[axis]) return;
    const [a, b] = otherAxes(axis);
    const corner = (x: number, y: number): [number, number] => {
      const ijk: V3 = [n, n, n];
      ijk[a] = x - 0.5;
      ijk[b] = y - 0.5;
      return this.toCanvas(name, toWorld(this.frame, ijk));
    };
    const [o, px, py] = [corner(0, 0), corner(1, 0), corner(0, 1)];
    ctx.setTransform(dense, 0, 0, dense, 0, 0);
    ctx.transform(px[0] - o[0], px[1] - o[1], py[0] - o[0], py[1] - o[1], o[0], o[1]);
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(this.picture(name, n), 0, 0);
  }

  private picture(name: PlaneName, n: number): HTMLCanvasElement {
    const { axis } = this.frame.planes[name];
    const half = this.slabMm > 0 ? Math.round(this.slabMm / 2 / this.frame.spacing[axis]) : 0;
    const key = [n, half, this.lookup.level, this.lookup.width, this.come].join(" ");
    const before = this.made.get(name);
    if (before?.key === key) return before.picture;
    const [a, b] = otherAxes(axis);
    const picture = before?.picture ?? document.createElement("canvas");
    [picture.width, picture.height] = [this.frame.shape[a], this.frame.shape[b]];
    const flat = picture.getContext("2d");
    if (!flat) return picture;
    const grey = new Uint8ClampedArray(picture.width * picture.height);
    greys(this.hu, this.frame.shape, axis, n, half, this.lookup, grey);
    const image = flat.createImageData(picture.width, picture.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let at = 0; at < grey.length; at++) pixels[at] = 0xff000000 | (grey[at]! * 0x010101);
    flat.putImageData(image, 0, 0);
    this.made.set(name, { key, picture });
    return picture;
  }

  resize(): void {
    for (const name of this.mounted.keys()) this.draw(name);
  }

  destroy(): void {
    cancelAnimationFrame(this.due);
    for (const name of [...this.mounted.keys()]) this.unmount(name);
    this.made.clear();
  }
}
