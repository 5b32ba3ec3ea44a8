// The planes drawn by Cornerstone3D: the CT is in the graphics memory once. Fetched when the images are there; it is large.
import * as cs from "@cornerstonejs/core";
import { add, distance, type Frame, type PlaneName, type V3 } from "./geometry";
import { FlatScene } from "./scene_flat";

let begun = false;
let made = 0;

const RENDERS_MS = [0, 60, 250];

/** A pane is drawn by the processor until the graphics card has drawn it, so that it is never black. */
export class GlScene extends FlatScene {
  private readonly id = `scene-${++made}`;
  private readonly engine: cs.RenderingEngine;
  private readonly told: (event: Event) => void;

  /** `lost` is called when the graphics card gives up its context; nothing can be drawn here from then on. */
  constructor(frame: Frame, hu: Int16Array, lost: () => void) {
    super(frame, hu);
    if (!begun) {
      // one graphics context: each more would hold the voxels of the CT once more
      cs.init({ debug: {}, rendering: { useCPURendering: false, webGlContextCount: 1 } });
      begun = true;
    }
    this.told = (event) => {
      if ((event as CustomEvent<{ renderingEngineId: string }>).detail.renderingEngineId === this.id) lost();
    };
    cs.eventTarget.addEventListener(cs.Enums.Events.WEBGL_CONTEXT_LOST, this.told);
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

  private view(name: PlaneName): cs.Types.IVolumeViewport | null {
    return this.mounted.has(name) ? (this.engine.getViewport(this.viewportId(name)) as cs.Types.IVolumeViewport) : null;
  }

  protected override async attach(name: PlaneName, element: HTMLDivElement): Promise<void> {
    const { normal, up } = this.frame.planes[name];
    this.engine.enableElement({
      viewportId: this.viewportId(name),
      type: cs.Enums.ViewportType.ORTHOGRAPHIC,
      element,
      defaultOptions: { orientation: { viewPlaneNormal: normal, viewUp: up }, background: [0, 0, 0] },
    });
    await super.attach(name, element); // over it
    super.draw(name);
    await cs.setVolumesForViewports(this.engine, [{ volumeId: this.volumeId }], [this.viewportId(name)]);
    // the voxels reach the graphics memory with the first frames; what was drawn before them is drawn again
    let last = false;
    RENDERS_MS.forEach((ms, n) =>
      setTimeout(() => {
        last ||= n === RENDERS_MS.length - 1;
        this.view(name)?.render();
      }, ms),
    );
    const rendered = (): void => {
      if (!last) return;
      element.removeEventListener(cs.Enums.Events.IMAGE_RENDERED, rendered);
      if (this.mounted.get(name) === element) this.uncover(name);
    };
    element.addEventListener(cs.Enums.Events.IMAGE_RENDERED, rendered);
  }

  protected override draw(name: PlaneName): void {
    super.draw(name);
    const view = this.view(name);
    if (!view || view.getActors().length === 0) return;
    const { focal, scale } = this.camera(name);
    const present = view.getCamera();
    const away = distance(present.position as V3, present.focalPoint as V3);
    const { level, width } = this.lookup;
    view.setBlendMode(this.slabMm > 0 ? cs.Enums.BlendModes.MAXIMUM_INTENSITY_BLEND : cs.Enums.BlendModes.COMPOSITE);
    if (this.slabMm > 0) view.setSlabThickness(this.slabMm);
    else view.resetSlabThickness();
    view.setProperties({ voiRange: { lower: level - width / 2, upper: level + width / 2 } });
    view.setCamera({ focalPoint: focal, position: add(focal, this.frame.planes[name].normal, away), parallelScale: scale });
    view.render();
  }

  override resize(): void {
    super.resize();
    this.engine.resize(true, true);
  }

  protected override detach(name: PlaneName): void {
    super.detach(name);
    this.engine.disableElement(this.viewportId(name));
  }

  /** Give back everything of this scene, and nothing of another. */
  override destroy(): void {
    super.destroy();
    cs.eventTarget.removeEventListener(cs.Enums.Events.WEBGL_CONTEXT_LOST, this.told);
    const volume = cs.cache.getVolume(this.volumeId);
    this.engine.destroy();
    if (!volume) return;
    const slices = [...volume.imageIds];
    volume.destroy();
    cs.cache.removeVolumeLoadObject(this.volumeId);
    for (const slice of slices) if (cs.cache.getImage(slice)) cs.cache.removeImageLoadObject(slice, { force: true });
  }
}
