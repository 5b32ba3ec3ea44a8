// A CT in three planes of its own grid. Where a pane looks is kept here; who draws it, with or without graphics hardware, is a subclass.
import { fitted, panned, project, unproject, zoomed, type Camera, type Point, type Size } from "./camera";
import { add, dot, toWorld, type Frame, type Index, type PlaneName, type V3 } from "./geometry";

export interface Window {
  level: number;
  width: number;
}

const WELL_INSIDE = 0.15;

export abstract class Scene {
  protected readonly mounted = new Map<PlaneName, HTMLDivElement>();
  private readonly cameras = new Map<PlaneName, Camera>();
  protected lookup: Window = { level: 40, width: 400 };
  protected slabMm = 0;

  constructor(readonly frame: Frame) {}

  protected abstract attach(name: PlaneName, element: HTMLDivElement): Promise<void>;
  protected abstract detach(name: PlaneName, element: HTMLDivElement): void;
  /** Draw a pane as its camera, the window and the slab are now. */
  protected abstract draw(name: PlaneName): void;
  abstract resize(): void;
  abstract destroy(): void;

  /** Put a plane into an element of the page; one that was seen before is seen again as it was. */
  async mount(name: PlaneName, element: HTMLDivElement): Promise<void> {
    this.mounted.set(name, element);
    if (!this.cameras.has(name)) this.cameras.set(name, fitted(this.frame, this.frame.planes[name], this.size(name)));
    await this.attach(name, element);
    this.draw(name);
  }

  unmount(name: PlaneName): void {
    const element = this.mounted.get(name);
    this.mounted.delete(name);
    if (element) this.detach(name, element);
  }

  /** Look at all planes as another scene of the same CT does, so that nothing moves when one takes the place of the other. */
  lookAs(other: Scene): void {
    for (const [name, camera] of other.cameras) this.cameras.set(name, camera);
    this.lookup = other.lookup;
    this.slabMm = other.slabMm;
  }

  protected size(name: PlaneName): Size {
    const element = this.mounted.get(name);
    return { width: element?.clientWidth || 1, height: element?.clientHeight || 1 };
  }

  protected camera(name: PlaneName): Camera {
    return this.cameras.get(name) ?? fitted(this.frame, this.frame.planes[name], this.size(name));
  }

  private look(name: PlaneName, camera: Camera): void {
    this.cameras.set(name, camera);
    if (this.mounted.has(name)) this.draw(name);
  }

  /** The whole plane in its pane. */
  fit(name: PlaneName): void {
    this.look(name, fitted(this.frame, this.frame.planes[name], this.size(name)));
  }

  /** Show the slice through a voxel, without moving the picture in its pane. */
  show(name: PlaneName, focus: Index): void {
    const { normal } = this.frame.planes[name];
    const camera = this.camera(name);
    const off = dot(add(toWorld(this.frame, focus), camera.focal, -1), normal);
    if (Math.abs(off) <= 1e-6) return; // two of three planes stand still while one is scrolled
    this.look(name, { ...camera, focal: add(camera.focal, normal, off) });
  }

  /** Bring a point to the middle of its pane, if it is not well inside it already: pictures stand still where they can. */
  reveal(name: PlaneName, world: V3): void {
    const at = this.toCanvas(name, world);
    const { width, height } = this.size(name);
    if (at.every((p, n) => p > WELL_INSIDE * [width, height][n]! && p < (1 - WELL_INSIDE) * [width, height][n]!)) return;
    this.look(name, { ...this.camera(name), focal: world });
  }

  pan(name: PlaneName, from: Point, to: Point): void {
    this.look(name, panned(this.camera(name), this.frame.planes[name], this.size(name), from, to));
  }

  zoom(name: PlaneName, by: number, still: Point): void {
    this.look(name, zoomed(this.camera(name), this.frame.planes[name], this.size(name), by, still));
  }

  /** As near as another scene's pane of the same height. */
  scaleAs(name: PlaneName, other: Scene): void {
    const { scale } = other.camera(name);
    if (scale !== this.camera(name).scale) this.look(name, { ...this.camera(name), scale });
  }

  window(lookup: Window): void {
    this.lookup = lookup;
    for (const name of this.mounted.keys()) this.draw(name);
  }

  /** Maximum intensity over a slab of so many mm; 0: the plane alone. */
  slab(mm: number): void {
    this.slabMm = mm;
    for (const name of this.mounted.keys()) this.draw(name);
  }

  toCanvas(name: PlaneName, world: V3): Point {
    return project(this.camera(name), this.frame.planes[name], this.size(name), world);
  }

  toWorld(name: PlaneName, canvas: Point): V3 {
    return unproject(this.camera(name), this.frame.planes[name], this.size(name), canvas);
  }
}
