// Cornerstone3D as we use it: one CT in three planes of its own grid, a slab where wished, and 3D where there is room.
import * as cs from "@cornerstonejs/core";
import { add, dot, toWorld, type Frame, type Index, type PlaneName, type V3 } from "./geometry";

export interface Window {
  level: number;
  width: number;
}

let begun = false;
let made = 0;

/** Whether this browser can draw volumes at all. */
export function canDraw(): boolean {
  const canvas = document.createElement("canvas");
  const found = canvas.getContext("webgl2");
  found?.getExtension("WEBGL_lose_context")?.loseContext();
  return found !== null;
}

export class Scene {
  private readonly id = `scene-${++made}`;
  private readonly engine: cs.RenderingEngine;
  private readonly mounted = new Map<string, HTMLDivElement>();
  private slabMm = 0;

  constructor(
    readonly frame: Frame,
    hu: Int16Array,
  ) {
    if (!begun) {
      // one graphics context: each more would hold the voxels of the CT once more
      cs.init({ debug: {}, rendering: { useCPURendering: false, webGlContextCount: 1 } });
      begun = true;
    }
    const [columns, rows] = frame.shape;
    cs.volumeLoader.createLocalVolume(this.volumeId, {
      scalarData: hu,
      dimensions: frame.shape,
      spacing: frame.spacing,
      origin: frame.origin,
      direction: frame.columns.flat() as cs.Types.Mat3,
      metadata: {
        BitsAllocated: 16,
        BitsStored: 16,
        HighBit: 15,
        SamplesPerPixel: 1,
        PixelRepresentation: 1,
        PhotometricInterpretation: "MONOCHROME2",
        Modality: "CT",
        FrameOfReferenceUID: this.id,
        ImageOrientationPatient: [...frame.columns[0], ...frame.columns[1]],
        PixelSpacing: [frame.spacing[1], frame.spacing[0]],
        Columns: columns,
        Rows: rows,
        voiLut: [],
        VOILUTFunction: "LINEAR",
      },
    });
    this.engine = new cs.RenderingEngine(this.id);
  }

  private get volumeId(): string {
    return `${this.id}-ct`;
  }

  private viewportId(name: string): string {
    return `${this.id}-${name}`;
  }

  /** Put a plane into an element of the page. */
  async mount(name: PlaneName, element: HTMLDivElement): Promise<void> {
    const { normal, up } = this.frame.planes[name];
    this.engine.enableElement({
      viewportId: this.viewportId(name),
      type: cs.Enums.ViewportType.ORTHOGRAPHIC,
      element,
      defaultOptions: { orientation: { viewPlaneNormal: normal, viewUp: up }, background: [0, 0, 0] },
    });
    this.mounted.set(name, element);
    await cs.setVolumesForViewports(this.engine, [{ volumeId: this.volumeId }], [this.viewportId(name)]);
    this.fit(name);
    // the voxels reach the graphics memory with the first frames; what was drawn before them is drawn again
    for (const ms of [0, 60, 250]) setTimeout(() => this.view(name)?.render(), ms);
  }

  /** A view of the whole in 3D, of what is dense. */
  async mount3d(element: HTMLDivElement): Promise<void> {
    this.engine.enableElement({
      viewportId: this.viewportId("3d"),
      type: cs.Enums.ViewportType.VOLUME_3D,
      element,
      defaultOptions: { orientation: cs.Enums.OrientationAxis.CORONAL, background: [0, 0, 0] },
    });
    this.mounted.set("3d", element);
    await cs.setVolumesForViewports(this.engine, [{ volumeId: this.volumeId }], [this.viewportId("3d")]);
    const view = this.engine.getViewport(this.viewportId("3d")) as cs.VolumeViewport3D;
    view.setProperties({ preset: "CT-Bone" });
    view.resetCamera();
    view.render();
  }

  /** Turn the 3D view by an angle about the patient's long axis and one across it. */
  turn3d(aroundDeg: number, overDeg: number): void {
    const view = this.view("3d");
    if (!view) return;
    const camera = view.getCamera();
    const [focal, position, up] = [camera.focalPoint as V3, camera.position as V3, camera.viewUp as V3];
    const from = add(position, focal, -1);
    const side = normalised([up[1] * from[2] - up[2] * from[1], up[2] * from[0] - up[0] * from[2], up[0] * from[1] - up[1] * from[0]]);
    const turnedAround = rotated(rotated(from, up, -aroundDeg), side, -overDeg);
    view.setCamera({ position: add(focal, turnedAround), viewUp: normalised(rotated(up, side, -overDeg)) });
    view.render();
  }

  private view(name: string): cs.Types.IVolumeViewport | null {
    return this.mounted.has(name) ? (this.engine.getViewport(this.viewportId(name)) as cs.Types.IVolumeViewport) : null;
  }

  /** The whole plane in its pane. */
  fit(name: PlaneName): void {
    const view = this.view(name);
    view?.resetCamera();
    view?.render();
  }

  /** Show the slice through a voxel, without moving the picture in its pane. */
  show(name: PlaneName, focus: Index): void {
    const view = this.view(name);
    if (!view) return;
    const { normal } = this.frame.planes[name];
    const camera = view.getCamera();
    const focal = camera.focalPoint as V3;
    const off = dot(add(toWorld(this.frame, focus), focal, -1), normal);
    if (Math.abs(off) <= 1e-6) return; // two of three planes stand still while one is scrolled
    view.setCamera({ focalPoint: add(focal, normal, off), position: add(camera.position as V3, normal, off) });
    view.render();
  }

  /** Bring a point to the middle of its pane, if it is not well inside it already: pictures stand still where they can. */
  reveal(name: PlaneName, world: V3): void {
    const view = this.view(name);
    const element = this.mounted.get(name);
    if (!view || !element) return;
    const at = view.worldToCanvas(world);
    const size = [element.clientWidth, element.clientHeight];
    if (at.every((p, n) => p > 0.15 * size[n]! && p < 0.85 * size[n]!)) return;
    const camera = view.getCamera();
    const off = add(world, camera.focalPoint as V3, -1);
    view.setCamera({ focalPoint: add(camera.focalPoint as V3, off), position: add(camera.position as V3, off) });
    view.render();
  }

  /** What lies under `fromCanvas` comes to lie under `toCanvas`. */
  pan(name: PlaneName, fromCanvas: [number, number], toCanvas: [number, number]): void {
    const view = this.view(name);
    if (!view) return;
    const off = add(view.canvasToWorld(fromCanvas) as V3, view.canvasToWorld(toCanvas) as V3, -1);
    const camera = view.getCamera();
    view.setCamera({ focalPoint: add(camera.focalPoint as V3, off), position: add(camera.position as V3, off) });
    view.render();
  }

  /** Nearer or farther; the point of the patient under `still` stays where it is. */
  zoom(name: PlaneName, by: number, still: [number, number]): void {
    const view = this.view(name);
    if (!view) return;
    const before = view.canvasToWorld(still) as V3;
    const scale = view.getCamera().parallelScale ?? 100;
    view.setCamera({ parallelScale: Math.min(Math.max(scale / by, 2), 2000) });
    this.pan(name, view.worldToCanvas(before) as [number, number], still);
  }

  /** Half the height of what a pane shows, in mm. */
  scaleOf(name: PlaneName): number | null {
    return this.view(name)?.getCamera().parallelScale ?? null;
  }

  /** As near as another scene's pane of the same height. */
  scaleAs(name: PlaneName, other: Scene): void {
    const [view, scale] = [this.view(name), other.scaleOf(name)];
    if (!view || scale === null || scale === view.getCamera().parallelScale) return;
    view.setCamera({ parallelScale: scale });
    view.render();
  }

  window({ level, width }: Window): void {
    for (const name of this.mounted.keys()) {
      if (name === "3d") continue;
      this.view(name)?.setProperties({ voiRange: { lower: level - width / 2, upper: level + width / 2 } });
      this.view(name)?.render();
    }
  }

  /** Maximum intensity over a slab of so many mm; 0: the plane alone. */
  slab(mm: number): void {
    this.slabMm = mm;
    for (const name of this.mounted.keys()) {
      if (name === "3d") continue;
      const view = this.view(name);
      view?.setBlendMode(mm > 0 ? cs.Enums.BlendModes.MAXIMUM_INTENSITY_BLEND : cs.Enums.BlendModes.COMPOSITE);
      if (mm > 0) view?.setSlabThickness(mm);
      else view?.resetSlabThickness();
      view?.render();
    }
  }

  get slabbed(): number {
    return this.slabMm;
  }

  toCanvas(name: PlaneName, world: V3): [number, number] {
    return (this.view(name)?.worldToCanvas(world) ?? [0, 0]) as [number, number];
  }

  toWorld(name: PlaneName, canvas: [number, number]): V3 {
    return (this.view(name)?.canvasToWorld(canvas) ?? [0, 0, 0]) as V3;
  }

  resize(): void {
    this.engine.resize(true, true);
  }

  unmount(name: string): void {
    if (this.mounted.delete(name)) this.engine.disableElement(this.viewportId(name));
  }

  /** Give back everything of this scene, and nothing of another: a prior study beside it has voxels of its own. */
  destroy(): void {
    const volume = cs.cache.getVolume(this.volumeId);
    this.engine.destroy();
    this.mounted.clear();
    if (!volume) return;
    const slices = [...volume.imageIds];
    volume.destroy();
    cs.cache.removeVolumeLoadObject(this.volumeId);
    for (const slice of slices) if (cs.cache.getImage(slice)) cs.cache.removeImageLoadObject(slice, { force: true });
  }
}

function normalised(a: V3): V3 {
  const length = Math.hypot(...a) || 1;
  return [a[0] / length, a[1] / length, a[2] / length];
}

function rotated(p: V3, about: V3, deg: number): V3 {
  const u = normalised(about);
  const [c, s] = [Math.cos((deg * Math.PI) / 180), Math.sin((deg * Math.PI) / 180)];
  const along = dot(u, p) * (1 - c);
  const x: V3 = [u[1] * p[2] - u[2] * p[1], u[2] * p[0] - u[0] * p[2], u[0] * p[1] - u[1] * p[0]];
  return [0, 1, 2].map((n) => p[n]! * c + x[n]! * s + u[n]! * along) as V3;
}
